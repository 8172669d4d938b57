"""What several logs say of one connection, held until the connection itself is read."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

KEY = "key"
LINES = "lines"


class Pool:
    """Rows by key (a uid, a flow's number as text), the first of each key kept. Looking a key up marks its row as used.

    `lines` counts how many lines of the log stand behind a row.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._frame = pl.DataFrame(schema={**schema, KEY: pl.String, LINES: pl.Int64})
        self._added: list[pl.DataFrame] = []
        self._used = np.zeros(0, np.bool_)
        self._hashes = np.zeros(0, np.uint64)
        self._order = np.zeros(0, np.int64)

    def __len__(self) -> int:
        self._settle()
        return self._frame.height

    @property
    def unused_lines(self) -> int:
        """Lines behind the rows that nobody looked up."""
        return int(self.unused()[LINES].sum())

    def add(self, frame: pl.DataFrame) -> None:
        """Rows with `key` and any of the schema's columns; `lines` is 1 for each where it is not given."""
        if LINES not in frame.columns:
            frame = frame.with_columns(pl.lit(1, pl.Int64).alias(LINES))
        if frame.height:
            self._added.append(frame.select(self._frame.columns))

    def look_up(self, keys: pl.Series) -> tuple[pl.DataFrame, int]:
        """The row of each key (nulls where there is none), and the lines behind rows that were not used before."""
        self._settle()
        if not self._frame.height:
            return self._frame.clear(len(keys)), 0
        wanted = keys.hash().to_numpy()
        place = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        row = self._order[place]
        alike = (self._hashes[place] == wanted) & (self._frame[KEY].gather(row) == keys).fill_null(False).to_numpy()
        fresh = np.unique(row[alike])
        fresh = fresh[~self._used[fresh]]
        self._used[fresh] = True
        return _rows_or_null(self._frame, row, alike), int(self._frame[LINES].gather(fresh).sum())

    def unused(self) -> pl.DataFrame:
        """Rows that nobody looked up."""
        self._settle()
        return self._frame.filter(pl.Series(~self._used))

    def forget_used(self) -> None:
        """Keep only rows that nobody looked up."""
        self._frame = self.unused()
        self._used = np.zeros(self._frame.height, np.bool_)
        self._index()

    def _settle(self) -> None:
        """Take in what was added: the first row of a key stays, with the lines of all."""
        if not self._added:
            return
        values = [name for name in self._frame.columns if name not in (KEY, LINES)]
        old = self._frame.with_columns(pl.Series("used", self._used))
        new = [frame.with_columns(pl.lit(False).alias("used")) for frame in self._added]
        self._added = []
        merged = (
            pl.concat([old, *new])
            .group_by(KEY, maintain_order=True)
            .agg(*(pl.col(name).drop_nulls().first() for name in values), pl.col(LINES).sum(), pl.col("used").first())
        )
        self._used = merged["used"].to_numpy().copy()
        self._frame = merged.select(self._frame.columns)
        self._index()

    def _index(self) -> None:
        hashes = self._frame[KEY].hash().to_numpy()
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]


def coalesced(columns: Sequence[pl.Series]) -> pl.Series:
    """The first value in each row that is not null."""
    return pl.select(pl.coalesce([pl.lit(column) for column in columns])).to_series()


def _rows_or_null(frame: pl.DataFrame, rows: np.ndarray[Any, Any], alike: np.ndarray[Any, Any]) -> pl.DataFrame:
    places = pl.select(pl.when(pl.Series(alike)).then(pl.Series(rows))).to_series()
    return frame.select(pl.all().gather(places))
