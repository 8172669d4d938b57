"""The study on the packaged capture and on toy data, at a scale that says nothing but that it works."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowlore.studies.conduct import Order, conduct
from flowlore.studies.evidence import Shelf
from flowlore.studies.material import Facts, Places, load
from flowlore.studies.representations import Representations
from flowlore.studies.study import ALL_LABELS, SCALES

Make = Callable[..., Order]
ARMS = (
    *("concatenation, knn", "extra-trees", "mlp", "multi-modal network", "autoencoder, knn", "autoencoder, fine-tuned"),
    *("fresh encoder, probe", "autoencoder, only quantities", "autoencoder", "concatenation", "whole"),
    *("everything → netflow", "everything → everything", "extra-trees on netflow"),
)


def test_on_toy_data(order: Make) -> None:
    tiny = replace(order(seeds=1, shots=(5, ALL_LABELS)).scale, pretrain_steps=2, network_steps=3)
    done = conduct(order("representations", sets=("toy",), arms=ARMS, scale=tiny))
    assert done.failed == ()
    results = Shelf(order().output).evidence().results
    assert {one.arm for one in results} == set(ARMS)
    by_arm = {one.arm: one for one in results if one.shots == ALL_LABELS}
    assert by_arm["extra-trees"].number("natural.macro_f1") > 0.95
    assert by_arm["concatenation, knn"].number("natural.macro_f1") > 0.95
    assert by_arm["autoencoder, knn"].result["encoder_parameters"]["layers"] > 10_000
    assert by_arm["autoencoder, knn"].number("flows_per_cpu_s") > 0
    assert by_arm["autoencoder, fine-tuned"].result["kept"] in ("probe", "tuned")
    low, high = by_arm["extra-trees"].result["macro_f1_interval"]
    assert low <= by_arm["extra-trees"].number("natural.macro_f1") <= high
    geometry = next(one for one in results if one.question == "geometry" and one.arm == "concatenation")
    assert geometry.number("purity.1") > 0.95 and set(geometry.result["clusters"]) == {"2", "3", "4"}
    page = done.pages[1].read_text()
    for words in ("Targets", "From one source to another", "How flows lie together", "What it costs", "novel"):
        assert words in page, words
    assert list((order().output / "kept").glob("*.npz")), "encoders are kept for a resumed study"


def test_declared_runs() -> None:
    facts = replace(
        Facts.from_json(_facts()), modalities=("quantities", "series", "payload", "entities"), identity=("use_names",)
    )
    runs = Representations().runs(facts, SCALES["full"])
    arms = {run.arm for run in runs}
    assert {"series alone", "payload alone", "1-nn", "lightgbm", "multi-modal network", "without exact sizes"} <= arms
    assert {"without payload", "with names", "netflow → netflow", "autoencoder, only entities"} <= arms
    shots = {run.shots for run in runs if run.arm == "lightgbm"}
    assert shots == {1, 5, 10, 20, 100, ALL_LABELS}
    assert {run.shots for run in runs if run.arm == "autoencoder, fine-tuned"} == shots - {1}
    assert len({run.seed for run in runs}) == 5
    few = Representations().runs(replace(facts, most_shots=5), SCALES["full"])
    assert {run.shots for run in few if run.question == "labels"} == {1, 5, ALL_LABELS}
    counters = Representations().runs(replace(facts, modalities=("quantities",)), SCALES["full"])
    assert not {run.arm for run in counters} & {"series alone", "without quantities", "netflow → netflow"}


def test_the_packaged_office(order: Make) -> None:
    conduct(order("representations", sets=("office",), arms=("1-nn",), seeds=1))
    material = load(order().output / "data" / "office")
    assert material.facts.modalities == ("quantities", "series", "payload", "entities")
    assert material.facts.classes >= 5
    starts = np.array(material.flows["start"].cast(pa.int64()))
    assert starts[material.train].max() < starts[material.test].min()


def test_fgnet_is_split_by_capture(tmp_path: Path, order: Make) -> None:
    write_small_fgnet(tmp_path / "data" / "fgnet")
    conduct(order("representations", sets=("fgnet",), places=Places(data=tmp_path / "data"), arms=("1-nn",), seeds=1))
    material = load(order().output / "data" / "fgnet")
    assert material.facts.modalities[:2] == ("quantities", "series")
    assert (material.facts.classes, material.facts.groups) == (2, 20)
    train, test = (set(material.groups[rows]) for rows in (material.train, material.test))
    assert not train & test
    assert test == {f"{app}/{capture}" for app in ("chess", "maps") for capture in (1008, 1009)}
    assert material.twins[0] >= 0 and len(set(material.twins.tolist())) > 2, "twins are told by payload sizes"


def test_the_first_day_teaches_and_later_ones_are_asked(tmp_path: Path, order: Make) -> None:
    write_small_fgnet(tmp_path / "data" / "fgnet", captures_a_day=4)
    wanted = order(
        "representations", sets=("fgnet-days",), places=Places(data=tmp_path / "data"), arms=("extra-trees",)
    )
    done = conduct(wanted)
    assert done.failed == ()
    material = load(order().output / "data" / "fgnet-days")
    assert {name.partition("/")[2] for name in material.groups[material.train]} == {"1000", "1001", "1002"}
    assert set(material.groups[material.validation]) == {"chess/1003", "maps/1003"}
    result = Shelf(order().output).evidence().results[0]
    assert [(day["day"], day["flows"]) for day in result.result["by_day"]] == [("2020-09-14", 32), ("2020-09-15", 16)]
    assert all(day["macro_f1"] > 0.9 for day in result.result["by_day"])
    assert "As days pass" in done.pages[1].read_text()


def write_small_fgnet(folder: Path, *, captures_a_day: int = 1000) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for place, app in enumerate(("chess", "maps")):
        for capture in range(1000, 1010):
            for flow in range(4):
                sizes = (rng.integers(1, 200, 12) + 700 * place) * rng.choice([-1, 1], 12)
                start = 1.6e9 + capture + 86_400 * ((capture - 1000) // captures_a_day)
                rows.append(
                    {
                        "app": app,
                        "version": "1",
                        "capture": capture,
                        "flow_idx": flow,
                        "start_ts": start + flow,
                        "end_ts": start + flow + 2.5,
                        "src_port": 50_000 + flow,
                        "n_pkts": 12,
                        "n_up": 6,
                        "bytes_up": int(sizes[sizes > 0].sum()),
                        "bytes_down": int(-sizes[sizes < 0].sum()),
                        "len": sizes.tolist(),
                        "iat_us": rng.integers(0, 10_000, 12).tolist(),
                    }
                )
    types = {
        "capture": pa.int64(),
        "flow_idx": pa.int32(),
        "src_port": pa.int32(),
        "n_pkts": pa.int32(),
        "n_up": pa.int32(),
    }
    table = pa.Table.from_pylist(rows)
    for name, type_ in {**types, "len": pa.list_(pa.int16()), "iat_us": pa.list_(pa.int32())}.items():
        table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast(type_))
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "d1.parquet")


def _facts() -> dict[str, object]:
    names = ("train", "validation", "test", "novel", "whole_train", "whole_test", "classes", "groups", "smallest_class")
    words = ("name", "title", "checksum", "licence", "split_by", "proof", "context", "shortcuts")
    plain: dict[str, object] = dict.fromkeys(names, 1000) | dict.fromkeys(words, "x")
    return plain | {"classes": 5, "modalities": (), "lacks": (), "identity": ()}


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "classes", "modalities"),
    [
        ("ndpi", 10, ("quantities", "series", "payload", "entities")),
        ("iot-sentinel", 20, ("quantities", "series", "payload", "entities")),
    ],
)
def test_real_captures(shared_data: Path, name: str, classes: int, modalities: tuple[str, ...], tmp_path: Path) -> None:
    from flowlore.studies.material import prepare
    from flowlore.studies.materials import captures

    gathered = getattr(captures, name.replace("-", "_"))(Places(data=shared_data))
    facts = prepare(gathered, name, SCALES["smoke"], tmp_path / name)
    assert facts.classes >= classes and facts.modalities == modalities
    assert facts.test == 300 and facts.whole_test > 300
