"""Finished flows → batches of the flow table."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ....flows.arrays import chosen_words, plain_array, repeated_word, validity
from ....flows.compiled import borrowing, prefetch
from ....flows.ids import community_ids, fixed_binary, flow_ids_of_halves
from ....flows.schema import DIRECTIONS, END_REASONS, arrow_schema, flow_batch
from ...identity import Identity
from ..layout import TUNNELS, Counts, Number, Records
from .columns import DST_MAC, ROWS_AHEAD, SIDE_COLUMNS, SRC_MAC, Columns, flow_columns, side_columns
from .layout import SERIES_BLOCK, Tables
from .naming import name_columns

Array = npt.NDArray[Any]
_FLOW_COLUMNS = (
    "start",
    "duration_ns",
    "part",
    "src_port",
    "dst_port",
    "protocol",
    "vlan",
    "inner_vlan",
    "tunnel_id",
    "mpls",
    "syn_to_synack_ns",
    "synack_to_ack_ns",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainOptions:
    """What a batch is to hold beside the counts."""

    source: str
    identity: Identity
    payload_bytes: int
    names: bool
    with_series: bool


def drain(tables: Tables, begin: int, count: int, captures: list[str], options: DrainOptions) -> pa.RecordBatch:
    """`count` finished flows from the place `begin` on as a batch. The caller frees their slots afterwards."""
    slots = tables.finished[begin : begin + count].astype(np.int64)
    flows, addresses, macs = flow_columns(tables.flows, slots)
    known = _flow_columns(flows, addresses, macs, options)
    for direction, name in enumerate(DIRECTIONS):
        known |= _side_columns(side_columns(tables.sides, slots, direction, flows.values("protocol")), name)
    if options.with_series:
        known |= _series_columns(tables, slots)
    if options.names:
        known |= name_columns(tables, slots)
    if options.payload_bytes:
        known |= _payload_columns(tables, slots, options.payload_bytes)
    known["source"] = repeated_word(options.source, count)
    known["capture"] = chosen_words(flows.values("capture"), captures, None)
    known["end_reason"] = chosen_words(flows.values("end_reason"), END_REASONS, None)
    known["observation_point"] = np.full(count, options.identity.observation_point, np.uint32)
    return flow_batch(known, count)


def _flow_columns(flows: Columns, addresses: Array, macs: Array, options: DrainOptions) -> dict[str, Any]:
    types = arrow_schema()
    known: dict[str, Any] = {name: flows.arrow(name, types.field(name).type) for name in _FLOW_COLUMNS}
    tunnel, tunnel_id = flows.values("tunnel"), flows.values("tunnel_id")
    src_port, dst_port, protocol = (flows.values(name) for name in ("src_port", "dst_port", "protocol"))
    known["src_ip"], known["dst_ip"] = fixed_binary(addresses[0]), fixed_binary(addresses[1])
    known["src_mac"] = _macs(macs[0], flows.validity(SRC_MAC))
    known["dst_mac"] = _macs(macs[1], flows.validity(DST_MAC))
    if tunnel.any():
        known["tunnel"] = chosen_words(tunnel, TUNNELS, tunnel == 0)
    known["flow_id"] = flow_ids_of_halves(
        [flows.values(name).view(np.uint64) for name in ("src_high", "src_low", "dst_high", "dst_low")],
        src_port=src_port,
        dst_port=dst_port,
        protocol=protocol,
        vlan=flows.values("vlan"),
        inner_vlan=flows.values("inner_vlan"),
        tunnel=tunnel,
        tunnel_id=np.where(tunnel == TUNNELS.index("gtp-u"), 0, tunnel_id).astype(np.uint32),
        first_ns=flows.values("first_ns"),
        ordinal=flows.values("ordinal"),
        observation_point=np.full(flows.rows, options.identity.observation_point, np.uint32),
        key=options.identity.key,
    )
    if options.identity.community_id:
        known["community_id"] = community_ids(
            src_ip=addresses[0], dst_ip=addresses[1], src_port=src_port, dst_port=dst_port, protocol=protocol
        )
    return known


def _side_columns(sides: Columns, direction: str) -> dict[str, Any]:
    types = arrow_schema()
    names = [(name, f"{name}_{direction}") for columns in SIDE_COLUMNS for name, _ in columns]
    return {column: sides.arrow(name, types.field(column).type) for name, column in names}


def _series_columns(tables: Tables, slots: Counts) -> dict[str, Any]:
    offsets = np.empty(len(slots) + 1, np.int32)
    _measure_series(tables.flows, slots, offsets)
    total = int(offsets[-1])
    gap = np.empty(total, np.int64)
    size, payload, window = (np.empty(total, np.uint16) for _ in range(3))
    flags = np.empty(total, np.uint8)
    direction = np.empty(total, np.int8)
    _copy_series(
        tables.series, tables.series_next, tables.flows, slots, offsets, gap, size, payload, window, flags, direction
    )
    columns: dict[str, Array] = {
        "packet_direction": direction,
        "packet_bytes": size,
        "packet_payload_bytes": payload,
        "packet_gap_ns": gap,
        "packet_tcp_flags": flags,
        "packet_window": window,
    }
    starts = plain_array(offsets)
    return {name: pa.ListArray.from_arrays(starts, plain_array(values)) for name, values in columns.items()}


@borrowing
def _measure_series(flows: Records, slots: Counts, offsets: npt.NDArray[np.int32]) -> None:
    total = np.int64(0)
    offsets[0] = 0
    for row in range(len(slots)):
        total += np.int64(flows[slots[row]].series_count)
        offsets[row + 1] = total


@borrowing
def _copy_series(
    series: Records,
    series_next: npt.NDArray[np.int32],
    flows: Records,
    slots: Counts,
    offsets: npt.NDArray[np.int32],
    gap: Counts,
    size: npt.NDArray[np.uint16],
    payload: npt.NDArray[np.uint16],
    window: npt.NDArray[np.uint16],
    flags: npt.NDArray[np.uint8],
    direction: npt.NDArray[np.int8],
) -> None:
    for row in range(len(slots)):
        if row + ROWS_AHEAD < len(slots):
            ahead = np.int64(flows[slots[row + ROWS_AHEAD]].series_first) * SERIES_BLOCK
            prefetch(series, ahead)
            prefetch(series, ahead + SERIES_BLOCK // 2)
        block = np.int64(flows[slots[row]].series_first)
        out, stop = np.int64(offsets[row]), np.int64(offsets[row + 1])
        while out < stop:
            within: Number = min(stop - out, SERIES_BLOCK)
            for place in range(within):
                entry = series[block * SERIES_BLOCK + place]
                gap[out + place] = entry.gap_ns
                size[out + place] = entry.bytes
                payload[out + place] = entry.payload_bytes
                window[out + place] = entry.window
                flags[out + place] = entry.tcp_flags
                direction[out + place] = entry.direction
            out += within
            if out < stop:
                block = np.int64(series_next[block])


def _payload_columns(tables: Tables, slots: Counts, limit: int) -> dict[str, Any]:
    known = {}
    for name, offset in (("payload_fwd", 0), ("payload_rev", 1)):
        places = 2 * slots + offset
        lengths = tables.sides["payload_kept"][places].astype(np.int32)
        offsets = np.zeros(len(slots) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        kept = tables.payload.reshape(-1, limit)[places]
        data = kept[np.arange(limit) < lengths[:, None]]
        known[name] = pa.BinaryArray.from_buffers(
            pa.binary(), len(slots), [validity(lengths == 0), pa.py_buffer(offsets), pa.py_buffer(data)]
        )
    return known


def _macs(rows: Array, validity: pa.Buffer | None) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(6), len(rows), [validity, pa.py_buffer(rows)])
