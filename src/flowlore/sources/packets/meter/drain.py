"""Finished flows → batches of the flow table, column by column.

Shape letters: N flows of the batch, S packets of all their series.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ....flows.arrays import chosen_words, plain_array, validity
from ....flows.compiled import borrowing, prefetch
from ....flows.ids import NO_KEY, community_ids, fixed_binary, flow_ids_of_halves
from ....flows.schema import END_REASONS, TCP_FLAGS, flow_batch
from ..layout import NO_MPLS, NO_VLAN, TUNNELS, Counts, Records
from .layout import SERIES_BLOCK, UNSEEN, Tables
from .lookups import Lookups
from .naming import name_columns

TCP = 6
ROWS_AHEAD = 8  # rows asked for before their turn
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainOptions:
    """What a batch is to hold beside the counts."""

    source: str
    observation_point: int
    payload_bytes: int
    names: bool
    community_id: bool
    with_series: bool
    flow_id_key: tuple[int, int] = NO_KEY


def drain(tables: Tables, count: int, captures: list[str], lookups: Lookups, options: DrainOptions) -> pa.RecordBatch:
    """The first `count` finished flows as a batch. The caller frees their slots afterwards."""
    slots = tables.finished[:count].astype(np.int64)
    flows = _rows(tables.flows, slots)
    known: dict[str, Any] = _key_columns(flows, options)
    known |= _time_columns(flows)
    for name, offset in (("fwd", 0), ("rev", 1)):
        known |= _side_columns(_rows(tables.sides, 2 * slots + offset), _column(flows, "protocol") == TCP, name)
    if options.with_series:
        known |= _series_columns(tables, flows)
    if options.names:
        known |= name_columns(tables, slots, lookups)
    if options.payload_bytes:
        known |= _payload_columns(tables, slots, options.payload_bytes)
    known["source"] = chosen_words(np.zeros(count, np.int64), [options.source], None)
    known["capture"] = chosen_words(_column(flows, "capture"), captures, None)
    known["end_reason"] = chosen_words(_column(flows, "end_reason"), END_REASONS, None)
    known["observation_point"] = np.full(count, options.observation_point, np.uint32)
    return flow_batch(known, count)


def _key_columns(flows: Records, options: DrainOptions) -> dict[str, Any]:
    halves = [_column(flows, name) for name in ("src_high", "src_low", "dst_high", "dst_low")]
    src, dst = _addresses(halves[0], halves[1]), _addresses(halves[2], halves[3])
    src_port, dst_port, protocol = (_column(flows, name) for name in ("src_port", "dst_port", "protocol"))
    vlan, inner_vlan, mpls = (_column(flows, name) for name in ("vlan", "inner_vlan", "mpls"))
    tunnel, tunnel_id = _column(flows, "tunnel"), _column(flows, "tunnel_id")
    has_macs = _column(flows, "has_macs")
    known = {
        "src_ip": fixed_binary(src),
        "dst_ip": fixed_binary(dst),
        "src_port": src_port,
        "dst_port": dst_port,
        "protocol": protocol,
        "vlan": plain_array(vlan, is_null=vlan == NO_VLAN),
        "inner_vlan": plain_array(inner_vlan, is_null=inner_vlan == NO_VLAN),
        "tunnel": chosen_words(tunnel, TUNNELS, tunnel == 0),
        "tunnel_id": plain_array(tunnel_id, is_null=tunnel == 0),
        "mpls": plain_array(mpls, is_null=mpls == NO_MPLS),
        "src_mac": _macs(_column(flows, "src_mac"), has_macs & 1 == 0),
        "dst_mac": _macs(_column(flows, "dst_mac"), has_macs & 2 == 0),
        "flow_id": flow_ids_of_halves(
            halves,
            src_port=src_port,
            dst_port=dst_port,
            protocol=protocol,
            vlan=vlan,
            inner_vlan=inner_vlan,
            tunnel=tunnel,
            tunnel_id=np.where(tunnel == TUNNELS.index("gtp-u"), 0, tunnel_id).astype(np.uint32),
            first_ns=_column(flows, "first_ns"),
            ordinal=_column(flows, "ordinal"),
            observation_point=np.full(len(flows), options.observation_point, np.uint32),
            key=options.flow_id_key,
        ),
    }
    if options.community_id:
        known["community_id"] = community_ids(
            src_ip=src, dst_ip=dst, src_port=src_port, dst_port=dst_port, protocol=protocol
        )
    return known


def _time_columns(flows: Records) -> dict[str, Any]:
    start, syn, synack, ack = (_column(flows, name) for name in ("start_ns", "syn_ns", "synack_ns", "ack_ns"))
    answered = (syn != UNSEEN) & (synack != UNSEEN) & (synack >= syn)
    return {
        "start": start.view("M8[ns]"),
        "duration_ns": _column(flows, "last_ns") - start,
        "part": _column(flows, "part"),
        "syn_to_synack_ns": plain_array(synack - syn, is_null=~answered),
        "synack_to_ack_ns": plain_array(ack - synack, is_null=(synack == UNSEEN) | (ack == UNSEEN) | (ack < synack)),
    }


def _side_columns(sides: Records, is_tcp: Array, name: str) -> dict[str, Any]:
    """Sizes are null where there is no packet, gaps where there are fewer than two, TCP's columns where not TCP."""
    packets = _column(sides, "packets")
    totals = _column(sides, "bytes")
    none, few, not_tcp = packets == 0, packets < 2, ~is_tcp
    safe = np.maximum(packets, 1).astype(np.float64)
    off_mean = (totals.astype(np.int64) - (packets * _column(sides, "size_first")).astype(np.int64)) / safe
    size_spread = np.maximum(_column(sides, "size_spread") / safe - off_mean * off_mean, 0)
    known: dict[str, Any] = {
        "packets": packets,
        "bytes": totals,
        "frame_bytes": _column(sides, "frame_bytes"),
        "payload_bytes": _column(sides, "payload_bytes"),
        "tcp_flags": plain_array(_column(sides, "tcp_flags"), is_null=not_tcp),
        "size_min_bytes": plain_array(_column(sides, "size_min"), is_null=none),
        "size_mean_bytes": plain_array(totals / safe, is_null=none),
        "size_max_bytes": plain_array(_column(sides, "size_max"), is_null=none),
        "size_std_bytes": plain_array(np.sqrt(size_spread), is_null=none),
        "gap_min_ns": plain_array(_column(sides, "gap_min_ns"), is_null=few),
        "gap_mean_ns": plain_array(_column(sides, "gap_mean"), is_null=few),
        "gap_max_ns": plain_array(_column(sides, "gap_max_ns"), is_null=few),
        "gap_std_ns": plain_array(np.sqrt(_column(sides, "gap_spread") / np.maximum(safe - 1, 1)), is_null=few),
        "ttl_min": plain_array(_column(sides, "ttl_min"), is_null=none),
        "ttl_max": plain_array(_column(sides, "ttl_max"), is_null=none),
        "tos": plain_array(_column(sides, "tos"), is_null=none),
        "retransmitted_packets": plain_array(_column(sides, "retransmitted"), is_null=not_tcp),
        "out_of_order_packets": plain_array(_column(sides, "out_of_order"), is_null=not_tcp),
    }
    for flag in TCP_FLAGS:
        known[f"{flag}_packets"] = plain_array(_column(sides, f"{flag}_packets"), is_null=not_tcp)
    for window in ("window_first", "window_min", "window_max"):
        known[window] = plain_array(_column(sides, window), is_null=none | not_tcp)
    return {f"{column}_{name}": values for column, values in known.items()}


def _series_columns(tables: Tables, flows: Records) -> dict[str, Any]:
    lengths = _column(flows, "series_count").astype(np.int32)
    offsets = np.zeros(len(flows) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    total = int(offsets[-1])
    gap = np.empty(total, np.int64)
    words = np.empty((3, total), np.uint16)
    flags = np.empty(total, np.uint8)
    direction = np.empty(total, np.int8)
    _copy_series(tables.series, tables.series_next, flows, offsets, gap, words, flags, direction)
    columns = {
        "packet_direction": direction,
        "packet_bytes": words[0],
        "packet_payload_bytes": words[1],
        "packet_gap_ns": gap,
        "packet_tcp_flags": flags,
        "packet_window": words[2],
    }
    starts = plain_array(offsets)
    return {name: pa.ListArray.from_arrays(starts, plain_array(values)) for name, values in columns.items()}


def _rows(records: Records, places: Counts) -> Records:
    """The records at `places`, side by side."""
    out = np.empty((len(places), records.dtype.itemsize // 8), np.uint64)
    _copy_rows(records.view(np.uint64).reshape(len(records), -1), places, out)
    return out.view(records.dtype)[:, 0]


@borrowing
def _copy_rows(rows: npt.NDArray[np.uint64], places: Counts, out: npt.NDArray[np.uint64]) -> None:
    words = rows.shape[1]
    for place in range(len(places)):
        if place + ROWS_AHEAD < len(places):
            ahead = places[place + ROWS_AHEAD] * words
            for line in range(0, words, 8):
                prefetch(rows, ahead + line)
        for word in range(words):
            out[place, word] = rows[places[place], word]


@borrowing
def _copy_series(
    series: Records,
    series_next: npt.NDArray[np.int32],
    flows: Records,
    offsets: npt.NDArray[np.int32],
    gap: Counts,
    words: npt.NDArray[np.uint16],
    flags: npt.NDArray[np.uint8],
    direction: npt.NDArray[np.int8],
) -> None:
    for row in range(len(flows)):
        block = np.int64(flows[row].series_first)
        out = np.int64(offsets[row])
        for place in range(np.int64(flows[row].series_count)):
            within = place % SERIES_BLOCK
            if within == 0 and place > 0:
                block = np.int64(series_next[block])
            entry = series[block * SERIES_BLOCK + within]
            gap[out] = entry.gap_ns
            words[0, out] = entry.bytes
            words[1, out] = entry.payload_bytes
            words[2, out] = entry.window
            flags[out] = entry.tcp_flags
            direction[out] = entry.direction
            out += 1


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


def _column(records: Records, name: str) -> Array:
    return np.ascontiguousarray(records[name])


def _addresses(high: Array, low: Array) -> Array:
    out = np.empty((len(high), 2), ">u8")
    out[:, 0], out[:, 1] = high, low
    return out.view(np.uint8).reshape(len(high), 16)


def _macs(values: Array, is_null: Array) -> pa.Array:
    rows = np.ascontiguousarray(values.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:])
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(6), len(values), [validity(is_null), pa.py_buffer(rows)])
