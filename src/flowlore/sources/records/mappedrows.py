"""Frames of somebody's table → batches of the flow table, with every row accounted for."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa

from ..identity import identity_of
from ..source import Account
from .columnmaps import ColumnMap, check_columns, plain
from .mapping import mapped_columns, rows_without_ip
from .rows import flow_rows

NOT_IP = "not-ip"
REPEATED_HEADER = "repeated-header"
OTHER_HALF = "other-half"  # rows that are neither the first nor the second half of a flow

Complete = Callable[[pl.DataFrame, dict[str, Any]], None]


class MappedRows:
    """Makes batches of one input's rows and keeps the account."""

    def __init__(
        self,
        column_map: ColumnMap,
        header: list[str],
        account: Account,
        *,
        source: str,
        capture: str,
        settings: Any = None,
    ) -> None:
        check_columns(column_map, header, capture)
        self.column_map = column_map
        self.account = account
        self.source = source
        self.capture = capture
        self.identity = identity_of(settings)
        self._header = header
        unused = column_map.unused(header)
        account.details.setdefault("tables", {})[capture] = {
            "map": column_map.name,
            "title": column_map.title,
            "columns": len(header),
            "unused": unused,
        }
        if unused:
            account.notes["unused-columns"] += len(unused)

    def batch(self, frame: pl.DataFrame, complete: Complete | None = None) -> pa.RecordBatch | None:
        """The flows of the frame's rows, or None where none of them is one.

        `complete` may add and change columns: it is given the rows that are flows and the columns made of them.
        """
        first_record = self.account.records
        self.account.records += frame.height
        frame = self._without_repeated_headers(frame)
        other = rows_without_ip(frame, self.column_map)
        if other is not None:
            self.account.skipped[NOT_IP] += int(other.sum())
            frame = frame.filter(~other)
        frame = self._first_halves(frame)
        if not frame.height:
            return None
        columns = mapped_columns(frame, self.column_map, self.account.notes)
        if self.column_map.sensor == "zeek":
            from .zeekcolumns import complete_connections

            complete_connections(frame, columns, self.account.notes)
        if complete is not None:
            complete(frame, columns)
        self._default_label_source(columns, frame.height)
        self.account.records_in_flows += frame.height
        self.account.flows += frame.height
        return flow_rows(
            columns,
            frame.height,
            source=self.source,
            capture=self.capture,
            first_record=first_record,
            identity=self.identity,
        )

    def _without_repeated_headers(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Some published files are several, one after the other, each with its header."""
        name = frame.columns[0]
        if frame[name].dtype != pl.String:
            return frame
        repeated = (frame[name] == name).fill_null(False)
        if repeated.any():
            self.account.skipped[REPEATED_HEADER] += int(repeated.sum())
            frame = frame.filter(~repeated)
        return frame

    def _first_halves(self, frame: pl.DataFrame) -> pl.DataFrame:
        halves = self.column_map.halves
        if halves is None:
            return frame
        name = next(item for item in frame.columns if plain(item) == plain(halves.column))
        side = frame[name].cast(pl.String)
        second, first = (side == halves.second).fill_null(False), (side == halves.first).fill_null(False)
        self.account.records_in_flows += int(second.sum())
        self.account.notes["second-half"] += int(second.sum())
        if strays := frame.height - int(second.sum()) - int(first.sum()):
            self.account.skipped[OTHER_HALF] += strays
        return frame.filter(first)

    def _default_label_source(self, columns: dict[str, Any], rows: int) -> None:
        """Who says so, where there is a label: the map's name, unless the map says otherwise."""
        label = columns.get("label")
        if label is None or _nulls(label) == rows:
            return
        given = columns.get("label_source", self.column_map.name)
        series = (
            given
            if isinstance(given, str)
            else pl.Series(pl.from_arrow(given))
            if isinstance(given, pa.Array)
            else given
        )
        known = label.is_not_null() if isinstance(label, pl.Series) else pl.Series(label.is_valid())
        columns["label_source"] = pl.select(
            pl.when(known).then(pl.lit(series) if isinstance(series, str) else series).otherwise(None)
        ).to_series()


def _nulls(values: pl.Series | pa.Array) -> int:
    return values.null_count() if isinstance(values, pl.Series) else int(values.null_count)


def part_of(settings: Any, name: str, kind: type[Any]) -> Any:
    """One source's part of all the sources' settings; its defaults where there is none."""
    if isinstance(settings, kind):
        return settings
    part = getattr(settings, name, None)
    return part if part is not None else kind()
