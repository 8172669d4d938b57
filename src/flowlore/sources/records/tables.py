"""Any CSV or Parquet whose columns a map explains: CICFlowMeter, NFStream, NF-v2, UNSW-NB15 and what users bring."""

import csv
import io
import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, ClassVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from ...errors import InputError
from ...flows.schema import column_names
from ..compressed import break_reason, replayed
from ..source import Account, Head, Input
from .columnmaps import ColumnMap, load_map, plain, recognise_header, shipped_maps
from .mappedrows import MappedRows, part_of
from .settings import TablesSettings
from .text import distinct, line_blocks, read_delimited

PARQUET_MAGIC = b"PAR1"
SEPARATORS = ",\t;|"
ROWS_PER_BATCH = 65_536
SCHEMA_VERSION_KEY = b"flowlore.schema_version"
OUR_COLUMNS = {"flow_id", "part", "start"}  # that every flow table has


class TablesSource:
    """CSV and Parquet tables, each by the column map that its header calls for or that `tables.map` names."""

    name: ClassVar[str] = "tables"

    def __init__(self, inputs: Sequence[Input], settings: Any = None) -> None:
        self.account = Account()
        self._inputs = list(inputs)
        self._all_settings = settings
        self._settings: TablesSettings = part_of(settings, "tables", TablesSettings)

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        if head.data.startswith(PARQUET_MAGIC):
            return None if _is_flow_table(head) else "Parquet table"
        found = _recognised_text(head.data)
        if found is None or not found.column_map:
            return None
        return f"{found.column_map.title}, separated by {_separator_name(found.separator)}, {len(found.header)} columns"

    def batches(self) -> Iterator[pa.RecordBatch]:
        for item in self._inputs:
            with item.open() as stream:
                beginning = stream.read(len(PARQUET_MAGIC))
                if beginning == PARQUET_MAGIC:
                    yield from self._parquet(item.name, stream, beginning)
                else:
                    yield from self._text(item.name, stream, beginning)

    def _parquet(self, name: str, stream: IO[bytes], beginning: bytes) -> Iterator[pa.RecordBatch]:
        whole = seekable(stream, beginning)
        try:
            table = pyarrow.parquet.ParquetFile(whole)
        except (pa.ArrowInvalid, OSError) as error:
            raise _broken_parquet(name, error) from None
        schema = table.schema_arrow
        if is_flow_table(schema):
            from .flowtables import FlowsSource

            flows = FlowsSource([], self._all_settings)
            flows.account = self.account
            yield from flows.parquet_batches(name, table)
            return
        column_map = self._map_of(schema.names, name)
        rows = MappedRows(
            column_map, schema.names, self.account, source=self.name, capture=name, settings=self._all_settings
        )
        self.account.recognised[name] = f"{column_map.title}, Parquet, {len(schema.names)} columns"
        wanted = [item for item in schema.names if item not in set(column_map.unused(schema.names))]
        try:
            for batch in table.iter_batches(ROWS_PER_BATCH, columns=wanted):
                made = rows.batch(pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch]))))
                if made is not None:
                    yield made
        except (pa.ArrowInvalid, OSError) as error:
            raise _broken_parquet(name, error) from None

    def _text(self, name: str, stream: IO[bytes], beginning: bytes) -> Iterator[pa.RecordBatch]:
        rows: MappedRows | None = None
        null_values: tuple[str, ...] = ()
        layout = _Layout(",", [], None, False)
        left_out: Counter[str] = Counter()
        for block in line_blocks(replayed(beginning, stream), left_out):
            if rows is None:
                found = _recognised_text(block)
                if found is None:
                    raise self._unknown(name, [])
                column_map = found.column_map
                if self._settings.map or column_map is None:
                    column_map = self._map_of(found.header, name)
                    found = _with_map(found, column_map)
                layout = found
                column_map = self._with_settings(column_map)
                null_values = column_map.null_values
                rows = MappedRows(
                    replace(column_map, null_values=()),
                    layout.header,
                    self.account,
                    source=self.name,
                    capture=name,
                    settings=self._all_settings,
                )
                self.account.recognised[name] = f"{column_map.title}, {len(layout.header)} columns"
                if layout.has_header:
                    block = block[block.find(b"\n") + 1 :]
            frame, skipped = read_delimited(
                block, layout.header, layout.separator, quoted=True, null_values=null_values
            )
            left_out.update(skipped)
            made = rows.batch(frame)
            if made is not None:
                yield made
        self.account.records += left_out.total()
        self.account.skipped.update(left_out)
        if reason := break_reason(stream):
            self.account.notes[reason] += 1

    def _map_of(self, header: list[str], name: str) -> ColumnMap:
        if self._settings.map:
            return self._with_settings(load_map(self._settings.map))
        found = recognise_header(header)
        if found is None:
            raise self._unknown(name, header)
        return self._with_settings(found)

    def _with_settings(self, column_map: ColumnMap) -> ColumnMap:
        if self._settings.timezone:
            column_map = replace(column_map, timezone=self._settings.timezone)
        if self._settings.label_source:
            constants = {**column_map.constants, "label_source": self._settings.label_source}
            column_map = replace(column_map, constants=constants)
        return column_map

    def _unknown(self, name: str, header: list[str]) -> InputError:
        columns = ", ".join(header[:20]) + (" …" if len(header) > 20 else "")
        return InputError(
            f"tables: no column map fits `{name}`" + (f" (its columns are {columns})" if header else ""),
            hint="write a map of its columns and name it with `--set tables.map=my-map.toml`",
        )


def is_flow_table(schema: pa.Schema) -> bool:
    """Whether a Parquet file holds flows of ours: it says so, or has our columns only, as other programs write them."""
    names = set(schema.names)
    says_so = SCHEMA_VERSION_KEY in (schema.metadata or {})
    return says_so or OUR_COLUMNS <= names <= set(column_names())


def why_not_parquet(item: Input, settings: TablesSettings) -> str | None:
    """Why a Parquet file cannot be read: it is damaged, or no column map fits. None where it can."""
    with item.open() as stream:
        try:
            schema = pyarrow.parquet.read_schema(seekable(stream, b""))
        except (pa.ArrowInvalid, OSError):
            return "a Parquet file that is cut or damaged"
    if settings.map or is_flow_table(schema) or recognise_header(schema.names):
        return None
    columns = ", ".join(schema.names[:5]) + (" …" if len(schema.names) > 5 else "")
    return f"Parquet whose columns fit no map: {columns}"


@dataclass(frozen=True, slots=True)
class _Layout:
    separator: str
    header: list[str]
    column_map: ColumnMap | None
    has_header: bool


def seekable(stream: IO[bytes], beginning: bytes) -> IO[bytes]:
    """A stream from its beginning that can be sought in: the stream itself, or its bytes in memory."""
    if stream.seekable():
        stream.seek(0)
        return stream
    return io.BytesIO(beginning + stream.read())


def read_separated(line: str, separator: str) -> list[str]:
    """The fields of one line of CSV; none where it is no line of CSV."""
    try:
        return [field.strip() for field in next(csv.reader([line.strip("\r")], delimiter=separator), [])]
    except csv.Error:
        return []


def _recognised_text(data: bytes) -> _Layout | None:
    """How the lines are cut, and the shipped map that fits (None where none does)."""
    try:
        line = data[: data.find(b"\n") if b"\n" in data else len(data)].decode("utf-8-sig").rstrip("\r")
    except UnicodeDecodeError:
        return None
    if not line.isprintable() and "\t" not in line:
        return None
    separator = max(SEPARATORS, key=line.count)
    if not line.count(separator):
        return None
    header = read_separated(line, separator)
    if len(header) < 2:
        return None
    found = recognise_header(header)
    if found is not None:
        return _Layout(separator, distinct(header), found, True)
    for column_map in shipped_maps().values():
        if column_map.automatic and _fits_positions(column_map, header):
            return _Layout(separator, list(column_map.positions), column_map, False)
    return _Layout(separator, distinct(header), None, True)


def _with_map(layout: _Layout, column_map: ColumnMap) -> _Layout:
    """The layout under a map that the user chose: a file without a header takes the names of the map."""
    if column_map.missing(layout.header) and len(column_map.positions) == len(layout.header):
        return _Layout(layout.separator, list(column_map.positions), column_map, False)
    return replace(layout, column_map=column_map)


def _fits_positions(column_map: ColumnMap, fields: list[str]) -> bool:
    """Whether the first line is one of a file without a header: as many values as names, addresses in their places."""
    if not column_map.positions or len(column_map.positions) != len(fields):
        return False
    places = {plain(name): place for place, name in enumerate(column_map.positions)}
    for target in ("src_ip", "dst_ip"):
        rule = column_map.columns.get(target)
        place = next((places[plain(name)] for name in rule.column if plain(name) in places), None) if rule else None
        if place is None:
            return False
        try:
            ipaddress.ip_address(fields[place])
        except ValueError:
            return False
    return True


def _is_flow_table(head: Head) -> bool:
    """Whether a Parquet head is a flow table of ours: only small files can be looked into from their head."""
    if not head.complete:
        return False
    try:
        schema = pyarrow.parquet.read_schema(io.BytesIO(head.data))
    except (pa.ArrowInvalid, OSError):
        return False
    return is_flow_table(schema)


def _separator_name(separator: str) -> str:
    return {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}[separator]


def _broken_parquet(name: str, error: Exception) -> InputError:
    reason = str(error).splitlines()[0]
    return InputError(f"tables: the Parquet file `{name}` cannot be read: {reason}", hint="was it written to its end?")
