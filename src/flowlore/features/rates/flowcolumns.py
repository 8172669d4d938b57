"""A batch of the flow table → what the kernels need of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...flows.schema import DIRECTIONS
from .entities import Entities
from .hashing import hashes_of_keys
from .layout import NEVER, FlowColumns
from .services import PORT_PROTOCOLS, services

MOST_COUNTED = 1 << 53  # of packets or bytes of a flow; no more are believed
TCP_SYN, TCP_ACK = 2, 16
FLAG_BITS = {"syn": 2, "fin": 1, "rst": 4}

_HAS_PORTS = np.isin(np.arange(256), PORT_PROTOCOLS)


def flow_columns(batch: pa.RecordBatch, entities: Entities, notes: Counter[str]) -> FlowColumns:
    """Columns as arrays; what is null counts as nothing. `notes` tells which flows have which bytes, or none."""
    rows = batch.num_rows
    first, second = entities.keys(batch)
    hosts = (first, second) if entities.kind == "host" else entities.hosts(batch)
    src_hash, dst_hash = hashes_of_keys(hosts[0]), hashes_of_keys(hosts[1])
    protocol = _numbers(batch, "protocol", np.uint8)
    has_ports = _HAS_PORTS[protocol]
    src_port, dst_port = _numbers(batch, "src_port", np.uint16), _numbers(batch, "dst_port", np.uint16)
    flags = [_numbers(batch, f"tcp_flags_{side}", np.uint8) for side in DIRECTIONS]
    half_open = [(one & (TCP_SYN | TCP_ACK)) == TCP_SYN for one in flags]
    return FlowColumns(
        start_ns=_times(batch),
        duration_ns=_numbers(batch, "duration_ns", np.int64),
        first_keys=first,
        second_keys=second,
        first_peer=dst_hash,
        second_peer=src_hash,
        is_new=(_numbers(batch, "part", np.uint32) == 0).astype(np.uint8),
        protocol=protocol,
        service=services(src_port, dst_port, has_ports),
        port=np.where(has_ports, dst_port, np.uint16(0)).astype(np.uint16),
        packets=_amounts(batch, "packets", rows),
        bytes=_bytes(batch, rows, notes),
        flag_packets=_flag_packets(batch, rows, flags),
        is_half_open=(half_open[0] + 2 * half_open[1]).astype(np.uint8),
    )


def _times(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    if "start" not in batch.schema.names:
        return np.full(batch.num_rows, NEVER, np.int64)
    column = batch.column("start").cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64())
    return _plain(pc.fill_null(column, int(NEVER)), np.int64)


def _numbers(batch: pa.RecordBatch, name: str, kind: Any) -> npt.NDArray[Any]:
    if name not in batch.schema.names or batch.column(name).null_count == batch.num_rows:
        return np.zeros(batch.num_rows, kind)
    column = batch.column(name)
    return _plain(pc.fill_null(column, 0) if column.null_count else column, kind)


def _plain(column: pa.Array, kind: Any) -> npt.NDArray[Any]:
    """Never read-only and of one type, so that each kernel is compiled once."""
    return np.array(column.to_numpy(zero_copy_only=False), kind)


def _amounts(batch: pa.RecordBatch, name: str, rows: int) -> npt.NDArray[np.int64]:
    out = np.zeros((rows, 2), np.int64)
    for place, side in enumerate(DIRECTIONS):
        out[:, place] = np.minimum(_numbers(batch, f"{name}_{side}", np.uint64), np.uint64(MOST_COUNTED))
    return out


def _bytes(batch: pa.RecordBatch, rows: int, notes: Counter[str]) -> npt.NDArray[np.int64]:
    """IP bytes, else bytes on the wire, else payload: the first that the source knows of a flow."""
    found = _amounts(batch, "bytes", rows)
    for name in ("frame_bytes", "payload_bytes"):
        lacking = np.ones(rows, np.bool_)
        for side in DIRECTIONS:
            if f"bytes_{side}" in batch.schema.names:
                lacking &= batch.column(f"bytes_{side}").is_null().to_numpy(zero_copy_only=False)
        lacking &= ~found.any(axis=1)
        if not lacking.any():
            return found
        others = _amounts(batch, name, rows)
        known = lacking & others.any(axis=1)
        found[known] = others[known]
        if known.any():
            notes[f"flows-by-{name.replace('_', '-')}"] += int(known.sum())
    notes["flows-without-bytes"] += int((lacking & ~found.any(axis=1)).sum())
    return found


def _flag_packets(batch: pa.RecordBatch, rows: int, flags: list[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Packets with SYN, FIN and RST; where the source knows only which flags there were, one packet of each."""
    out = np.zeros((rows, 2, len(FLAG_BITS)), np.int64)
    for side, direction in enumerate(DIRECTIONS):
        for place, (name, bit) in enumerate(FLAG_BITS.items()):
            seen = ((flags[side] & bit) != 0).astype(np.int64)
            column = f"{name}_packets_{direction}"
            if column in batch.schema.names and batch.column(column).null_count < rows:
                counted = batch.column(column)
                unknown = counted.is_null().to_numpy(zero_copy_only=False)
                seen = np.where(unknown, seen, _numbers(batch, column, np.int64))
            out[:, side, place] = seen
    return out
