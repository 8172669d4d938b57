"""The table of tokens: a row for each that was ever met, found by its 64 bits, so that no two tokens share a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int32]

ROWS_AT_ONCE = 16_384
_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Keys:
    """Numbers that differ, each with the place where it stands."""

    held: Hashes

    def __len__(self) -> int:
        return len(self.held)

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        return np.argsort(self.held, kind="stable")

    def places(self, wanted: Hashes) -> Places:
        """Where each stands, -1 where nowhere; 0 is nowhere."""
        if not len(self.held):
            return np.full(wanted.shape, -1, np.int32)
        found = self._order[np.minimum(np.searchsorted(self.held, wanted, sorter=self._order), len(self.held) - 1)]
        return np.where((self.held[found] == wanted) & (wanted != 0), found, -1).astype(np.int32)

    def with_new(self, keys: Hashes) -> Keys:
        """Those that were not there stand behind the others, in order of size."""
        new = np.unique(keys[(self.places(keys) < 0) & (keys != 0)])
        return Keys(np.concatenate([self.held, new]))


def first_vectors(keys: Hashes, width: int, seed: int) -> Floats:
    """Small random numbers that depend on a token and the seed only, whatever else is learnt."""
    vectors = np.empty((len(keys), width), np.float32)
    columns = (np.arange(1, width + 1, dtype=np.uint64) * _ODD[0]) ^ np.uint64(seed)
    for first in range(0, len(keys), ROWS_AT_ONCE):
        mixed = keys[first : first + ROWS_AT_ONCE, None] ^ columns
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _ODD[1]
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _ODD[2]
        mixed ^= mixed >> np.uint64(31)
        vectors[first : first + len(mixed)] = ((mixed >> np.uint64(40)).astype(np.float32) / 2**24 - 0.5) / width
    return vectors


def nearest_vectors(rows: Places, vectors: Floats) -> Floats:
    """Of each word the row of the last token that there is, [words, width]; zeros where it has none."""
    found = np.zeros((len(rows), vectors.shape[1]), np.float32)
    for column in range(rows.shape[1]):
        there = rows[:, column] >= 0
        found[there] = vectors[rows[there, column]]
    return found
