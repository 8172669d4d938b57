"""Flow table → arrays: values, units, padding, what is missing, and what the settings keep out."""

import numpy as np
import pyarrow as pa
import pytest

from flowlore.features.batch import FeatureBatch
from flowlore.features.extract import extract
from flowlore.features.quantities import quantities
from flowlore.features.settings import FeatureSettings
from flowlore.flows.schema import flow_batch


def two_flows() -> pa.RecordBatch:
    """A TLS flow with packets, and a NetFlow row that has counters only."""
    return flow_batch(
        {
            "src_ip": [bytes(10) + b"\xff\xff" + bytes([10, 1, 2, 3]), None],
            "dst_ip": [bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1]), None],
            "src_port": pa.array([50_000, 40_000], pa.uint16()),
            "dst_port": pa.array([443, 53], pa.uint16()),
            "protocol": pa.array([6, 17], pa.uint8()),
            "duration_ns": pa.array([2_000_000, None], pa.int64()),
            "packets_fwd": pa.array([2, 4], pa.uint64()),
            "packets_rev": pa.array([1, 0], pa.uint64()),
            "bytes_fwd": pa.array([600, 400], pa.uint64()),
            "server_name": ["www.Example.org", None],
            "packet_direction": pa.array([[1, -1, 1], None], pa.list_(pa.int8())),
            "packet_bytes": pa.array([[60, 1500, 52], None], pa.list_(pa.uint16())),
            "packet_payload_bytes": pa.array([[0, 1448, 0], None], pa.list_(pa.uint16())),
            "packet_gap_ns": pa.array([[0, 2_999, 10**16], None], pa.list_(pa.int64())),
            "packet_tcp_flags": pa.array([[2, 18, 16], None], pa.list_(pa.uint8())),
            "payload_fwd": pa.array([b"\x16\x03", None], pa.binary()),
        },
        2,
    )


def test_series_are_signed_padded_and_in_microseconds() -> None:
    batch = extract(two_flows(), FeatureSettings(packets=4))
    assert batch.channels["series.size"].tolist() == [[60, -1500, 52, 0], [0, 0, 0, 0]]
    assert batch.channels["series.payload"].tolist() == [[0, -1448, 0, 0], [0, 0, 0, 0]]
    assert batch.channels["series.direction"].tolist() == [[1, -1, 1, 0], [0, 0, 0, 0]]
    assert batch.channels["series.gap_us"].tolist() == [[0, 2, 2**31 - 1, 0], [0, 0, 0, 0]]
    assert batch.channels["series.is_packet"].sum() == 3
    assert batch.channels["series.size"].dtype == np.int32
    assert batch.present["series"].tolist() == [True, False]
    assert not batch.present["series.window"].any()


def test_packets_beyond_the_last_are_not_looked_at() -> None:
    assert extract(two_flows(), FeatureSettings(packets=2)).channels["series.size"].tolist() == [[60, -1500], [0, 0]]


def test_quantities_have_units_and_missing_values() -> None:
    batch = extract(two_flows())
    column = {quantity.name: place for place, quantity in enumerate(quantities())}
    numbers = batch.channels["quantities"]
    assert numbers.dtype == np.float32
    assert numbers[0, column["duration_us"]] == 2000
    assert np.isnan(numbers[1, column["duration_us"]])
    assert numbers[:, column["bytes_per_packet_fwd"]].tolist() == [300, 100]
    assert np.isnan(numbers[:, column["bytes_per_packet_rev"]]).all()
    assert numbers[:, column["packets_rev_per_fwd"]].tolist() == [0.5, 0]


def test_bytes_are_told_from_frames_where_only_those_are_known() -> None:
    table = pa.table(
        {
            "packets_fwd": pa.array([2, 1, None], pa.uint64()),
            "bytes_fwd": pa.array([None, 40, None], pa.uint64()),
            "frame_bytes_fwd": pa.array([128, 99, 60], pa.uint64()),
        }
    )
    numbers = extract(table, FeatureSettings(series=False, entities=False)).channels["quantities"]
    place = [one.name for one in quantities()].index("bytes_fwd")
    assert numbers[:, place].tolist()[:2] == [100.0, 40.0] and np.isnan(numbers[2, place])
    assert numbers[0, [one.name for one in quantities()].index("bytes_per_packet_fwd")] == 50.0


def test_shortcuts_stay_out_unless_asked_for() -> None:
    by_default = set(extract(two_flows()).channels)
    assert not {"entities.addresses", "entities.ports", "payload.fwd"} & by_default
    everything = FeatureSettings(use_addresses=True, use_ports=True, payload_bytes=4)
    assert {"entities.addresses", "entities.ports", "payload.fwd"} <= set(extract(two_flows(), everything).channels)
    nothing = FeatureSettings(use_names=False)
    assert "entities.names" not in extract(two_flows(), nothing).channels
    assert nothing.shortcuts() == "addresses off, ports off, names off"


def test_entities_share_tokens_with_their_neighbours() -> None:
    names = ["a.example.org", "b.example.org", "example.net"]
    flows = flow_batch(
        {
            "server_name": names,
            "dst_ip": [
                bytes(10) + b"\xff\xff" + bytes(octets) for octets in ([10, 1, 2, 3], [10, 1, 2, 4], [11, 1, 2, 3])
            ],
        },
        3,
    )
    batch = extract(flows, FeatureSettings(use_addresses=True))
    first, second, third = batch.channels["entities.names"].tolist()
    assert first[:2] == second[:2] and first[2] != second[2] and first[0] != third[0]
    first, second, third = batch.channels["entities.addresses"][:, 3:].tolist()
    assert first == second and not set(first) & set(third)


def test_payload_is_cut_and_masked() -> None:
    batch = extract(two_flows(), FeatureSettings(payload_bytes=3))
    assert batch.channels["payload.fwd"].tolist() == [[0x16, 3, 0], [0, 0, 0]]
    assert batch.channels["payload.fwd_is_byte"].tolist() == [[True, True, False], [False] * 3]
    assert batch.present["payload"].tolist() == [True, False]


@pytest.mark.parametrize("settings", [FeatureSettings(), FeatureSettings(payload_bytes=2, use_addresses=True)])
def test_slices_chunks_and_order_change_nothing(settings: FeatureSettings) -> None:
    batch = two_flows()
    table = pa.Table.from_batches([batch, batch.slice(1), batch.slice(0, 1)])
    whole = extract(table, settings)
    apart = FeatureBatch.concat([extract(piece, settings) for piece in (batch, batch.slice(1), batch.slice(0, 1))])
    for name, array in whole.channels.items():
        np.testing.assert_array_equal(array, apart.channels[name])
        np.testing.assert_array_equal(array, extract(batch, settings).take([0, 1, 1, 0]).channels[name])


def test_no_flows_give_empty_channels() -> None:
    batch = extract(flow_batch({}, 0))
    assert len(batch) == 0
    assert batch.channels["series.size"].shape == (0, 32)
    assert batch.channels["quantities"].shape == (0, len(quantities()))


def test_a_table_without_columns_is_all_missing() -> None:
    batch = extract(pa.table({"packets_fwd": pa.array([3], pa.uint64())}))
    assert batch.present["quantities"].tolist() == [True]
    assert not batch.present["series"].any() and not batch.present["entities"].any()


def test_concat_fills_what_a_batch_lacks() -> None:
    whole = extract(two_flows())
    both = FeatureBatch.concat([whole, whole.without("quantities", "series.size")])
    assert np.isnan(both.channels["quantities"][2:]).all()
    assert not both.present["series.size"][2:].any() and both.present["series.payload"].tolist() == [1, 0, 1, 0]
    with pytest.raises(ValueError, match="other settings"):
        FeatureBatch.concat([whole, extract(two_flows(), FeatureSettings(packets=3))])


@pytest.mark.shared_data
def test_real_flows_keep_their_first_packets(shared_data: object) -> None:
    import flowlore

    flows = flowlore.read(f"{shared_data}/fgnet/d1.parquet")[:2000]
    batch = extract(flows)
    sizes = flows["packet_payload_bytes"].to_pylist()
    for row in (0, 1, 999, 1999):
        there = batch.channels["series.is_packet"][row]
        assert np.abs(batch.channels["series.payload"][row][there]).tolist() == sizes[row][:32]
    assert not batch.present["series.size"].any()
