"""CSV and JSON lines: one flow a line, addresses and times as text, lists as JSON arrays."""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from io import BytesIO
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from .compiled import borrowing
from .place import STANDARD_OUTPUT, FileInTheMaking, output_errors
from .schema import arrow_schema
from .text import with_text
from .write import FlowWriter

ROWS_AT_ONCE = 16_384
Bytes = npt.NDArray[np.uint8]


class StandardOutput:
    """Standard output as a place to write to: there is nothing to rename and nothing to take back."""

    path = STANDARD_OUTPUT

    def __init__(self) -> None:
        self.stream: Any = _Whole(sys.stdout.buffer)

    def commit(self) -> None:
        with output_errors(self.path):
            self.stream.flush()

    def abort(self) -> None:
        pass


class _Whole:
    """A stream that writes all it is given, or fails: an unbuffered one (`PYTHONUNBUFFERED=1`) may take only a part."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            taken = self._stream.write(left)
            if taken is None:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            left = left[taken:]
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


class LinesWriter(FlowWriter):
    """CSV with a header, or JSON lines in which a key without a value is left out (the first, `start`, stays)."""

    def __init__(
        self, place: FileInTheMaking | StandardOutput, form: Literal["csv", "jsonl"], compression: str | None = None
    ) -> None:
        super().__init__()
        self._place = place
        self._form = form
        self._has_header = False
        self._stream = pa.CompressedOutputStream(place.stream, compression) if compression else place.stream
        self._is_compressed = compression is not None

    def _write(self, batch: pa.RecordBatch) -> None:
        for first in range(0, max(batch.num_rows, 1), ROWS_AT_ONCE):
            rows = batch.slice(first, ROWS_AT_ONCE)
            data = self._csv(rows) if self._form == "csv" else json_lines(rows)
            with output_errors(self._place.path):
                self._stream.write(data)

    def _commit(self) -> None:
        with output_errors(self._place.path):
            if self._form == "csv" and not self._has_header:
                self._stream.write(self._csv(pa.RecordBatch.from_pylist([], schema=arrow_schema())))
            if self._is_compressed:
                self._stream.close()
        self._place.commit()

    def _abort(self) -> None:
        if self._is_compressed:
            with suppress(OSError, pa.ArrowException):
                self._stream.close()
        self._place.abort()

    def _csv(self, rows: pa.RecordBatch) -> bytes:
        frame = _text_frame(rows)
        frame = frame.with_columns(_json_array(column) for column in frame if column.dtype.is_nested())
        text = BytesIO()
        frame.write_csv(text, include_header=not self._has_header)
        self._has_header = True
        return text.getvalue()


def json_lines(rows: pa.RecordBatch) -> bytes:
    """One object a line; a key without a value is left out, but for the first."""
    frame = _text_frame(rows)
    known = [name for index, name in enumerate(frame.columns) if not index or frame[name].null_count() < len(frame)]
    text = BytesIO()
    if len(frame):
        frame.select(known).write_ndjson(text)
    data = np.frombuffer(text.getvalue(), np.uint8)
    if not data.size:
        return b""
    kept = np.empty(data.size, np.uint8)
    return kept[: _without_nulls(data, kept)].tobytes()


def _json_array(column: pl.Series) -> pl.Series:
    """Lists as text; a null stays one."""
    inner = getattr(column.dtype, "inner", None)
    if inner is not None and inner.is_numeric():
        lists = column.cast(pl.List(inner)).cast(pl.List(pl.String)).list.join(",")
        return ("[" + lists + "]").alias(column.name)
    texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_list()]
    return pl.Series(column.name, texts, pl.String)


def _text_frame(rows: pa.RecordBatch) -> pl.DataFrame:
    rows = with_text(rows)
    columns, names = list(rows.columns), rows.schema.names
    for index, column in enumerate(columns):
        if pa.types.is_timestamp(column.type):
            columns[index] = pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
    frame = pl.from_arrow(pa.RecordBatch.from_arrays(columns, names=names))
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.col(pl.Binary).bin.encode("hex"))


@borrowing
def _without_nulls(data: Bytes, kept: Bytes) -> int:
    """Copy JSON text without each `,"name":null`. Within a string that cannot stand: its quotes would be escaped."""
    at, size = 0, 0
    end = data.size
    while at < end:
        if data[at] == 44 and at + 1 < end and data[at + 1] == 34:  # `,"`
            after = at + 2
            while after < end and (97 <= data[after] <= 122 or data[after] == 95 or 48 <= data[after] <= 57):
                after += 1
            if (
                after + 5 < end
                and after > at + 2
                and data[after] == 34
                and data[after + 1] == 58
                and data[after + 2] == 110
                and data[after + 3] == 117
                and data[after + 4] == 108
                and data[after + 5] == 108
            ):
                at = after + 6
                continue
        kept[size] = data[at]
        size += 1
        at += 1
    return size
