"""Flow tables that Flowlore wrote, read back: Parquet, CSV and JSON lines. Every column comes back as it was."""

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, Any, ClassVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet

from ...errors import InputError
from ...flows.addresses import parse_hexadecimal
from ...flows.schema import FLOW_ID, INSTANT, IP_ADDRESS, MAC_ADDRESS, SCHEMA_VERSION, arrow_schema, column_names
from ..compressed import break_reason
from ..identity import identity_of
from ..source import Account, Head, Input
from .columns import as_addresses, as_floats, as_instants, as_integers, as_macs
from .rows import flow_rows, note_unreadable
from .tables import PARQUET_MAGIC, SCHEMA_VERSION_KEY, is_flow_table, seekable
from .text import distinct, line_blocks, read_delimited, read_json_lines

ROWS_PER_BATCH = 65_536
FIRST_COLUMNS = "start,duration_ns,part,src_ip,"


class FlowsSource:
    """Flow tables written before."""

    name: ClassVar[str] = "flows"

    def __init__(self, inputs: Sequence[Input], settings: Any = None) -> None:
        self.account = Account()
        self._inputs = list(inputs)
        self._identity = identity_of(settings)

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        if head.data.startswith(PARQUET_MAGIC):
            version = _parquet_version(head)
            return None if version is None else _title(version)
        form = _form(head.data)
        return None if form is None else f"Flow table, {form}"

    def batches(self) -> Iterator[pa.RecordBatch]:
        for item in self._inputs:
            head = item.head()
            with item.open() as stream:
                if head.data.startswith(PARQUET_MAGIC):
                    try:
                        table = pyarrow.parquet.ParquetFile(seekable(stream, b""))
                    except (pa.ArrowInvalid, OSError) as error:
                        raise _broken(item.name, error) from None
                    yield from self.parquet_batches(item.name, table)
                else:
                    form = _form(head.data)
                    if form is None:
                        raise InputError(f"flows: `{item.name}` is no flow table that Flowlore wrote")
                    self.account.recognised[item.name] = f"Flow table, {form}"
                    yield from self._lines(item.name, stream, form)

    def parquet_batches(self, name: str, table: pyarrow.parquet.ParquetFile) -> Iterator[pa.RecordBatch]:
        """Batches of an open Parquet file, a flow table of ours. Columns that it lacks are null."""
        version = _version(table.schema_arrow)
        if version > SCHEMA_VERSION:
            raise InputError(
                f"flows: `{name}` has schema version {version}, this build reads up to {SCHEMA_VERSION}",
                hint="read it with the version of Flowlore that wrote it, or a later one",
            )
        self.account.recognised[name] = _title(version)
        wanted = [column for column in table.schema_arrow.names if column in set(column_names())]
        try:
            for batch in table.iter_batches(ROWS_PER_BATCH, columns=wanted):
                self._count(batch.num_rows)
                columns = [
                    batch.column(field.name).cast(field.type)
                    if field.name in wanted
                    else pa.nulls(len(batch), field.type)
                    for field in arrow_schema()
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=arrow_schema())
        except (pa.ArrowInvalid, OSError) as error:
            raise _broken(name, error) from None

    def _lines(self, name: str, stream: IO[bytes], form: str) -> Iterator[pa.RecordBatch]:
        left_out: Counter[str] = Counter()
        header: list[str] = []
        for block in line_blocks(stream, left_out):
            if form == "CSV":
                if not header:
                    end = block.find(b"\n") + 1
                    header, block = distinct(block[:end].decode().strip("\ufeff\n").split(",")), block[end:]
                if not block:
                    continue
                frame, skipped = read_delimited(block, header, ",", quoted=True, null_values=[""])
            else:
                frame, skipped = read_json_lines(block, _json_schema())
            left_out.update(skipped)
            if frame.height:
                yield self._batch(frame, name)
        self.account.records += left_out.total()
        self.account.skipped.update(left_out)
        if reason := break_reason(stream):
            self.account.notes[reason] += 1

    def _batch(self, frame: pl.DataFrame, name: str) -> pa.RecordBatch:
        first_record = self.account.records
        self._count(frame.height)
        columns = {}
        for field in arrow_schema():
            if field.name not in frame.columns or frame[field.name].null_count() == frame.height:
                columns[field.name] = pa.nulls(frame.height, field.type)
                continue
            values = frame[field.name]
            made = _converted(field, values)
            note_unreadable(self.account.notes, field.name, values, made)
            columns[field.name] = made
        return flow_rows(
            columns, frame.height, source=self.name, capture=name, first_record=first_record, identity=self._identity
        )

    def _count(self, rows: int) -> None:
        self.account.records += rows
        self.account.records_in_flows += rows
        self.account.flows += rows


def _converted(field: pa.Field, values: pl.Series) -> pl.Series | pa.Array:
    type_ = field.type
    if pa.types.is_list(type_):
        if values.dtype == pl.String:
            values = pl.select(
                pl.when(values.str.strip_chars("[] ") == "")
                .then(pl.lit([], pl.List(pl.String)))
                .otherwise(values.str.strip_chars("[] ").str.split(","))
            ).to_series()
        return values.cast(pl.List(pl.Int64), strict=False)
    if type_ == INSTANT:
        return as_instants(values).cast(pl.Datetime("ns", "UTC"))
    if type_ == IP_ADDRESS and field.name.endswith("_ip"):
        return as_addresses(values)
    if type_ == FLOW_ID:
        return parse_hexadecimal(values.to_arrow(compat_level=pl.CompatLevel.oldest()), FLOW_ID.byte_width)[0]
    if type_ == MAC_ADDRESS:
        return as_macs(values)
    if pa.types.is_binary(type_):
        return values.str.decode("hex", strict=False)
    if pa.types.is_integer(type_):
        return as_integers(values, type_)
    return as_floats(values) if pa.types.is_floating(type_) else values


def _json_schema() -> dict[str, Any]:
    return {field.name: pl.List(pl.Int64) if pa.types.is_list(field.type) else pl.String for field in arrow_schema()}


def _form(data: bytes) -> str | None:
    """CSV or JSON lines, where the first line is one of ours."""
    line = data.split(b"\n", 1)[0].removeprefix(b"\xef\xbb\xbf").strip()
    if line.startswith(FIRST_COLUMNS.encode()):
        return "CSV"
    if not line.startswith(b'{"start":'):
        return None
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return "JSON lines" if "flow_id" in first and set(first) <= set(column_names()) else None


def _parquet_version(head: Head) -> int | None:
    """The schema version in a small file's footer, 0 where it is not said; None where it is no flow table. Of large
    files only the beginning is at hand: see `TablesSource`.
    """
    if not head.complete:
        return None
    try:
        schema = pyarrow.parquet.read_schema(io.BytesIO(head.data))
    except (pa.ArrowInvalid, OSError):
        return None
    return _version(schema) if is_flow_table(schema) else None


def _version(schema: pa.Schema) -> int:
    """What the file says of itself; 0 where another program wrote it anew, which keeps columns and not that."""
    said = (schema.metadata or {}).get(SCHEMA_VERSION_KEY, b"")
    return int(said) if said.isdigit() else 0


def _title(version: int) -> str:
    return "Flow table, Parquet, " + (f"schema version {version}" if version else "written by another program")


def _broken(name: str, error: Exception) -> InputError:
    return InputError(
        f"flows: the Parquet file `{name}` cannot be read: {str(error).splitlines()[0]}",
        hint="was it written to its end?",
    )
