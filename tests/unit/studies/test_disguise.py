"""Disguised flows stay within the budget, only the sender's packets change, and counters follow."""

import made_up_study
import numpy as np
import pyarrow as pa
import pytest

from flowlore.studies.audit.disguise import disguised, overhead


def lists(table: pa.Table, name: str) -> list[list[int]]:
    found: list[list[int]] = table.column(name).to_pylist()
    return found


@pytest.fixture
def table() -> pa.Table:
    return made_up_study.toy_flows(20)[0].to_arrow()


def test_padding(table: pa.Table) -> None:
    changed = disguised(table, "padding", 0.2, np.random.default_rng(1))
    added = 0
    for row in range(len(table)):
        ways = lists(table, "packet_direction")[row]
        before, after = lists(table, "packet_payload_bytes")[row], lists(changed, "packet_payload_bytes")[row]
        pads = [new - old for old, new in zip(before, after, strict=True)]
        assert all(pad == 0 if way < 0 else pad >= 0 for pad, way in zip(pads, ways, strict=True))
        sent = sum(size for size, way in zip(before, ways, strict=True) if way > 0)
        assert sum(pads) <= 0.2 * sent
        for column in ("payload_bytes_fwd", "bytes_fwd"):
            assert changed[column][row].as_py() - table[column][row].as_py() == sum(pads)
        sizes = [size for size, way in zip(lists(changed, "packet_bytes")[row], ways, strict=True) if way > 0]
        assert changed["size_max_bytes_fwd"][row].as_py() == max(sizes)
        assert changed["size_mean_bytes_fwd"][row].as_py() == pytest.approx(np.mean(sizes), rel=1e-5)
        added += sum(pads)
    assert added > 0
    assert changed["payload_bytes_rev"].equals(table["payload_bytes_rev"])
    assert 0 < overhead(table, changed)["bytes"] <= 0.2


def test_delays(table: pa.Table) -> None:
    changed = disguised(table, "delays", 0.5, np.random.default_rng(2))
    assert changed["packet_payload_bytes"].equals(table["packet_payload_bytes"])
    for row in range(len(table)):
        before, after = lists(table, "packet_gap_ns")[row], lists(changed, "packet_gap_ns")[row]
        extra = [new - old for old, new in zip(before, after, strict=True)]
        assert extra[0] == 0 and min(extra) >= 0 and sum(extra) <= 0.5 * sum(before)
        assert changed["duration_ns"][row].as_py() - table["duration_ns"][row].as_py() == sum(extra)
    assert overhead(table, changed)["time"] > 0


def test_dummies(table: pa.Table) -> None:
    changed = disguised(table, "dummies", 0.2, np.random.default_rng(3))
    more = np.array(changed["packets_fwd"]) - np.array(table["packets_fwd"])
    assert set(more.tolist()) == {0, 1}, "one packet is always allowed, of six a fifth is one"
    for row in range(len(table)):
        ways, before = lists(changed, "packet_direction")[row], lists(table, "packet_direction")[row]
        assert len(ways) <= len(before) + 1 and ways[0] == before[0]
        if len(ways) > len(before):
            sizes = lists(changed, "packet_payload_bytes")[row]
            assert sum(sizes) - sum(lists(table, "packet_payload_bytes")[row]) == (
                changed["payload_bytes_fwd"][row].as_py() - table["payload_bytes_fwd"][row].as_py()
            )
            assert sum(lists(changed, "packet_gap_ns")[row]) == sum(lists(table, "packet_gap_ns")[row])


def test_all_three_and_nothing(table: pa.Table) -> None:
    changed = disguised(table, "all three", 0.1, np.random.default_rng(4))
    assert changed.schema.equals(table.schema) and len(changed) == len(table)
    still = disguised(table, "padding", 0.0, np.random.default_rng(4))
    assert still["packet_bytes"].equals(table["packet_bytes"]) and still["bytes_fwd"].equals(table["bytes_fwd"])
