"""Which flows belong together: those to one service, or of one client within some seconds.

It costs nobody a label. Flows to one server's port are mostly of one application, whoever asks, on whatever path and
day; so they mean something alike, however different they look. Where servers are not known, what a client does within a
minute is mostly one thing. Training may use this; an embedding never does.
"""

from __future__ import annotations

import zlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..flows.splitmix import STEP, finished

ContextBy = Literal["service", "client"]

NS_PER_S = 1_000_000_000
SERVICE = ("dst_ip", "dst_port", "protocol")
CLIENTS = ("src_mac", "src_ip", "src_name")  # the first of them that a flow has tells who spoke first


def context_keys(table: pa.RecordBatch, within_s: float, by: ContextBy = "client") -> npt.NDArray[np.int64]:
    """A number for each flow; equal numbers are flows that belong together, 0 is unknown.

    By `service`, the server's address, port and protocol decide; a flow that lacks one of them, and every flow by
    `client`, goes by its client, capture and slice of time. Without any client the capture stands for it.
    """
    known = _has_service(table) if by == "service" else np.zeros(table.num_rows, np.bool_)
    if known.all() and table.num_rows:
        return _service_keys(table)
    keys = _client_keys(table, within_s)
    return np.where(known, _service_keys(table), keys) if known.any() else keys


def _has_service(table: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    rows = table.num_rows
    if not set(SERVICE) <= set(table.schema.names):
        return np.zeros(rows, np.bool_)
    known = [table.column(name).is_valid().to_numpy(zero_copy_only=False) for name in SERVICE]
    found: npt.NDArray[np.bool_] = np.logical_and.reduce(known)
    return found


def _service_keys(table: pa.RecordBatch) -> npt.NDArray[np.int64]:
    mixed = _numbers(table, SERVICE[0]) ^ np.uint64(0xD1B54A32D192ED03)
    for name in SERVICE[1:]:
        values = pc.fill_null(pc.cast(table.column(name), pa.int64()), 0).to_numpy(zero_copy_only=False)
        mixed = finished(mixed) ^ values.astype(np.uint64)
    return _as_keys(finished(mixed))


def _client_keys(table: pa.RecordBatch, within_s: float) -> npt.NDArray[np.int64]:
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
    mixed = finished(finished(client ^ STEP) ^ capture)
    return np.where((client > 0) | (capture > 0), _as_keys(finished(mixed ^ slices)), 0)


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


def _as_keys(mixed: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Positive, and never 0."""
    return (mixed >> np.uint64(1)).astype(np.int64) | 1
