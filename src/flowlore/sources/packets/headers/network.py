"""IPv4 and IPv6 headers with everything that stands between them and the transport header."""

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes
from . import notes
from .network_order import u8, u16, u32, u64
from .transport import TCP, UDP
from .walk import (
    BAD_IP_HEADER,
    CUT_IP_HEADER,
    FIRST_FRAGMENT,
    IPV4,
    IPV6,
    LATER_FRAGMENT,
    TOO_MANY_HEADERS,
    Walk,
    bound,
    nest,
)

HOP_BY_HOP, ROUTING, FRAGMENT_HEADER, AUTHENTICATION, NO_NEXT, DESTINATION = 0, 43, 44, 51, 59, 60
MOBILITY, HOST_IDENTITY, SHIM6 = 135, 139, 140

_MAPPED = np.uint64(0xFFFF00000000)
_MOST_BYTES = 0xFFFFFFFF


@kernel
def read_ip(data: Bytes, walk: Walk, kind: int) -> int:
    """Read an IP header and its extensions up to the transport header. 0, or the reason why that cannot be."""
    if walk["end"] - walk["offset"] < 1:
        return CUT_IP_HEADER
    version = u8(data, walk["offset"]) >> 4
    if version not in (4, 6) or (kind == IPV4 and version != 4) or (kind == IPV6 and version != 6):
        return BAD_IP_HEADER
    walk["version"] = version
    walk["fragment"] = 0
    walk["is_oversize"] = 0
    reason = _read_ipv4(data, walk) if version == 4 else _read_ipv6(data, walk)
    return reason if reason else _skip_extensions(data, walk)


@kernel
def _read_ipv4(data: Bytes, walk: Walk) -> int:
    if walk["end"] - walk["offset"] < 20:
        return CUT_IP_HEADER
    start = walk["offset"]
    header, total = (u8(data, start) & 15) * 4, u16(data, start + 2)
    if total == 0:
        total = min(walk["wire_end"] - start, _MOST_BYTES)
        walk["pending_notes"] |= notes.ZERO_TOTAL_LENGTH
        walk["is_oversize"] = 1
    if header < 20 or total < header:
        return BAD_IP_HEADER
    _take_length(walk, total)
    fragment = u16(data, start + 6)
    if fragment & 0x1FFF:
        walk["fragment"] = LATER_FRAGMENT
    elif fragment & 0x2000:
        walk["fragment"] = FIRST_FRAGMENT
    walk["fragment_id"] = u16(data, start + 4)
    walk["fragment_protocol"] = data[start + 9]
    walk["protocol"] = data[start + 9]
    walk["tos"] = data[start + 1]
    walk["ttl"] = data[start + 8]
    walk["src_high"] = np.uint64(0)
    walk["src_low"] = _MAPPED | np.uint64(u32(data, start + 12))
    walk["dst_high"] = np.uint64(0)
    walk["dst_low"] = _MAPPED | np.uint64(u32(data, start + 16))
    walk["offset"] = start + header
    return 0


@kernel
def _read_ipv6(data: Bytes, walk: Walk) -> int:
    if walk["end"] - walk["offset"] < 40:
        return CUT_IP_HEADER
    start = walk["offset"]
    payload, protocol = u16(data, start + 4), u8(data, start + 6)
    if payload == 0:
        if protocol == HOP_BY_HOP:
            payload = _jumbo_length(data, walk)
            if payload < 0 or start + 40 + payload > walk["wire_end"]:
                return BAD_IP_HEADER
            walk["is_oversize"] = 1
        elif protocol in (TCP, UDP):
            payload = min(walk["wire_end"] - start - 40, _MOST_BYTES - 40)
            walk["pending_notes"] |= notes.ZERO_TOTAL_LENGTH
            walk["is_oversize"] = 1
    _take_length(walk, 40 + payload)
    walk["protocol"] = protocol
    walk["tos"] = (u16(data, start) >> 4) & 0xFF
    walk["ttl"] = data[start + 7]
    walk["src_high"] = u64(data, start + 8)
    walk["src_low"] = u64(data, start + 16)
    walk["dst_high"] = u64(data, start + 24)
    walk["dst_low"] = u64(data, start + 32)
    walk["offset"] = start + 40
    return 0


@kernel
def _take_length(walk: Walk, total: int) -> None:
    end = walk["offset"] + total
    if end > walk["wire_end"]:
        walk["pending_notes"] |= notes.IP_LONGER_THAN_WIRE
    walk["ip_bytes"] = min(total, _MOST_BYTES)
    walk["ip_end"] = end
    bound(walk, end)


@kernel
def _jumbo_length(data: Bytes, walk: Walk) -> int:
    """The length in the jumbo payload option of the hop-by-hop header after an IPv6 header; -1 where there is none."""
    place = walk["offset"] + 40
    if place + 8 > walk["end"]:
        return -1
    end = min(walk["end"], place + 8 + u8(data, place + 1) * 8)
    place += 2
    while place + 2 <= end:
        kind, length = data[place], u8(data, place + 1)
        if kind == 0:
            place += 1
        elif kind == 0xC2 and length == 4 and place + 6 <= end:
            return u32(data, place + 2)
        else:
            place += 2 + length
    return -1


@kernel
def _skip_extensions(data: Bytes, walk: Walk) -> int:
    """To the transport header. In IPv4 only the authentication header is one; mobility is one if something follows."""
    is_v6 = walk["version"] == 6
    while walk["fragment"] != LATER_FRAGMENT:
        kind, place = walk["protocol"], walk["offset"]
        if kind != AUTHENTICATION and not (is_v6 and _is_extension(kind)):
            break
        if not nest(walk):
            return TOO_MANY_HEADERS
        if place + 8 > walk["ip_end"]:
            return BAD_IP_HEADER
        if place + 8 > walk["end"]:
            return CUT_IP_HEADER
        following, units = u8(data, place), u8(data, place + 1)
        if following == NO_NEXT and kind in (MOBILITY, HOST_IDENTITY):
            break
        length = (units + 1) * 8
        if kind == AUTHENTICATION:
            length = (units + 2) * 4
        elif kind == FRAGMENT_HEADER:
            length = 8
            _take_fragment(data, walk, following)
        if place + length > walk["ip_end"]:
            return BAD_IP_HEADER
        walk["protocol"] = following
        walk["offset"] = place + length
    return 0


@kernel
def _is_extension(kind: int) -> bool:
    return kind in (HOP_BY_HOP, ROUTING, FRAGMENT_HEADER, DESTINATION, MOBILITY, HOST_IDENTITY, SHIM6)


@kernel
def _take_fragment(data: Bytes, walk: Walk, following: int) -> None:
    field = u16(data, walk["offset"] + 2)
    if field & 0xFFF8:
        walk["fragment"] = LATER_FRAGMENT
    elif field & 1:
        walk["fragment"] = FIRST_FRAGMENT
    walk["fragment_id"] = u32(data, walk["offset"] + 4)
    walk["fragment_protocol"] = following
