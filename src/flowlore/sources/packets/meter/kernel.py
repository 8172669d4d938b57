"""Packets into flows: find the flow, end it where its time is over, count, read names. One call a chunk and shard."""

import numpy as np

from ....flows.compiled import borrowing, inlined, kernel, prefetch
from ..layout import Bytes, Links, Number, Record, Records, Words
from .counts import IN_ORDER, OLD, count_packet
from .layout import (
    EVICTED_FLOWS,
    EVICTION_CURSOR,
    OPEN_FLOWS,
    OPENED_COUNT,
    PACKETS_METERED,
    SLOTS_USED,
    STATE_SNIFFED,
    STATE_TO_NAME,
    Limits,
    Tables,
)
from .lifetime import (
    ACTIVE,
    END_OF_INPUT,
    EVICTED,
    GOES_ON,
    LATENESS_NS,
    NOT_STARTED,
    REUSE,
    TCP_END,
    begins_again,
    has_ended,
    is_over,
    next_sweep,
    slice_reason,
)
from .slots import cut_slice, end_flow, index_entry, open_flow, same_key
from .sniffing import sniff_payload, stop_sniffing

LOOK_AHEAD = 16  # packets whose place in the tables is asked for before their turn
EVICTION_LOOKS = 64  # flows among which the longest silent is ended when there are too many


@borrowing
def meter_packets(
    tables: Tables, packets: Records, captures: Links, data: Bytes, clock_ns: Number, limits: Limits
) -> None:
    """Put the packets of this shard into flows. `captures` has the file's ordinal for each packet, or one for all.

    The clock, at `clock_ns` before the first packet, goes on with the packets of all shards, and what is over is swept
    as it does; not with windows, whose slices at one boundary might be more than there are slots.
    The caller has made room: slots for as many new slices as there are packets, and an index at most half full.
    """
    count = len(packets)
    sweep_at = next_sweep(clock_ns, limits)
    for place in range(count):
        if place + LOOK_AHEAD < count:
            _prefetch_index(tables.slot_of_key, packets[place + LOOK_AHEAD])
        if place + LOOK_AHEAD // 2 < count:
            _prefetch_flow(tables.slot_of_key, tables.flows, tables.sides, packets[place + LOOK_AHEAD // 2])
        packet = packets[place]
        if packet.time_ns >= sweep_at and limits.window_ns == 0:
            _sweep_slots(tables, packet.time_ns - LATENESS_NS, 0, tables.numbers[SLOTS_USED], limits)
            sweep_at = next_sweep(packet.time_ns, limits)
        if packet.verdict != 0:
            continue
        if limits.shards > 1 and shard_of(packet, limits.shards) != limits.shard:
            continue
        tables.numbers[PACKETS_METERED] += 1
        capture = captures[place] if len(captures) > 1 else captures[0]
        slot, forward = _flow_of(tables, packet, place, capture, limits)
        order = count_packet(tables, slot, packet, forward, limits)
        if packet.payload_captured > 0:
            if limits.payload_bytes > 0:
                _keep_payload(tables, 2 * slot + (0 if forward else 1), packet, data, limits.payload_bytes)
            if limits.names != 0 and order != OLD and not tables.flows[slot].state & STATE_SNIFFED:
                if order == IN_ORDER:
                    sniff_payload(tables, slot, packet, place, forward, data)
                else:
                    stop_sniffing(tables, tables.flows[slot])


@inlined
def shard_of(packet: Record, shards: Number) -> Number:
    """Which shard the packet's flow belongs to, by the low bits of its key hash."""
    return (np.int64(packet.key_hash & np.uint64(0xFFFF)) * shards) >> 16


@inlined
def _prefetch_index(index: Words, packet: Record) -> None:
    prefetch(index, np.int64(packet.key_hash >> np.uint64(32)) & np.int64(len(index) - 1))


@inlined
def _prefetch_flow(index: Words, flows: Records, sides: Records, packet: Record) -> None:
    """Ask for the lines of the flow that the index most likely means."""
    entry = index[np.int64(packet.key_hash >> np.uint64(32)) & np.int64(len(index) - 1)]
    slot = np.int64(entry & np.uint64(0xFFFFFFFF)) - 1
    prefetch(flows, slot)
    prefetch(sides, 2 * slot)
    prefetch(sides, 2 * slot + 1)


@borrowing
def sweep(tables: Tables, clock_ns: Number, begin: Number, stop: Number, limits: Limits) -> None:
    """End what is over at `clock_ns` among the slots from `begin` to `stop`, so that silent flows leave too."""
    _sweep_slots(tables, clock_ns, begin, min(stop, tables.numbers[SLOTS_USED]), limits)


@borrowing
def end_all(tables: Tables, clock_ns: Number, limits: Limits) -> None:
    """End every open flow: the input is over."""
    for slot in range(tables.numbers[SLOTS_USED]):
        flow = tables.flows[slot]
        if flow.key_hash != 0:
            reason = slice_reason(flow, clock_ns, limits)
            end_flow(tables, slot, END_OF_INPUT if reason == GOES_ON else reason)


@borrowing
def rehash(old: Words, new: Words) -> None:
    """Carry every entry of a full index over to a larger, empty one."""
    mask = np.int64(len(new) - 1)
    for place in range(len(old)):
        entry = old[place]
        if entry != 0:
            home = np.int64(entry >> np.uint64(32)) & mask
            while new[home] != 0:
                home = (home + 1) & mask
            new[home] = entry


@kernel
def _sweep_slots(tables: Tables, clock_ns: Number, begin: Number, stop: Number, limits: Limits) -> None:
    """`begin` is a multiple of 64. Slots that are taken meanwhile need no look."""
    for word in range(begin >> 6, (stop + 63) >> 6):
        are_open = tables.open_slots[word]
        slot = word << 6
        while are_open != 0:
            if are_open & np.uint64(1):
                flow = tables.flows[slot]
                reason = slice_reason(flow, clock_ns, limits)
                if is_over(flow, clock_ns, limits):
                    end_flow(tables, slot, reason)
                elif reason != GOES_ON and flow.start_ns != NOT_STARTED:
                    cut_slice(tables, slot, reason)
            are_open >>= np.uint64(1)
            slot += 1


@inlined
def _flow_of(
    tables: Tables, packet: Record, packet_place: Number, capture: Number, limits: Limits
) -> tuple[Number, bool]:
    """The slot of the packet's flow, opened where there is none, and whether the packet goes forward in it."""
    mask = np.int64(len(tables.slot_of_key) - 1)
    tag = np.uint64(packet.key_hash >> np.uint64(32))
    place = np.int64(tag) & mask
    now = packet.time_ns
    while True:
        entry = tables.slot_of_key[place]
        if entry == 0:
            return _open(tables, packet, packet_place, capture, np.uint32(0), limits)
        if np.uint64(entry >> np.uint64(32)) == tag:
            slot = np.int64(entry & np.uint64(0xFFFFFFFF)) - 1
            direction = same_key(tables.flows[slot], packet)
            if direction != 0:
                break
        place = (place + 1) & mask
    flow = tables.flows[slot]
    forward = direction > 0
    reason = slice_reason(flow, now, limits)
    over = is_over(flow, now, limits)
    if not over and begins_again(flow, packet, forward):
        over = True
        if reason == GOES_ON:
            reason = TCP_END if has_ended(flow) else REUSE
    if over:
        ordinal = np.uint32(flow.ordinal + 1) if flow.first_ns == now else np.uint32(0)
        end_flow(tables, slot, reason)
        return _open(tables, packet, packet_place, capture, ordinal, limits)
    if flow.start_ns == NOT_STARTED:
        flow.start_ns = now
        flow.capture = capture
        return slot, forward
    if reason == GOES_ON and now - flow.start_ns > limits.active_ns:
        reason = ACTIVE
    if reason != GOES_ON:
        before, slot = slot, cut_slice(tables, slot, reason)
        if flow.state & STATE_TO_NAME:
            _list_opened(tables, slot, -1 - before)
        tables.flows[slot].start_ns = now
        tables.flows[slot].capture = capture
    return slot, forward


@kernel
def _open(
    tables: Tables, packet: Record, packet_place: Number, capture: Number, ordinal: Number, limits: Limits
) -> tuple[Number, bool]:
    if tables.numbers[OPEN_FLOWS] >= limits.max_flows:
        _evict(tables)
    slot, forward = open_flow(tables, packet, capture, ordinal)
    index_entry(tables, packet.key_hash, slot)
    if limits.names != 0:
        tables.flows[slot].state |= STATE_TO_NAME
        _list_opened(tables, slot, packet_place)
    return slot, forward


@inlined
def _list_opened(tables: Tables, slot: Number, opened_at: Number) -> None:
    """One packet lists one slot at most, so there is room."""
    count = tables.numbers[OPENED_COUNT]
    tables.opened[count] = slot
    tables.opened_at[count] = opened_at
    tables.numbers[OPENED_COUNT] = count + 1


@kernel
def _evict(tables: Tables) -> None:
    """End the longest silent among the next few flows."""
    used = tables.numbers[SLOTS_USED]
    slot = tables.numbers[EVICTION_CURSOR] % used
    oldest = -1
    looked = 0
    for _ in range(used):
        flow = tables.flows[slot]
        if flow.key_hash != 0:
            if oldest < 0 or flow.last_ns < tables.flows[oldest].last_ns:
                oldest = slot
            looked += 1
            if looked >= EVICTION_LOOKS:
                break
        slot = slot + 1 if slot + 1 < used else 0
    tables.numbers[EVICTION_CURSOR] = slot
    if oldest >= 0:
        end_flow(tables, oldest, EVICTED)
        tables.numbers[EVICTED_FLOWS] += 1


@inlined
def _keep_payload(tables: Tables, side_place: Number, packet: Record, data: Bytes, limit: Number) -> None:
    """Append to the first payload bytes of one direction, up to `limit`."""
    side = tables.sides[side_place]
    kept = np.int64(side.payload_kept)
    count = min(limit - kept, np.int64(packet.payload_captured))
    target = side_place * limit + kept
    for byte in range(count):
        tables.payload[target + byte] = data[packet.payload_start + byte]
    side.payload_kept = kept + count
