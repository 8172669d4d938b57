"""The kernel that walks one block of a TPACKET_V3 ring.

Linux lays a block out in the byte order of the machine, which is little-endian wherever this package runs.
"""

import numpy as np

from ...flows.compiled import borrowing, kernel
from .captures.walking import Integer, read_u16, read_u32
from .layout import Bytes, Counts, Records

LIVE_NOTES = ("snapped", "outgoing-copy", "vlan-tag-lost")
SNAPPED, OUTGOING_COPY, VLAN_TAG_LOST = range(3)

_BLOCK_STATUS, _BLOCK_PACKETS, _BLOCK_FIRST = 8, 12, 16  # offsets in tpacket_block_desc
_NEXT, _SECONDS, _NANOSECONDS, _SNAPLEN, _LENGTH, _STATUS, _MAC = 0, 4, 8, 12, 16, 20, 24  # in tpacket3_hdr
_VLAN_TAG, _VLAN_PROTOCOL = 32, 36
_ADDRESS = 48  # sockaddr_ll follows the header
_ADDRESS_PROTOCOL, _ADDRESS_HARDWARE, _ADDRESS_PACKET_TYPE, _ADDRESS_SIZE, _ADDRESS_BYTES = 2, 8, 10, 11, 12
_HEADERS_BYTES = 68
_VLAN_IS_VALID, _VLAN_PROTOCOL_IS_VALID = 1 << 4, 1 << 6
_OUTGOING = 4
_HARDWARE_LOOPBACK = 772
_ETHERNET = 1
_COOKED_HEADER_BYTES = 16


@borrowing
def read_status(ring: Bytes, block: int) -> Integer:
    """Not 0 where the block at `block` is ours."""
    return read_u32(ring, block + _BLOCK_STATUS, False) & 1


@borrowing
def write_status(ring: Bytes, block: int, status: int) -> None:
    """0 gives the block back to the kernel."""
    ring[block + _BLOCK_STATUS] = status


@borrowing
def walk_block(
    ring: Bytes,
    block: int,
    end: int,
    frames: Records,
    tallies: Counts,
    link: int,
    cooked: bool,
    skip_outgoing: bool,
) -> Integer:
    """The frames of the block that lies from `block` to `end`. Writes VLAN tags and cooked headers into the ring."""
    count = 0
    at = block + read_u32(ring, block + _BLOCK_FIRST, False)
    for _ in range(read_u32(ring, block + _BLOCK_PACKETS, False)):
        if at + _HEADERS_BYTES > end or count == len(frames):
            break
        next_at = at + read_u32(ring, at + _NEXT, False)
        captured = read_u32(ring, at + _SNAPLEN, False)
        wire = read_u32(ring, at + _LENGTH, False)
        start = at + read_u16(ring, at + _MAC, False)
        if start + captured > end:
            break
        address = at + _ADDRESS
        is_outgoing = ring[address + _ADDRESS_PACKET_TYPE] == _OUTGOING
        is_loopback = skip_outgoing or read_u16(ring, address + _ADDRESS_HARDWARE, False) == _HARDWARE_LOOPBACK
        if is_outgoing and is_loopback:
            tallies[OUTGOING_COPY] += 1  # loopback shows each packet going out and coming in
        else:
            added = 0
            if cooked:
                added = add_cooked_header(ring, start, address)
            elif has_vlan_tag(ring, at):
                if link == _ETHERNET and captured >= 12 and start - 4 >= address:
                    added = put_vlan_tag_back(ring, start, at)
                else:
                    tallies[VLAN_TAG_LOST] += 1
            if wire > captured:
                tallies[SNAPPED] += 1
            frame = frames[count]
            frame.time_ns = read_u32(ring, at + _SECONDS, False) * 1_000_000_000 + read_u32(
                ring, at + _NANOSECONDS, False
            )
            frame.start = start - added
            frame.captured = captured + added
            frame.wire = max(wire, captured) + added
            frame.link = link
            frame.interface = 0
            count += 1
        if next_at <= at:
            break
        at = next_at
    return count


@kernel
def has_vlan_tag(ring: Bytes, at: Integer) -> Integer:
    return (read_u32(ring, at + _STATUS, False) & _VLAN_IS_VALID) != 0 or read_u32(ring, at + _VLAN_TAG, False) != 0


@kernel
def put_vlan_tag_back(ring: Bytes, start: Integer, at: Integer) -> Integer:
    """Move the two addresses 4 bytes down and write the tag behind them. The number of bytes added."""
    tag = read_u32(ring, at + _VLAN_TAG, False)
    protocol = np.int64(0x8100)
    if read_u32(ring, at + _STATUS, False) & _VLAN_PROTOCOL_IS_VALID:
        protocol = read_u16(ring, at + _VLAN_PROTOCOL, False)
    for place in range(start - 4, start + 8):
        ring[place] = ring[place + 4]
    ring[start + 8] = protocol >> 8
    ring[start + 9] = protocol & 0xFF
    ring[start + 10] = (tag >> 8) & 0xFF
    ring[start + 11] = tag & 0xFF
    return 4


@kernel
def add_cooked_header(ring: Bytes, start: Integer, address: Integer) -> Integer:
    """Write a Linux cooked header before the network layer, from the socket's address. The number of bytes added."""
    header = start - _COOKED_HEADER_BYTES
    ring[header] = 0
    ring[header + 1] = ring[address + _ADDRESS_PACKET_TYPE]
    ring[header + 2] = ring[address + _ADDRESS_HARDWARE + 1]
    ring[header + 3] = ring[address + _ADDRESS_HARDWARE]
    ring[header + 4] = 0
    ring[header + 5] = ring[address + _ADDRESS_SIZE]
    for place in range(8):
        ring[header + 6 + place] = ring[address + _ADDRESS_BYTES + place]
    ring[header + 14] = ring[address + _ADDRESS_PROTOCOL]
    ring[header + 15] = ring[address + _ADDRESS_PROTOCOL + 1]
    return _COOKED_HEADER_BYTES
