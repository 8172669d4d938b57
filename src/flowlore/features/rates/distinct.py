"""Distinct peers and ports of a cell: listed one by one up to a bound, beyond it a HyperLogLog sketch of all of them.

The count is a function of the set alone: neither the order of flows nor how they were cut changes it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...flows.compiled import borrowing, compiled, inlined, kernel
from .hashing import hash_of_key, hash_of_pair, mix
from .layout import (
    CELLS_USED,
    HEAD,
    HELD,
    IN,
    IS_PORT,
    KEY,
    NOT_COUNTED,
    OUT,
    PAIR_CELL,
    PAIR_HASH,
    PAIR_LINK,
    PAIR_VALUE,
    PAIRS_USED,
    PEERS,
    REGISTERS,
    SEEN_IN,
    SEEN_OUT,
    SKETCH,
    SKETCH_BITS,
    SKETCHES_USED,
    STEP,
    Octets,
    Tables,
    Whole,
)

PLACE_BITS = 0xFFFFFFFF
LINK_SHIFT = 8


@kernel
def observe(
    tables: Tables, cell: Whole, cell_hash: Whole, value: Whole, kind: Whole, seen: Whole, exact_distinct: Whole
) -> None:
    """A cell saw a peer (kind 0) or a port (kind 1), in the directions of `seen`."""
    cells, pairs, slots, numbers = tables.cells, tables.pairs, tables.pair_slots, tables.numbers
    if cells[cell, SKETCH + kind] >= 0:
        _add_to_sketch(tables.sketches, cells[cell, SKETCH + kind], value, seen)
        return
    hashed = hash_of_pair(cell_hash, value, kind)
    mask = slots.size - 1
    mark = np.int64(hashed >> np.uint64(33)) << 32
    at = np.int64(hashed & np.uint64(0xFFFFFFFF)) & mask
    while slots[at] >= 0:
        if (slots[at] & ~PLACE_BITS) == mark:
            pair = slots[at] & PLACE_BITS
            if pairs[pair, PAIR_HASH] == np.int64(hashed) and pairs[pair, PAIR_CELL] == cell:
                _mark(tables, cell, pair, kind, seen & ~pairs[pair, PAIR_LINK])
                return
        at = (at + 1) & mask
    pair = numbers[PAIRS_USED]
    if pair >= pairs.shape[0]:
        numbers[NOT_COUNTED] += 1
        return
    numbers[PAIRS_USED] += 1
    slots[at] = mark | pair
    pairs[pair, PAIR_HASH] = np.int64(hashed)
    pairs[pair, PAIR_VALUE] = np.int64(value)
    pairs[pair, PAIR_CELL] = cell
    pairs[pair, PAIR_LINK] = (cells[cell, HEAD + kind] << LINK_SHIFT) | (IS_PORT if kind else 0)
    cells[cell, HEAD + kind] = pair
    cells[cell, HELD + kind] += 1
    _mark(tables, cell, pair, kind, seen)
    if cells[cell, HELD + kind] > exact_distinct:
        _sketch_list(tables, cell, kind)


@inlined
def _mark(tables: Tables, cell: Whole, pair: Whole, kind: Whole, fresh: Whole) -> None:
    if fresh & SEEN_IN:
        tables.cells[cell, IN + PEERS + kind] += 1
    if fresh & SEEN_OUT:
        tables.cells[cell, OUT + PEERS + kind] += 1
    tables.pairs[pair, PAIR_LINK] |= fresh


@kernel
def _sketch_list(tables: Tables, cell: Whole, kind: Whole) -> None:
    """Move a list into a sketch, if one is free; else it stays a list until one is."""
    numbers = tables.numbers
    sketch = numbers[SKETCHES_USED]
    if sketch >= tables.sketches.shape[0]:
        return
    numbers[SKETCHES_USED] += 1
    tables.sketches[sketch] = 0
    pair = tables.cells[cell, HEAD + kind]
    while pair >= 0:
        link = tables.pairs[pair, PAIR_LINK]
        _add_to_sketch(tables.sketches, sketch, np.uint64(tables.pairs[pair, PAIR_VALUE]), link & (SEEN_IN | SEEN_OUT))
        tables.pairs[pair, PAIR_CELL] = -1
        pair = link >> LINK_SHIFT
    tables.cells[cell, HEAD + kind] = -1
    tables.cells[cell, SKETCH + kind] = sketch


@kernel
def _add_to_sketch(sketches: Octets, sketch: Whole, value: Whole, seen: Whole) -> None:
    hashed = mix(np.uint64(value) + np.uint64(0x632BE59BD9B4E019))
    register = np.int64(hashed & np.uint64(REGISTERS - 1))
    rest = hashed >> np.uint64(SKETCH_BITS)
    rank = 1
    while rank < 54 and (rest & np.uint64(1)) == 0:
        rest >>= np.uint64(1)
        rank += 1
    if seen & SEEN_IN:
        sketches[sketch, 0, register] = max(sketches[sketch, 0, register], rank)
    if seen & SEEN_OUT:
        sketches[sketch, 1, register] = max(sketches[sketch, 1, register], rank)


@borrowing
def sketch_long_lists(tables: Tables, exact_distinct: Whole) -> Whole:
    """Move every list that is over the bound into a sketch; how many found none free."""
    left = 0
    for cell in range(tables.numbers[CELLS_USED]):
        for kind in range(2):
            if tables.cells[cell, SKETCH + kind] < 0 and tables.cells[cell, HELD + kind] > exact_distinct:
                _sketch_list(tables, cell, kind)
                left += tables.cells[cell, SKETCH + kind] < 0
    return left


@borrowing
def index_pairs(tables: Tables) -> None:
    """Fill the empty slots with the pairs that are there, and list them by their cells again."""
    pairs, slots = tables.pairs, tables.pair_slots
    mask = slots.size - 1
    for cell in range(tables.numbers[CELLS_USED]):
        tables.cells[cell, HEAD] = tables.cells[cell, HEAD + 1] = -1
    for pair in range(tables.numbers[PAIRS_USED]):
        cell, kind = pairs[pair, PAIR_CELL], 1 if pairs[pair, PAIR_LINK] & IS_PORT else 0
        pairs[pair, PAIR_LINK] = (tables.cells[cell, HEAD + kind] << LINK_SHIFT) | (
            pairs[pair, PAIR_LINK] & (SEEN_IN | SEEN_OUT | IS_PORT)
        )
        tables.cells[cell, HEAD + kind] = pair
        hashed = np.uint64(pairs[pair, PAIR_HASH])
        at = np.int64(hashed & np.uint64(0xFFFFFFFF)) & mask
        while slots[at] >= 0:
            at = (at + 1) & mask
        slots[at] = (np.int64(hashed >> np.uint64(33)) << 32) | pair


@borrowing
def merge_lists(tables: Tables, other: Tables, places: npt.NDArray[np.int64], exact_distinct: Whole) -> None:
    """Let the cells see what the cells of `other` saw; `places` says which of ours each of theirs is."""
    for theirs in range(other.numbers[CELLS_USED]):
        for kind in range(2):
            from_ = other.cells[theirs, SKETCH + kind]
            if from_ < 0:
                continue
            cell = places[theirs]
            if tables.cells[cell, SKETCH + kind] < 0:
                _sketch_list(tables, cell, kind)
            into = tables.cells[cell, SKETCH + kind]
            for side in range(2):
                for register in range(REGISTERS):
                    tables.sketches[into, side, register] = max(
                        tables.sketches[into, side, register], other.sketches[from_, side, register]
                    )
    for pair in range(other.numbers[PAIRS_USED]):
        theirs, link = other.pairs[pair, PAIR_CELL], other.pairs[pair, PAIR_LINK]
        if theirs < 0:
            continue
        cell = places[theirs]
        ours = tables.cells[cell]
        hashed = hash_of_key(
            np.uint64(ours[KEY]), np.uint64(ours[KEY + 1]), np.uint64(ours[KEY + 2]), np.uint64(ours[KEY + 3]),
            ours[STEP],
        )  # fmt: skip
        kind = 1 if link & IS_PORT else 0
        value = np.uint64(other.pairs[pair, PAIR_VALUE])
        observe(tables, cell, hashed, value, kind, link & (SEEN_IN | SEEN_OUT), exact_distinct)


@compiled
def estimates(sketches: Octets, chosen: npt.NDArray[np.int64], side: Whole) -> npt.NDArray[np.int64]:
    """How many were added to each chosen sketch, within 2.3 % (one standard error); 0 where there is none (-1)."""
    out = np.zeros(chosen.size, np.int64)
    for row in range(chosen.size):
        if chosen[row] < 0:
            continue
        total, empty = 0.0, 0
        for register in range(REGISTERS):
            rank = sketches[chosen[row], side, register]
            total += 2.0 ** -np.float64(rank)
            empty += rank == 0
        estimate = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS * REGISTERS / total
        if estimate <= 2.5 * REGISTERS and empty > 0:
            estimate = REGISTERS * np.log(REGISTERS / empty)
        out[row] = np.int64(np.rint(estimate))
    return out


@borrowing
def count_new_peers(
    tables: Tables,
    closing: npt.NDArray[np.int64],
    entities: npt.NDArray[np.uint64],
    recent: npt.NDArray[np.uint64],
    older: npt.NDArray[np.uint64],
    new_peers: npt.NDArray[np.int64],
) -> Whole:
    """How many listed peers of each closing cell of one step its entity had not met; all are remembered in `recent`.

    The caller has seen that `recent` has room; gives how many were remembered anew.
    """
    remembered = 0
    for row in range(closing.size):
        pair = tables.cells[closing[row], HEAD]
        while pair >= 0:
            link = tables.pairs[pair, PAIR_LINK]
            meeting = mix(entities[row] ^ (np.uint64(tables.pairs[pair, PAIR_VALUE]) * np.uint64(0x9E3779B97F4A7C15)))
            meeting = max(meeting, np.uint64(1))
            if _is_in(recent, meeting) < 0:
                pair = link >> LINK_SHIFT
                continue
            is_new = _is_in(older, meeting) >= 0
            recent[_is_in(recent, meeting)] = meeting
            remembered += 1
            if is_new:
                new_peers[row, 0] += (link & SEEN_IN) != 0
                new_peers[row, 1] += (link & SEEN_OUT) != 0
            pair = link >> LINK_SHIFT
    return remembered


@borrowing
def remember(held: npt.NDArray[np.uint64], meetings: npt.NDArray[np.uint64]) -> None:
    """Put meetings that are distinct into an empty table with room for them."""
    for row in range(meetings.size):
        at = _is_in(held, meetings[row])
        if at >= 0:
            held[at] = meetings[row]


@inlined
def _is_in(held: npt.NDArray[np.uint64], meeting: Whole) -> Whole:
    """-1 where it is held, else the free place for it."""
    mask = held.size - 1
    at = np.int64(meeting & np.uint64(0x7FFFFFFFFFFFFFFF)) & mask
    while held[at] != 0:
        if held[at] == meeting:
            return -1
        at = (at + 1) & mask
    return at
