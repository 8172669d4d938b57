"""The lake: a folder of Parquet parts, one folder an hour, on a local disk or any fsspec path, read back lazily.

    lake/date=2020-06-20/hour=13/part-0f3a….parquet

Each part is written under a temporary name and renamed. Parts are never changed, so readers need no lock.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq

from ..errors import InputError, QueryError
from .parquet import parquet_options
from .place import FileInTheMaking, is_local, output_errors
from .schema import INSTANT, SCHEMA_VERSION, arrow_schema
from .table import Flows
from .write import FlowWriter, file_metadata

HOUR_NS = 3_600_000_000_000
HELD_ROWS = 262_144  # over all hours; beyond it the fullest hour is written
HELD_BYTES = 192 << 20
UNKNOWN_HOUR = "date=unknown/hour=unknown"  # flows whose source knows no time

Instant = datetime | str | int


class Lake:
    """A lake, a folder of Parquet files or one Parquet file. Nothing is read before it is asked for.

    `append` holds rows until a part is worth writing; `flush` writes what is held.
    """

    def __init__(self, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
        self.path = str(path)
        self._files, self._root = fsspec.core.url_to_fs(self.path)
        self._root = self._root.rstrip("/") or "/"
        self._metadata = dict(metadata or {})
        self._held: dict[str, list[pa.RecordBatch]] = {}
        self._held_rows: dict[str, int] = {}
        self._held_bytes = 0
        self._made: list[Path] = []  # folders that were not there, from the outside in

    def append(self, batch: pa.RecordBatch) -> None:
        """Hold these rows for the folder of their hour. The same rows in the same cut replace themselves."""
        for place in self.stage(batch):
            place.commit()

    def flush(self) -> None:
        """Write every row that is held."""
        for place in self.stage_rest():
            place.commit()

    def stage(self, batch: pa.RecordBatch) -> list[FileInTheMaking]:
        """Hold these rows; parts that became full are written and wait for their `commit`."""
        for hour, rows in _by_hour(batch):
            self._held.setdefault(hour, []).append(rows)
            self._held_rows[hour] = self._held_rows.get(hour, 0) + rows.num_rows
            self._held_bytes += rows.nbytes
        staged = []
        while self._held and (sum(self._held_rows.values()) >= HELD_ROWS or self._held_bytes >= HELD_BYTES):
            staged.append(self._stage_hour(max(self._held_rows, key=lambda hour: self._held_rows[hour])))
        return staged

    def stage_rest(self) -> list[FileInTheMaking]:
        """Every row that is held becomes parts that wait for their `commit`."""
        return [self._stage_hour(hour) for hour in sorted(self._held)]

    def scan(
        self,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[pa.RecordBatch]:
        """Batches in the order of hours; only hours, row groups and columns that matter are read.

        `since` (included) and `until` (excluded) are about `start`, in UTC: a datetime, ISO 8601 or ns since 1970.
        """
        from .filter import RowFilter

        first, last = _instant_ns(since), _instant_ns(until)
        files = [file for file in self.parts() if _may_hold(file, first, last)]
        schema = self._schema(files)
        wanted = list(columns) if columns is not None else schema.names
        Flows(schema.empty_table()).select(wanted)  # says which column there is not
        keep = RowFilter(where, schema) if where is not None else None
        try:
            needed = {*wanted, *(keep.columns if keep else ())}
            if first is not None or last is not None:
                needed.add("start")
            for file in files:
                for batch in self._read_part(file, schema, needed, first, last, batch_rows):
                    kept = keep(batch) if keep else batch
                    if kept.num_rows:
                        yield kept.select(wanted)
        finally:
            if keep:
                keep.close()

    def read(
        self,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
    ) -> Flows:
        """What `scan` yields, in memory."""
        batches = list(self.scan(where=where, columns=columns, since=since, until=until))
        if not batches:
            schema = self.schema()
            return Flows(schema.empty_table().select(list(columns) if columns is not None else schema.names))
        return Flows.from_batches(batches)

    def parts(self) -> list[str]:
        """Paths of all Parquet files, in the order of hours. Files still being written are not among them."""
        with _input_errors(self.path):
            if self._files.isfile(self._root):
                return [self._root]
            if not self._files.exists(self._root):
                raise InputError(f"lake: there is no `{self.path}`", hint="write one with `flowlore flows IN -o LAKE/`")
            return sorted(
                file
                for file in self._files.find(self._root)
                if file.endswith(".parquet") and not file.rpartition("/")[2].startswith(".")
            )

    def schema(self) -> pa.Schema:
        """Our columns, then those that only some files have. A file of a newer schema is refused."""
        return self._schema(self.parts())

    def dataset(self, schema: pa.Schema | None = None) -> ds.Dataset:
        """The lake for Arrow and DuckDB, which skip the hours that a condition on `start` rules out."""
        files = self.parts()
        schema = schema if schema is not None else self._schema(files)
        form, arrow_files = ds.ParquetFileFormat(), self._arrow_files()
        fragments = []
        for file in files:
            first, last = _hour_range(file)
            inside = None
            if first is not None and "start" in schema.names:
                ends = [pa.scalar(end, pa.int64()).cast(INSTANT) for end in (first, last)]
                inside = (pc.field("start") >= ends[0]) & (pc.field("start") < ends[1])
            fragments.append(form.make_fragment(file, filesystem=arrow_files, partition_expression=inside))
        return ds.FileSystemDataset(fragments, schema, form, arrow_files)

    def _stage_hour(self, hour: str) -> FileInTheMaking:
        batches = self._held.pop(hour)
        del self._held_rows[hour]
        self._held_bytes = sum(batch.nbytes for held in self._held.values() for batch in held)
        rows = pa.Table.from_batches(batches)
        folder = f"{self._root}/{hour}"
        self._make_folders(folder)
        place = FileInTheMaking(self._files.unstrip_protocol(f"{folder}/{_part_name(rows)}"), overwrite=True)
        try:
            with output_errors(self.path):
                schema = rows.schema.with_metadata({**(rows.schema.metadata or {}), **file_metadata(self._metadata)})
                with pq.ParquetWriter(place.stream, schema, **parquet_options(schema)) as writer:
                    writer.write_table(rows)
            place.close()
        except BaseException:
            place.abort()
            raise
        return place

    def _make_folders(self, folder: str) -> None:
        with output_errors(self.path):
            if is_local(self._files):
                parents = [Path(folder), *Path(folder).parents]
                self._made += reversed([one for one in parents if not one.exists()])
            self._files.makedirs(folder, exist_ok=True)

    def _remove_empty_folders(self) -> None:
        """Those that this lake made and that hold nothing."""
        for folder in reversed(self._made):
            with suppress(OSError):
                folder.rmdir()

    def _read_part(
        self, file: str, schema: pa.Schema, needed: set[str], first: int | None, last: int | None, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        with _input_errors(file), self._files.open(file, "rb") as stream, pq.ParquetFile(stream) as part:
            here = [name for name in part.schema_arrow.names if name in needed]
            groups = [group for group in range(part.num_row_groups) if _group_may_hold(part, group, first, last)]
            wanted = pa.schema([field for field in schema if field.name in needed])
            for batch in part.iter_batches(batch_size=batch_rows, row_groups=groups, columns=here):
                filled = fill_columns(batch, wanted)
                yield filled if first is None and last is None else _within(filled, first, last)

    def _schema(self, files: Sequence[str]) -> pa.Schema:
        with ThreadPoolExecutor(max_workers=8) as pool:
            schemas = list(pool.map(self._file_schema, files))
        ours = [arrow_schema()] if not schemas or any(version for _, version in schemas) else []
        plain = [schema.remove_metadata() for schema, _ in schemas]
        distinct = [schema for index, schema in enumerate(plain) if schema not in plain[:index]]
        try:
            return pa.unify_schemas([*ours, *distinct], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(f"lake: the files of `{self.path}` do not fit together: {error}") from error

    def _file_schema(self, file: str) -> tuple[pa.Schema, int]:
        with _input_errors(file), self._files.open(file, "rb") as stream:
            schema = pq.read_schema(stream)
        version = int((schema.metadata or {}).get(b"flowlore.schema_version", b"0"))
        if version > SCHEMA_VERSION:
            raise InputError(
                f"lake: `{file}` has version {version} of the flow table, this build reads up to {SCHEMA_VERSION}",
                hint="upgrade flowlore",
            )
        return schema, version

    def _arrow_files(self) -> Any:
        if is_local(self._files):
            return pyarrow.fs.LocalFileSystem()
        return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(self._files))


class LakeWriter(FlowWriter):
    """Adds flows to a lake: all of them appear at the commit, or none."""

    def __init__(self, lake: Lake, metadata: Mapping[str, str]) -> None:
        super().__init__()
        self._lake = lake
        self._lake._metadata.update(metadata)
        self._staged: list[FileInTheMaking] = []

    def _write(self, batch: pa.RecordBatch) -> None:
        self._staged += self._lake.stage(batch)

    def _commit(self) -> None:
        self._staged += self._lake.stage_rest()
        with output_errors(self._lake.path):
            self._lake._files.makedirs(self._lake._root, exist_ok=True)
        self.is_repeat = bool(self._staged) and all(place.replaces for place in self._staged)
        for place in self._staged:
            place.commit()

    def _abort(self) -> None:
        for place in self._staged:
            place.abort()
        self._lake._remove_empty_folders()


def fill_columns(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with exactly these columns: those that it lacks are null, those of another type are cast."""
    if batch.schema.equals(schema):
        return batch
    names = set(batch.schema.names)
    arrays = [
        (batch[field.name] if batch[field.name].type == field.type else batch[field.name].cast(field.type))
        if field.name in names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _by_hour(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows of each hour and the folder of the hour. Rows keep their order."""
    if not batch.num_rows:
        return
    if "start" not in batch.schema.names or batch["start"].null_count == batch.num_rows:
        yield UNKNOWN_HOUR, batch
        return
    starts = batch["start"].cast(pa.int64())
    is_known = starts.is_valid().to_numpy(zero_copy_only=False)
    hours = pc.fill_null(starts, 0).to_numpy() // HOUR_NS
    for hour in np.unique(hours[is_known]).tolist():
        chosen = is_known & (hours == hour)
        yield _hour_folder(hour), batch if chosen.all() else batch.filter(pa.array(chosen))
    if not is_known.all():
        yield UNKNOWN_HOUR, batch.filter(pa.array(~is_known))


def _hour_folder(hour: int) -> str:
    text = str(np.datetime64(hour, "h"))  # 2020-06-20T13
    return f"date={text[:-3]}/hour={text[-2:]}"


def _part_name(rows: pa.Table) -> str:
    """From the flows themselves, so that writing them again replaces the part; random where rows have no identity."""
    named = ("flow_id", "part", "start", "duration_ns", "packets_fwd", "packets_rev")
    if not set(named) <= set(rows.column_names) or rows["flow_id"].null_count:
        return f"part-{uuid.uuid4().hex}.parquet"
    digest = hashlib.blake2b(digest_size=16)
    for batch in rows.select(named).combine_chunks().to_batches():
        digest.update(batch.serialize())
    return f"part-{digest.hexdigest()}.parquet"


_HOUR = re.compile(r"/date=(-?\d+-\d\d-\d\d)/hour=(\d\d)/[^/]*$")


def _hour_range(file: str) -> tuple[int, int] | tuple[None, None]:
    """First ns of the file's hour and first ns after it, read from its path."""
    found = _HOUR.search(file)
    if not found:
        return None, None
    first = int(np.datetime64(f"{found[1]}T{found[2]}", "h").astype(np.int64)) * HOUR_NS
    return (first, first + HOUR_NS) if -(2**63) <= first < 2**63 - HOUR_NS else (None, None)


def _may_hold(file: str, first: int | None, last: int | None) -> bool:
    if (first is not None or last is not None) and UNKNOWN_HOUR in file:
        return False
    begin, end = _hour_range(file)
    if begin is None or end is None:
        return True
    return (last is None or begin < last) and (first is None or end > first)


def _group_may_hold(part: Any, group: int, first: int | None, last: int | None) -> bool:
    if (first is None and last is None) or "start" not in part.schema_arrow.names:
        return True
    column = part.metadata.row_group(group).column(part.schema_arrow.names.index("start"))
    if column.path_in_schema != "start" or not (column.statistics and column.statistics.has_min_max):
        return True
    lowest, highest = column.statistics.min_raw, column.statistics.max_raw
    unit = part.schema_arrow.field("start").type
    if unit != INSTANT:
        return True
    return (last is None or lowest < last) and (first is None or highest >= first)


def _within(batch: pa.RecordBatch, first: int | None, last: int | None) -> pa.RecordBatch:
    starts = batch["start"].cast(pa.int64())
    inside = starts.is_valid()
    if first is not None:
        inside = pc.and_(inside, pc.greater_equal(starts, first))
    if last is not None:
        inside = pc.and_(inside, pc.less(starts, last))
    return batch.filter(inside)


def _instant_ns(instant: Instant | None) -> int | None:
    if instant is None or isinstance(instant, int):
        return instant
    if isinstance(instant, str):
        try:
            instant = datetime.fromisoformat(instant)
        except ValueError as error:
            raise QueryError(
                f"time: `{instant}` is not a time", hint="write it as `2020-06-20` or `2020-06-20T13:05:00` (UTC)"
            ) from error
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    whole = instant.replace(microsecond=0)
    return int(whole.timestamp()) * 1_000_000_000 + instant.microsecond * 1_000


@contextmanager
def _input_errors(path: str) -> Iterator[None]:
    """What cannot be opened or is not Parquet becomes an `InputError` with its path."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"lake: there is no `{path}`") from error
    except pa.ArrowInvalid as error:
        raise InputError(
            f"lake: `{path}` is not a Parquet file, or not a whole one",
            hint=f"`flowlore flows {path} -o flows.parquet` makes one, if it is a record of traffic",
        ) from error
    except OSError as error:
        hint = f"`ls -ld {path}` shows who may read it" if isinstance(error, PermissionError) else None
        raise InputError(f"lake: cannot read `{path}`: {(error.strerror or str(error)).lower()}", hint=hint) from error
