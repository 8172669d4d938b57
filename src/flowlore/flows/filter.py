"""Rows for which a DuckDB expression is true, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

import pyarrow as pa

from ..errors import QueryError
from .query import VIEW, FlowDatabase


class RowFilter:
    """A `where` expression, checked once against a schema and then applied to any number of batches.

    Addresses, MACs and flow ids are text in the expression. Rows for which it is false or null are counted
    in `filtered`.

    >>> with RowFilter("dst_port = 443", pa.schema([("dst_port", pa.uint16())])) as keep:
    ...     keep(pa.record_batch({"dst_port": pa.array([443, 80, None], pa.uint16())})).num_rows, keep.filtered
    (1, 2)
    """

    def __init__(self, expression: str, schema: pa.Schema) -> None:
        if not expression.strip():
            raise QueryError("where: the expression is empty", hint="write a condition such as `dst_port = 443`")
        self.expression = expression
        self.filtered = 0
        self._question = f"select coalesce(cast((\n{expression}\n) as boolean), false) as keep from {VIEW}"
        self._database = FlowDatabase(threads=1)  # one thread keeps the order of the rows
        try:
            self.columns: list[str] = schema.names  # those that the expression touches, once it is checked
            self._require_condition(schema)
            self._kept(schema.empty_table(), 0)
            self.columns = self._database.columns_of(self._question)
        except BaseException:
            self.close()
            raise

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows to keep, in their order."""
        if not batch.num_rows:
            return batch
        kept = batch.filter(self._kept(batch, batch.num_rows))
        self.filtered += batch.num_rows - kept.num_rows
        return kept

    def over(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What is kept of each batch; a batch of which nothing is kept is left out."""
        for batch in batches:
            kept = self(batch)
            if kept.num_rows:
                yield kept

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> RowFilter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_condition(self, schema: pa.Schema) -> None:
        """What is neither true nor false of a flow, such as a number or a text, is refused."""
        self._database.show(schema.empty_table())
        answer = self._database.ask(
            f"select (\n{self.expression}\n) as keep from {VIEW}", what="where", written=self.expression
        )
        kind = answer.schema.field(0).type
        if not (pa.types.is_boolean(kind) or pa.types.is_null(kind)):
            raise QueryError(
                f"where: `{self.expression}` is no condition: it is neither true nor false, but {kind}",
                hint="compare it with something, such as `dst_port = 443` or `server_name is not null`",
            )

    def _kept(self, rows: pa.RecordBatch | pa.Table, count: int) -> Any:
        # a view needs a column, and an expression may touch none (`true`)
        self._database.show(rows.select(self.columns or rows.schema.names[:1]))
        answer = self._database.ask(self._question, what="where", written=self.expression)
        if answer.num_rows != count or answer.num_columns != 1:
            raise QueryError(
                f"where: `{self.expression}` is not a condition on one row",
                hint="write a condition such as `dst_port = 443 and bytes_rev > 1000`; `query` takes whole SQL",
            )
        keep = answer.column(0).combine_chunks()
        return pa.concat_arrays(keep.chunks) if isinstance(keep, pa.ChunkedArray) else keep
