"""A bundle gets used to another network: what it says of surprise, who is refused, and that it is kept."""

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scanned_network import address, network

from flowlore.errors import BundleError, InputError, ModelError, SettingError, TaskError
from flowlore.flows.table import Flows
from flowlore.models.graph.settings import GraphEncoderSettings
from flowlore.models.settings import TrainingSettings
from flowlore.tasks.accustoming import accustom
from flowlore.tasks.few_shot import prepare, teach
from flowlore.tasks.hosts import host_verdicts
from flowlore.tasks.predictor import Predictor, load
from flowlore.tasks.pretraining import pretrain

SETTINGS = GraphEncoderSettings(width=16, training_flows=64)


@cache
def calm() -> Predictor:
    training = TrainingSettings(epochs=1, least_steps=5)
    return pretrain(
        "graph", network(scans=0, seed=3), rng=np.random.default_rng(0), settings=SETTINGS, training=training
    )


def test_what_is_usual_is_that_of_the_other_network(tmp_path: Path) -> None:
    scanned = network(seed=4)
    used = accustom(calm(), scanned)
    before, after = (host_verdicts(one, scanned).verdicts[0] for one in (calm(), used))
    assert before.host == "10.0.0.66" and after.surprise < before.surprise
    assert used.data["accustomed_to"]["flows"] == len(scanned)
    used.save(tmp_path / "used")
    again = load(tmp_path / "used")
    assert host_verdicts(again, scanned).verdicts[0] == after
    np.testing.assert_array_equal(again.embed(scanned).vectors, used.embed(scanned).vectors)


def test_a_model_without_scales_of_a_network(pretrained: Predictor) -> None:
    with pytest.raises(BundleError, match="has no scales of one network"):
        accustom(pretrained, network())


def test_too_few_flows_and_taught_bundles() -> None:
    with pytest.raises(TaskError, match="5 flows are too few to tell what is usual"):
        accustom(calm(), Flows(network().to_arrow().slice(0, 5)))
    rng = np.random.default_rng(0)
    taught = teach(calm(), prepare(calm(), network(seed=4), by="time", rng=rng), shots=5, rng=rng)[0]
    with pytest.raises(BundleError, match="was taught classes by the vectors that it has"):
        accustom(taught, network())


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        (("src_ip", "dst_ip"), InputError, "have the same host at both ends"),
        (("packets_fwd", "packets_rev", "bytes_fwd", "bytes_rev", "duration_ns"), ModelError, "has a counter"),
    ],
    ids=["one host", "no counters"],
)
def test_flows_that_tell_nothing_of_a_network(changed: tuple[str, ...], error: type[Exception], words: str) -> None:
    table = network().to_arrow()
    for name in changed:
        field = table.schema.field(name)
        values = [address(1)] * len(table) if name.endswith("ip") else [None] * len(table)
        table = table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))
    with pytest.raises(error, match=words):
        accustom(calm(), Flows(table))


def test_networks_apart_make_one_bundle() -> None:
    one, other = network(scans=0, seed=3), network(scans=0, seed=5)
    training = TrainingSettings(epochs=1, least_steps=2)
    made = pretrain("graph", one, others=[other], rng=np.random.default_rng(0), settings=SETTINGS, training=training)
    assert made.data["networks"] == 2 and made.data["flows"] == len(one) + len(other)
    assert np.isfinite(made.embed(other).vectors).all()
    few = Flows(other.to_arrow().slice(0, 3))
    with pytest.raises(TaskError, match="3 flows in network 2 of 2 are too few"):
        pretrain("graph", one, others=[few], rng=np.random.default_rng(0), settings=SETTINGS, training=training)
    with pytest.raises(SettingError, match="`autoencoder` does not tell networks apart"):
        pretrain("autoencoder", one, others=[other], rng=np.random.default_rng(0))
