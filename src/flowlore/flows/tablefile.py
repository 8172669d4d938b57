"""Any table to a `.parquet`, `.csv` or `.jsonl` file, batch after batch; nothing unfinished has the final name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from ..errors import OutputError
from .place import FileInTheMaking, output_errors
from .write import COMPRESSIONS, SUFFIXES, form_of


class TableFile:
    """Takes batches of one schema; `commit` makes the file appear. With `with`, an end without `commit` removes it."""

    def __init__(self, path: str | Path, schema: pa.Schema, *, overwrite: bool = False) -> None:
        self.path, self.schema, self.rows = str(path), schema, 0
        self._form, self._compression = _form(self.path)
        with output_errors(self.path):
            self._place = _place(self.path, overwrite)
        self._writer: Any = self._parquet() if self._form == ".parquet" else self._lines()

    def write(self, batch: pa.RecordBatch) -> None:
        if self._form == ".parquet":
            with output_errors(self.path):
                self._writer.write_batch(batch)
        else:
            self._writer.write(batch)
        self.rows += batch.num_rows

    def commit(self, metadata: Mapping[str, str] | None = None) -> None:
        """End the file. Parquet keeps `metadata`, which may be known only now; text has no room for it."""
        from .. import __version__

        if self._form != ".parquet":
            if not self.rows:
                self._writer.write(pa.RecordBatch.from_pylist([], schema=self.schema))
            self._writer.commit()
            return
        with output_errors(self.path):
            about = {f"flowlore.{name}": value for name, value in (metadata or {}).items()}
            self._writer.add_key_value_metadata({**about, "flowlore.version": __version__})
            self._writer.close()
        self._place.commit()

    def abort(self) -> None:
        """Remove what was written. Harmless after `commit`."""
        if self._form == ".parquet":
            self._writer.is_open = False
        with suppress(Exception):
            self._place.abort()

    def __enter__(self) -> TableFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _parquet(self) -> Any:
        import pyarrow.parquet as pq

        with output_errors(self.path):
            return pq.ParquetWriter(self._place.stream, self.schema, compression="zstd", compression_level=1)

    def _lines(self) -> Any:
        from .lines import LinesWriter

        return LinesWriter(self._place, "csv" if self._form == ".csv" else "jsonl", self._compression)


def _place(path: str, overwrite: bool) -> Any:
    if path == "-":
        from .lines import StandardOutput

        return StandardOutput()
    return FileInTheMaking(path, overwrite=overwrite)


def _form(path: str) -> tuple[str, str | None]:
    if path == "-":
        return ".jsonl", None
    form, compression = form_of(path)
    if form is None or (form == ".parquet" and compression):
        raise OutputError(
            f"output: what to write is not known from the name `{path}`",
            hint=f"end it with {', '.join(SUFFIXES)}; text also with {' or '.join(COMPRESSIONS)}",
        )
    return form, compression
