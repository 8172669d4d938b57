"""Slots of flows: taken when a flow opens, handed to `finished` when a slice ends, freed when it was drained."""

import numpy as np

from ....flows.compiled import borrowing, inlined, kernel
from ..layout import Number, Record, Words
from .chains import append_items, free_chains, read_items
from .layout import (
    FINISHED_COUNT,
    FREE_COUNT,
    NO_BLOCK,
    OPEN_FLOWS,
    SLOTS_USED,
    UNSEEN,
    Tables,
)
from .lifetime import ACK, NOT_STARTED, SYN, TCP
from .sniffing import free_assembly

GTP_U = 6  # place in TUNNELS: its directions have different ids, so the id is no part of the key


@inlined
def same_key(flow: Record, packet: Record) -> Number:
    """1 where the packet goes forward in the flow, -1 where it goes in reverse, 0 where it is not of the flow."""
    if (
        flow.protocol != packet.protocol
        or flow.vlan != packet.vlan
        or flow.inner_vlan != packet.inner_vlan
        or flow.tunnel != packet.tunnel
        or (flow.tunnel_id != packet.tunnel_id and packet.tunnel != GTP_U)
    ):
        return 0
    if (
        flow.src_low == packet.src_low
        and flow.dst_low == packet.dst_low
        and flow.src_port == packet.src_port
        and flow.dst_port == packet.dst_port
        and flow.src_high == packet.src_high
        and flow.dst_high == packet.dst_high
    ):
        return 1
    if (
        flow.src_low == packet.dst_low
        and flow.dst_low == packet.src_low
        and flow.src_port == packet.dst_port
        and flow.dst_port == packet.src_port
        and flow.src_high == packet.dst_high
        and flow.dst_high == packet.src_high
    ):
        return -1
    return 0


@kernel
def open_flow(tables: Tables, packet: Record, capture: Number, ordinal: Number) -> tuple[Number, bool]:
    """A new flow that begins with this packet; `src` is its sender, or its receiver where it is a SYN-ACK."""
    slot = _take_slot(tables)
    flow = tables.flows[slot]
    forward = packet.protocol != TCP or packet.tcp_flags & (SYN | ACK) != SYN | ACK
    if forward:
        flow.src_high, flow.src_low = packet.src_high, packet.src_low
        flow.dst_high, flow.dst_low = packet.dst_high, packet.dst_low
        flow.src_port, flow.dst_port = packet.src_port, packet.dst_port
        flow.src_mac, flow.dst_mac = packet.src_mac, packet.dst_mac
    else:
        flow.src_high, flow.src_low = packet.dst_high, packet.dst_low
        flow.dst_high, flow.dst_low = packet.src_high, packet.src_low
        flow.src_port, flow.dst_port = packet.dst_port, packet.src_port
        flow.src_mac, flow.dst_mac = packet.dst_mac, packet.src_mac
    flow.key_hash = packet.key_hash | np.uint64(1)
    _mark_open(tables.open_slots, slot)
    flow.first_ns = packet.time_ns
    flow.start_ns = packet.time_ns
    flow.last_ns = packet.time_ns
    flow.syn_ns = UNSEEN
    flow.synack_ns = UNSEEN
    flow.ack_ns = UNSEEN
    flow.tunnel_id = packet.tunnel_id
    flow.mpls = packet.mpls
    flow.part = 0
    flow.ordinal = ordinal
    flow.initial_sequence = 0
    flow.vlan = packet.vlan
    flow.inner_vlan = packet.inner_vlan
    flow.capture = capture
    flow.protocol = packet.protocol
    flow.tunnel = packet.tunnel
    flow.has_macs = packet.has_macs if forward else _exchanged(packet.has_macs)
    flow.state = 0
    flow.sniffed = 0
    flow.assembly = NO_BLOCK
    flow.looked_up_bytes = 0
    _empty_chains(flow)
    nothing = tables.sides[len(tables.sides) - 1]
    tables.sides[2 * slot] = nothing
    tables.sides[2 * slot + 1] = nothing
    return slot, forward


@inlined
def _exchanged(has_macs: Number) -> Number:
    """Bit 0 tells whether `src_mac` is known, bit 1 whether `dst_mac` is: each in the other's place."""
    return (has_macs >> 1) | ((has_macs & 1) << 1)


@inlined
def index_entry(tables: Tables, key_hash: Number, slot: Number) -> None:
    """Make the flow in `slot` known under its key."""
    mask = np.int64(len(tables.slot_of_key) - 1)
    tag = np.uint64(key_hash >> np.uint64(32))
    place = np.int64(tag) & mask
    while tables.slot_of_key[place] != 0:
        place = (place + 1) & mask
    tables.slot_of_key[place] = (tag << np.uint64(32)) | np.uint64(slot + 1)
    tables.numbers[OPEN_FLOWS] += 1


@kernel
def end_flow(tables: Tables, slot: Number, reason: Number) -> None:
    """The flow is over: forget its key, and hand its last slice on (if it has any packet)."""
    flow = tables.flows[slot]
    _forget(tables.slot_of_key, _place_of(tables.slot_of_key, flow.key_hash, slot))
    tables.numbers[OPEN_FLOWS] -= 1
    free_assembly(tables, flow)
    if flow.start_ns == NOT_STARTED:
        _mark_closed(tables.open_slots, slot)
        free_slot(tables, slot)
    else:
        _finish(tables, slot, reason)


@kernel
def cut_slice(tables: Tables, slot: Number, reason: Number) -> Number:
    """Hand the slice in `slot` on; the flow goes on in the slot returned, with nothing counted yet."""
    place = _place_of(tables.slot_of_key, tables.flows[slot].key_hash, slot)
    fresh = _take_slot(tables)
    tables.flows[fresh] = tables.flows[slot]
    _mark_open(tables.open_slots, fresh)
    flow = tables.flows[fresh]
    flow.part += np.uint32(1)
    flow.start_ns = NOT_STARTED
    _empty_chains(flow)
    length = read_items(tables, tables.flows[slot], tables.items)
    if length > 0:
        append_items(tables, flow, 0, length)
    for direction in range(2):
        tables.sides[2 * fresh + direction] = tables.sides[len(tables.sides) - 1]
        old, new = tables.sides[2 * slot + direction], tables.sides[2 * fresh + direction]
        new.has_sequence = old.has_sequence
        new.next_sequence = old.next_sequence
        new.hole_start = old.hole_start
        new.hole_end = old.hole_end
    tables.slot_of_key[place] = (tables.slot_of_key[place] & np.uint64(0xFFFFFFFF00000000)) | np.uint64(fresh + 1)
    _finish(tables, slot, reason)
    return fresh


@inlined
def free_slot(tables: Tables, slot: Number) -> None:
    """Give a slot and its chains back."""
    flow = tables.flows[slot]
    free_chains(tables, flow)
    flow.key_hash = np.uint64(0)
    tables.free_slots[tables.numbers[FREE_COUNT]] = slot
    tables.numbers[FREE_COUNT] += 1


@borrowing
def free_slots(tables: Tables, count: Number) -> None:
    """Give back the first `count` finished slots, which were drained, and move the others up."""
    for place in range(count):
        free_slot(tables, np.int64(tables.finished[place]))
    left = tables.numbers[FINISHED_COUNT] - count
    for place in range(left):
        tables.finished[place] = tables.finished[place + count]
    tables.numbers[FINISHED_COUNT] = left


@inlined
def _take_slot(tables: Tables) -> Number:
    if tables.numbers[FREE_COUNT] > 0:
        tables.numbers[FREE_COUNT] -= 1
        return np.int64(tables.free_slots[tables.numbers[FREE_COUNT]])
    slot = tables.numbers[SLOTS_USED]
    if slot >= len(tables.flows):
        raise MemoryError("the meter's caller made no room")
    tables.numbers[SLOTS_USED] += 1
    return slot


@inlined
def _mark_open(open_slots: Words, slot: Number) -> None:
    open_slots[slot >> 6] |= np.uint64(1) << np.uint64(slot & 63)


@inlined
def _mark_closed(open_slots: Words, slot: Number) -> None:
    open_slots[slot >> 6] &= ~(np.uint64(1) << np.uint64(slot & 63))


@inlined
def _empty_chains(flow: Record) -> None:
    flow.series_first = NO_BLOCK
    flow.series_last = NO_BLOCK
    flow.series_count = 0
    flow.names_first = NO_BLOCK
    flow.names_last = NO_BLOCK
    flow.names_bytes = 0


@inlined
def _finish(tables: Tables, slot: Number, reason: Number) -> None:
    flow = tables.flows[slot]
    _mark_closed(tables.open_slots, slot)
    flow.key_hash = np.uint64(0)
    flow.end_reason = reason
    tables.finished[tables.numbers[FINISHED_COUNT]] = slot
    tables.numbers[FINISHED_COUNT] += 1


@inlined
def _place_of(index: Words, key_hash: Number, slot: Number) -> Number:
    mask = np.int64(len(index) - 1)
    place = np.int64(key_hash >> np.uint64(32)) & mask
    while np.int64(index[place] & np.uint64(0xFFFFFFFF)) != slot + 1:
        place = (place + 1) & mask
    return place


@inlined
def _forget(index: Words, place: Number) -> None:
    """Remove an entry and move up those that had to go further for its sake."""
    mask = np.int64(len(index) - 1)
    hole = place
    probe = (hole + 1) & mask
    while index[probe] != 0:
        home = np.int64(index[probe] >> np.uint64(32)) & mask
        if (probe - home) & mask >= (probe - hole) & mask:
            index[hole] = index[probe]
            hole = probe
        probe = (probe + 1) & mask
    index[hole] = np.uint64(0)
