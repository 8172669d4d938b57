"""From unlabelled flows to answers: pre-training, teaching, predicting, examining, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import flowlore
from flowlore.errors import BundleError, TaskError
from flowlore.flows.schema import arrow_schema, flow_batch
from flowlore.flows.table import Flows
from flowlore.tasks.bundle import MANIFEST, load_bundle, save_bundle
from flowlore.tasks.evaluation import evaluate
from flowlore.tasks.few_shot import examine, prepare, split_flows, teach
from flowlore.tasks.predictor import Predictor
from flowlore.tasks.pretraining import pretrain


def taught(predictor: Predictor, flows: Flows, shots: int = 3, head: str = "probe") -> tuple[Predictor, dict]:
    rng = np.random.default_rng(1)
    lesson = prepare(predictor, flows, by="time", rng=rng)
    made, episode = teach(predictor, lesson, shots=shots, rng=rng, head=head, drop_small_classes=True)
    return made, examine(made, lesson, episode, rng=rng)


@pytest.mark.parametrize("head", ["probe", "forest"])
def test_the_whole_way(pretrained: Predictor, office: Flows, tmp_path: Path, head: str) -> None:
    made, report = taught(pretrained, office, head=head)
    assert report["shown"] == 3 * report["classes"]
    assert set(report["scores"]) == {head, "nearest", "extra-trees", "lightgbm"}
    assert report["scores"][head]["natural"]["accuracy"] > 0.5
    assert report["novel"] <= report["asked"]
    path = made.save(tmp_path / "office")
    again = flowlore.load(path)
    answers = again.predict(office)
    assert answers.equals(made.predict(office))
    assert answers.column_names == ["flow_id", "part", "label", "confidence", "answers", "unknown", "novelty"]
    assert answers["flow_id"].equals(office["flow_id"])
    assert all(
        label in sets for label, sets in zip(answers["label"].to_pylist(), answers["answers"].to_pylist(), strict=True)
    )


def test_a_head_that_wants_numbers_says_so_where_there_are_none(pretrained: Predictor, office: Flows) -> None:
    made, _ = taught(pretrained, office, head="forest")
    with pytest.raises(BundleError, match="only its vector is there"):
        made.predict_embedded(office, pretrained.embed(office))


def test_one_flow_of_each_is_enough(pretrained: Predictor, office: Flows) -> None:
    _, report = taught(pretrained, office, shots=1)
    assert report["shown"] == report["classes"] > 1


def test_evaluation_leaves_out_what_was_shown(pretrained: Predictor, office: Flows, tmp_path: Path) -> None:
    made, report = taught(pretrained, office)
    found = evaluate(made, office, rng=np.random.default_rng(0))
    assert found["shown_before"] == report["shown"]
    assert found["asked"] + found["shown_before"] + found["unlabelled"] == len(office)
    low, high = found["macro_f1_interval"]
    assert low <= found["macro_f1"] <= high
    assert set(report["dropped_classes"]) <= set(found["classes_never_shown"])
    assert 0.1 < found["adjusted_rand"] < 1, "clusters say something of the classes, and not all"
    json.dumps(found, allow_nan=False)


def test_vectors_do_not_depend_on_batches(pretrained: Predictor, office: Flows) -> None:
    whole = pretrained.embed(office).vectors
    parts = [pretrained.embed(office[first : first + 50]).vectors for first in range(0, len(office), 50)]
    assert np.allclose(whole, np.concatenate(parts), atol=1e-5)


def test_what_the_source_lacks_is_masked_and_said(pretrained: Predictor) -> None:
    counters = flow_batch({"packets_fwd": [3, 4], "bytes_fwd": [100, 200]}, 2)
    found = pretrained.embed(counters)
    assert found.masked == ("series.size",)
    assert not found.is_blank.any()


def test_a_flow_with_nothing_has_no_label(pretrained: Predictor, office: Flows) -> None:
    made, _ = taught(pretrained, office)
    answers = made.predict(flow_batch({"packets_fwd": [3, None]}, 2))
    assert answers["label"].null_count == 1
    assert answers["unknown"].to_pylist()[1]


def test_flows_with_nothing_that_the_bundle_needs_are_refused(pretrained: Predictor) -> None:
    with pytest.raises(BundleError, match=r"needs one of `quantities`, `series.size`, but these flows have none"):
        pretrained.embed(flow_batch({"src_port": [1, 2]}, 2))


def test_no_flows_give_no_answers(pretrained: Predictor, office: Flows) -> None:
    made, _ = taught(pretrained, office)
    assert len(made.predict(Flows(arrow_schema().empty_table()))) == 0


def test_a_bundle_without_a_head_says_how_to_get_one(pretrained: Predictor, office: Flows) -> None:
    with pytest.raises(BundleError, match="knows no labels") as caught:
        pretrained.predict(office)
    assert "flowlore fit" in str(caught.value.hint)


def test_flows_without_labels_cannot_teach(pretrained: Predictor, office: Flows) -> None:
    unlabelled = Flows(flow_batch({"packets_fwd": [1]}, 1))
    with pytest.raises(TaskError, match="no flow has a label"):
        prepare(pretrained, unlabelled, by="time", rng=np.random.default_rng(0))
    made, _ = taught(pretrained, office)
    with pytest.raises(TaskError, match="none of the 1 flows can be asked"):
        evaluate(made, unlabelled, rng=np.random.default_rng(0))


def test_too_few_flows_to_train_on(with_stub: None, office: Flows) -> None:
    with pytest.raises(TaskError, match="5 flows are too few"):
        pretrain("stub", office[:5], rng=np.random.default_rng(0))


def test_an_encoder_that_gives_no_numbers_is_told(pretrained: Predictor, office: Flows) -> None:
    pretrained.encoder.arrays["scale"][:] = 0.0  # type: ignore[attr-defined]
    with pytest.raises(BundleError, match="no numbers"), np.errstate(all="ignore"):
        pretrained.embed(office)


def test_a_state_that_no_encoder_has(pretrained: Predictor, tmp_path: Path) -> None:
    bundle = pretrained.to_bundle()
    save_bundle(replace(bundle, states={"encoder": {"width": 9}}), tmp_path / "odd")
    with pytest.raises(BundleError, match="the state of `odd` cannot be made"):
        flowlore.load(tmp_path / "odd")
    save_bundle(replace(bundle, model="martian"), tmp_path / "foreign")
    with pytest.raises(BundleError, match="no model is called `martian`"):
        flowlore.load(tmp_path / "foreign")


def test_bundles_are_found_by_name(pretrained: Predictor, tmp_path: Path) -> None:
    from flowlore.tasks.bundle_shelf import list_bundles

    shelf = tmp_path / "cache" / "bundles"
    shelf.mkdir(parents=True)
    pretrained.save(shelf / "office")
    assert flowlore.load("office").name == "office"
    with pytest.raises(BundleError, match="no bundle called `ofice`") as caught:
        flowlore.load("ofice")
    assert "did you mean `office`" in str(caught.value.hint)
    (shelf / "office" / MANIFEST).write_text("{}")
    assert "names no format" in next(row for row in list_bundles() if row["name"] == "office")["problem"]


def test_a_card_says_what_it_was_made_from(pretrained: Predictor, office: Flows, tmp_path: Path) -> None:
    bundle = load_bundle(pretrained.save(tmp_path / "office"))
    assert bundle.data["flows"] == len(office)
    assert bundle.data["shortcuts"].startswith("addresses off")


@pytest.mark.parametrize("by", ["host", "random-which-leaks", "time"])
def test_splits_by_words(office: Flows, by: str) -> None:
    labels = np.full(len(office), "x")
    split = split_flows(office, by, rng=np.random.default_rng(0), classes=labels)
    assert len(split.train) + len(split.test) + split.left_out == len(office)


@pytest.mark.parametrize("by", ["capture", "luck"])
def test_splits_that_cannot_be(office: Flows, by: str) -> None:
    with pytest.raises(TaskError, match="split by"):
        split_flows(office, by, rng=np.random.default_rng(0), classes=np.full(len(office), "x"))


def test_copies_teach_but_do_not_calibrate_or_examine(pretrained: Predictor, office: Flows) -> None:
    from flowlore.features.augment.settings import AugmentSettings

    lesson = prepare(pretrained, office, by="time", rng=np.random.default_rng(1))
    made = {}
    settings = {0: None, 1: AugmentSettings(), 4: AugmentSettings(transforms=("packet-loss",), copies=4)}
    for copies, asked in settings.items():
        rng = np.random.default_rng(2)
        made[copies], episode = teach(
            pretrained, lesson, shots=3, rng=rng, head="prototypes", drop_small_classes=True, augmentation=asked
        )
        assert len(made[copies].support.labels) == len(episode.support)
    assert made[0].calibration == made[4].calibration
    plain, same, augmented = (one.head.state()[0] for one in made.values())
    assert all(np.array_equal(plain[name], same[name]) for name in plain), "without transforms there are no copies"
    assert any(not np.array_equal(plain[name], augmented[name]) for name in plain)


def test_pretraining_sees_copies_of_what_teaches(with_stub: None, office: Flows) -> None:
    from flowlore.errors import SettingError
    from flowlore.features.augment.settings import AugmentSettings

    asked = AugmentSettings(transforms=("packet-loss:1",), policy="pre-augment", copies=2)
    plain = pretrain("stub", office, rng=np.random.default_rng(0))
    augmented = pretrain("stub", office, rng=np.random.default_rng(0), augmentation=asked)
    assert not np.allclose(plain.encoder.arrays["mean"], augmented.encoder.arrays["mean"])
    assert augmented.data["augmentation"]["transforms"] == ["packet-loss:1"] and "augmentation" not in plain.data
    with pytest.raises(TaskError, match="no classes were given"):
        mixing = AugmentSettings(transforms=("cutmix",), policy="pre-augment")
        pretrain("stub", office, rng=np.random.default_rng(0), augmentation=mixing)
    with pytest.raises(SettingError, match="policy is `replace`"):
        pretrain("stub", office, rng=np.random.default_rng(0), augmentation=AugmentSettings(transforms=("wrap",)))
