"""Records of two directions become one flow, whatever batches they come in."""

import numpy as np
import pytest

from flowlore.sources.records.directed import Records, Texts, empty_records, finish_batch, know
from flowlore.sources.records.pairing import Paired, Pairer

SECOND_NS = 10**9


def record(
    src: int = 1,
    dst: int = 2,
    src_port: int = 40_000,
    dst_port: int = 443,
    *,
    start_s: float = 0.0,
    end_s: float = 1.0,
    arrival_s: float | None = None,
    protocol: int = 6,
    flags: int = 0x18,
    session: int = 0,
) -> Records:
    records = empty_records(1)
    records["src_low"], records["dst_low"] = src, dst
    records["start_ns"], records["end_ns"] = int(start_s * SECOND_NS), int(end_s * SECOND_NS)
    records["arrival_ns"] = int((end_s if arrival_s is None else arrival_s) * SECOND_NS)
    records["session"] = session
    for name, value in (("src_port", src_port), ("dst_port", dst_port), ("protocol", protocol), ("tcp_flags", flags)):
        know(records, name, value)
    return records


def reply(**changes: float) -> Records:
    return record(2, 1, 443, 40_000, **changes)  # type: ignore[arg-type]


def pair(*records: Records, **settings: float) -> list[tuple[int, int]]:
    """(forward, reverse) places in the order given, from records added one by one."""
    numbered = [one.copy() for one in records]
    for place, one in enumerate(numbered):
        know(one, "mpls", place)
    pairer = Pairer(**settings)  # type: ignore[arg-type]
    rows: list[tuple[int, int]] = []
    for paired in [*(pairer.add(one) for one in numbered), pairer.finish()]:
        rows += places_of(paired)
    return sorted(rows, key=max)


def places_of(paired: Paired) -> list[tuple[int, int]]:
    mpls = paired.records["mpls"].astype(int) if len(paired.records) else np.zeros(1, int)
    sides = (np.where(side >= 0, mpls[side], -1).tolist() for side in (paired.forward, paired.reverse))
    return list(zip(*sides, strict=True))


def test_opposite_records_that_overlap_are_one_row() -> None:
    assert pair(record(), reply()) == [(0, 1)]


def test_the_earlier_start_is_forward_whichever_came_first() -> None:
    assert pair(reply(start_s=0.5), record(start_s=0.25)) == [(1, 0)]


def test_on_a_tie_the_syn_and_then_the_higher_port_is_forward() -> None:
    assert pair(record(1, 2, 443, 40_000, flags=0x12), record(2, 1, 40_000, 443, flags=0x02)) == [(1, 0)]
    assert pair(record(1, 2, 9, 7, flags=0x02), record(2, 1, 7, 9, flags=0x12)) == [(0, 1)]
    assert pair(record(1, 2, 7, 9), record(2, 1, 9, 7)) == [(1, 0)]


def test_records_too_far_apart_stay_alone() -> None:
    late = reply(start_s=7.0, end_s=8.0)
    assert pair(record(), late, window_s=5.0) == [(0, -1), (-1, 1)]
    assert pair(record(), late, window_s=6.0) == [(0, 1)]


def test_another_domain_or_protocol_is_another_flow() -> None:
    assert pair(record(), reply(session=1)) == [(0, -1), (1, -1)]
    assert pair(record(), reply(protocol=17)) == [(0, -1), (1, -1)]


def test_a_record_waits_by_the_clock_of_its_own_exporter() -> None:
    later = record(9, 8, arrival_s=500.0)
    assert pair(record(), later, reply(arrival_s=501.0), wait_s=60.0) == [(0, -1), (1, -1), (-1, 2)]
    elsewhere = record(9, 8, arrival_s=500.0, session=1)
    assert pair(record(), elsewhere, reply(), wait_s=60.0) == [(1, -1), (0, 2)]


def test_the_oldest_overlapping_record_is_taken() -> None:
    assert pair(record(), record(start_s=1.0, end_s=2.0), reply()) == [(1, -1), (0, 2)]


def test_waiting_records_are_bounded() -> None:
    pairer = Pairer(most_waiting=16)
    records = np.concatenate([record(src=place + 10) for place in range(40)])
    assert len(pairer.add(records)) == 24
    assert pairer.notes["waited-too-little"] == 24
    assert len(pairer.waiting) == 16
    assert len(pairer.finish()) == 16


def test_flows_are_forgotten_beyond_their_bound_but_no_record_is_lost() -> None:
    pairer = Pairer(most_waiting=16, most_flows=64)
    rows = 0
    for turn in range(20):
        rows += len(pairer.add(np.concatenate([record(src=turn * 50 + place + 10) for place in range(50)])))
    assert rows + len(pairer.finish()) == 1000


def test_parts_count_up_and_keep_the_first_start() -> None:
    pairer = Pairer(slice_gap_s=15.0, window_s=0.1)
    slices = [record(start_s=60.0 * place, end_s=60.0 * place + 59, flags=0x18) for place in range(3)]
    paired = [pairer.add(np.concatenate(slices)), pairer.finish()]
    assert sorted(np.concatenate([one.parts for one in paired]).tolist()) == [0, 1, 2]
    assert np.concatenate([one.first_ns for one in paired]).tolist() == [0, 0, 0]
    assert np.unique(np.concatenate([one.ordinals for one in paired])).tolist() == [0]


def test_a_long_silence_begins_a_new_flow() -> None:
    pairer = Pairer(slice_gap_s=15.0)
    paired = [pairer.add(np.concatenate([record(), record(start_s=20.0, end_s=21.0)])), pairer.finish()]
    assert np.concatenate([one.parts for one in paired]).tolist() == [0, 0]


def test_two_flows_of_one_key_and_instant_have_ids_of_their_own() -> None:
    pairer = Pairer(window_s=0.0, wait_s=0.0)
    ended = record(start_s=5.0, end_s=5.0, flags=0x11)
    again = record(start_s=5.0, end_s=5.0, flags=0x11)
    again["start_ns"] = ended["start_ns"]
    paired = [pairer.add(np.concatenate([ended, again])), pairer.finish()]
    parts = np.concatenate([one.parts for one in paired]).tolist()
    ordinals = np.concatenate([one.ordinals for one in paired]).tolist()
    assert len(set(zip(parts, ordinals, strict=True))) == 2


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_rows_do_not_depend_on_how_the_stream_is_cut(size: int) -> None:
    rng = np.random.default_rng(3)
    records = np.concatenate(
        [
            record(
                int(rng.integers(1, 4)),
                int(rng.integers(1, 4)),
                int(rng.integers(1, 3)),
                int(rng.integers(1, 3)),
                start_s=place * 0.7,
                end_s=place * 0.7 + float(rng.random() * 3),
                flags=int(rng.choice([0x02, 0x12, 0x18, 0x11])),
            )
            for place in range(400)
        ]
    )
    settings = {"window_s": 0.5, "wait_s": 5.0, "slice_gap_s": 2.0}
    assert table_of(records, size, settings) == table_of(records, 400, settings)


def table_of(records: Records, size: int, settings: dict[str, float]) -> list[str]:
    pairer = Pairer(**settings)  # type: ignore[arg-type]
    texts = Texts()
    batches = [pairer.add(records[first : first + size].copy()) for first in range(0, len(records), size)]
    batches.append(pairer.finish())
    tables = [finish_batch(one, texts, ["a/0"], ["x"], source="netflow") for one in batches if len(one)]
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted(repr(row) for row in rows)
