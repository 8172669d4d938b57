"""Finished flows turned on their side: records → columns, each record read once, nulls noted on the way.

Columns of one width lie in one block of memory, a row each. Shape letters: N flows of the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ....flows.compiled import borrowing, inlined, prefetch
from ....flows.schema import TCP_FLAGS
from ..layout import NO_MPLS, NO_VLAN, Bytes, Counts, Number, Record, Records
from .layout import UNSEEN

TCP = 6
ROWS_AHEAD = 8  # records asked for before their turn
LINE_BYTES = 64  # of the processor's cache
WIDTHS: tuple[np.dtype[Any], ...] = (
    np.dtype(np.int64),
    np.dtype(np.float64),
    np.dtype(np.uint32),
    np.dtype(np.uint16),
    np.dtype(np.uint8),
)

# What the kernels fill, in the order in which they do; beside each name, the bitmap that says where it is null.
ALWAYS, FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH = range(-1, 7)
NO_PACKET, NO_GAP, NO_TCP, NO_TCP_PACKET = FIRST, SECOND, THIRD, FOURTH

Names = Sequence[tuple[str, int]]

SIDE_COLUMNS: tuple[Names, ...] = (
    (
        ("packets", ALWAYS),
        ("bytes", ALWAYS),
        ("frame_bytes", ALWAYS),
        ("payload_bytes", ALWAYS),
        ("gap_min_ns", NO_GAP),
        ("gap_max_ns", NO_GAP),
    ),
    (
        ("size_mean_bytes", NO_PACKET),
        ("size_std_bytes", NO_PACKET),
        ("gap_mean_ns", NO_GAP),
        ("gap_std_ns", NO_GAP),
    ),
    (
        ("size_min_bytes", NO_PACKET),
        ("size_max_bytes", NO_PACKET),
        *((f"{flag}_packets", NO_TCP) for flag in TCP_FLAGS),
        ("retransmitted_packets", NO_TCP),
        ("out_of_order_packets", NO_TCP),
    ),
    (("window_first", NO_TCP_PACKET), ("window_min", NO_TCP_PACKET), ("window_max", NO_TCP_PACKET)),
    (("tcp_flags", NO_TCP), ("ttl_min", NO_PACKET), ("ttl_max", NO_PACKET), ("tos", NO_PACKET)),
)

FLOW_COLUMNS: tuple[Names, ...] = (
    (
        ("start", ALWAYS),
        ("duration_ns", ALWAYS),
        ("syn_to_synack_ns", FIRST),
        ("synack_to_ack_ns", SECOND),
        ("first_ns", ALWAYS),
        ("src_high", ALWAYS),
        ("src_low", ALWAYS),
        ("dst_high", ALWAYS),
        ("dst_low", ALWAYS),
    ),
    (),
    (("part", ALWAYS), ("tunnel_id", FIFTH), ("mpls", SIXTH), ("ordinal", ALWAYS), ("capture", ALWAYS)),
    (("src_port", ALWAYS), ("dst_port", ALWAYS), ("vlan", THIRD), ("inner_vlan", FOURTH)),
    (("protocol", ALWAYS), ("tunnel", ALWAYS), ("end_reason", ALWAYS)),
)
FLOW_BITMAPS, SRC_MAC, DST_MAC = 8, SEVENTH, SEVENTH + 1
SIDE_BITMAPS = 4


@dataclass(frozen=True, slots=True)
class Columns:
    """What a kernel filled: values by name, and which bitmap says where they are null."""

    rows: int
    blocks: tuple[Any, ...]
    bitmaps: Bytes
    nulls: Counts
    names: tuple[Names, ...]

    def values(self, name: str) -> Any:
        for block, names in zip(self.blocks, self.names, strict=True):
            for place, (known, _) in enumerate(names):
                if known == name:
                    return block[place, : self.rows]
        raise KeyError(name)

    def arrow(self, name: str, type_: pa.DataType) -> pa.Array:
        """One column as it lies in memory, whatever Arrow type of its width it is to be."""
        for block, names in zip(self.blocks, self.names, strict=True):
            for place, (known, bitmap) in enumerate(names):
                if known == name:
                    return pa.Array.from_buffers(
                        type_, self.rows, [self.validity(bitmap), pa.py_buffer(block[place, : self.rows])]
                    )
        raise KeyError(name)

    def validity(self, bitmap: int) -> pa.Buffer | None:
        """Arrow's bitmap of what is there; None where everything is."""
        return pa.py_buffer(self.bitmaps[bitmap]) if bitmap != ALWAYS and self.nulls[bitmap] else None


def side_columns(sides: Records, slots: Counts, direction: int, protocol: Bytes) -> Columns:
    """The quantities of one direction (0 forward, 1 reverse)."""
    columns = _empty(len(slots), SIDE_COLUMNS, SIDE_BITMAPS)
    longs, floats, words, shorts, octets = columns.blocks
    _turn_sides(sides, slots, direction, protocol, longs, floats, words, shorts, octets, columns.bitmaps, columns.nulls)
    return columns


def flow_columns(flows: Records, slots: Counts) -> tuple[Columns, Bytes, Bytes]:
    """Keys and times; addresses and MACs as bytes, (2, N, 16) and (2, N, 6), of `src` and `dst`."""
    columns = _empty(len(slots), FLOW_COLUMNS, FLOW_BITMAPS)
    addresses = np.empty((2, len(slots), 16), np.uint8)
    macs = np.empty((2, len(slots), 6), np.uint8)
    longs, _, words, shorts, octets = columns.blocks
    _turn_flows(
        flows, slots, longs, words, shorts, octets, addresses.view(np.uint64), macs, columns.bitmaps, columns.nulls
    )
    return columns, addresses, macs


def _empty(rows: int, names: tuple[Names, ...], bitmaps: int) -> Columns:
    """Rows are one cache line longer than a multiple of two, lest columns share the same lines of the cache."""
    blocks = []
    for width, columns in zip(WIDTHS, names, strict=True):
        stride = rows + LINE_BYTES // width.itemsize - rows % (LINE_BYTES // width.itemsize)
        blocks.append(np.empty((len(columns), stride), width))
    return Columns(
        rows, tuple(blocks), np.zeros((bitmaps, (rows + 7) // 8), np.uint8), np.zeros(bitmaps, np.int64), names
    )


@borrowing
def _turn_sides(
    sides: Records,
    slots: Counts,
    direction: Number,
    protocol: Bytes,
    longs: Counts,
    floats: npt.NDArray[np.float64],
    words: npt.NDArray[np.uint32],
    shorts: npt.NDArray[np.uint16],
    octets: Bytes,
    bitmaps: Bytes,
    nulls: Counts,
) -> None:
    """Sizes are null where there is no packet, gaps where there are fewer than two, TCP's columns where not TCP."""
    for row in range(len(slots)):
        if row + ROWS_AHEAD < len(slots):
            prefetch(sides, 2 * slots[row + ROWS_AHEAD] + direction)
        side = sides[2 * slots[row] + direction]
        packets = np.int64(side.packets)
        is_tcp = protocol[row] == TCP
        _note(bitmaps, nulls, NO_PACKET, row, packets > 0)
        _note(bitmaps, nulls, NO_GAP, row, packets > 1)
        _note(bitmaps, nulls, NO_TCP, row, is_tcp)
        _note(bitmaps, nulls, NO_TCP_PACKET, row, is_tcp and packets > 0)
        total = np.int64(side.bytes)
        longs[0, row], longs[1, row] = packets, total
        longs[2, row], longs[3, row] = np.int64(side.frame_bytes), np.int64(side.payload_bytes)
        longs[4, row], longs[5, row] = side.gap_min_ns, side.gap_max_ns
        safe: Number = np.float64(max(packets, np.int64(1)))
        off_mean = np.float64(total - packets * np.int64(side.size_first)) / safe
        floats[0, row] = np.float64(total) / safe
        floats[1, row] = np.sqrt(max(np.float64(side.size_spread) / safe - off_mean * off_mean, 0.0))
        floats[2, row] = side.gap_mean
        floats[3, row] = np.sqrt(side.gap_spread / max(safe - 1.0, 1.0))
        words[0, row], words[1, row] = side.size_min, side.size_max
        words[2, row], words[3, row], words[4, row] = side.fin_packets, side.syn_packets, side.rst_packets
        words[5, row], words[6, row], words[7, row] = side.psh_packets, side.ack_packets, side.urg_packets
        words[8, row], words[9, row] = side.ece_packets, side.cwr_packets
        words[10, row], words[11, row] = side.retransmitted, side.out_of_order
        shorts[0, row], shorts[1, row], shorts[2, row] = side.window_first, side.window_min, side.window_max
        octets[0, row], octets[1, row] = side.tcp_flags, side.ttl_min
        octets[2, row], octets[3, row] = side.ttl_max, side.tos


@borrowing
def _turn_flows(
    flows: Records,
    slots: Counts,
    longs: Counts,
    words: npt.NDArray[np.uint32],
    shorts: npt.NDArray[np.uint16],
    octets: Bytes,
    addresses: npt.NDArray[np.uint64],
    macs: Bytes,
    bitmaps: Bytes,
    nulls: Counts,
) -> None:
    for row in range(len(slots)):
        if row + ROWS_AHEAD < len(slots):
            prefetch(flows, slots[row + ROWS_AHEAD])
        flow = flows[slots[row]]
        syn, synack, ack = flow.syn_ns, flow.synack_ns, flow.ack_ns
        longs[0, row], longs[1, row] = flow.start_ns, flow.last_ns - flow.start_ns
        longs[2, row], longs[3, row] = synack - syn, ack - synack
        longs[4, row] = flow.first_ns
        longs[5, row], longs[6, row] = np.int64(flow.src_high), np.int64(flow.src_low)
        longs[7, row], longs[8, row] = np.int64(flow.dst_high), np.int64(flow.dst_low)
        words[0, row], words[1, row], words[2, row] = flow.part, flow.tunnel_id, flow.mpls
        words[3, row], words[4, row] = flow.ordinal, flow.capture
        shorts[0, row], shorts[1, row] = flow.src_port, flow.dst_port
        shorts[2, row], shorts[3, row] = flow.vlan, flow.inner_vlan
        octets[0, row], octets[1, row], octets[2, row] = flow.protocol, flow.tunnel, flow.end_reason
        addresses[0, row, 0], addresses[0, row, 1] = _big_endian(flow.src_high), _big_endian(flow.src_low)
        addresses[1, row, 0], addresses[1, row, 1] = _big_endian(flow.dst_high), _big_endian(flow.dst_low)
        for byte in range(6):
            shift = np.uint64(8 * (5 - byte))
            macs[0, row, byte] = (flow.src_mac >> shift) & np.uint64(0xFF)
            macs[1, row, byte] = (flow.dst_mac >> shift) & np.uint64(0xFF)
        _note(bitmaps, nulls, FIRST, row, syn != UNSEEN and synack != UNSEEN and synack >= syn)
        _note(bitmaps, nulls, SECOND, row, synack != UNSEEN and ack != UNSEEN and ack >= synack)
        _note(bitmaps, nulls, THIRD, row, flow.vlan != NO_VLAN)
        _note(bitmaps, nulls, FOURTH, row, flow.inner_vlan != NO_VLAN)
        _note(bitmaps, nulls, FIFTH, row, flow.tunnel != 0)
        _note(bitmaps, nulls, SIXTH, row, flow.mpls != NO_MPLS)
        _note(bitmaps, nulls, SRC_MAC, row, flow.has_macs & 1 != 0)
        _note(bitmaps, nulls, DST_MAC, row, flow.has_macs & 2 != 0)


@inlined
def _note(bitmaps: Bytes, nulls: Counts, which: Number, row: Number, is_there: Any) -> None:
    if is_there:
        bitmaps[which, row >> 3] |= np.uint8(1 << (row & 7))
    else:
        nulls[which] += 1


@inlined
def _big_endian(value: Record) -> Number:
    """The number whose bytes in this machine's order are those of `value` from the highest on."""
    swapped = np.uint64(0)
    for byte in range(8):
        swapped = (swapped << np.uint64(8)) | ((np.uint64(value) >> np.uint64(8 * byte)) & np.uint64(0xFF))
    return swapped
