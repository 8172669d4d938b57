"""Totals by key in bounded memory, for rankings: top hosts, names, ports."""

from dataclasses import dataclass
from typing import Any

import polars as pl

KEYS_KEPT = 200_000
ROWS_BETWEEN_MERGES = 200_000


@dataclass(frozen=True, slots=True)
class Ranking:
    """The largest keys of a tally with their totals, and how many keys there were."""

    rows: list[dict[str, Any]]
    distinct: int
    approximate: bool  # True where small keys were let go, so that `distinct` is a lower bound

    def as_json(self) -> dict[str, Any]:
        return {"distinct": self.distinct, "approximate": self.approximate, "top": self.rows}


class Tally:
    """Sums by key over many batches. Beyond `keys_kept` keys the smallest by `order` are let go.

    Frames given to `add` hold the key columns and the summed columns; rows without the first key are left out.
    """

    def __init__(self, keys: list[str], sums: list[str], *, order: str, keys_kept: int = KEYS_KEPT) -> None:
        self._keys = keys
        self._sums = sums
        self._order = order
        self._keys_kept = keys_kept
        self._merged: pl.DataFrame | None = None
        self._pending: list[pl.DataFrame] = []
        self._pending_rows = 0
        self._approximate = False

    def add(self, frame: pl.DataFrame) -> None:
        part = self._summed(frame.select(*self._keys, *self._sums).drop_nulls(self._keys[0]))
        if part.is_empty():
            return
        self._pending.append(part)
        self._pending_rows += part.height
        if self._pending_rows >= ROWS_BETWEEN_MERGES:
            self._merge()

    def ranking(self, count: int) -> Ranking:
        """The `count` largest keys; ties are broken by key, so that the same flows always give the same table."""
        self._merge()
        if self._merged is None:
            return Ranking(rows=[], distinct=0, approximate=False)
        ordered = self._merged.sort([self._order, *self._keys], descending=[True, *(False for _ in self._keys)])
        return Ranking(rows=ordered.head(count).to_dicts(), distinct=ordered.height, approximate=self._approximate)

    def _merge(self) -> None:
        if not self._pending:
            return
        parts = self._pending if self._merged is None else [self._merged, *self._pending]
        self._merged = self._summed(pl.concat(parts))
        self._pending, self._pending_rows = [], 0
        if self._merged.height > self._keys_kept:
            self._merged = self._merged.top_k(self._keys_kept // 2, by=self._order)
            self._approximate = True

    def _summed(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.group_by(self._keys).agg(pl.col(self._sums).sum())
