"""Flows in columns between spaces: time in s, source, port, destination, port, protocol, packets, bytes."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import polars as pl
import pyarrow as pa

from flowlore.flows.addresses import parse_addresses
from flowlore.sources.identity import identity_of
from flowlore.sources.records.rows import flow_rows
from flowlore.sources.source import Account, Head, Input

FIRST_LINE = b"#whitespace-flows 1\n"
COLUMNS = ("time", "src_ip", "src_port", "dst_ip", "dst_port", "protocol", "packets_fwd", "bytes_fwd")
NUMBERS = {
    "src_port": pl.UInt16,
    "dst_port": pl.UInt16,
    "protocol": pl.UInt8,
    "packets_fwd": pl.UInt64,
    "bytes_fwd": pl.UInt64,
}
BATCH_BYTES = 4 << 20


class WhitespaceSource:
    """Flows in columns between spaces."""

    name: ClassVar[str] = "whitespace"

    @classmethod
    def recognise(cls, head: Head) -> str | None:
        return "whitespace flows, version 1" if head.data.startswith(FIRST_LINE) else None

    def __init__(self, inputs: Sequence[Input], settings: Any) -> None:
        self.account = Account()
        self._inputs = inputs
        self._identity = identity_of(settings)

    def batches(self) -> Iterator[pa.RecordBatch]:
        for item in self._inputs:
            with item.open() as stream:
                stream.readline()
                while lines := stream.readlines(BATCH_BYTES):
                    yield from self._batch(item.name, lines)

    def _batch(self, capture: str, lines: list[bytes]) -> Iterator[pa.RecordBatch]:
        frame = good_rows(lines)
        first_record = self.account.records
        self.account.records += len(lines)
        self.account.records_in_flows += frame.height
        self.account.flows += frame.height
        if len(lines) > frame.height:
            self.account.skipped["damaged-line"] += len(lines) - frame.height
        if frame.height:
            columns = {name: frame[name] for name in frame.columns}
            yield flow_rows(
                columns,
                frame.height,
                source=self.name,
                capture=capture,
                first_record=first_record,
                identity=self._identity,
            )


def good_rows(lines: list[bytes]) -> pl.DataFrame:
    """The lines whose every column can be read, as columns of the flow table."""
    text = pl.Series(b"".join(lines).decode("ascii", "replace").split("\n"), dtype=pl.String).str.strip_chars_end("\r")
    text = text.filter(text.str.count_matches(" ") == len(COLUMNS) - 1)
    fields = text.str.split(" ").list.to_struct(fields=COLUMNS).struct.unnest()
    seconds = pl.col("time").cast(pl.Float64, strict=False)
    frame = fields.with_columns(
        (seconds * 1e9).cast(pl.Int64, strict=False).alias("start"),
        *[pl.col(name).cast(type_, strict=False) for name, type_ in NUMBERS.items()],
        *[pl.Series(name, parse_addresses(fields[name].to_arrow())[0]) for name in ("src_ip", "dst_ip")],
    )
    return frame.drop("time").drop_nulls()
