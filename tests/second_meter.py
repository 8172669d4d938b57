"""A second computation of every quantity of the flow table, in plain Python: lists, `statistics`, no shared code.

It says what docs/concepts/flow.md says. It is slow, and kept readable in place of that.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

NANOSECONDS = 1_000_000_000
LATENESS_NS = NANOSECONDS
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
FLAGS = {"fin": FIN, "syn": SYN, "rst": RST, "psh": PSH, "ack": ACK, "urg": URG, "ece": ECE, "cwr": CWR}
TCP = 6
GTP_U = 6
HALF = 1 << 31
WHOLE = 1 << 32

End = tuple[int, int, int]  # address in two halves, port


@dataclass(frozen=True)
class Timeouts:
    """In ns; a window of 0 is off."""

    idle_ns: int = 60 * NANOSECONDS
    active_ns: int = 1800 * NANOSECONDS
    linger_ns: int = 5 * NANOSECONDS
    window_ns: int = 0
    max_packets: int = 32
    payload_bytes: int = 0

    @property
    def between_sweeps_ns(self) -> int:
        pause = self.idle_ns // 4
        return max(min(pause, self.window_ns) if self.window_ns else pause, LATENESS_NS)


@dataclass
class Sequence:
    """Which bytes of one direction were seen: one past the newest, and the last hole that a jump left."""

    next: int
    hole: tuple[int, int]


@dataclass
class Flow:
    """One flow; `slice_packets` are those of its present slice, each with whether it goes forward."""

    src: End
    dst: End
    first: Any
    ordinal: int
    part: int = 0
    slice_packets: list[tuple[Any, bool]] = field(default_factory=list)
    newest_ns: int = 0
    touched_by: int = 0
    resets: int = 0
    fins: set[bool] = field(default_factory=set)
    syn: Any = None
    synack: Any = None
    ack: Any = None
    sequences: dict[bool, Sequence] = field(default_factory=dict)
    payload_seen: bool = False  # in any slice of the flow
    retransmitted: dict[bool, int] = field(default_factory=lambda: defaultdict(int))
    out_of_order: dict[bool, int] = field(default_factory=lambda: defaultdict(int))

    def has_ended(self) -> bool:
        return self.resets > 0 or self.fins == {True, False}


class SecondMeter:
    """Packets are records of the layout PACKET; rows are dictionaries with the names of the flow table."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.open: dict[Any, Flow] = {}
        self.rows: list[dict[str, Any]] = []
        self.clock_ns = -1
        self.swept_ns = -1
        self.swept_at = -1  # ordinal of the packet before which the last sweep was
        self.packets = 0

    def feed(self, packets: Iterable[Any], data: bytes = b"") -> None:
        for packet in packets:
            self._move_clock(int(packet["time_ns"]))
            if packet["verdict"] == 0:
                self._take(packet, data)
            self.packets += 1

    def finish(self) -> list[dict[str, Any]]:
        for key in list(self.open):
            self._apply_sweep(key)
        for flow in self.open.values():
            self._emit(flow, self._slice_reason(flow, self.clock_ns) or "end-of-input")
        self.open = {}
        return self.rows

    def _move_clock(self, time_ns: int) -> None:
        """Each time that the clock, less the lateness allowed, enters another interval, silent flows are ended."""
        before, self.clock_ns = self.clock_ns, max(self.clock_ns, time_ns)
        pause = self.timeouts.between_sweeps_ns
        if (before - LATENESS_NS) // pause != (self.clock_ns - LATENESS_NS) // pause:
            self.swept_ns, self.swept_at = self.clock_ns - LATENESS_NS, self.packets

    def _apply_sweep(self, key: Any) -> None:
        flow = self.open[key]
        if flow.touched_by >= self.swept_at:
            return
        reason = self._slice_reason(flow, self.swept_ns)
        if self._is_over(flow, self.swept_ns):
            self._emit(flow, reason)
            del self.open[key]
        elif reason:
            self._emit(flow, reason)

    def _take(self, packet: Any, data: bytes) -> None:
        now = int(packet["time_ns"])
        source, target = _ends(packet)
        key = _key(packet)
        if key in self.open:
            self._apply_sweep(key)
        flow = self.open.get(key)
        ordinal = 0
        if flow is not None:
            forward = (source, target) == (flow.src, flow.dst)
            reason = self._slice_reason(flow, now)
            over = self._is_over(flow, now)
            if not over and self._begins_again(flow, packet, forward):
                over = True
                reason = reason or ("tcp-end" if flow.has_ended() else "reuse")
            if over:
                self._emit(flow, reason)
                ordinal = flow.ordinal + 1 if flow.first["time_ns"] == now else 0
                flow = None
            elif flow.slice_packets:
                if not reason and now - int(flow.slice_packets[0][0]["time_ns"]) > self.timeouts.active_ns:
                    reason = "active"
                if reason:
                    self._emit(flow, reason)
        if flow is None:
            answered_first = packet["protocol"] == TCP and packet["tcp_flags"] & (SYN | ACK) == SYN | ACK
            source_is_src = not answered_first
            src, dst = (source, target) if source_is_src else (target, source)
            flow = self.open[key] = Flow(src, dst, packet, ordinal, newest_ns=now)
            forward = source_is_src
        self._count(flow, packet, forward)
        flow.touched_by = self.packets

    def _count(self, flow: Flow, packet: Any, forward: bool) -> None:
        now = int(packet["time_ns"])
        gap = max(now - flow.newest_ns, 0) if flow.slice_packets else 0
        flow.newest_ns = max(flow.newest_ns, now)
        flow.slice_packets.append(({**_as_numbers(packet), "gap_ns": gap}, forward))
        flow.payload_seen |= packet["payload_bytes"] > 0
        if packet["protocol"] != TCP:
            return
        flags = int(packet["tcp_flags"])
        late = _sequence_verdict(flow.sequences, packet, forward)
        flow.retransmitted[forward] += late == "retransmitted"
        flow.out_of_order[forward] += late == "out-of-order"
        flow.resets += flags & RST > 0
        if flags & FIN:
            flow.fins.add(forward)
        if forward and flags & (SYN | ACK) == SYN and flow.syn is None:
            flow.syn = packet
        if not forward and flags & (SYN | ACK) == SYN | ACK and flow.synack is None:
            flow.synack = packet
        if forward and flags & (FIN | SYN | RST | ACK) == ACK and flow.synack is not None and flow.ack is None:
            flow.ack = packet

    def _is_over(self, flow: Flow, now: int) -> bool:
        return now - flow.newest_ns > self._patience(flow)

    def _slice_reason(self, flow: Flow, now: int) -> str:
        window = self.timeouts.window_ns
        if window:
            boundary = (flow.newest_ns // window + 1) * window
            if boundary <= now and boundary <= flow.newest_ns + self._patience(flow):
                return "window"
        if self._is_over(flow, now):
            return "tcp-end" if flow.has_ended() else "idle"
        return ""

    def _patience(self, flow: Flow) -> int:
        limit = self.timeouts
        return min(limit.linger_ns, limit.idle_ns) if flow.has_ended() else limit.idle_ns

    @staticmethod
    def _begins_again(flow: Flow, packet: Any, forward: bool) -> bool:
        if packet["protocol"] != TCP or packet["tcp_flags"] & (SYN | ACK) != SYN:
            return False
        if forward and flow.syn is not None and flow.syn["sequence"] == packet["sequence"]:
            return False
        return flow.has_ended() or flow.synack is not None or flow.payload_seen

    def _emit(self, flow: Flow, reason: str) -> None:
        """Hand on the slice, if it has any packet, and begin the next."""
        if flow.slice_packets:
            self.rows.append(_row(flow, reason, self.timeouts))
            flow.part += 1
        flow.slice_packets = []
        flow.retransmitted, flow.out_of_order = defaultdict(int), defaultdict(int)


def _as_numbers(packet: Any) -> dict[str, int]:
    return {name: int(packet[name]) for name in packet.dtype.names}


def _ends(packet: Any) -> tuple[End, End]:
    source = (int(packet["src_high"]), int(packet["src_low"]), int(packet["src_port"]))
    target = (int(packet["dst_high"]), int(packet["dst_low"]), int(packet["dst_port"]))
    return source, target


def _key(packet: Any) -> Any:
    scope = tuple(int(packet[name]) for name in ("protocol", "vlan", "inner_vlan", "tunnel"))
    return frozenset(_ends(packet)), scope, 0 if packet["tunnel"] == GTP_U else int(packet["tunnel_id"])


def _sequence_verdict(sequences: dict[bool, Sequence], packet: Any, forward: bool) -> str:
    """Where the bytes of a TCP packet lie among those of its direction seen before; numbers are modulo 2^32."""
    flags = int(packet["tcp_flags"])
    if flags & RST:
        return ""
    length = int(packet["payload_bytes"]) + (flags & SYN > 0) + (flags & FIN > 0)
    start = int(packet["sequence"])
    end = (start + length) % WHOLE
    seen = sequences.get(forward)
    if seen is None:
        sequences[forward] = Sequence(end, (end, end))
        return ""
    if length == 0:
        return ""
    ahead = _difference(start, seen.next)
    if ahead >= 0:
        if ahead > 0:
            seen.hole = (seen.next, start)
        seen.next = end
        return ""
    first, last = seen.hole
    if _difference(start, first) >= 0 and _difference(end, last) <= 0:
        if start == first:
            seen.hole = (end, last)
        elif end == last:
            seen.hole = (first, start)
        return "out-of-order"
    if _difference(end, seen.next) > 0:
        seen.next = end
        return ""
    is_probe = packet["payload_bytes"] <= 1 and ahead == -1
    return "retransmitted" if packet["payload_bytes"] > 0 and not is_probe else ""


def _difference(left: int, right: int) -> int:
    return (left - right + HALF) % WHOLE - HALF


def _row(flow: Flow, reason: str, timeouts: Timeouts) -> dict[str, Any]:
    packets = [packet for packet, _ in flow.slice_packets]
    first, is_tcp = flow.first, flow.first["protocol"] == TCP
    row: dict[str, Any] = {
        "start": packets[0]["time_ns"],
        "duration_ns": flow.newest_ns - packets[0]["time_ns"],
        "part": flow.part,
        "src_ip": _address(flow.src),
        "dst_ip": _address(flow.dst),
        "src_port": flow.src[2],
        "dst_port": flow.dst[2],
        "protocol": int(first["protocol"]),
        "vlan": _unless(int(first["vlan"]), 0xFFFF),
        "inner_vlan": _unless(int(first["inner_vlan"]), 0xFFFF),
        "mpls": _unless(int(first["mpls"]), 0xFFFFFFFF),
        "tunnel_id": int(first["tunnel_id"]) if first["tunnel"] else None,
        "end_reason": reason,
        "syn_to_synack_ns": _later(flow.syn, flow.synack),
        "synack_to_ack_ns": _later(flow.synack, flow.ack),
    }
    macs = [
        int(first[name]).to_bytes(6, "big") if first["has_macs"] & bit else None
        for name, bit in (("src_mac", 1), ("dst_mac", 2))
    ]
    turned = _ends(first)[0] != flow.src
    row["src_mac"], row["dst_mac"] = macs[::-1] if turned else macs
    for name, forward in (("fwd", True), ("rev", False)):
        own = [packet for packet, is_forward in flow.slice_packets if is_forward is forward]
        quantities = _of_one_direction(own, is_tcp)
        if is_tcp:
            quantities["retransmitted_packets"] = flow.retransmitted[forward]
            quantities["out_of_order_packets"] = flow.out_of_order[forward]
        row |= {f"{column}_{name}": value for column, value in quantities.items()}
    if timeouts.max_packets:
        row |= _series(flow.slice_packets[: timeouts.max_packets])
    return row


def _of_one_direction(packets: list[Any], is_tcp: bool) -> dict[str, Any]:
    sizes = [packet["ip_bytes"] for packet in packets]
    gaps = list(_gaps([packet["time_ns"] for packet in packets]))
    flags = [packet["tcp_flags"] for packet in packets]
    windows = [packet["window"] for packet in packets] if is_tcp else []
    hops = [packet["ttl"] for packet in packets]
    row: dict[str, Any] = {
        "packets": len(packets),
        "bytes": sum(sizes),
        "frame_bytes": sum(packet["frame_bytes"] for packet in packets),
        "payload_bytes": sum(packet["payload_bytes"] for packet in packets),
        "size_min_bytes": min(sizes, default=None),
        "size_mean_bytes": statistics.mean(sizes) if sizes else None,
        "size_max_bytes": max(sizes, default=None),
        "size_std_bytes": statistics.pstdev(sizes) if sizes else None,
        "gap_min_ns": min(gaps, default=None),
        "gap_mean_ns": statistics.mean(gaps) if gaps else None,
        "gap_max_ns": max(gaps, default=None),
        "gap_std_ns": statistics.pstdev(gaps) if gaps else None,
        "ttl_min": min(hops, default=None),
        "ttl_max": max(hops, default=None),
        "tos": packets[0]["tos"] if packets else None,
        "window_first": windows[0] if windows else None,
        "window_min": min(windows, default=None),
        "window_max": max(windows, default=None),
    }
    if is_tcp:
        every = 0
        for one in flags:
            every |= one
        row["tcp_flags"] = every
        row |= {f"{name}_packets": sum(1 for one in flags if one & bit) for name, bit in FLAGS.items()}
    return row


def _gaps(times_ns: list[int]) -> Iterator[int]:
    """From the newest packet so far to the next; one that comes late counts as 0."""
    newest = times_ns[0] if times_ns else 0
    for time_ns in times_ns[1:]:
        yield max(time_ns - newest, 0)
        newest = max(newest, time_ns)


def _series(packets: list[tuple[Any, bool]]) -> dict[str, Any]:
    return {
        "packet_direction": [1 if forward else -1 for _, forward in packets],
        "packet_bytes": [min(packet["ip_bytes"], 65535) for packet, _ in packets],
        "packet_payload_bytes": [min(packet["payload_bytes"], 65535) for packet, _ in packets],
        "packet_gap_ns": [packet["gap_ns"] for packet, _ in packets],
        "packet_tcp_flags": [packet["tcp_flags"] for packet, _ in packets],
        "packet_window": [packet["window"] for packet, _ in packets],
    }


def _address(end: End) -> bytes:
    return end[0].to_bytes(8, "big") + end[1].to_bytes(8, "big")


def _unless(value: int, absent: int) -> int | None:
    return None if value == absent else value


def _later(first: Any, second: Any) -> int | None:
    """From one packet to the other; None where one is missing or they come the wrong way round."""
    if first is None or second is None or second["time_ns"] < first["time_ns"]:
        return None
    return int(second["time_ns"]) - int(first["time_ns"])
