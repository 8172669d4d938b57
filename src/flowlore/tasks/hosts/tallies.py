"""Counts by number that grow with what was met, not with how often."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
LEAST_PENDING = 65_536
MOST_WORDS = 16_000_000


class Counts:
    """How often each number was met. Of more than `most` numbers those that were met least are forgotten."""

    def __init__(self, most: int = MOST_WORDS) -> None:
        self.most = most
        self._words, self._counts = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        self._pending: list[tuple[Words, Integers]] = []
        self._waiting = 0

    def add(self, words: Words) -> None:
        found, counts = np.unique(words, return_counts=True)
        self._pending.append((found, counts.astype(np.int64)))
        self._waiting += len(found)
        if self._waiting > max(LEAST_PENDING, len(self._words)):
            self._settle()

    def all(self) -> tuple[Words, Integers]:
        """The numbers in order, and how often each was met."""
        self._settle()
        return self._words, self._counts

    def _settle(self) -> None:
        if not self._pending:
            return
        words = np.concatenate([self._words, *(found for found, _ in self._pending)])
        counts = np.concatenate([self._counts, *(count for _, count in self._pending)])
        self._words, places = np.unique(words, return_inverse=True)
        self._counts = np.zeros(len(self._words), np.int64)
        np.add.at(self._counts, places, counts)
        if len(self._words) > self.most:
            stays = np.sort(np.argpartition(-self._counts, self.most)[: self.most])
            self._words, self._counts = self._words[stays], self._counts[stays]
        self._pending, self._waiting = [], 0


class Most:
    """Of each owner the few items that were met most often. An item of an owner comes whole, in one call."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self._held = np.zeros((0, 3), np.int64)  # owner, item, count
        self._pending: list[Integers] = []
        self._waiting = 0

    def add(self, owners: Integers, items: Integers) -> None:
        pairs, counts = np.unique(np.stack([owners, items], axis=1), axis=0, return_counts=True)
        self._pending.append(np.column_stack([pairs, counts]).astype(np.int64))
        self._waiting += len(pairs)
        if self._waiting > max(LEAST_PENDING, len(self._held)):
            self._settle()

    def of(self, owner: int) -> dict[int, int]:
        """Item → count, the most frequent first, of equal ones the lowest."""
        self._settle()
        first, last = np.searchsorted(self._held[:, 0], [owner, owner + 1])
        return {int(item): int(count) for _, item, count in self._held[first:last]}

    def _settle(self) -> None:
        if not self._pending:
            return
        held = np.concatenate([self._held, *self._pending])
        held = held[np.lexsort([held[:, 1], -held[:, 2], held[:, 0]])]
        self._held = held[rank_in_run(held[:, 0]) < self.kept]
        self._pending, self._waiting = [], 0


def rank_in_run(values: npt.NDArray[np.generic]) -> Integers:
    """0, 1, 2, … within each run of equal values."""
    places = np.arange(len(values))
    begins = np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]
    found: Integers = places - np.maximum.accumulate(np.where(begins, places, 0))
    return found
