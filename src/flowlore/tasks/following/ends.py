"""Who talks to whom: the rows of a flow table that rates ask for, each with its two ends, its step and its slice.

Rates do not say who a host's peers are. Flows that one host began and another was asked for are put together, as far
as the numbers of both allow; the rest goes to made-up peers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .asked import ACTIVE, BEGUN, PACKETS, PEERS, Asked, Integers, Numbers

Mask = npt.NDArray[np.bool_]

NOBODY = -1
SHUFFLES = 8  # after which a host that would talk to itself gets a made-up peer


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """`[rows]`; `src` and `dst` are cells, `NOBODY` for a made-up peer, and then `peer` is its number at its host."""

    src: Integers
    dst: Integers
    peer: Integers
    flow: Integers  # which flow it is a slice of
    part: Integers  # which slice; above 0 it began in an earlier step, or before the rates
    is_free: Mask  # the rates do not say which end began

    def __len__(self) -> int:
        return len(self.src)

    @property
    def cell(self) -> Integers:
        """A cell of the row, of whichever end has one."""
        return np.where(self.src == NOBODY, self.dst, self.src)


def rows_for(asked: Asked, rng: np.random.Generator) -> Rows:
    """In order of time. Flows that last longer than a step have a slice in each."""
    out, going = _begun_rows(asked), _going_on(asked)
    bounds = np.flatnonzero(np.diff(asked.begin_ns)) + 1
    before: list[_Row] = []
    made: list[_Row] = []
    last_ns = -1
    cell_of = np.full(len(asked.hosts), NOBODY)
    count, family = _Counter(), asked.family
    for cells in np.split(np.arange(len(asked)), bounds):
        begin_ns = int(asked.begin_ns[cells[0]])
        cell_of[:] = NOBODY
        cell_of[asked.host[cells]] = cells
        earlier = before if begin_ns - last_ns == asked.step_ns else []
        left = going[cells].astype(np.int64)
        slices = _later_slices(asked, earlier, cell_of, cells, left, rng)
        before = slices
        for one in np.unique(family[cells]).tolist():
            mine = family[cells] == one
            before += _from_before(np.repeat(cells[mine], left[mine]), rng, count)
            if asked.knows_who_began:
                before += _fresh_pairs(asked, cells[mine], out[cells[mine]], rng, count)
            else:
                begins = np.repeat(cells[mine], out[cells[mine], 1]).tolist()
                before += [_Row(cell, NOBODY, count.next(), 0, True) for cell in begins]
        made += before
        last_ns = begin_ns
    return _with_peers(asked, made, rng)


@dataclass(slots=True)
class _Row:
    src: int
    dst: int
    flow: int
    part: int
    is_free: bool = False


@dataclass(slots=True)
class _Counter:
    given: int = field(default=0)

    def next(self) -> int:
        self.given += 1
        return self.given - 1


def _begun_rows(asked: Asked) -> Integers:
    """Flows that begin [cells, 2 (in, out)]; where rates do not say who began, all of them as `out`."""
    if asked.knows_who_began:
        return asked.amount(BEGUN).astype(np.int64)
    active = asked.amount(ACTIVE).max(axis=1)
    least = asked.amount(PACKETS).max(axis=1) > 0
    return np.stack([np.zeros(len(asked)), np.maximum(active, least)], axis=1).astype(np.int64)


def _going_on(asked: Asked) -> Numbers:
    """Flows of earlier steps that are still there [cells]: those that are active and did not begin."""
    if not asked.knows_who_began:
        return np.zeros(len(asked))
    begun = asked.amount(BEGUN).sum(axis=1)
    active = np.maximum(asked.amount(ACTIVE).max(axis=1), asked.amount(PACKETS).max(axis=1) > 0)
    return np.asarray(np.maximum(active - begun, 0.0))


def _later_slices(
    asked: Asked, earlier: list[_Row], cell_of: Integers, cells: Integers, left: Integers, rng: np.random.Generator
) -> list[_Row]:
    """Flows of the step before that go on, as many as each of their hosts has left; `left` is lowered."""
    if not left.any() or not earlier:
        return []
    first, found = int(cells[0]), []
    for place in rng.permutation(len(earlier)).tolist():
        row = earlier[place]
        ends = [NOBODY if end == NOBODY else int(cell_of[asked.host[end]]) for end in (row.src, row.dst)]
        real = [now for now, end in zip(ends, (row.src, row.dst), strict=True) if end != NOBODY]
        if all(now != NOBODY and left[now - first] > 0 for now in real):
            for now in real:
                left[now - first] -= 1
            found.append(_Row(ends[0], ends[1], row.flow, row.part + 1, row.is_free))
    return found


def _from_before(stubs: Integers, rng: np.random.Generator, count: _Counter) -> list[_Row]:
    """Flows that are there and of which no step before knows: they began before the rates, with whomever."""
    stubs = stubs[rng.permutation(len(stubs))]
    half = len(stubs) // 2
    src, dst = _apart(stubs[:half], stubs[half : 2 * half], rng)
    return _joined(src, dst, [*stubs[2 * half :]], [], count, part=1, is_free=True)


def _fresh_pairs(
    asked: Asked, cells: Integers, begun: Integers, rng: np.random.Generator, count: _Counter
) -> list[_Row]:
    """Those that begin, and those that are asked, with about as many peers each as the rates say."""
    asked_for, begins = (_in_blocks(asked, cells, begun[:, side], rng) for side in (0, 1))
    pairs = min(len(begins), len(asked_for))
    src, dst = _apart(begins[:pairs], asked_for[:pairs], rng)
    return _joined(src, dst, [*begins[pairs:]], [*asked_for[pairs:]], count)


def _in_blocks(asked: Asked, cells: Integers, flows: Integers, rng: np.random.Generator) -> Integers:
    """Each cell as often as it has flows: in as many blocks as it has peers, the largest first, so that blocks of two
    lists that lie beside each other are as long."""
    peers = asked.amount(PEERS).max(axis=1)[cells] if PEERS in asked.amounts else flows
    blocks = []
    for cell, some, most in zip(cells.tolist(), flows.tolist(), peers.tolist(), strict=True):
        if some:
            cuts = rng.choice(max(some - 1, 1), int(np.clip(most, 1, some)) - 1, replace=False) + 1
            sizes = np.diff(np.concatenate([[0], np.sort(cuts), [some]])).astype(int)
            blocks += [(cell, size) for size in sizes.tolist()]
    if not blocks:
        return np.zeros(0, np.int64)
    cell_of, size_of = np.array(blocks, np.int64).T
    order = np.lexsort((rng.random(len(blocks)), -size_of))
    return np.repeat(cell_of[order], size_of[order])


def _apart(src: Integers, dst: Integers, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """The same pairs, some exchanged, so that few are of a host with itself."""
    src, dst = src.copy(), dst.copy()
    for _ in range(SHUFFLES):
        alone = np.flatnonzero(src == dst)
        if not len(alone):
            break
        for place in alone.tolist():
            other = int(rng.integers(len(src)))
            if dst[other] != src[place] and src[other] != dst[place]:
                dst[[place, other]] = dst[[other, place]]
    return src, dst


def _joined(
    src: Integers, dst: Integers, only_src: list[int], only_dst: list[int], count: _Counter, *, part: int = 0,
    is_free: bool = False,
) -> list[_Row]:  # fmt: skip
    """A row for each pair, two with made-up peers where a host would talk to itself, and one for each that is alone."""
    rows = []
    for one, other in zip(src.tolist(), dst.tolist(), strict=True):
        if one == other:
            only_src, only_dst = [*only_src, one], [*only_dst, other]
        else:
            rows.append(_Row(one, other, count.next(), part, is_free))
    rows += [_Row(int(one), NOBODY, count.next(), part, is_free) for one in only_src]
    return rows + [_Row(NOBODY, int(one), count.next(), part, is_free) for one in only_dst]


def _with_peers(asked: Asked, made: list[_Row], rng: np.random.Generator) -> Rows:
    """Made-up peers of each host by number: of a step as many as its rates say, the same ones again and again."""
    src, dst, flow, part = (
        np.array([getattr(row, name) for row in made], np.int64) for name in ("src", "dst", "flow", "part")
    )
    alone = (src == NOBODY) | (dst == NOBODY)
    cell = np.where(src == NOBODY, dst, src)
    _, first = np.unique(flow, return_index=True)
    is_first = np.zeros(len(made), np.bool_)
    is_first[first] = True
    known = np.unique(np.stack([np.concatenate([src, dst]), np.concatenate([dst, src])])[:, np.tile(~alone, 2)], axis=1)
    hosts_met = np.bincount(known[0], minlength=len(asked))
    going_on = np.bincount(cell[alone & ~is_first], minlength=len(asked))
    fresh = np.flatnonzero(alone & is_first)
    flows = np.bincount(cell[fresh], minlength=len(asked))
    wanted = asked.amount(PEERS).max(axis=1) - hosts_met - going_on if PEERS in asked.amounts else flows
    most = np.clip(wanted, 1, np.maximum(flows, 1)).astype(np.int64)
    order = fresh[np.argsort(cell[fresh], kind="stable")]
    place = np.arange(len(order)) - np.repeat(np.cumsum(flows) - flows, flows)
    drawn = np.where(place < most[cell[order]], place, (rng.random(len(order)) * most[cell[order]]).astype(np.int64))
    peer = np.full(len(made), NOBODY)
    peer[order] = drawn
    peer = peer[first][flow]  # later slices have the peer of the first
    return Rows(
        src=src,
        dst=dst,
        peer=np.where(alone, peer, NOBODY),
        flow=flow,
        part=part,
        is_free=np.array([row.is_free for row in made], np.bool_),
    )
