"""The flow table as people see it: addresses, MACs and flow ids as text, in every view but Arrow's own."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import pyarrow as pa

from .schema import IP_ADDRESS, MAC_ADDRESS, arrow_schema

T = TypeVar("T", pa.Table, pa.RecordBatch)


@cache
def text_columns() -> dict[str, str]:
    """Columns that are bytes in Arrow and text for people → `ip`, `mac` or `hexadecimal`, in the order of the table."""
    kinds = {}
    for field in arrow_schema():
        if pa.types.is_fixed_size_binary(field.type):
            is_ip = field.type == IP_ADDRESS and field.name.endswith("_ip")
            kinds[field.name] = "ip" if is_ip else "mac" if field.type == MAC_ADDRESS else "hexadecimal"
    return kinds


def text_formatter(kind: str) -> Callable[[Any], Any]:
    """What writes bytes of one kind as text."""
    from . import addresses  # compiles kernels: loaded by those who need text

    return {"ip": addresses.format_addresses, "mac": addresses.format_macs}.get(kind, addresses.format_hexadecimal)


def with_text(rows: T) -> T:
    """The same rows with addresses, MACs and flow ids as text."""
    columns, names = list(rows.columns), rows.schema.names
    for index, name in enumerate(names):
        kind = text_columns().get(name)
        if kind and pa.types.is_fixed_size_binary(columns[index].type):
            if columns[index].null_count == len(columns[index]):
                columns[index] = columns[index].cast(pa.string())
            else:
                columns[index] = text_formatter(kind)(columns[index])
    return type(rows).from_arrays(columns, names=names)
