"""Batches whose flows are answered in another order than they came in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Held = TypeVar("Held")


@dataclass(eq=False, slots=True)
class _Batch(Generic[Held]):
    held: Held
    first: int
    missing: int


class HeldBatches(Generic[Held]):
    """Holds what belongs to a batch until all of its flows were answered. Flows are counted since the beginning.

    >>> batches = HeldBatches[str]()
    >>> batches.add("a", 2)
    >>> batches.add("b", 3)
    >>> [(held, here.tolist(), places.tolist()) for held, here, places in batches.of(np.array([4, 0, 1]))]
    [('a', [1, 2], [0, 1]), ('b', [0], [2])]
    >>> batches.answered(np.array([4, 0, 1]))
    >>> list(batches.complete())
    ['a']
    """

    def __init__(self) -> None:
        self._batches: list[_Batch[Held]] = []
        self._rows = 0

    def add(self, held: Held, rows: int) -> None:
        self._batches.append(_Batch(held, self._rows, rows))
        self._rows += rows

    def of(self, rows: Integers) -> Iterator[tuple[Held, Integers, Integers]]:
        """By batch: which of these rows are of it, and their places in it."""
        for batch, here in self._by_batch(rows):
            yield batch.held, here, rows[here] - batch.first

    def answered(self, rows: Integers) -> None:
        for batch, here in self._by_batch(rows):
            batch.missing -= len(here)

    def complete(self) -> Iterator[Held]:
        """What was held of batches that are answered, in the order in which they came; those after an open one wait."""
        while self._batches and not self._batches[0].missing:
            yield self._batches.pop(0).held

    def _by_batch(self, rows: Integers) -> Iterator[tuple[_Batch[Held], Integers]]:
        if not len(rows):
            return
        firsts = np.array([batch.first for batch in self._batches], np.int64)
        owner = np.searchsorted(firsts, rows, side="right") - 1
        order = np.argsort(owner, kind="stable")
        bounds = np.flatnonzero(np.diff(owner[order])) + 1
        for here in np.split(order, bounds):
            yield self._batches[owner[here[0]]], here
