"""Every field of every record by its element's name: for looking at an exporter closely, and for tests."""

import ipaddress
from dataclasses import dataclass

import numpy as np

from .columns import Column, Ragged
from .datagrams import Datagrams
from .decoder import Decoder
from .templates import Field

Value = int | float | str | bytes


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as it was sent. `fields` keeps the order of the template; an element may come twice."""

    exporter: str
    version: int
    domain: int
    template: int
    scopes: int  # the first fields that say what an options record is about; 0 for flow records
    is_options: bool
    fields: tuple[tuple[str, Value], ...]


def decode_raw(decoder: Decoder, datagrams: Datagrams) -> list[RawRecord]:
    """Flow records and options records. One Python object a record: not for bulk work."""
    found = []
    for block in decoder.blocks(datagrams, options=True):
        fields = block.template.fields
        columns = [
            [(field.element.name, value) for value in _values(field, column, block.total)]
            for field, column in zip(fields, block.columns(), strict=True)
        ]
        found += [
            RawRecord(
                block.session.exporter,
                block.session.version,
                block.session.domain,
                block.template.number,
                block.template.scopes,
                block.template.is_options,
                row,
            )
            for row in zip(*columns, strict=True)
        ]
    return found


def _values(field: Field, column: Column, rows: int) -> list[Value]:
    kind = field.element.kind
    if isinstance(column, Ragged):
        bounds = zip(column.offsets[:-1].tolist(), column.offsets[1:].tolist(), strict=True)
        parts = [column.data[start:end].tobytes() for start, end in bounds]
    elif column.ndim == 1:
        numbers: list[Value] = column.tolist()
        return [str(ipaddress.IPv4Address(int(item))) for item in numbers] if kind == "ipv4" else numbers
    else:
        parts = [np.ascontiguousarray(row).tobytes() for row in column] if column.shape[1] else [b""] * rows
    if kind == "string":
        return [part.rstrip(b"\0").decode("utf-8", "replace") for part in parts]
    if kind == "ipv6":
        return [str(ipaddress.IPv6Address(part)) if len(part) == 16 else part for part in parts]
    if kind == "ipv4":
        return [str(ipaddress.IPv4Address(part)) if len(part) == 4 else part for part in parts]
    if kind in ("unsigned", "boolean", "seconds", "milliseconds", "microseconds", "nanoseconds"):
        return [int.from_bytes(part, "big") for part in parts]
    return list(parts)
