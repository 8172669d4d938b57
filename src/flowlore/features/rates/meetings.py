"""Who met whom in closed steps: the memory by which new peers are told, in two generations of bounded size."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .distinct import count_new_peers, estimates, remember
from .hashing import hashes_of_keys
from .layout import HELD, REGISTERS, SKETCH, Hashes, Tables, slots_for

MOST_SKETCHED = 4096  # entities with more peers than are listed, whose peers are remembered as a sketch


class Meetings:
    """Remembers the peers of each entity. When a generation is full the older one is forgotten, between two steps."""

    def __init__(self, most: int) -> None:
        self._most = max(most // 2, 1 << 9)
        self._recent = np.zeros(1 << 10, np.uint64)
        self._older = np.zeros(1 << 10, np.uint64)
        self._used = 0
        self._sketched: OrderedDict[int, npt.NDArray[np.uint8]] = OrderedDict()

    def count(
        self, tables: Tables, closing: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], keys: Hashes
    ) -> npt.NDArray[np.int64]:
        """New peers, in and out, of each closing cell; cells are in order of steps."""
        out = np.zeros((len(closing), 2), np.int64)
        entities = hashes_of_keys(keys)
        listed = tables.cells[closing, HELD]
        sketched = tables.cells[closing, SKETCH] >= 0
        bounds = np.flatnonzero(np.diff(steps, prepend=steps[0] - 1, append=steps[-1] + 1))
        for begin, end in pairwise(bounds.tolist()):
            self._make_room(int(listed[begin:end].sum()))
            part = out[begin:end]
            self._used += count_new_peers(
                tables, closing[begin:end], entities[begin:end], self._recent, self._older, part
            )
            for row in np.flatnonzero(sketched[begin:end]) + begin:
                out[row] = self._count_sketched(tables, int(closing[row]), int(entities[row]))
        return out

    @property
    def memory_bytes(self) -> int:
        return self._recent.nbytes + self._older.nbytes + len(self._sketched) * 2 * REGISTERS

    def _count_sketched(self, tables: Tables, cell: int, entity: int) -> tuple[int, int]:
        """Estimated: by how much the sketch of all earlier peers grows."""
        known = self._sketched.pop(entity, None)
        if known is None:
            known = np.zeros((1, 2, REGISTERS), np.uint8)
        now = tables.sketches[int(tables.cells[cell, SKETCH])]
        new = []
        for side in range(2):
            before = known[0].max(axis=0)
            both = np.stack([before, np.maximum(before, now[side])])[:, None, :]
            counts = estimates(np.ascontiguousarray(both), np.arange(2), 0)
            new.append(max(int(counts[1] - counts[0]), 0))
        self._sketched[entity] = np.maximum(known, now[None])
        while len(self._sketched) > MOST_SKETCHED:
            self._sketched.popitem(last=False)
        return new[0], new[1]

    def _make_room(self, wanted: int) -> None:
        if self._used + wanted > self._most and self._used:
            self._older, self._recent = self._recent, np.zeros(1 << 10, np.uint64)
            self._used = 0
        if slots_for(self._used + wanted) > len(self._recent):
            held = self._recent[self._recent != 0]
            self._recent = np.zeros(slots_for(max(self._used + wanted, 2 * len(held))), np.uint64)
            remember(self._recent, held)
