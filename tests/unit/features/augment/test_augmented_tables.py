"""Copies of real flows: their counters are those that the meter would have counted."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import flowlore
from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.errors import SettingError, TaskError
from flowlore.features.augment import AUGMENTATIONS
from flowlore.features.augment.policy import Augmenter
from flowlore.features.augment.settings import AugmentSettings
from flowlore.features.augment.statistics import flow_statistics
from flowlore.features.augment.tables import augment_table, column_of_numbers, series_lists, series_of_table
from flowlore.flows.schema import arrow_schema, flow_batch


@pytest.fixture(scope="module")
def office() -> pa.Table:
    """Flows of the demo, some of them longer than their series; the protocol stands for a label."""
    table = flowlore.read(DEMO_CAPTURE).to_arrow()
    label = pc.if_else(pc.equal(table["protocol"], 6), "tcp", "other")
    return table.set_column(table.column_names.index("label"), "label", label)


def augmented(table: pa.Table, *transforms: str, **settings: object) -> tuple[pa.Table, object]:
    made = Augmenter(AugmentSettings(transforms=transforms, **settings))
    batches, copying = augment_table(table, made, np.random.default_rng(0))
    return pa.Table.from_batches(batches, schema=table.schema), copying


def test_statistics_are_those_of_the_meter(office: pa.Table) -> None:
    series = series_of_table(office, 64)
    packets = pc.add(office["packets_fwd"], office["packets_rev"]).to_numpy()
    whole = series.lengths == packets
    assert whole.sum() > 100
    for name, values in flow_statistics(series).items():
        held = pc.cast(office[name], pa.float64(), safe=False).to_numpy()
        if name.startswith(("window", "tcp_flags")) or "_packets_" in name:
            same = whole & (office["protocol"].to_numpy() == 6)
        else:
            same = whole
        assert np.allclose(values[same], held[same], rtol=1e-9, atol=1e-3, equal_nan=True), name


def test_packets_go_there_and_back(office: pa.Table) -> None:
    lists = series_lists(series_of_table(office, 64), 64)
    for name, array in lists.items():
        assert array.equals(office[name].combine_chunks().cast(array.type)), name


@pytest.mark.parametrize("name", ["packet-loss:1", "mtu:1", "bernoulli-mask:0.5", "interpolation", "cutmix"])
def test_counters_follow_packets(office: pa.Table, name: str) -> None:
    table, _ = augmented(office, name)
    copies = table.slice(len(office))
    assert set(copies["source"].to_pylist()) == {"augment"}
    lengths = pc.list_value_length(copies["packet_direction"]).to_numpy()
    assert (lengths > 0).all()
    statistics = flow_statistics(series_of_table(copies, 64))
    before = series_of_table(office, 64)
    total = pc.add(office["packets_fwd"], office["packets_rev"]).to_numpy()
    copied = before.lengths >= AUGMENTATIONS.load(name.partition(":")[0]).fewest_packets
    was_whole = (before.lengths == total)[copied]
    whole = was_whole & (lengths < 32)
    for column in ("packets_fwd", "bytes_rev", "size_std_bytes_fwd", "gap_max_ns_rev", "duration_ns"):
        held = pc.cast(copies[column], pa.float64(), safe=False).to_numpy()
        assert np.allclose(statistics[column][whole], held[whole], equal_nan=True), column
    assert whole.sum() > 50
    longer = ~was_whole
    assert pc.all(pc.is_null(copies["size_std_bytes_fwd"].filter(pa.array(longer)))).as_py()
    moved = copies["packets_fwd"].to_numpy() + copies["packets_rev"].to_numpy()
    assert (moved >= lengths).all()
    assert copies["retransmitted_packets_fwd"].null_count == len(copies)


def test_copies_are_told_apart_and_stay_with_their_original(office: pa.Table) -> None:
    table, copying = augmented(office, "constant-wrap-up", copies=3)
    assert len(table) == 4 * len(office) == copying.written
    ids = table["flow_id"].to_pylist()
    assert len(set(ids)) == len(set(office["flow_id"].to_pylist())) * 4
    for column in ("capture", "start", "label", "server_name", "src_ip"):
        assert table[column].slice(len(office), len(office)).to_pylist() == office[column].to_pylist()
    assert table.schema.equals(office.schema)


def test_what_is_not_known_stays_unknown() -> None:
    rows = flow_batch(
        {
            "packet_direction": [[1, -1, 1], [1, -1]],
            "packet_payload_bytes": [[100, 700, 20], [50, 60]],
            "packet_gap_ns": [[0, 5_000_000, 1_000_000], [0, 3_000_000]],
            "payload_bytes_fwd": np.array([120, 50], np.uint64),
        },
        2,
    )
    table, _ = augmented(pa.Table.from_batches([rows]), "interpolation:1")
    copies = table.slice(2)
    assert (
        copies["packet_bytes"].null_count
        == copies["bytes_fwd"].null_count
        == copies["size_std_bytes_fwd"].null_count
        == 2
    )
    assert copies["packet_payload_bytes"].to_pylist() == [[100, 100, 700, 700, 20], [50, 50, 60]]


def test_flows_without_packets_are_passed_on_and_counted(office: pa.Table) -> None:
    bare = flow_batch({"packets_fwd": np.array([3], np.uint64)}, 1)
    table, copying = augmented(pa.concat_tables([office, pa.Table.from_batches([bare])]), "gaussian-noise")
    assert copying.without_packets == 1 and len(table) == 2 * len(office) + 1


def test_requests_that_change_nothing_are_mistakes(office: pa.Table) -> None:
    bare = pa.Table.from_batches([flow_batch({"packets_fwd": np.array([3], np.uint64)}, 1)])
    with pytest.raises(TaskError, match="none of the 1 flows has a packet series"):
        augmented(bare, "wrap")
    short = pa.Table.from_batches([flow_batch({"packet_direction": [[1]], "packet_bytes": [[60]]}, 1)])
    with pytest.raises(TaskError, match="`permutation` needs flows of at least 3 packets"):
        augmented(short, "permutation")
    nameless = office.set_column(office.column_names.index("label"), "label", pa.nulls(len(office), pa.string()))
    with pytest.raises(TaskError, match="`cutmix` mixes each flow with another of its class, but no flow has a label"):
        augmented(nameless, "cutmix")
    alone = office.set_column(
        office.column_names.index("label"), "label", pa.array(["odd", *["web"] * (len(office) - 1)])
    )
    with pytest.raises(TaskError, match="one flow of `odd`, but mixing takes two"):
        augmented(alone, "average")


def test_copies_that_nothing_changes_are_refused(office: pa.Table) -> None:
    with pytest.raises(SettingError, match="no transform was named"):
        augmented(office)


def test_an_empty_table_stays_empty() -> None:
    table, copying = augmented(arrow_schema().empty_table(), "wrap")
    assert len(table) == 0 and copying.flows == 0


def test_numbers_become_columns() -> None:
    values = np.array([1.6, np.nan, -3.0, 1e30])
    assert column_of_numbers(values, pa.uint16()).to_pylist() == [2, None, 0, 65_535]
    assert column_of_numbers(values[:2], pa.float64()).to_pylist() == [1.6, None]
    assert column_of_numbers(values, pa.int64()).to_pylist() == [2, None, -3, 2**62]
