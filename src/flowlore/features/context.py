"""Which flows belong together: those of one client within some seconds. Training may use it; an embedding never does.

It costs nobody a label. What a client does within a minute is mostly one thing, so that its flows mean something alike,
however different they look.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

NS_PER_S = 1_000_000_000
CLIENTS = ("src_mac", "src_ip", "src_name")  # the first of them that a flow has tells who spoke first


def context_keys(table: pa.RecordBatch, within_s: float) -> npt.NDArray[np.int64]:
    """A number for each flow; equal numbers are flows of one client in one capture and slice of time, 0 is unknown.

    Without any client the capture stands for it; a flow with neither is unknown.
    """
    rows = table.num_rows
    client = np.zeros(rows, np.uint64)
    for name in reversed(CLIENTS):
        numbers = _numbers(table, name)
        client = np.where(numbers > 0, numbers, client)
    capture = _numbers(table, "capture")
    slices = np.zeros(rows, np.uint64)
    if "start" in table.schema.names and within_s > 0:
        start = pc.fill_null(pc.cast(table.column("start"), pa.int64()), 0).to_numpy(zero_copy_only=False)
        slices = (start // int(within_s * NS_PER_S)).astype(np.uint64)
    mixed = _mixed(_mixed(client ^ np.uint64(0x9E3779B97F4A7C15)) ^ capture)
    keys = (_mixed(mixed ^ slices) >> np.uint64(1)).astype(np.int64) | 1
    return np.where((client > 0) | (capture > 0), keys, 0)


def _numbers(table: pa.RecordBatch, column: str) -> npt.NDArray[np.uint64]:
    """A number for each value of a column, the same on every machine; 0 where there is none."""
    rows = table.num_rows
    if column not in table.schema.names or table.column(column).null_count == rows:
        return np.zeros(rows, np.uint64)
    held = table.column(column)
    if not pa.types.is_dictionary(held.type):
        held = held.dictionary_encode()
    numbers = [0 if value is None else _number(value) for value in held.dictionary.to_pylist()]
    of_value = np.array([*numbers, 0], np.uint64)
    places = held.indices.cast(pa.int64()).fill_null(len(numbers)).to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.uint64] = of_value[places]
    return found


def _number(value: Any) -> int:
    octets = value if isinstance(value, bytes) else str(value).encode()
    return (zlib.crc32(octets) << 32 | zlib.adler32(octets)) or 1


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finishing steps of splitmix64."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
