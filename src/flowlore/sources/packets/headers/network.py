"""IPv4 and IPv6 headers with everything that stands between them and the transport header."""

import numpy as np
import numpy.typing as npt

from ....flows.compiled import compiled
from ..layout import Bytes, Counts
from . import notes
from .network_order import u16, u32, u64
from .walk import (
    BAD_IP_HEADER,
    CUT_IP_HEADER,
    END,
    FIRST_FRAGMENT,
    FRAGMENT,
    FRAGMENT_ID,
    FRAGMENT_PROTOCOL,
    IP_BYTES,
    IP_END,
    IPV4,
    IPV6,
    IS_JUMBO,
    LATER_FRAGMENT,
    OFFSET,
    PROTOCOL,
    TOS,
    TTL,
    VERSION,
    WIRE_END,
    bound,
    holds,
    nest,
    note,
    stop,
)

Words = npt.NDArray[np.uint64]  # high and low half of the source's and the destination's address

HOP_BY_HOP, ROUTING, FRAGMENT_HEADER, AUTHENTICATION, NO_NEXT, DESTINATION = 0, 43, 44, 51, 59, 60
MOBILITY, HOST_IDENTITY, SHIM6 = 135, 139, 140

_MAPPED = np.uint64(0xFFFF00000000)
_MOST_BYTES = 0xFFFFFFFF


@compiled
def read_ip(data: Bytes, walk: Counts, addresses: Words, kind: int) -> bool:
    """Read an IP header and its extensions up to the transport header; False where the walk ends before it."""
    if not holds(walk, 1):
        stop(walk, CUT_IP_HEADER)
        return False
    version = np.int64(data[walk[OFFSET]] >> 4)
    if version not in (4, 6) or (kind == IPV4 and version != 4) or (kind == IPV6 and version != 6):
        stop(walk, BAD_IP_HEADER)
        return False
    walk[VERSION] = version
    walk[FRAGMENT] = 0
    walk[IS_JUMBO] = 0
    if version == 4:
        return _read_ipv4(data, walk, addresses) and _skip_extensions(data, walk)
    return _read_ipv6(data, walk, addresses) and _skip_extensions(data, walk)


@compiled
def _read_ipv4(data: Bytes, walk: Counts, addresses: Words) -> bool:
    if not holds(walk, 20):
        stop(walk, CUT_IP_HEADER)
        return False
    start = walk[OFFSET]
    header, total = np.int64(data[start] & 15) * 4, u16(data, start + 2)
    if total == 0:
        total = min(walk[WIRE_END] - start, _MOST_BYTES)
        note(walk, notes.ZERO_TOTAL_LENGTH)
    if header < 20 or total < header:
        stop(walk, BAD_IP_HEADER)
        return False
    _take_length(walk, total)
    fragment = u16(data, start + 6)
    if fragment & 0x1FFF:
        walk[FRAGMENT] = LATER_FRAGMENT
    elif fragment & 0x2000:
        walk[FRAGMENT] = FIRST_FRAGMENT
    walk[FRAGMENT_ID] = u16(data, start + 4)
    walk[FRAGMENT_PROTOCOL] = data[start + 9]
    walk[PROTOCOL] = data[start + 9]
    walk[TOS] = data[start + 1]
    walk[TTL] = data[start + 8]
    addresses[0] = np.uint64(0)
    addresses[1] = _MAPPED | np.uint64(u32(data, start + 12))
    addresses[2] = np.uint64(0)
    addresses[3] = _MAPPED | np.uint64(u32(data, start + 16))
    walk[OFFSET] = start + header
    return True


@compiled
def _read_ipv6(data: Bytes, walk: Counts, addresses: Words) -> bool:
    if not holds(walk, 40):
        stop(walk, CUT_IP_HEADER)
        return False
    start = walk[OFFSET]
    payload, protocol = u16(data, start + 4), np.int64(data[start + 6])
    if payload == 0 and protocol != NO_NEXT:
        if protocol == HOP_BY_HOP:
            payload = _jumbo_length(data, walk)
            if payload < 0 or start + 40 + payload > walk[WIRE_END]:
                stop(walk, BAD_IP_HEADER)
                return False
            walk[IS_JUMBO] = 1
        else:
            payload = min(walk[WIRE_END] - start - 40, _MOST_BYTES - 40)
            note(walk, notes.ZERO_TOTAL_LENGTH)
    _take_length(walk, 40 + payload)
    walk[PROTOCOL] = protocol
    walk[TOS] = (u16(data, start) >> 4) & 0xFF
    walk[TTL] = data[start + 7]
    addresses[0] = u64(data, start + 8)
    addresses[1] = u64(data, start + 16)
    addresses[2] = u64(data, start + 24)
    addresses[3] = u64(data, start + 32)
    walk[OFFSET] = start + 40
    return True


@compiled
def _take_length(walk: Counts, total: int) -> None:
    end = walk[OFFSET] + total
    if end > walk[WIRE_END]:
        note(walk, notes.IP_LONGER_THAN_WIRE)
    walk[IP_BYTES] = min(total, _MOST_BYTES)
    walk[IP_END] = end
    bound(walk, end)


@compiled
def _jumbo_length(data: Bytes, walk: Counts) -> int:
    """The length in the jumbo payload option of the hop-by-hop header after an IPv6 header; -1 where there is none."""
    place = walk[OFFSET] + 40
    if place + 8 > walk[END]:
        return -1
    end = min(walk[END], place + 8 + np.int64(data[place + 1]) * 8)
    place += 2
    while place + 2 <= end:
        kind, length = data[place], np.int64(data[place + 1])
        if kind == 0:
            place += 1
        elif kind == 0xC2 and length == 4 and place + 6 <= end:
            return u32(data, place + 2)
        else:
            place += 2 + length
    return -1


@compiled
def _skip_extensions(data: Bytes, walk: Counts) -> bool:
    """To the transport header. In IPv4 only the authentication header is one; mobility is one if something follows."""
    is_v6 = walk[VERSION] == 6
    while walk[FRAGMENT] != LATER_FRAGMENT:
        kind, place = walk[PROTOCOL], walk[OFFSET]
        if kind != AUTHENTICATION and not (is_v6 and _is_extension(kind)):
            break
        if not nest(walk):
            return False
        if place + 8 > walk[IP_END]:
            stop(walk, BAD_IP_HEADER)
            return False
        if place + 8 > walk[END]:
            stop(walk, CUT_IP_HEADER)
            return False
        following, units = np.int64(data[place]), np.int64(data[place + 1])
        if following == NO_NEXT and kind in (MOBILITY, HOST_IDENTITY):
            break
        length = (units + 1) * 8
        if kind == AUTHENTICATION:
            length = (units + 2) * 4
        elif kind == FRAGMENT_HEADER:
            length = 8
            _take_fragment(data, walk, following)
        if place + length > walk[IP_END]:
            stop(walk, BAD_IP_HEADER)
            return False
        walk[PROTOCOL] = following
        walk[OFFSET] = place + length
    return True


@compiled
def _is_extension(kind: int) -> bool:
    return kind in (HOP_BY_HOP, ROUTING, FRAGMENT_HEADER, DESTINATION, MOBILITY, HOST_IDENTITY, SHIM6)


@compiled
def _take_fragment(data: Bytes, walk: Counts, following: int) -> None:
    field = u16(data, walk[OFFSET] + 2)
    if field & 0xFFF8:
        walk[FRAGMENT] = LATER_FRAGMENT
    elif field & 1:
        walk[FRAGMENT] = FIRST_FRAGMENT
    walk[FRAGMENT_ID] = u32(data, walk[OFFSET] + 4)
    walk[FRAGMENT_PROTOCOL] = following
