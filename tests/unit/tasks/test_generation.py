"""From labelled flows to a generator, and to made-up flows of any of its classes."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import flowlore
from flowlore.errors import BundleError, TaskError
from flowlore.features.augment.settings import AugmentSettings
from flowlore.features.augment.statistics import flow_statistics
from flowlore.features.augment.tables import series_of_table
from flowlore.flows.schema import arrow_schema, flow_batch
from flowlore.flows.table import Flows
from flowlore.models.generators.settings import TransformerSettings
from flowlore.models.training import TrainingSettings
from flowlore.tasks.generation import Imitator, imitate, load_imitator
from flowlore.tasks.predictor import Predictor
from flowlore.tasks.predictor import load as load_predictor

SMALL = TransformerSettings(packets=12, width=32, layers=2, heads=2)
QUICK = TrainingSettings(epochs=20, batch_rows=32, learning_rate=5e-3)


@pytest.fixture(scope="module")
def learnt(office_by_protocol: Flows) -> Imitator:
    return imitate("transformer", office_by_protocol, rng=np.random.default_rng(0), settings=SMALL, training=QUICK)


def test_made_up_flows_are_consistent_rows(learnt: Imitator) -> None:
    table = learnt.generate("dns", 50, np.random.default_rng(0))
    assert table.schema.equals(arrow_schema(), check_metadata=False) and len(table) == 50
    assert set(table["label"].to_pylist()) == {"dns"} and set(table["source"].to_pylist()) == {"generate"}
    assert set(table["dst_port"].to_pylist()) <= {53, 5353} and 17 in set(table["protocol"].to_pylist())
    for name in ("src_ip", "dst_ip", "src_mac", "server_name", "window_first_fwd", "packet_window", "payload_fwd"):
        assert table[name].null_count == 50, name
    statistics = flow_statistics(series_of_table(table, 32))
    for name in ("packets_fwd", "bytes_rev", "payload_bytes_fwd", "duration_ns", "size_std_bytes_fwd"):
        held = pc.cast(table[name], pa.float64(), safe=False).to_numpy()
        assert np.allclose(statistics[name], held, equal_nan=True), name
    assert len(set(table["flow_id"].to_pylist())) == 50
    assert (np.diff(pc.cast(table["start"], pa.int64()).to_numpy()) >= 0).all()


def test_all_classes_come_as_often_as_they_were_learnt(learnt: Imitator, office_by_protocol: Flows) -> None:
    table = learnt.generate(None, 2000, np.random.default_rng(0))
    real = {one["values"]: one["counts"] for one in pc.value_counts(office_by_protocol["label"]).to_pylist()}
    real.pop(None)
    made = {one["values"]: one["counts"] for one in pc.value_counts(table["label"]).to_pylist()}
    assert set(made) == set(real)
    for label, count in real.items():
        assert made[label] / 2000 == pytest.approx(count / sum(real.values()), abs=0.05)


def test_a_generator_is_saved_and_read_back(learnt: Imitator, tmp_path: Path) -> None:
    path = learnt.save(tmp_path / "office-generator")
    again = load_imitator(path)
    assert again.labels == learnt.labels and again.kinds == learnt.kinds
    left, right = (one.generate("dns", 20, np.random.default_rng(5)) for one in (learnt, again))
    assert left.equals(right)
    assert "It makes up flows of" in (path / "card.md").read_text()
    assert isinstance(flowlore.load(path), Imitator)
    with pytest.raises(BundleError, match="makes flows up, and neither embeds nor names any"):
        load_predictor(path)


def test_a_capture_holds_the_flows(learnt: Imitator, tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    path.write_bytes(learnt.capture("dns", 40, np.random.default_rng(0)))
    flows = flowlore.read(path)
    assert len(flows) == 40 and not flows.account.skipped


def test_a_capture_holds_as_many_where_a_class_cannot_be_in_it(learnt: Imitator, tmp_path: Path) -> None:
    first, *others = learnt.kinds
    mixed = replace(learnt, kinds=(replace(first, protocol=1), *others))
    path = tmp_path / "made.pcap"
    path.write_bytes(mixed.capture(None, 200, np.random.default_rng(0)))
    rows = flowlore.read(path).to_polars().select("src_ip", "src_port", "dst_ip", "dst_port").rows()
    assert len({frozenset([row[:2], row[2:]]) for row in rows}) == 200
    with pytest.raises(TaskError, match="goes over TCP or UDP"):
        replace(learnt, kinds=tuple(replace(one, protocol=1) for one in learnt.kinds)).capture(
            None, 5, np.random.default_rng(0)
        )


def test_what_cannot_be_made_is_told(learnt: Imitator) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(TaskError, match=r"knows no class `dn` \(known: .*`dns`") as caught:
        learnt.generate("dn", 5, rng)
    assert caught.value.hint == "did you mean `dns`?"
    for wrong, said in ((0, "0 flows were asked for"), (np.int64(-3), "-3 flows were asked for")):
        with pytest.raises(TaskError, match=said):
            learnt.generate("dns", wrong, rng)
    for odd in (2.5, True, np.True_, "5", None):
        with pytest.raises(TaskError, match=re.escape(f"is {odd!r}, but must be a whole number")):
            learnt.generate("dns", odd, rng)  # type: ignore[arg-type]  # what is refused
    with pytest.raises(TaskError, match="`thick` is no place to ask for"):
        learnt.generate("dns", 5, rng, where="thick")  # type: ignore[arg-type]  # what is refused
    assert len(learnt.generate("dns", np.uint8(5), rng)) == 5
    bare = Flows(flow_batch({"packets_fwd": np.array([1], np.uint64), "label": ["web"]}, 1))
    with pytest.raises(TaskError, match="no flow has a packet series"):
        imitate("transformer", bare, rng=rng)
    rows = {"packet_direction": [[1], [1], [1]], "packet_bytes": [[60], [60], [70]], "label": ["web", "web", "dns"]}
    with pytest.raises(
        TaskError, match="there is one flow of `dns`, but a generator learns from at least 2 of each class"
    ):
        imitate("transformer", Flows(flow_batch(rows, 3)), rng=rng)


def test_a_bundle_that_is_no_generator_is_told(pretrained: Predictor, tmp_path: Path) -> None:
    path = pretrained.save(tmp_path / "office")
    with pytest.raises(BundleError, match="`office` is no generator"):
        load_imitator(path)


def test_it_also_learns_from_changed_copies(office_by_protocol: Flows) -> None:
    asked = AugmentSettings(transforms=("constant-wrap-up:1",), policy="pre-augment", copies=3)
    rng = np.random.default_rng(0)
    made = imitate(
        "transformer", office_by_protocol, rng=rng, settings=SMALL, training=QUICK, augmentation=asked, epochs=3
    )
    assert made.data["augmentation"]["copies"] == 3
    labelled = pc.sum(pc.is_valid(office_by_protocol["label"])).as_py()
    assert made.data["steps"] >= 3 * 4 * labelled // QUICK.batch_rows
    with pytest.raises(TaskError, match="one flow of `dns`, but mixing takes two"):
        rows = {"packet_direction": [[1]] * 4, "packet_bytes": [[60]] * 4, "protocol": [6, 6, 6, 17]}
        flows = Flows(flow_batch({**rows, "label": ["web", "web", "dns", "dns"]}, 4))
        mixing = AugmentSettings(transforms=("cutmix",), policy="pre-augment")
        imitate("transformer", flows, rng=rng, settings=SMALL, training=QUICK, augmentation=mixing)


def test_flows_near_a_place(office_by_protocol: Flows, tmp_path: Path) -> None:
    """Flows of a class that differ by the vector that they are told with."""
    flows = office_by_protocol[pc.is_valid(office_by_protocol["label"]).to_numpy(zero_copy_only=False)]
    lengths = pc.list_value_length(flows["packet_direction"]).to_numpy(zero_copy_only=False).astype(float)
    vectors = np.stack([np.log1p(lengths), np.ones(len(flows))], 1).astype(np.float32)
    rng = np.random.default_rng(0)
    made = imitate("transformer", flows, rng=rng, settings=SMALL, training=QUICK, vectors=vectors)
    again = load_imitator(made.save(tmp_path / "placed"))
    for where in ("as-learnt", "thin", "boundary"):
        left, right = (one.generate("dns", 20, np.random.default_rng(1), where=where) for one in (made, again))
        assert left.equals(right) and len(left) == 20
    with pytest.raises(TaskError, match="2 vectors were given for"):
        imitate("transformer", flows, rng=rng, settings=SMALL, vectors=vectors[:2])


def test_a_generator_without_a_latent_space_has_no_thin_places(learnt: Imitator) -> None:
    with pytest.raises(TaskError, match="knows no latent space, so it has no `thin` places") as caught:
        learnt.generate("dns", 5, np.random.default_rng(0), where="thin")
    assert "--encoder" in str(caught.value.hint)
