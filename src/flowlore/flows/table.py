"""`Flows`: the flow table in Python. It never changes; every operation gives a new one over the same memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import MissingDependency, QueryError
from ..registry import nearest_name_hint
from .schema import arrow_schema
from .text import with_text

if TYPE_CHECKING:
    import pandas
    import polars

    from .summary import Summary

SHOWN_ROWS = 10
SHOWN_COLUMNS = (
    "start",
    "duration_ns",
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "protocol",
    "packets_fwd",
    "packets_rev",
    "bytes_fwd",
    "bytes_rev",
    "app_protocol",
    "server_name",
    "label",
)


class Flows:
    """One row is one bidirectional flow. `account` says what was read and where it went, where a reader gives it."""

    __slots__ = ("_table", "account")

    def __init__(self, table: pa.Table | pa.RecordBatch, account: Any = None) -> None:
        self._table: pa.Table = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
        self.account = account

    @classmethod
    def from_batches(cls, batches: Iterable[pa.RecordBatch], account: Any = None) -> Flows:
        """All batches as one table, without a copy; none give the empty table with every column."""
        held = list(batches)
        return cls(pa.Table.from_batches(held, schema=held[0].schema if held else arrow_schema()), account)

    @property
    def column_names(self) -> list[str]:
        return list(self._table.column_names)

    def to_arrow(self) -> pa.Table:
        """The table as it is: addresses, MACs and flow ids are bytes."""
        return self._table

    def to_batches(self, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
        """Batches of at most so many rows, without a copy."""
        return iter(self._table.to_batches(max_chunksize=rows))

    def to_polars(self) -> polars.DataFrame:
        """A polars frame; addresses, MACs and flow ids are text."""
        import polars

        frame = polars.from_arrow(with_text(self._table))
        assert isinstance(frame, polars.DataFrame)
        return frame

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas frame over Arrow types, so that nulls stay null; addresses, MACs and flow ids are text."""
        try:
            import pandas
        except ImportError as error:
            raise MissingDependency(
                "flows: `to_pandas` needs the package `pandas`, which is not installed",
                hint="pip install 'flowlore[pandas]', or use `to_polars`",
            ) from error
        return with_text(self._table).to_pandas(types_mapper=pandas.ArrowDtype)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("flows are columns, not rows: use `flows.to_polars().iter_rows(named=True)`, or `to_batches`")

    def __getitem__(self, wanted: Any) -> Any:
        """`flows["bytes_fwd"]` is a column; `flows[10:20]` and `flows[mask]` are flows. A null in a mask is no."""
        if isinstance(wanted, str):
            self._check_columns([wanted])
            return self._table.column(wanted)
        if isinstance(wanted, slice):
            start, stop, step = wanted.indices(len(self))
            if step == 1:
                return Flows(self._table.slice(start, max(stop - start, 0)), self.account)
            return Flows(self._table.take(pa.array(range(start, stop, step), pa.int64())), self.account)
        return Flows(self._table.filter(self._mask(wanted)), self.account)

    def where(self, expression: str) -> Flows:
        """Flows for which a DuckDB expression is true: `flows.where("dst_port = 443 and bytes_rev > 1e6")`."""
        from .filter import RowFilter

        with RowFilter(expression, self._table.schema) as keep:
            batches = [keep(batch) for batch in self._table.to_batches()]
        return Flows(pa.Table.from_batches(batches, schema=self._table.schema), self.account)

    def select(self, columns: str | Sequence[str]) -> Flows:
        """Only these columns, in this order; a single name is one column."""
        columns = [columns] if isinstance(columns, str) else list(columns)
        self._check_columns(columns)
        return Flows(self._table.select(columns), self.account)

    def sort(self) -> Flows:
        """By `start`, `flow_id` and `part`, the order in which equal flows make an equal table; nulls last."""
        keys = [self._sort_key(name) for name in ("part", "flow_id", "start") if name in self._table.column_names]
        parts = [part for key in keys for part in key]
        if not parts or not len(self):
            return self
        order = np.lexsort(parts)
        if np.array_equal(order, np.arange(len(self))):
            return self
        return Flows(self._table.combine_chunks().take(pa.array(order)), self.account)

    def summary(self) -> Summary:
        """What is in the table, in numbers and names."""
        from .summary import Summarizer

        summarizer = Summarizer()
        for batch in self._table.to_batches():
            summarizer.add(batch)
        return summarizer.summary()

    def write(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write to `.parquet`, `.csv`, `.jsonl` (also with `.gz`, `.zst`), or to a lake: a name that ends with `/`."""
        from .write import open_writer

        with open_writer(path, overwrite=overwrite) as writer:
            for batch in self._table.to_batches():
                writer.write(batch)
            writer.commit()

    def equals(self, other: Flows) -> bool:
        """Equal rows in the same order, however they are cut into chunks."""
        return bool(self._table.equals(other._table))

    def __repr__(self) -> str:
        if not len(self):
            return self._headline()
        import polars

        with polars.Config(
            tbl_width_chars=200, tbl_cols=-1, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True
        ):
            return f"{self._headline()}\n{self._shown()}"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(self._headline())}</p>{self._shown()._repr_html_() if len(self) else ''}"

    def _headline(self) -> str:
        import pyarrow.compute as pc

        text = f"Flows: {len(self):,} rows, {self._table.num_columns} columns"
        if "start" in self._table.column_names and len(self):
            ends = pc.min_max(self._table["start"])
            if ends["min"].is_valid:
                first, last = (
                    pc.strftime(ends[end], format="%Y-%m-%d %H:%M:%S").as_py()[:19] for end in ("min", "max")
                )
                text += f", {first} to {last} UTC"
        return text

    def _shown(self) -> polars.DataFrame:
        known = [name for name in SHOWN_COLUMNS if name in self._table.column_names]
        head = self._table.slice(0, SHOWN_ROWS).select(known or self._table.column_names[:12])
        return Flows(head).to_polars()

    def _check_columns(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._table.column_names:
                raise QueryError(
                    f"flows: there is no column `{name}`", hint=nearest_name_hint(name, self._table.column_names)
                )

    def _mask(self, wanted: Any) -> Any:
        if not isinstance(wanted, pa.Array | pa.ChunkedArray):
            to_arrow = getattr(wanted, "to_arrow", None)  # a polars series
            wanted = to_arrow() if to_arrow else pa.array(np.atleast_1d(np.asarray(wanted)))
        if not pa.types.is_boolean(wanted.type):
            raise TypeError("flows are chosen by a column's name, a slice or a mask of booleans")
        if len(wanted) != len(self):
            raise ValueError(f"the mask has {len(wanted):,} rows, the flows {len(self):,}")
        return wanted

    def _sort_key(self, name: str) -> list[Any]:
        """Columns for `lexsort`, the least important first."""
        column = self._table.column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
        is_null = column.is_null().to_numpy(zero_copy_only=False)
        if pa.types.is_fixed_size_binary(column.type):
            width = column.type.byte_width
            if width != 16 or column.null_count == len(column):
                return [is_null]
            words = np.frombuffer(column.buffers()[1], ">u8")[2 * column.offset : 2 * (column.offset + len(column))]
            high, low = words[0::2].astype(np.uint64), words[1::2].astype(np.uint64)
            high[is_null] = low[is_null] = 0
            return [low, high, is_null]
        plain = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        values = plain.fill_null(0).to_numpy(zero_copy_only=False)
        return [values, is_null]


def concat(flows: Iterable[Flows]) -> Flows:
    """One table after another, without a copy. A column that one of them lacks is null there."""
    tables = [part.to_arrow() for part in flows]
    return Flows(pa.concat_tables(tables, promote_options="default") if tables else arrow_schema().empty_table())
