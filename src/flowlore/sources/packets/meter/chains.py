"""What has no fixed size: packet series and names, in chains of blocks that are taken from pools and given back."""

import numpy as np

from ....flows.compiled import inlined, kernel
from ..layout import Bytes, Counts, Links, Number, Record
from .layout import (
    LOST_NAMES,
    LOST_SERIES,
    NAMES_BLOCK,
    NAMES_FREE,
    NAMES_USED,
    NO_BLOCK,
    SERIES_BLOCK,
    SERIES_FREE,
    SERIES_USED,
    SNIFFED_NAMES_BYTES,
    Tables,
)


@inlined
def take_block(next_block: Links, numbers: Counts, used: Number, free: Number) -> Number:
    """A block from the free list, else a new one, else NO_BLOCK where the pool is full."""
    block = numbers[free]
    if block != NO_BLOCK:
        numbers[free] = next_block[block]
    elif numbers[used] < len(next_block):
        block = numbers[used]
        numbers[used] += 1
    if block != NO_BLOCK:
        next_block[block] = NO_BLOCK
    return block


@inlined
def give_back(first: Number, last: Number, next_block: Links, numbers: Counts, free: Number) -> None:
    """Put a whole chain on the free list."""
    if first != NO_BLOCK:
        next_block[last] = numbers[free]
        numbers[free] = first


@inlined
def append_packet(tables: Tables, flow: Record, packet: Record, gap_ns: Number, direction: Number) -> None:
    """Add one packet to the series of a flow."""
    place = np.int64(flow.series_count)
    offset = place % SERIES_BLOCK
    if offset == 0:
        block = take_block(tables.series_next, tables.numbers, SERIES_USED, SERIES_FREE)
        if block == NO_BLOCK:
            tables.numbers[LOST_SERIES] += 1
            return
        if flow.series_first == NO_BLOCK:
            flow.series_first = block
        else:
            tables.series_next[flow.series_last] = block
        flow.series_last = block
    entry = tables.series[np.int64(flow.series_last) * SERIES_BLOCK + offset]
    entry.gap_ns = gap_ns
    entry.bytes = min(packet.ip_bytes, np.uint32(65535))
    entry.payload_bytes = min(packet.payload_bytes, np.uint32(65535))
    entry.window = packet.window
    entry.tcp_flags = packet.tcp_flags
    entry.direction = direction
    flow.series_count = place + 1


@kernel
def append_items(tables: Tables, flow: Record, start: Number, stop: Number) -> None:
    """Add `tables.items[start:stop]` (whole items) to the names of a flow; all or nothing."""
    length = np.int64(flow.names_bytes)
    if length - np.int64(flow.looked_up_bytes) + stop - start > SNIFFED_NAMES_BYTES:
        tables.numbers[LOST_NAMES] += 1
        return
    blocks_needed = (length + stop - start + NAMES_BLOCK - 1) // NAMES_BLOCK - (length + NAMES_BLOCK - 1) // NAMES_BLOCK
    first = NO_BLOCK
    last = NO_BLOCK
    for _ in range(blocks_needed):
        block = take_block(tables.names_next, tables.numbers, NAMES_USED, NAMES_FREE)
        if block == NO_BLOCK:
            give_back(first, last, tables.names_next, tables.numbers, NAMES_FREE)
            tables.numbers[LOST_NAMES] += 1
            return
        if first == NO_BLOCK:
            first = block
        else:
            tables.names_next[last] = block
        last = block
    block = np.int64(flow.names_last)
    if first != NO_BLOCK:
        if flow.names_first == NO_BLOCK:
            flow.names_first = first
        else:
            tables.names_next[flow.names_last] = first
        flow.names_last = last
    fresh = np.int64(first)
    for byte in range(start, stop):
        offset = length % NAMES_BLOCK
        if offset == 0:
            block = fresh
            fresh = np.int64(tables.names_next[block])
        tables.names[block * NAMES_BLOCK + offset] = tables.items[byte]
        length += 1
    flow.names_bytes = length


@kernel
def read_items(tables: Tables, flow: Record, out: Bytes) -> Number:
    """Copy the names of a flow to the start of `out`; how many bytes they are."""
    block = np.int64(flow.names_first)
    length = np.int64(flow.names_bytes)
    for byte in range(length):
        offset = byte % NAMES_BLOCK
        if offset == 0 and byte > 0:
            block = np.int64(tables.names_next[block])
        out[byte] = tables.names[block * NAMES_BLOCK + offset]
    return length


@inlined
def free_chains(tables: Tables, flow: Record) -> None:
    """Give back everything of a flow that lies in chains."""
    give_back(flow.series_first, flow.series_last, tables.series_next, tables.numbers, SERIES_FREE)
    give_back(flow.names_first, flow.names_last, tables.names_next, tables.numbers, NAMES_FREE)
    flow.series_first = NO_BLOCK
    flow.names_first = NO_BLOCK
