"""Vectors of entities as people use them: asked, brought up to date, kept, refused where they are none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from entitiesmade import Talk, flows_of, two_crowds
from flowlore import Flows
from flowlore.errors import BundleError, InputError, OutputError, TaskError
from flowlore.models.skipgram.settings import SkipGramSettings
from flowlore.tasks.bundle import Bundle, save_bundle
from flowlore.tasks.entities import EntityVectors
from flowlore.tasks.predictor import load

SETTINGS = SkipGramSettings(width=16, window=5, epochs=5)


@pytest.fixture(scope="module")
def crowds() -> Flows:
    return two_crowds(talks=4_000)


@pytest.fixture(scope="module")
def entities(crowds: Flows) -> EntityVectors:
    return EntityVectors.learn(crowds, np.random.default_rng(1), settings=SETTINGS)


def test_all_kinds_are_learnt(entities: EntityVectors) -> None:
    assert entities.data["known"] == {"hosts": 80, "ports": 4, "names": 4}
    assert entities.data["rounds"][0]["flows"] == 4_000
    assert entities.vectors(["10.0.0.1", "10.0.0.2"], "host").shape == (2, 16)


def test_most_alike_are_of_the_same_crowd(entities: EntityVectors) -> None:
    found = entities.similar("10.0.0.4", count=5)
    assert len(found) == 5 and "10.0.0.4" not in [one.word for one in found]
    assert all(int(one.word.rpartition(".")[2]) % 2 == 0 for one in found)
    assert [one.likeness for one in found] == sorted((one.likeness for one in found), reverse=True)
    assert entities.similar("80/tcp")[0].word == "443/tcp"
    assert entities.similar("22/tcp")[0].word == "23/tcp"


def test_words_never_met(entities: EntityVectors) -> None:
    assert int(entities.similar("10.8.0.250", count=1)[0].word.rpartition(".")[2]) % 2 == 1
    assert entities.similar("cdn.shop.example", count=1)[0].word in ("www.shop.example", "img.shop.example")
    assert entities.knows(["10.8.0.250", "10.8.0.1"], "host").tolist() == [False, True]
    with pytest.raises(InputError, match=r"nothing is known of the host `192\.0\.2\.77`"):
        entities.similar("192.0.2.77")
    with pytest.raises(InputError, match="no kind `hosts`"):
        entities.similar("10.0.0.1", "hosts")  # type: ignore[arg-type]


def test_words_may_be_typed_in_other_ways(entities: EntityVectors) -> None:
    assert np.array_equal(entities.vector(" WWW.Shop.example. "), entities.vector("www.shop.example"))
    assert np.array_equal(entities.vector("::ffff:10.0.0.1"), entities.vector("10.0.0.1"))


def test_a_pseudonym_is_a_host() -> None:
    flows = flows_of([Talk(at, ["camera", "plug"][at % 2], port=22) for at in range(50)])
    found = EntityVectors.learn(flows, np.random.default_rng(0), settings=SETTINGS)
    assert found.kind_of("camera") == "host"
    assert [one.word for one in found.similar("camera")] == ["plug"]


def test_an_update_adds(entities: EntityVectors) -> None:
    later = flows_of([Talk(at, f"10.9.0.{at % 4}", port=22) for at in range(200)])
    both = entities.update(later, np.random.default_rng(2))
    assert both.data["known"]["hosts"] == 84
    assert [one["flows"] for one in both.data["rounds"]] == [4_000, 200]
    assert entities.data["known"]["hosts"] == 80
    assert both.similar("10.9.0.1", count=3)[0].word.startswith("10.9.0.")


def test_kept_and_loaded(entities: EntityVectors, tmp_path: Path) -> None:
    back = EntityVectors.load(entities.save(tmp_path / "words"))
    assert back.settings == entities.settings and back.name == "words"
    assert back.data == entities.data
    for kind, model in entities.models.items():
        assert np.array_equal(back.models[kind].own_vectors, model.own_vectors)
    again = [one.update(two_crowds(seed=4, talks=300), np.random.default_rng(5)) for one in (back, entities)]
    assert np.array_equal(again[0].models["host"].vectors, again[1].models["host"].vectors)
    with pytest.raises(OutputError, match="already there"):
        entities.save(tmp_path / "words")


def test_damaged_and_foreign_folders(entities: EntityVectors, tmp_path: Path) -> None:
    folder = entities.save(tmp_path / "words")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="not a bundle"):
        EntityVectors.load(tmp_path / "empty")
    with pytest.raises(BundleError, match="no folder and no bundle"):
        EntityVectors.load(tmp_path / "nowhere")
    cut = Path(shutil.copytree(folder, tmp_path / "cut"))
    (cut / "weights.safetensors").write_bytes((folder / "weights.safetensors").read_bytes()[:-8])
    with pytest.raises(BundleError, match="damaged"):
        EntityVectors.load(cut)
    with pytest.raises(BundleError, match="vectors of entities"):
        load(folder)
    foreign = Bundle(model="autoencoder", config={}, needs=(), states={}, arrays={})
    with pytest.raises(BundleError, match="holds the model `autoencoder`"):
        EntityVectors.load(save_bundle(foreign, tmp_path / "foreign"))


def test_arrays_that_do_not_fit_their_settings(entities: EntityVectors, tmp_path: Path) -> None:
    whole = entities.to_bundle()
    wrong = Bundle(
        model=whole.model, config={"skipgram": whole.config["skipgram"] | {"width": 17}}, needs=whole.needs,
        states=whole.states, arrays=whole.arrays,
    )  # fmt: skip
    with pytest.raises(BundleError, match="vectors of entities"):
        EntityVectors.load(save_bundle(wrong, tmp_path / "wrong"))


def test_flows_that_say_nothing() -> None:
    alone = flows_of([Talk(1, "10.0.0.1")])
    with pytest.raises(TaskError, match="no two hosts met one service"):
        EntityVectors.learn(alone, np.random.default_rng(0))


def test_the_card_says_what_it_is(entities: EntityVectors, tmp_path: Path) -> None:
    folder = entities.save(tmp_path / "words")
    card = (folder / "card.md").read_text()
    assert "flowlore entities" in card and "in clear" in card
    assert json.loads((folder / "bundle.json").read_text())["model"] == "skip-gram"
