"""When flows begin and end, and what is counted in them: captures made by hand, with the answers written beside."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from comparing import assert_equal_to_second, rows_of
from handmade import ACK, FIN, NANOSECONDS, PSH, RST, SYN, ethernet, ipv4, tcp, udp, write_pcap

Segment = tuple[float, bool, dict[str, Any]]  # time in s, whether from the server, what `tcp` takes

HANDSHAKE: list[Segment] = [
    (0.0, False, {"flags": SYN, "sequence": 100, "window": 500}),
    (0.25, True, {"flags": SYN | ACK, "sequence": 900, "window": 700}),
    (0.375, False, {"flags": ACK, "sequence": 101, "window": 400}),
]


@pytest.fixture
def metered(tmp_path: Path) -> Any:
    """Meter segments of one connection, hold them against the second computation, and give the rows in order."""

    def run(segments: Iterable[Segment], **meter: Any) -> list[dict[str, Any]]:
        frames = [(int(time_s * NANOSECONDS), _frame(server, **what)) for time_s, server, what in segments]
        flows = assert_equal_to_second(write_pcap(tmp_path / "one.pcap", frames), **meter)
        return sorted(rows_of(flows), key=lambda row: (row["start"], row["part"]))

    return run


def test_handshake_is_timed_on_both_sides(metered: Any) -> None:
    (flow,) = metered(HANDSHAKE)
    assert (flow["syn_to_synack_ns"], flow["synack_to_ack_ns"]) == (250_000_000, 125_000_000)
    assert (flow["src_port"], flow["dst_port"]) == (40000, 80)
    assert (flow["window_first_fwd"], flow["window_min_fwd"], flow["window_max_fwd"]) == (500, 400, 500)
    assert (flow["tcp_flags_fwd"], flow["syn_packets_fwd"], flow["ack_packets_fwd"]) == (SYN | ACK, 1, 1)


def test_the_sender_of_a_syn_ack_is_the_destination(metered: Any) -> None:
    (flow,) = metered(HANDSHAKE[1:])
    assert (flow["src_port"], flow["dst_port"]) == (40000, 80)
    assert (flow["packets_fwd"], flow["packets_rev"], flow["packet_direction"]) == (1, 1, [-1, 1])
    assert flow["syn_to_synack_ns"] is None
    assert flow["synack_to_ack_ns"] == 125_000_000


def test_sizes_and_gaps(metered: Any) -> None:
    times, lengths = (0.0, 1.0, 3.0, 7.0), (0, 100, 100, 200)
    (flow,) = metered(
        [(time_s, False, {"payload": bytes(length)}) for time_s, length in zip(times, lengths, strict=True)]
    )
    assert (flow["size_min_bytes_fwd"], flow["size_max_bytes_fwd"], flow["size_mean_bytes_fwd"]) == (40, 240, 140)
    assert flow["size_std_bytes_fwd"] == pytest.approx(5_000**0.5)
    assert (flow["gap_min_ns_fwd"], flow["gap_max_ns_fwd"]) == (NANOSECONDS, 4 * NANOSECONDS)
    assert flow["gap_mean_ns_fwd"] == pytest.approx(7 / 3 * NANOSECONDS)
    assert flow["gap_std_ns_fwd"] == pytest.approx((14 / 9) ** 0.5 * NANOSECONDS)
    assert flow["gap_mean_ns_rev"] is None
    assert flow["size_mean_bytes_rev"] is None
    assert flow["packet_gap_ns"] == [0, NANOSECONDS, 2 * NANOSECONDS, 4 * NANOSECONDS]


def test_deviations_are_stable_where_numbers_are_large(metered: Any) -> None:
    """A million seconds with equal gaps: a sum of squares would drown the deviation."""
    gaps = [(place * 50_000.0 + (place % 2) * 0.000001, False, {}) for place in range(20)]
    (flow,) = metered(gaps, idle_timeout_s=86_400, active_timeout_s=604_800)[:1]
    assert flow["gap_std_ns_fwd"] == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize(
    ("sent", "retransmitted", "out_of_order"),
    [
        pytest.param([(0, 100), (100, 100), (200, 100)], 0, 0, id="in-order"),
        pytest.param([(0, 100), (0, 100)], 1, 0, id="sent-twice"),
        pytest.param([(0, 100), (200, 100), (100, 100)], 0, 1, id="overtaken"),
        pytest.param([(0, 100), (300, 100), (100, 100), (200, 100)], 0, 2, id="two-overtaken"),
        pytest.param([(0, 100), (300, 100), (200, 100), (100, 100)], 0, 2, id="two-overtaken-turned"),
        pytest.param([(0, 100), (200, 100), (100, 100), (100, 100)], 1, 1, id="overtaken-and-sent-again"),
        pytest.param([(0, 100), (99, 1)], 0, 0, id="keep-alive-with-a-byte"),
        pytest.param([(0, 100), (99, 0)], 0, 0, id="keep-alive-without"),
        pytest.param([(0, 100), (50, 100)], 0, 0, id="half-of-it-new"),
        pytest.param([(2**32 - 50, 100), (50, 100), (2**32 - 50, 100)], 1, 0, id="number-wraps"),
    ],
)
def test_retransmissions_and_reordering(
    metered: Any, sent: list[tuple[int, int]], retransmitted: int, out_of_order: int
) -> None:
    (flow,) = metered(
        [(place, False, {"sequence": start, "payload": bytes(size)}) for place, (start, size) in enumerate(sent)]
    )
    assert (flow["retransmitted_packets_fwd"], flow["out_of_order_packets_fwd"]) == (retransmitted, out_of_order)
    assert (flow["retransmitted_packets_rev"], flow["out_of_order_packets_rev"]) == (0, 0)


@pytest.mark.parametrize(("pause_s", "reasons"), [(60.0, ["end-of-input"]), (60.5, ["idle", "end-of-input"])])
def test_silence_longer_than_the_idle_timeout_ends_a_flow(metered: Any, pause_s: float, reasons: list[str]) -> None:
    rows = metered([(0, False, {}), (pause_s, False, {})])
    assert [row["end_reason"] for row in rows] == reasons
    assert len({row["flow_id"] for row in rows}) == len(reasons)


def test_a_busy_flow_is_cut_into_parts_of_one_identity(metered: Any) -> None:
    rows = metered([(time_s, False, {}) for time_s in range(0, 50, 4)], active_timeout_s=20)
    assert [(row["part"], row["end_reason"], row["packets_fwd"]) for row in rows] == [
        (0, "active", 6), (1, "active", 6), (2, "end-of-input", 1),
    ]  # fmt: skip
    assert len({row["flow_id"] for row in rows}) == 1


def test_windows_cut_at_their_multiples(metered: Any) -> None:
    rows = metered([(time_s, False, {}) for time_s in (1.0, 9.9, 10.0, 35.0)], window_s=10)
    assert [(row["part"], row["packets_fwd"], row["end_reason"]) for row in rows] == [
        (0, 2, "window"), (1, 1, "window"), (2, 1, "end-of-input"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "goodbye",
    [[(1, False, {"flags": FIN | ACK}), (1, True, {"flags": FIN | ACK})], [(1, True, {"flags": RST})]],
    ids=["both-fins", "reset"],
)
@pytest.mark.parametrize(("pause_s", "flows"), [(4.9, 1), (5.5, 2)])
def test_a_connection_that_said_goodbye_lingers(metered: Any, goodbye: Any, pause_s: float, flows: int) -> None:
    rows = metered([*HANDSHAKE, *goodbye, (1 + pause_s, False, {"flags": ACK, "sequence": 200})])
    assert len(rows) == flows
    assert rows[0]["end_reason"] == ("tcp-end" if flows == 2 else "end-of-input")


def test_one_fin_alone_does_not_end_a_connection(metered: Any) -> None:
    rows = metered([*HANDSHAKE, (1, False, {"flags": FIN | ACK, "sequence": 101}), (30, True, {"flags": ACK})])
    assert len(rows) == 1


def test_a_new_syn_on_used_ports_begins_a_new_flow(metered: Any) -> None:
    again = [(time_s + 2, server, what | {"sequence": what["sequence"] + 50_000}) for time_s, server, what in HANDSHAKE]
    rows = metered([*HANDSHAKE, *again])
    assert [(row["end_reason"], row["part"]) for row in rows] == [("reuse", 0), ("end-of-input", 0)]
    assert rows[0]["flow_id"] != rows[1]["flow_id"]


def test_a_new_syn_after_goodbye_ends_the_old_flow_as_said(metered: Any) -> None:
    rows = metered([*HANDSHAKE, (1, True, {"flags": RST}), (2, False, {"flags": SYN, "sequence": 7})])
    assert [row["end_reason"] for row in rows] == ["tcp-end", "end-of-input"]


def test_a_syn_sent_again_is_the_same_flow(metered: Any) -> None:
    (flow,) = metered([HANDSHAKE[0], (1, False, HANDSHAKE[0][2]), (3, False, HANDSHAKE[0][2]), *_later(HANDSHAKE, 5)])
    assert flow["syn_packets_fwd"] == 4
    assert flow["syn_to_synack_ns"] == 5_250_000_000


def test_flows_of_one_key_in_the_same_ns_have_ids_of_their_own(metered: Any) -> None:
    rows = metered([(1, False, {"flags": RST}), (1, False, {"flags": SYN, "sequence": 5})])
    assert len({row["flow_id"] for row in rows}) == len(rows) == 2


def test_a_series_is_kept_up_to_its_limit(metered: Any) -> None:
    (flow,) = metered([(place / 10, False, {"payload": bytes(place)}) for place in range(20)], max_packets=9)
    assert flow["packet_payload_bytes"] == list(range(9))
    assert flow["packets_fwd"] == 20


def test_first_payload_bytes_are_kept_where_asked_for(metered: Any) -> None:
    talk = [
        (0, False, {"payload": b"abc", "flags": PSH | ACK}),
        (1, True, {"payload": b"xy"}),
        (2, False, {"payload": b"defg"}),
    ]
    (flow,) = metered(talk, payload_bytes=5)
    assert (flow["payload_fwd"], flow["payload_rev"]) == (b"abcde", b"xy")


def test_time_that_runs_backwards_in_a_flow_gives_no_negative_gap(metered: Any) -> None:
    (flow,) = metered([(10.0, False, {}), (9.5, False, {}), (11.0, False, {})])
    assert flow["packet_gap_ns"] == [0, 0, NANOSECONDS]
    assert (flow["gap_min_ns_fwd"], flow["gap_max_ns_fwd"]) == (0, NANOSECONDS)
    assert flow["duration_ns"] == NANOSECONDS


def test_a_packet_late_by_minutes_begins_a_flow_of_its_own_once_the_first_was_swept(metered: Any) -> None:
    """The clock is the newest time seen: at 200 s the flow of 0 s has long ended, whatever comes later says 1 s."""
    rows = metered([(0, False, {}), (200, False, {"src": 1, "dst": 2}), (1, False, {})])
    assert [row["end_reason"] for row in rows if row["src_port"] == 40000] == ["idle", "idle"]


def test_udp_has_no_columns_of_tcp(tmp_path: Path) -> None:
    frame = ethernet(ipv4(udp(b"hello"), protocol=17, tos=4, ttl=7))
    (flow,) = rows_of(assert_equal_to_second(write_pcap(tmp_path / "udp.pcap", [(5, frame)])))
    empty = ("tcp_flags", "syn_packets", "window_first", "window_min", "retransmitted_packets", "out_of_order_packets")
    assert [flow[f"{name}_fwd"] for name in empty] == [None] * len(empty)
    assert (flow["tos_fwd"], flow["ttl_min_fwd"], flow["tos_rev"], flow["ttl_min_rev"]) == (4, 7, None, None)
    assert (flow["bytes_fwd"], flow["frame_bytes_fwd"], flow["payload_bytes_fwd"]) == (33, 47, 5)


def test_a_new_syn_begins_a_new_flow_though_the_payload_was_in_an_earlier_window(metered: Any) -> None:
    talk = [(0, False, {"payload": b"data"}), (12, False, {"flags": SYN, "sequence": 9})]
    rows = metered(talk, window_s=10)
    assert [(row["part"], row["end_reason"]) for row in rows] == [(0, "window"), (0, "end-of-input")]


def _later(segments: list[Segment], by_s: float) -> list[Segment]:
    return [(time_s + by_s, server, what) for time_s, server, what in segments]


def _frame(server: bool, **what: Any) -> bytes:
    ends = {"src": 80, "dst": 40000} if server else {"src": 40000, "dst": 80}
    hosts = {"src": "10.0.0.2", "dst": "10.0.0.1"} if server else {}
    payload = what.pop("payload", b"")
    return ethernet(ipv4(tcp(payload, **(ends | what)), **hosts), turned=server)
