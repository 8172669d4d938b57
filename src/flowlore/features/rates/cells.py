"""The kernel that adds flows to cells: each counter is spread over the steps that the flow lasted, in whole numbers.

What a flow gives to a step depends on the flow alone, and sums are of integers, so any order and any cut of the flows
give equal cells.
"""

from __future__ import annotations

import numpy as np

from ...flows.compiled import borrowing, compiled, inlined, kernel, prefetch
from .distinct import observe
from .hashing import hash_of_key, hash_of_pair
from .layout import (
    ACTIVE,
    AHEAD,
    AHEAD_IN_A_ROW,
    BYTES,
    CELL_WORDS,
    CELLS_USED,
    CLOCK_STEP,
    FIN,
    FLOWS,
    HALF_OPEN,
    HEAD,
    ICMP,
    IN,
    KEY,
    LATE,
    NEGATIVE,
    NEVER,
    NEWEST_NS,
    NO_ENTITY,
    NO_TIME,
    OPEN_FROM,
    OUT,
    PACKETS,
    PAIRS_USED,
    PARTLY_LATE,
    PEERS,
    PORTS,
    RST,
    SEEN_IN,
    SEEN_OUT,
    SERVICES,
    SKETCH,
    STEP,
    SYN,
    TCP,
    TOO_LONG,
    UDP,
    FlowColumns,
    Hashes,
    Tables,
    Whole,
    Words,
)

ACCEPTED_AHEAD = 100  # flows in a row that are far ahead: then it is the clock that was set
PLACE_BITS = 0xFFFFFFFF
FAR_AHEAD, NEAR_AHEAD = 16, 8  # rows whose memory is asked for before it is their turn
ALL_ADDED, NO_CELLS, NO_PAIRS = 0, 1, 2


@borrowing
def add_flows(
    tables: Tables,
    flows: FlowColumns,
    begin: Whole,
    step_ns: Whole,
    lateness_ns: Whole,
    ahead_ns: Whole,
    longest_ns: Whole,
    exact_distinct: Whole,
    pairs_may_run_out: Whole,
    outcome: Words,
) -> Whole:
    """Add flows from row `begin`; gives the first row that was not added, and in `outcome[0]` why.

    A row is added whole or not at all, so that the caller makes room and goes on. `lateness_ns` below 0 closes nothing.
    """
    numbers = tables.numbers
    outcome[0] = ALL_ADDED
    for row in range(begin, flows.start_ns.size):
        if row + FAR_AHEAD < flows.start_ns.size:
            _fetch_slots(tables, flows, row + FAR_AHEAD, step_ns)
            _fetch_cells(tables, flows, row + NEAR_AHEAD, step_ns)
        start, duration = flows.start_ns[row], flows.duration_ns[row]
        if start == NEVER:
            numbers[NO_TIME] += 1
            continue
        has_first, has_second = _is_key(flows.first_keys, row), _is_key(flows.second_keys, row)
        if not (has_first or has_second):
            numbers[NO_ENTITY] += 1
            continue
        if duration < 0:
            numbers[NEGATIVE] += 1
            duration = 0
        end = start + duration
        if duration > longest_ns:
            start, duration = end - longest_ns, longest_ns
        first_step = start // step_ns
        last_step = (end - 1 if duration > 0 else end) // step_ns
        cells_wanted = (2 if has_first and has_second else 1) * (last_step - first_step + 1)
        if numbers[CELLS_USED] + cells_wanted > tables.cells.shape[0]:
            outcome[0], outcome[1] = NO_CELLS, cells_wanted
            return row
        if not pairs_may_run_out and numbers[PAIRS_USED] + 2 * cells_wanted > tables.pairs.shape[0]:
            outcome[0], outcome[1] = NO_PAIRS, 2 * cells_wanted
            return row
        if flows.duration_ns[row] > longest_ns:
            numbers[TOO_LONG] += 1
        if lateness_ns >= 0:
            if numbers[NEWEST_NS] != NEVER and end - numbers[NEWEST_NS] > ahead_ns:
                numbers[AHEAD_IN_A_ROW] += 1
                if numbers[AHEAD_IN_A_ROW] < ACCEPTED_AHEAD:
                    numbers[AHEAD] += 1
                    continue
                numbers[CLOCK_STEP] += 1
            numbers[AHEAD_IN_A_ROW] = 0
            numbers[NEWEST_NS] = max(numbers[NEWEST_NS], end)
            numbers[OPEN_FROM] = max(numbers[OPEN_FROM], (numbers[NEWEST_NS] - lateness_ns) // step_ns)
        open_from = numbers[OPEN_FROM]
        if last_step < open_from:
            numbers[LATE] += 1
            continue
        if first_step < open_from:
            numbers[PARTLY_LATE] += 1
        _add_flow(
            tables, flows, row, start, duration, first_step, last_step, step_ns, exact_distinct, has_first, has_second
        )
    return flows.start_ns.size


@kernel
def _fetch_slots(tables: Tables, flows: FlowColumns, row: Whole, step_ns: Whole) -> None:
    """Have the slots of a flow's two cells in the cache when they are wanted."""
    mask, step = tables.cell_slots.size - 1, flows.start_ns[row] // step_ns
    for role in range(2):
        keys = flows.first_keys if role == 0 else flows.second_keys
        hashed = hash_of_key(keys[row, 0], keys[row, 1], keys[row, 2], keys[row, 3], step)
        prefetch(tables.cell_slots, np.int64(hashed & np.uint64(PLACE_BITS)) & mask)


@kernel
def _fetch_cells(tables: Tables, flows: FlowColumns, row: Whole, step_ns: Whole) -> None:
    """The same for the cells themselves, and for the slots of what they list."""
    mask, step = tables.cell_slots.size - 1, flows.start_ns[row] // step_ns
    for role in range(2):
        keys = flows.first_keys if role == 0 else flows.second_keys
        hashed = hash_of_key(keys[row, 0], keys[row, 1], keys[row, 2], keys[row, 3], step)
        place = tables.cell_slots[np.int64(hashed & np.uint64(PLACE_BITS)) & mask] & PLACE_BITS
        if place < tables.cells.shape[0]:
            prefetch(tables.cells, place * CELL_WORDS)
            prefetch(tables.cells, place * CELL_WORDS + IN)
            prefetch(tables.cells, place * CELL_WORDS + OUT)
        peer = flows.first_peer[row] if role == 0 else flows.second_peer[row]
        for kind in range(2):
            value = peer if kind == 0 else np.uint64(flows.port[row])
            prefetch(
                tables.pair_slots,
                np.int64(hash_of_pair(hashed, value, kind) & np.uint64(PLACE_BITS)) & (tables.pair_slots.size - 1),
            )


@kernel
def _add_flow(
    tables: Tables,
    flows: FlowColumns,
    row: Whole,
    start: Whole,
    duration: Whole,
    first_step: Whole,
    last_step: Whole,
    step_ns: Whole,
    exact_distinct: Whole,
    has_first: Whole,
    has_second: Whole,
) -> None:
    gone_packets_fwd = gone_packets_rev = gone_bytes_fwd = gone_bytes_rev = np.int64(0)
    for step in range(first_step, last_step + 1):
        elapsed = min((step + 1) * step_ns - start, duration)
        packets_fwd = _until(flows.packets[row, 0], elapsed, duration)
        packets_rev = _until(flows.packets[row, 1], elapsed, duration)
        bytes_fwd = _until(flows.bytes[row, 0], elapsed, duration)
        bytes_rev = _until(flows.bytes[row, 1], elapsed, duration)
        if step >= tables.numbers[OPEN_FROM]:
            for role in range(2):
                if not (has_first if role == 0 else has_second):
                    continue
                keys = flows.first_keys if role == 0 else flows.second_keys
                cell_hash = hash_of_key(keys[row, 0], keys[row, 1], keys[row, 2], keys[row, 3], step)
                place = place_of(tables, cell_hash, keys[row, 0], keys[row, 1], keys[row, 2], keys[row, 3], step)
                outward, inward = (OUT, IN) if role == 0 else (IN, OUT)
                sent = _count(
                    tables.cells, place, outward, flows, row, 0, step == first_step, step == last_step,
                    packets_fwd - gone_packets_fwd, bytes_fwd - gone_bytes_fwd,
                )  # fmt: skip
                answered = _count(
                    tables.cells, place, inward, flows, row, 1, step == first_step, step == last_step,
                    packets_rev - gone_packets_rev, bytes_rev - gone_bytes_rev,
                )  # fmt: skip
                seen = (SEEN_OUT if role == 0 else SEEN_IN) if sent else 0
                seen |= (SEEN_IN if role == 0 else SEEN_OUT) if answered else 0
                peer = flows.first_peer[row] if role == 0 else flows.second_peer[row]
                if peer != 0 and seen:
                    observe(tables, place, cell_hash, peer, 0, seen, exact_distinct)
                if flows.port[row] != 0 and seen:
                    observe(tables, place, cell_hash, np.uint64(flows.port[row]), 1, seen, exact_distinct)
        gone_packets_fwd, gone_packets_rev = packets_fwd, packets_rev
        gone_bytes_fwd, gone_bytes_rev = bytes_fwd, bytes_rev


@inlined
def _count(
    cells: Words,
    place: Whole,
    base: Whole,
    flows: FlowColumns,
    row: Whole,
    side: Whole,
    is_first: Whole,
    is_last: Whole,
    packets: Whole,
    octets: Whole,
) -> Whole:
    """Counters of one direction of a flow in one step; whether anything was sent in it at all."""
    if flows.packets[row, side] == 0 and flows.bytes[row, side] == 0:
        return False
    cell = cells[place]
    if is_first and side == 0:
        cell[base + FLOWS] += flows.is_new[row]
    cell[base + ACTIVE] += 1
    cell[base + PACKETS] += packets
    cell[base + BYTES] += octets
    protocol = flows.protocol[row]
    if protocol == 6:
        cell[base + TCP] += packets
        if is_first:
            cell[base + SYN] += flows.flag_packets[row, side, 0]
            cell[base + HALF_OPEN] += (flows.is_half_open[row] >> side) & 1
        if is_last:
            cell[base + FIN] += flows.flag_packets[row, side, 1]
            cell[base + RST] += flows.flag_packets[row, side, 2]
    elif protocol == 17:
        cell[base + UDP] += packets
    elif protocol == 1 or protocol == 58:
        cell[base + ICMP] += packets
    service = np.int64(flows.service[row])
    if service > 0:
        cell[base + SERVICES + service - 1] += octets
    return True


@kernel
def place_of(
    tables: Tables, hashed: Whole, key_0: Whole, key_1: Whole, key_2: Whole, key_3: Whole, step: Whole
) -> Whole:
    """Where the cell of a key and step (and their hash) is; a new one is made, for which there must be room."""
    slots, cells, numbers = tables.cell_slots, tables.cells, tables.numbers
    mask = slots.size - 1
    mark = np.int64(hashed >> np.uint64(33)) << 32
    at = np.int64(hashed & np.uint64(0xFFFFFFFF)) & mask
    while slots[at] >= 0:
        if (slots[at] & ~PLACE_BITS) == mark:
            place = slots[at] & PLACE_BITS
            cell = cells[place]
            if (
                cell[KEY] == np.int64(key_0)
                and cell[KEY + 1] == np.int64(key_1)
                and cell[KEY + 2] == np.int64(key_2)
                and cell[KEY + 3] == np.int64(key_3)
                and cell[STEP] == step
            ):
                return place
        at = (at + 1) & mask
    place = numbers[CELLS_USED]
    numbers[CELLS_USED] += 1
    slots[at] = mark | place
    cell = cells[place]
    for word in range(CELL_WORDS):
        cell[word] = 0
    cell[KEY] = np.int64(key_0)
    cell[KEY + 1] = np.int64(key_1)
    cell[KEY + 2] = np.int64(key_2)
    cell[KEY + 3] = np.int64(key_3)
    cell[STEP] = step
    cell[HEAD] = cell[HEAD + 1] = cell[SKETCH] = cell[SKETCH + 1] = -1
    return place


@compiled
def place_of_each(tables: Tables, rows: Words) -> Words:
    """Where the cells of these rows are among ours, with their counters added. Distinct counts come with the lists."""
    places = np.zeros(rows.shape[0], np.int64)
    for row in range(rows.shape[0]):
        key = rows[row]
        words = (np.uint64(key[KEY]), np.uint64(key[KEY + 1]), np.uint64(key[KEY + 2]), np.uint64(key[KEY + 3]))
        hashed = hash_of_key(words[0], words[1], words[2], words[3], key[STEP])
        place = place_of(tables, hashed, words[0], words[1], words[2], words[3], key[STEP])
        is_others = key[KEY] == 1 and key[KEY + 1] == 1 and key[KEY + 2] == 0  # these have no lists
        for base in (IN, OUT):
            for word in range(base, base + OUT - IN):
                if is_others or not (word == base + PEERS or word == base + PORTS):
                    tables.cells[place, word] += key[word]
        places[row] = place
    return places


@borrowing
def index_cells(tables: Tables) -> None:
    """Fill the empty slots with the cells that are there."""
    mask = tables.cell_slots.size - 1
    for place in range(tables.numbers[CELLS_USED]):
        key = tables.cells[place]
        hashed = hash_of_key(
            np.uint64(key[KEY]), np.uint64(key[KEY + 1]), np.uint64(key[KEY + 2]), np.uint64(key[KEY + 3]), key[STEP]
        )
        at = np.int64(hashed & np.uint64(0xFFFFFFFF)) & mask
        while tables.cell_slots[at] >= 0:
            at = (at + 1) & mask
        tables.cell_slots[at] = (np.int64(hashed >> np.uint64(33)) << 32) | place


@inlined
def _is_key(keys: Hashes, row: Whole) -> Whole:
    return (keys[row, 0] | keys[row, 1] | keys[row, 2] | keys[row, 3]) != 0


@inlined
def _until(amount: Whole, elapsed: Whole, duration: Whole) -> Whole:
    """How much of an amount falls into the time elapsed: whole, never falling, all of it at the end."""
    if elapsed >= duration:
        return amount
    return min(np.int64(np.float64(amount) * (np.float64(elapsed) / np.float64(duration))), amount)
