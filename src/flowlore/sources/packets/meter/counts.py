"""One packet into one flow: every formula of the quantities is here. docs/concepts/flow.md says them in words."""

import numpy as np

from ....flows.compiled import inlined
from ..layout import Number, Record
from .chains import append_packet
from .layout import (
    STATE_ESTABLISHED,
    STATE_FIN_FORWARD,
    STATE_FIN_REVERSE,
    STATE_RESET,
    TIME_BACKWARDS,
    UNSEEN,
    Limits,
    Tables,
)
from .lifetime import ACK, CWR, ECE, FIN, RST, SYN, TCP, URG

OLD, IN_ORDER, JUMPED = range(3)  # how the payload of a packet follows that of its direction


@inlined
def count_packet(tables: Tables, slot: Number, packet: Record, forward: bool, limits: Limits) -> Number:
    """Count one packet in its flow. How its payload follows that of its direction."""
    flow = tables.flows[slot]
    side = tables.sides[2 * slot + (0 if forward else 1)]
    now = packet.time_ns
    gap = now - flow.last_ns
    if gap < 0:
        gap = 0
        tables.numbers[TIME_BACKWARDS] += 1
    elif now > flow.last_ns:
        flow.last_ns = now
    if flow.series_count < limits.max_packets:
        append_packet(tables, flow, packet, gap if flow.series_count > 0 else 0, 1 if forward else -1)
    _count_sizes_and_gaps(side, packet, now)
    if packet.protocol == TCP:
        if packet.payload_bytes > 0:
            flow.state |= STATE_ESTABLISHED
        order = _count_sequence(side, packet)
        _count_tcp(flow, side, packet, forward, now)
        side.packets += np.uint64(1)
        return order
    side.packets += np.uint64(1)
    return IN_ORDER


@inlined
def _count_sizes_and_gaps(side: Record, packet: Record, now: Number) -> None:
    size = packet.ip_bytes
    if side.packets == 0:
        side.size_first = size
        side.size_min = size
        side.size_max = size
        side.ttl_min = packet.ttl
        side.ttl_max = packet.ttl
        side.tos = packet.tos
        side.last_ns = now
    else:
        side.size_min = min(side.size_min, size)
        side.size_max = max(side.size_max, size)
        side.ttl_min = min(side.ttl_min, packet.ttl)
        side.ttl_max = max(side.ttl_max, packet.ttl)
        off = np.int64(size) - np.int64(side.size_first)
        side.size_spread += off * off
        gap = max(now - side.last_ns, np.int64(0))
        if now > side.last_ns:
            side.last_ns = now
        if side.packets == 1:
            side.gap_min_ns = gap
            side.gap_max_ns = gap
            side.gap_mean = gap
        else:
            side.gap_min_ns = min(side.gap_min_ns, gap)
            side.gap_max_ns = max(side.gap_max_ns, gap)
            delta = gap - side.gap_mean
            side.gap_mean += delta / np.float64(side.packets)
            side.gap_spread += delta * (gap - side.gap_mean)
    side.bytes += size
    side.frame_bytes += packet.frame_bytes
    side.payload_bytes += packet.payload_bytes


@inlined
def _count_tcp(flow: Record, side: Record, packet: Record, forward: bool, now: Number) -> None:
    flags = packet.tcp_flags
    if side.packets == 0:
        side.window_first = packet.window
        side.window_min = packet.window
        side.window_max = packet.window
    else:
        side.window_min = min(side.window_min, packet.window)
        side.window_max = max(side.window_max, packet.window)
    side.tcp_flags |= flags
    side.fin_packets += flags & 1
    side.syn_packets += (flags >> 1) & 1
    side.rst_packets += (flags >> 2) & 1
    side.psh_packets += (flags >> 3) & 1
    side.ack_packets += (flags >> 4) & 1
    if flags & (URG | ECE | CWR):
        side.urg_packets += (flags >> 5) & 1
        side.ece_packets += (flags >> 6) & 1
        side.cwr_packets += (flags >> 7) & 1
    if flags & (FIN | SYN | RST):
        if flags & RST:
            flow.state |= STATE_RESET
        if flags & FIN:
            flow.state |= STATE_FIN_FORWARD if forward else STATE_FIN_REVERSE
        if flags & SYN:
            if forward and not flags & ACK and flow.syn_ns == UNSEEN:
                flow.syn_ns = now
                flow.initial_sequence = packet.sequence
            elif not forward and flags & ACK and flow.synack_ns == UNSEEN:
                flow.synack_ns = now
                flow.state |= STATE_ESTABLISHED
    elif forward and flags & ACK and flow.synack_ns != UNSEEN and flow.ack_ns == UNSEEN:
        flow.ack_ns = now


@inlined
def _count_sequence(side: Record, packet: Record) -> Number:
    """Retransmissions and late arrivals by sequence number, modulo 2^32."""
    flags = packet.tcp_flags
    if flags & RST:
        return OLD
    length = packet.payload_bytes + np.uint32((flags >> 1) & 1) + np.uint32(flags & 1)
    start = np.uint32(packet.sequence)
    end = np.uint32(start + length)
    if not side.has_sequence:
        side.has_sequence = 1
        side.next_sequence = end
        side.hole_start = end
        side.hole_end = end
        return IN_ORDER
    if length == 0:
        return OLD
    ahead = np.int32(np.uint32(start - side.next_sequence))
    if ahead >= 0:
        if ahead > 0:
            side.hole_start = side.next_sequence
            side.hole_end = start
        side.next_sequence = end
        return IN_ORDER if ahead == 0 else JUMPED
    if np.int32(np.uint32(start - side.hole_start)) >= 0 and np.int32(np.uint32(end - side.hole_end)) <= 0:
        side.out_of_order += 1
        if start == side.hole_start:
            side.hole_start = end
        elif end == side.hole_end:
            side.hole_end = start
        return OLD
    if np.int32(np.uint32(end - side.next_sequence)) <= 0:
        is_probe = packet.payload_bytes <= 1 and ahead == -1  # keep-alive: the last byte again, or none
        if packet.payload_bytes > 0 and not is_probe:
            side.retransmitted += 1
    else:
        side.next_sequence = end
    return OLD
