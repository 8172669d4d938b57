"""Frames to packets: the kernel that reads the headers of every frame of a chunk.

Its usual case, Ethernet with plain IPv4 and TCP or UDP, is read in one stroke; all else walks layer by layer. Both
give the same packets.
"""

import numpy as np

from ....flows.compiled import compiled
from ..layout import NO_MPLS, NO_VLAN, Bytes, Counts, Records
from . import notes as note_places
from .fragments import find_first, join_flow, new_fragment_table, remember_first, set_flow
from .keys import hash_key, key_tunnel_id, scope_word
from .links import BOTH_KNOWN, first_layer, read_link_layer
from .network import Words, read_ip
from .network_order import u16, u32, u48
from .notes import NOTES
from .transport import TCP, UDP, read_transport
from .tunnels import enter_tunnel, is_tunnel_port
from .walk import (
    ACKNOWLEDGEMENT,
    BAD_TIME,
    DST_MAC,
    DST_PORT,
    END,
    FIRST_FRAGMENT,
    FIRST_FRAGMENT_ENTRIES,
    FIRST_FRAGMENTS,
    FIRST_FRAGMENTS_LIMIT,
    FOLLOW_TUNNELS,
    FRAGMENT,
    HAS_MACS,
    INNER_VLAN,
    IP,
    IP_BYTES,
    IS_WRITTEN,
    KIND,
    LATER_FRAGMENT,
    NESTING_LIMIT,
    PAYLOAD_BYTES,
    PAYLOAD_START,
    PENDING_NOTES,
    PROTOCOL,
    SEQUENCE,
    SRC_MAC,
    SRC_PORT,
    STOP,
    TCP_FLAGS,
    TOO_MANY_HEADERS,
    TOP_LABEL,
    TOS,
    TTL,
    TUNNEL,
    TUNNEL_ID,
    UNKNOWN_LINK_TYPE,
    VERDICT,
    VLAN,
    WALK_LENGTH,
    WINDOW,
    ZERO_LENGTH_RECORD,
    begin,
    note,
    stop,
)
from .wireless import read_wireless_layer

__all__ = ["NOTES", "new_fragment_table", "parse_frames"]

_WIRELESS_LAYERS = (11, 12, 13, 14, 15)
_MAPPED = np.uint64(0xFFFF00000000)
_NONE = np.uint64(0)
_STEPS_PER_HEADER = 4  # layers that one tag or tunnel can lead through


@compiled
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
    walk = np.zeros(WALK_LENGTH, np.int64)
    addresses = np.zeros(4, np.uint64)
    walk[NESTING_LIMIT] = max_nesting
    walk[FOLLOW_TUNNELS] = np.int64(follow_tunnels)
    for place in range(len(frames)):
        if not _parse_usual(data, frames, packets, place):
            parse_frame(data, frames, packets, place, fragments, notes, walk, addresses)


@compiled
def _parse_usual(data: Bytes, frames: Records, packets: Records, place: int) -> bool:
    """Read untagged Ethernet, IPv4 without options and whole TCP or UDP headers. False, with nothing written, where a
    frame is anything else, or odd in any way."""
    frame = frames[place]
    start, captured, wire = np.int64(frame["start"]), np.int64(frame["captured"]), np.int64(frame["wire"])
    if captured < 42 or frame["link"] != 1 or frame["time_ns"] < 0:
        return False
    if u32(data, start + 12) >> 8 != 0x080045:
        return False
    total = u16(data, start + 16)
    if u16(data, start + 20) & 0x3FFF or total + 14 > wire:
        return False
    protocol = np.int64(data[np.uint64(start + 23)])
    ends = u32(data, start + 34)
    src_port, dst_port = ends >> 16, ends & 0xFFFF
    sequence, acknowledgement, window, flags = 0, 0, 0, 0
    if protocol == TCP:
        if captured < 54:
            return False
        control = u32(data, start + 46)
        header = 20 + (control >> 28) * 4
        if header < 40 or total < header:
            return False
        payload_bytes = total - header
        sequence, acknowledgement = u32(data, start + 38), u32(data, start + 42)
        flags, window = (control >> 16) & 0xFF, control & 0xFFFF
    elif protocol == UDP:
        header = 28
        if total < header or u16(data, start + 38) != total - 20 or is_tunnel_port(src_port, dst_port):
            return False
        payload_bytes = total - header
    else:
        return False
    payload_start = start + min(14 + header, captured)
    src_low = _MAPPED | np.uint64(u32(data, start + 26))
    dst_low = _MAPPED | np.uint64(u32(data, start + 30))
    scope = scope_word(protocol, NO_VLAN, NO_VLAN, 0)
    packet = packets[place]
    packet["time_ns"] = frame["time_ns"]
    packet["key_hash"] = hash_key(_NONE, src_low, _NONE, dst_low, src_port, dst_port, scope, _NONE)
    packet["src_high"] = _NONE
    packet["src_low"] = src_low
    packet["dst_high"] = _NONE
    packet["dst_low"] = dst_low
    packet["src_mac"] = u48(data, start + 6)
    packet["dst_mac"] = u48(data, start)
    packet["payload_start"] = payload_start
    packet["sequence"] = sequence
    packet["acknowledgement"] = acknowledgement
    packet["frame_bytes"] = wire
    packet["ip_bytes"] = total
    packet["payload_bytes"] = payload_bytes
    packet["payload_captured"] = max(min(start + captured, start + 14 + total) - payload_start, 0)
    packet["tunnel_id"] = 0
    packet["mpls"] = NO_MPLS
    packet["src_port"] = src_port
    packet["dst_port"] = dst_port
    packet["window"] = window
    packet["vlan"] = NO_VLAN
    packet["inner_vlan"] = NO_VLAN
    packet["protocol"] = protocol
    packet["tcp_flags"] = flags
    packet["ttl"] = data[np.uint64(start + 22)]
    packet["tos"] = data[np.uint64(start + 15)]
    packet["tunnel"] = 0
    packet["has_macs"] = BOTH_KNOWN
    packet["verdict"] = 0
    return True


@compiled
def parse_frame(
    data: Bytes,
    frames: Records,
    packets: Records,
    place: int,
    fragments: Records,
    notes: Counts,
    walk: Counts,
    addresses: Words,
) -> None:
    """Read any frame, layer by layer."""
    frame = frames[place]
    captured, time_ns = np.int64(frame["captured"]), frame["time_ns"]
    begin(walk, frame["start"], captured, max(np.int64(frame["wire"]), captured), time_ns)
    walk[KIND] = first_layer(np.int64(frame["link"]))
    if time_ns < 0:
        stop(walk, BAD_TIME)
    elif captured == 0:
        stop(walk, ZERO_LENGTH_RECORD)
    elif walk[KIND] == STOP:
        stop(walk, UNKNOWN_LINK_TYPE)
    steps = _STEPS_PER_HEADER * (walk[NESTING_LIMIT] + 2)
    while walk[KIND] != STOP:
        steps -= 1
        if steps < 0:
            stop(walk, TOO_MANY_HEADERS)
        elif walk[KIND] >= IP:
            _take_ip(data, packets, place, frames, fragments, walk, addresses)
        elif walk[KIND] in _WIRELESS_LAYERS:
            read_wireless_layer(data, walk, walk[KIND])
        else:
            read_link_layer(data, walk, walk[KIND])
    if not walk[IS_WRITTEN]:
        _write_rejected(frames, packets, place, walk[VERDICT])
    elif walk[VERDICT]:
        note(walk, note_places.TUNNEL_WITHOUT_IP)
    pending = walk[PENDING_NOTES]
    counter = 0
    while pending:
        notes[counter] += pending & 1
        pending >>= 1
        counter += 1


@compiled
def _take_ip(
    data: Bytes, packets: Records, place: int, frames: Records, fragments: Records, walk: Counts, addresses: Words
) -> None:
    """Read one IP packet; if it is whole enough to make a flow, it makes it, in the place of one further out."""
    walk[VERDICT] = 0
    if not read_ip(data, walk, addresses, walk[KIND]):
        return
    if walk[FRAGMENT]:
        note(walk, note_places.FRAGMENTS)
    if not read_transport(data, walk):
        return
    _write_packet(frames, packets, place, walk, addresses)
    walk[IS_WRITTEN] = 1
    if walk[FRAGMENT] == LATER_FRAGMENT:
        entry = find_first(fragments, walk, addresses)
        if entry < 0:
            note(walk, note_places.FRAGMENTS_WITHOUT_FIRST)
        else:
            join_flow(fragments, entry, packets, place)
    elif walk[FRAGMENT] == FIRST_FRAGMENT and walk[FIRST_FRAGMENTS] < FIRST_FRAGMENTS_LIMIT:
        walk[FIRST_FRAGMENT_ENTRIES + walk[FIRST_FRAGMENTS]] = remember_first(fragments, walk, addresses)
        walk[FIRST_FRAGMENTS] += 1
    for entry in range(walk[FIRST_FRAGMENTS]):
        set_flow(fragments, walk[FIRST_FRAGMENT_ENTRIES + entry], packets, place)
    if walk[FOLLOW_TUNNELS] and walk[FRAGMENT] != LATER_FRAGMENT:
        enter_tunnel(data, walk)
    else:
        stop(walk, 0)


@compiled
def _write_packet(frames: Records, packets: Records, place: int, walk: Counts, addresses: Words) -> None:
    frame, packet = frames[place], packets[place]
    scope = scope_word(walk[PROTOCOL], walk[VLAN], walk[INNER_VLAN], walk[TUNNEL])
    packet["time_ns"] = frame["time_ns"]
    packet["key_hash"] = hash_key(
        addresses[0],
        addresses[1],
        addresses[2],
        addresses[3],
        walk[SRC_PORT],
        walk[DST_PORT],
        scope,
        key_tunnel_id(walk[TUNNEL], walk[TUNNEL_ID]),
    )
    packet["src_high"] = addresses[0]
    packet["src_low"] = addresses[1]
    packet["dst_high"] = addresses[2]
    packet["dst_low"] = addresses[3]
    packet["src_mac"] = walk[SRC_MAC]
    packet["dst_mac"] = walk[DST_MAC]
    payload_start = min(walk[PAYLOAD_START], walk[END])
    packet["payload_start"] = payload_start
    packet["sequence"] = walk[SEQUENCE]
    packet["acknowledgement"] = walk[ACKNOWLEDGEMENT]
    packet["frame_bytes"] = frame["wire"]
    packet["ip_bytes"] = walk[IP_BYTES]
    packet["payload_bytes"] = walk[PAYLOAD_BYTES]
    packet["payload_captured"] = min(walk[PAYLOAD_BYTES], walk[END] - payload_start)
    packet["tunnel_id"] = walk[TUNNEL_ID]
    packet["mpls"] = walk[TOP_LABEL]
    packet["src_port"] = walk[SRC_PORT]
    packet["dst_port"] = walk[DST_PORT]
    packet["window"] = walk[WINDOW]
    packet["vlan"] = walk[VLAN]
    packet["inner_vlan"] = walk[INNER_VLAN]
    packet["protocol"] = walk[PROTOCOL]
    packet["tcp_flags"] = walk[TCP_FLAGS]
    packet["ttl"] = walk[TTL]
    packet["tos"] = walk[TOS]
    packet["tunnel"] = walk[TUNNEL]
    packet["has_macs"] = walk[HAS_MACS]
    packet["verdict"] = 0


@compiled
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
