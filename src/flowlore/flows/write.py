"""Flows to a file or a lake: the format is told by the name, and nothing unfinished ever has the final name."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from ..errors import OutputError
from .place import FileInTheMaking, output_errors
from .schema import SCHEMA_VERSION

SUFFIXES = (".parquet", ".csv", ".jsonl", ".ndjson")
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


class FlowWriter(ABC):
    """Takes batches; `commit` makes the output appear. Left by an exception, it leaves nothing behind.

    With `with`, an end without exception commits.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.is_repeat = False  # after `commit`: a lake held all of it already
        self._is_open = True

    def write(self, batch: pa.RecordBatch) -> None:
        self._write(batch)
        self.rows += batch.num_rows

    def commit(self) -> None:
        if self._is_open:
            self._commit()
            self._is_open = False

    def abort(self) -> None:
        """Remove what was written. Harmless after `commit`."""
        if self._is_open:
            self._is_open = False
            self._abort()

    def __enter__(self) -> FlowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.commit()
        finally:
            self.abort()

    @abstractmethod
    def _write(self, batch: pa.RecordBatch) -> None: ...

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _abort(self) -> None: ...


def open_writer(
    path: str | Path,
    *,
    overwrite: bool = False,
    metadata: Mapping[str, str] | None = None,
    background: bool = False,
    also: tuple[str, ...] = (),
) -> FlowWriter:
    """A writer for `.parquet`, `.csv`, `.jsonl` or `.ndjson` (the text forms also with `.gz` or `.zst`), `-` for JSON
    lines on standard output, and a lake for an existing folder or a name that ends with `/`.

    `metadata` (the resolved config, its hash) is kept in Parquet beside the versions. With `background` the writing
    runs in a thread beside the caller, at most two batches behind. `also` are endings that the caller writes by itself,
    which the message about an unknown one names too.
    """
    writer = _open(str(path), overwrite, metadata or {}, also)
    return BackgroundWriter(writer) if background else writer


def file_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """What every Parquet file that we write says about itself."""
    from .. import __version__

    return {
        "flowlore.schema_version": str(SCHEMA_VERSION),
        "flowlore.version": __version__,
        **{key if key.startswith("flowlore.") else f"flowlore.{key}": value for key, value in metadata.items()},
    }


class BackgroundWriter(FlowWriter):
    """Another writer, moved into a thread of its own. What it raises is raised by the next call."""

    def __init__(self, writer: FlowWriter) -> None:
        super().__init__()
        self._writer = writer
        self._batches: queue.Queue[pa.RecordBatch | None] = queue.Queue(maxsize=2)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="flow-writer", daemon=True)
        self._thread.start()

    def _write(self, batch: pa.RecordBatch) -> None:
        self._raise_failure()
        self._batches.put(batch)

    def _commit(self) -> None:
        self._finish()
        self._raise_failure()
        self._writer.commit()
        self.is_repeat = self._writer.is_repeat

    def _abort(self) -> None:
        self._finish()
        self._writer.abort()

    def _finish(self) -> None:
        if self._thread.is_alive():
            self._batches.put(None)
            self._thread.join()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            if self._failure is None:
                try:
                    self._writer.write(batch)
                except BaseException as failure:
                    self._failure = failure


def _refuse_other_folder(path: str) -> None:
    """A folder with things in it that are no lake becomes none by mistake."""
    names = [item.name for item in Path(path).iterdir()]
    if names and not any(name.startswith("date=") or name.endswith(".parquet") for name in names):
        raise OutputError(
            f"output: the folder `{path}` is not empty and is no lake",
            hint=f"end the name with `/` to make it one all the same: `{path}/`; or name a file in it",
        )


def form_of(path: str) -> tuple[str | None, str | None]:
    """The ending that says what to write, and how it is compressed; None where there is no such ending."""
    name, compression = path, None
    for suffix, method in COMPRESSIONS.items():
        if path.endswith(suffix):
            name, compression = path.removesuffix(suffix), method
    return next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), None), compression


def _open(path: str, overwrite: bool, metadata: Mapping[str, str], also: tuple[str, ...]) -> FlowWriter:
    if path == "-":
        from .lines import LinesWriter, StandardOutput

        return LinesWriter(StandardOutput(), "jsonl")
    form, compression = form_of(path)
    if form is None and not path.endswith("/") and Path(path).is_dir():
        _refuse_other_folder(path)
        path += "/"
    if path.endswith("/"):
        from .lake import Lake, LakeWriter

        return LakeWriter(Lake(path), metadata)
    if form is None or (form == ".parquet" and compression):
        raise OutputError(
            f"output: what to write is not known from the name `{path}` (known: {', '.join((*SUFFIXES, *also))}, text "
            f"also with {' or '.join(COMPRESSIONS)})",
            hint=f"end the name with `/` to write a lake: `{path}/`"
            if form is None
            else "Parquet is compressed inside",
        )
    with output_errors(path):
        place = FileInTheMaking(path, overwrite=overwrite)
    if form == ".parquet":
        from .parquet import ParquetWriter

        return ParquetWriter(place, file_metadata(metadata))
    from .lines import LinesWriter

    return LinesWriter(place, "csv" if form == ".csv" else "jsonl", compression)
