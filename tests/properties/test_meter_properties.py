"""What must hold for every capture: nothing lost, nothing invented, and the same flows however it is read."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import handmade
from comparing import assert_rows_equal, comparable, rows_of, second_rows, settings
from flowlore.errors import FlowloreError
from flowlore.flows.table import Flows
from flowlore.sources.packets.meter.state import load_state
from flowlore.sources.packets.settings import MeterSettings
from flowlore.sources.reading import read
from strategies import START_NS, Sent, captures

few = hypothesis_settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

TIMES = st.fixed_dictionaries(
    {},
    optional={
        "idle_timeout_s": st.sampled_from([0.3, 4.0, 60.0]),
        "active_timeout_s": st.sampled_from([0.5, 20.0, 100.0]),
        "tcp_linger_s": st.sampled_from([0.0, 5.0, 100.0]),
        "window_s": st.sampled_from([0.25, 1.0, 30.0]),
        "max_packets": st.sampled_from([0, 1, 8, 9, 32]),
    },
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def put(folder: Path, name: str, frames: list[handmade.Timed]) -> Path:
    return handmade.write_pcap(folder / name, frames)


@few
@given(sent=captures(), times=TIMES)
def test_every_quantity_equals_the_second_computation(folder: Path, sent: Sent, times: dict[str, Any]) -> None:
    path = put(folder, "one.pcap", sent.frames)
    got = read(path, settings=settings(**times))
    assert_rows_equal(rows_of(got), second_rows(sent.bytes, MeterSettings(**times)))


@few
@given(sent=captures(), times=TIMES)
def test_no_packet_is_lost_or_invented(folder: Path, sent: Sent, times: dict[str, Any]) -> None:
    flows = read(put(folder, "one.pcap", sent.frames), settings=settings(**times))
    table, account = flows.to_arrow(), flows.account
    in_flows = sum(table["packets_fwd"].to_pylist()) + sum(table["packets_rev"].to_pylist())
    assert account.packets == sent.packet_count
    assert in_flows == account.packets_in_flows
    assert in_flows + account.skipped.total() == sent.packet_count


@few
@given(sent=captures(late=False), times=TIMES, cut=st.floats(0, 1))
def test_two_files_in_one_call_equal_the_whole(folder: Path, sent: Sent, times: dict[str, Any], cut: float) -> None:
    place = int(cut * len(sent.frames))
    whole = put(folder, "whole.pcap", sent.frames)
    parts = [put(folder, "1.pcap", sent.frames[:place]), put(folder, "2.pcap", sent.frames[place:])]
    chosen = settings(**times)
    assert comparable(read(parts, settings=chosen)) == comparable(read(whole, settings=chosen))


@few
@given(sent=captures(), times=TIMES, cut=st.floats(0, 1))
def test_parts_with_a_saved_state_equal_the_whole(folder: Path, sent: Sent, times: dict[str, Any], cut: float) -> None:
    place = int(cut * len(sent.frames))
    whole = put(folder, "whole.pcap", sent.frames)
    parts = [put(folder, "1.pcap", sent.frames[:place]), put(folder, "2.pcap", sent.frames[place:])]
    state = folder / "state"
    state.unlink(missing_ok=True)
    chosen = settings(**times)
    rows = [row for part in parts for row in comparable(read(part, settings=chosen, state=state))]
    rows += comparable(Flows.from_batches(load_state(state, chosen.meter).meter.finish()))
    expected = comparable(read(whole, settings=chosen))
    assert sorted(rows, key=repr) == sorted(expected, key=repr)


@few
@given(sent=captures(), times=TIMES, threads=st.sampled_from([2, 3]))
def test_one_core_equals_several(folder: Path, sent: Sent, times: dict[str, Any], threads: int) -> None:
    path = put(folder, "one.pcap", sent.frames)
    one, several = (read(path, settings=settings(threads=count, **times)) for count in (1, threads))
    assert comparable(one) == comparable(several)
    assert one.account == several.account


@few
@given(sent=captures(late=False), order=st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(folder: Path, sent: Sent, order: Any) -> None:
    third = len(sent.frames) // 3
    cuts = [sent.frames[:third], sent.frames[third : 2 * third], sent.frames[2 * third :]]
    paths = [put(folder, f"{number}.pcap", frames) for number, frames in enumerate(cuts)]
    shuffled = order.sample(paths, 3)
    chosen = settings()
    assert comparable(read(paths, settings=chosen), without=()) == comparable(
        read(shuffled, settings=chosen), without=()
    )


@few
@given(moves=st.lists(st.tuples(st.booleans(), st.integers(0, 90_000), st.sampled_from([0, 1, 900])), min_size=1))
def test_swapped_hosts_swap_the_ends_and_nothing_else(folder: Path, moves: list[tuple[bool, int, int]]) -> None:
    """Who speaks first is `src`, whichever address it has: with hosts exchanged only ends and hashes of them differ."""
    here, there = (
        comparable(read(put(folder, "one.pcap", _conversation(moves, turned)), settings=settings(community_id=False)))
        for turned in (False, True)
    )
    exchanged = {"src_ip": "dst_ip", "dst_ip": "src_ip", "src_port": "dst_port", "dst_port": "src_port"}
    turned_back = [{exchanged.get(name, name): value for name, value in row.items()} for row in there]
    assert sorted(here, key=_start) == sorted(turned_back, key=_start)


@few
@given(sent=captures(late=False))
def test_turned_answers_swap_forward_and_reverse(folder: Path, sent: Sent) -> None:
    """A packet of the other side put before each flow makes that side `src`, and its counts the forward ones."""
    udp = [(time_ns, frame) for time_ns, frame in sent.frames if frame[23:24] == b"\x11"]
    before = [
        (START_NS - 1_000_000, handmade.ethernet(handmade.ipv4(handmade.udp(**ends), protocol=17, src=src, dst=dst)))
        for client in ("10.0.0.1", "10.0.0.2")
        for src, dst, ends in (
            (client, "10.0.0.9", {"src": 40000, "dst": 5001}),
            ("10.0.0.9", client, {"src": 5001, "dst": 40000}),
        )
    ]
    chosen = settings(idle_timeout_s=86_400, active_timeout_s=604_800)
    client_first, server_first = (
        _by_community(read(put(folder, "one.pcap", [before[place], before[place + 2], *udp]), settings=chosen))
        for place in (0, 1)
    )
    for community_id, flow in client_first.items():
        other = server_first[community_id]
        for name in ("packets", "bytes", "frame_bytes", "payload_bytes", "size_max_bytes"):
            first_of_client = 1 if name == "packets" else 28 if name == "bytes" else 42 if name == "frame_bytes" else 0
            if name == "size_max_bytes":
                assert max(flow[f"{name}_fwd"], 28) == max(other[f"{name}_rev"] or 0, 28)
            else:
                assert flow[f"{name}_fwd"] - first_of_client == other[f"{name}_rev"]
                assert flow[f"{name}_rev"] == other[f"{name}_fwd"] - first_of_client


@few
@given(sent=captures(late=False), window_s=st.sampled_from([0.25, 1.0, 5.0]))
def test_windows_add_up_to_the_flow(folder: Path, sent: Sent, window_s: float) -> None:
    path = put(folder, "one.pcap", sent.frames)
    whole = {row["flow_id"]: row for row in comparable(read(path, settings=settings()))}
    sums: dict[Any, dict[str, int]] = {}
    names = [
        f"{name}_{side}" for name in ("packets", "bytes", "frame_bytes", "payload_bytes") for side in ("fwd", "rev")
    ]
    sliced = comparable(read(path, settings=settings(window_s=window_s)))
    window_ns = int(window_s * handmade.NANOSECONDS)
    for row in sliced:
        assert row["start"] // window_ns == (row["start"] + row["duration_ns"]) // window_ns
        total = sums.setdefault(row["flow_id"], dict.fromkeys(names, 0))
        for name in names:
            total[name] += row[name]
    assert sums == {identity: {name: row[name] for name in names} for identity, row in whole.items()}


@few
@given(count=st.integers(1025, 1400))
def test_more_flows_than_allowed_are_evicted_and_counted(folder: Path, count: int) -> None:
    frames = [
        (number, handmade.ethernet(handmade.ipv4(handmade.udp(src=1024 + number), protocol=17)))
        for number in range(count)
    ]
    flows = read(put(folder, "many.pcap", frames), settings=settings(max_flows=1024))
    assert flows.account.notes["evicted-flows"] == count - 1024
    assert flows.to_arrow()["end_reason"].to_pylist().count("evicted") == count - 1024
    assert len(flows) == count == flows.account.packets_in_flows


@few
@given(
    start=st.sampled_from([handmade.pcap([])[:4], handmade.pcap([]), handmade.pcap([(5, bytes(60))])]), rest=st.binary()
)
def test_any_bytes_are_read_or_refused_in_words(folder: Path, start: bytes, rest: bytes) -> None:
    path = folder / "any.pcap"
    path.write_bytes(start + rest)
    try:
        account = read(path, settings=settings()).account
    except FlowloreError:
        return
    assert account.packets == account.packets_in_flows + account.skipped.total()


def _conversation(moves: list[tuple[bool, int, int]], turned: bool) -> list[handmade.Timed]:
    """Two hosts talk over UDP: whether it is an answer, the pause before it in ms, and its length."""
    time_ns, frames = 0, []
    for answer, step_ms, length in moves:
        time_ns += step_ms * 1_000_000
        way = -1 if answer != turned else 1
        (src, dst), (src_port, dst_port) = ("10.0.0.1", "10.0.0.2")[::way], (4000, 4001)[::way]
        datagram = handmade.udp(bytes(length), src=src_port, dst=dst_port)
        frames.append(
            (time_ns, handmade.ethernet(handmade.ipv4(datagram, src=src, dst=dst, protocol=17), turned=answer))
        )
    return frames


def _start(row: dict[str, Any]) -> tuple[int, int]:
    return row["start"], row["part"]


def _by_community(flows: Flows) -> dict[str, dict[str, Any]]:
    return {row["community_id"]: row for row in rows_of(flows)}
