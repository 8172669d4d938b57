"""Frames to packets: the kernel that reads the headers of every frame of a chunk.

Its usual case, Ethernet with plain IPv4 and TCP or UDP, is read in one stroke; all else walks layer by layer. Both
give the same packets.
"""

import numpy as np

from ....flows.compiled import borrowing, kernel
from ..layout import NO_MPLS, NO_VLAN, Bytes, Counts, Records
from . import notes as note_bits
from .fragments import find_first, join_flow, new_fragment_table, remember_first, set_flow
from .keys import hash_key, key_tunnel_id, scope_word
from .links import BOTH_KNOWN, first_layer, read_link_layer
from .network import read_ip
from .network_order import as_int, u8, u16, u32, u48, u64
from .notes import NOTES
from .transport import TCP, UDP, read_transport
from .tunnels import enter_tunnel, is_tunnel_port
from .walk import (
    BAD_TIME,
    FIRST_FRAGMENT,
    IP,
    LATER_FRAGMENT,
    STOP,
    TOO_MANY_HEADERS,
    UNKNOWN_LINK_TYPE,
    WALK,
    ZERO_LENGTH_RECORD,
    Walk,
    begin,
)
from .wireless import read_wireless_layer

__all__ = ["NOTES", "new_fragment_table", "parse_frames"]

_WIRELESS_LAYERS = (11, 12, 13, 14, 15)
_MAPPED = np.uint64(0xFFFF00000000)
_NONE = np.uint64(0)
_NO_VLAN, _NO_TUNNEL = np.uint16(NO_VLAN), np.uint8(0)  # typed, so that Numba makes no new version for a literal
_STEPS_PER_HEADER = 4  # layers that one tag or tunnel can lead through


def parse_frames(
    data: Bytes,
    frames: Records,
    packets: Records,
    fragments: Records,
    notes: Counts,
    max_nesting: int,
    follow_tunnels: bool,
) -> None:
    """Read the headers of `frames[i]`, whose bytes lie in `data`, into `packets[i]`, for every i.

    `verdict` is 0 for a packet that belongs to a flow; else it is the place of a reason and, but for time and length,
    the rest is 0. `fragments` is a `new_fragment_table` that is kept from call to call, in order of capture; `notes`
    has a counter for each of `NOTES`. `max_nesting` bounds tags, tunnels and extension headers in a frame. With
    `follow_tunnels` the innermost IP header makes the flow, else the outermost.
    """
    data = data.view()
    data.flags.writeable = False  # whoever calls: a kernel is compiled for each kind of array
    walks = np.zeros(1, WALK)
    walks["nesting_limit"] = max_nesting
    walks["follow_tunnels"] = follow_tunnels
    _parse_frames(data, frames, packets, fragments, notes, walks)


@borrowing
def _parse_frames(
    data: Bytes, frames: Records, packets: Records, fragments: Records, notes: Counts, walks: Records
) -> None:
    for place in range(len(frames)):
        if not _parse_usual(data, frames, packets, place):
            parse_frame(data, frames, packets, place, fragments, notes, walks[0])


@kernel
def _parse_usual(data: Bytes, frames: Records, packets: Records, place: int) -> bool:
    """Read Ethernet with at most one tag, IP without options or extensions, and whole TCP or UDP headers.

    False, with nothing written, where a frame is anything else, or odd in any way.
    """
    frame, packet = frames[place], packets[place]
    start, captured, wire = as_int(frame["start"]), as_int(frame["captured"]), as_int(frame["wire"])
    end = start + captured
    if captured < 42 or frame["link"] != 1 or frame["time_ns"] < 0:
        return False
    kind, ip, vlan = u16(data, start + 12), start + 14, NO_VLAN
    if kind == 0x8100:
        vlan, kind, ip = u16(data, start + 14) & 0x0FFF, u16(data, start + 16), start + 18
    if kind == 0x0800:
        transport = ip + 20
        if end < transport + 8 or data[ip] != 0x45 or u16(data, ip + 6) & 0x3FFF:
            return False
        total, protocol, ttl, tos = u16(data, ip + 2), u8(data, ip + 9), u8(data, ip + 8), u8(data, ip + 1)
        src_high, src_low = _NONE, _MAPPED | np.uint64(u32(data, ip + 12))
        dst_high, dst_low = _NONE, _MAPPED | np.uint64(u32(data, ip + 16))
    elif kind == 0x86DD:
        transport = ip + 40
        if end < transport + 8 or data[ip] & 0xF0 != 0x60:
            return False
        total, protocol, ttl, tos = u16(data, ip + 4) + 40, u8(data, ip + 6), u8(data, ip + 7), u16(data, ip) >> 4 & 255
        src_high, src_low = u64(data, ip + 8), u64(data, ip + 16)
        dst_high, dst_low = u64(data, ip + 24), u64(data, ip + 32)
    else:
        return False
    ip_end = ip + total
    ends = u32(data, transport)
    src_port, dst_port = ends >> 16, ends & 0xFFFF
    sequence, acknowledgement, window, flags = 0, 0, 0, 0
    if protocol == TCP:
        if end < transport + 20:
            return False
        control = u32(data, transport + 12)
        header = (control >> 28) * 4
        if header < 20:
            return False
        sequence, acknowledgement = u32(data, transport + 4), u32(data, transport + 8)
        flags, window = (control >> 16) & 0xFF, control & 0xFFFF
    elif protocol == UDP:
        header = 8
        if u16(data, transport + 4) != ip_end - transport or is_tunnel_port(src_port, dst_port):
            return False
    else:
        return False
    payload = transport + header
    if ip_end < payload or ip_end > start + wire:
        return False
    payload_start = min(payload, end)
    scope = scope_word(protocol, vlan, as_int(_NO_VLAN), as_int(_NO_TUNNEL))
    packet["time_ns"] = frame["time_ns"]
    packet["key_hash"] = hash_key(src_high, src_low, dst_high, dst_low, src_port, dst_port, scope, _NONE)
    packet["src_high"] = src_high
    packet["src_low"] = src_low
    packet["dst_high"] = dst_high
    packet["dst_low"] = dst_low
    packet["src_mac"] = u48(data, start + 6)
    packet["dst_mac"] = u48(data, start)
    packet["payload_start"] = payload_start
    packet["sequence"] = sequence
    packet["acknowledgement"] = acknowledgement
    packet["frame_bytes"] = wire
    packet["ip_bytes"] = total
    packet["payload_bytes"] = ip_end - payload
    packet["payload_captured"] = max(min(end, ip_end) - payload_start, 0)
    packet["tunnel_id"] = 0
    packet["mpls"] = NO_MPLS
    packet["src_port"] = src_port
    packet["dst_port"] = dst_port
    packet["window"] = window
    packet["vlan"] = vlan
    packet["inner_vlan"] = NO_VLAN
    packet["protocol"] = protocol
    packet["tcp_flags"] = flags
    packet["ttl"] = ttl
    packet["tos"] = tos
    packet["tunnel"] = 0
    packet["has_macs"] = BOTH_KNOWN
    packet["verdict"] = 0
    return True


@kernel
def parse_frame(
    data: Bytes,
    frames: Records,
    packets: Records,
    place: int,
    fragments: Records,
    notes: Counts,
    walk: Walk,
) -> None:
    """Read any frame, layer by layer."""
    frame = frames[place]
    captured, time_ns = as_int(frame["captured"]), frame["time_ns"]
    begin(walk, frame["start"], captured, max(as_int(frame["wire"]), captured), time_ns)
    layer, is_written = _first_layer(frames, place), False
    steps = _STEPS_PER_HEADER * (walk["nesting_limit"] + 2)
    while layer > STOP:
        steps -= 1
        if steps < 0:
            layer = -TOO_MANY_HEADERS
        elif layer >= IP:
            layer, is_flow = _take_ip(data, frames, packets, place, fragments, walk, layer)
            is_written |= is_flow
        elif layer in _WIRELESS_LAYERS:
            layer = read_wireless_layer(data, walk, layer)
        else:
            layer = read_link_layer(data, walk, layer)
    if not is_written:
        _write_rejected(frames, packets, place, -layer)
    elif layer < 0:
        walk["pending_notes"] |= note_bits.TUNNEL_WITHOUT_IP
    pending, counter = walk["pending_notes"], 0
    while pending:
        notes[counter] += pending & 1
        pending >>= 1
        counter += 1


@kernel
def _first_layer(frames: Records, place: int) -> int:
    frame = frames[place]
    if frame["time_ns"] < 0:
        return -BAD_TIME
    if frame["captured"] == 0:
        return -ZERO_LENGTH_RECORD
    layer = first_layer(as_int(frame["link"]))
    return -UNKNOWN_LINK_TYPE if layer == STOP else layer


@kernel
def _take_ip(
    data: Bytes,
    frames: Records,
    packets: Records,
    place: int,
    fragments: Records,
    walk: Walk,
    kind: int,
) -> tuple[int, bool]:
    """Read one IP packet. If it is whole enough to make a flow, it does, in the place of one further out.

    The layer that it carries (or minus the reason why there is none), and whether it made a flow.
    """
    reason = read_ip(data, walk, kind)
    if reason:
        return -reason, False
    if walk["fragment"]:
        walk["pending_notes"] |= note_bits.FRAGMENTS
    reason = read_transport(data, walk)
    if reason:
        return -reason, False
    _write_packet(frames, packets, place, walk)
    if walk["fragment"] == LATER_FRAGMENT:
        entry = find_first(fragments, walk)
        if entry < 0:
            walk["pending_notes"] |= note_bits.FRAGMENTS_WITHOUT_FIRST
        else:
            join_flow(fragments, entry, packets, place)
        return STOP, True
    if walk["fragment"] == FIRST_FRAGMENT:
        entry = remember_first(fragments, walk)
        if walk["outer_entry"] < 0:
            walk["outer_entry"] = entry
        else:
            walk["inner_entry"] = entry
    if walk["outer_entry"] >= 0:
        set_flow(fragments, walk["outer_entry"], packets, place)
    if walk["inner_entry"] >= 0:
        set_flow(fragments, walk["inner_entry"], packets, place)
    return enter_tunnel(data, walk) if walk["follow_tunnels"] else STOP, True


@kernel
def _write_packet(frames: Records, packets: Records, place: int, walk: Walk) -> None:
    frame, packet = frames[place], packets[place]
    scope = scope_word(walk["protocol"], walk["vlan"], walk["inner_vlan"], walk["tunnel"])
    packet["time_ns"] = frame["time_ns"]
    packet["key_hash"] = hash_key(
        walk["src_high"],
        walk["src_low"],
        walk["dst_high"],
        walk["dst_low"],
        walk["src_port"],
        walk["dst_port"],
        scope,
        key_tunnel_id(walk["tunnel"], walk["tunnel_id"]),
    )
    packet["src_high"] = walk["src_high"]
    packet["src_low"] = walk["src_low"]
    packet["dst_high"] = walk["dst_high"]
    packet["dst_low"] = walk["dst_low"]
    packet["src_mac"] = walk["src_mac"]
    packet["dst_mac"] = walk["dst_mac"]
    payload_start = min(walk["payload_start"], walk["end"])
    packet["payload_start"] = payload_start
    packet["sequence"] = walk["sequence"]
    packet["acknowledgement"] = walk["acknowledgement"]
    packet["frame_bytes"] = frame["wire"]
    packet["ip_bytes"] = walk["ip_bytes"]
    packet["payload_bytes"] = walk["payload_bytes"]
    packet["payload_captured"] = min(walk["payload_bytes"], walk["end"] - payload_start)
    packet["tunnel_id"] = walk["tunnel_id"]
    packet["mpls"] = walk["top_label"]
    packet["src_port"] = walk["src_port"]
    packet["dst_port"] = walk["dst_port"]
    packet["window"] = walk["window"]
    packet["vlan"] = walk["vlan"]
    packet["inner_vlan"] = walk["inner_vlan"]
    packet["protocol"] = walk["protocol"]
    packet["tcp_flags"] = walk["tcp_flags"]
    packet["ttl"] = walk["ttl"]
    packet["tos"] = walk["tos"]
    packet["tunnel"] = walk["tunnel"]
    packet["has_macs"] = walk["has_macs"]
    packet["verdict"] = 0


@kernel
def _write_rejected(frames: Records, packets: Records, place: int, verdict: int) -> None:
    frame, packet = frames[place], packets[place]
    packet["time_ns"] = frame["time_ns"]
    packet["key_hash"] = _NONE
    packet["src_high"] = _NONE
    packet["src_low"] = _NONE
    packet["dst_high"] = _NONE
    packet["dst_low"] = _NONE
    packet["src_mac"] = _NONE
    packet["dst_mac"] = _NONE
    packet["payload_start"] = 0
    packet["sequence"] = 0
    packet["acknowledgement"] = 0
    packet["frame_bytes"] = frame["wire"]
    packet["ip_bytes"] = 0
    packet["payload_bytes"] = 0
    packet["payload_captured"] = 0
    packet["tunnel_id"] = 0
    packet["mpls"] = NO_MPLS
    packet["src_port"] = 0
    packet["dst_port"] = 0
    packet["window"] = 0
    packet["vlan"] = NO_VLAN
    packet["inner_vlan"] = NO_VLAN
    packet["protocol"] = 0
    packet["tcp_flags"] = 0
    packet["ttl"] = 0
    packet["tos"] = 0
    packet["tunnel"] = 0
    packet["has_macs"] = 0
    packet["verdict"] = verdict
