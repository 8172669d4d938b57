"""IEEE 802.11 data frames, with the headers that capture software puts before them."""

import numpy as np

from ....flows.compiled import compiled
from ..layout import Bytes, Counts
from .links import BOTH_KNOWN, first_layer
from .network_order import u16_little, u32, u32_little, u48
from .walk import (
    AVS,
    CUT_LINK_HEADER,
    DST_MAC,
    END,
    HAS_FCS,
    HAS_MACS,
    IS_PADDED,
    LLC,
    OFFSET,
    PRISM,
    RADIOTAP,
    SRC_MAC,
    STOP,
    UNKNOWN_LINK_TYPE,
    WIRE_END,
    WIRELESS,
    WIRELESS_BAD_HEADER,
    WIRELESS_ENCRYPTED,
    WIRELESS_FRAGMENT,
    WIRELESS_MANAGEMENT,
    bound,
    go_on,
    holds,
    nest,
    stop,
)

_PPI_LINK_TYPE = 192


@compiled
def read_wireless_layer(data: Bytes, walk: Counts, kind: int) -> None:
    """Read one header: 802.11 itself or what was put before it."""
    if kind == WIRELESS:
        _read_wireless(data, walk)
    elif kind == RADIOTAP:
        _read_radiotap(data, walk)
    elif kind == PRISM:
        _read_prism(data, walk)
    elif kind == AVS:
        _read_avs(data, walk)
    else:
        _read_ppi(data, walk)


@compiled
def _read_wireless(data: Bytes, walk: Counts) -> None:
    if walk[HAS_FCS]:
        bound(walk, walk[WIRE_END] - 4)
    if not holds(walk, 2):
        stop(walk, CUT_LINK_HEADER)
        return
    start = walk[OFFSET]
    first, flags = data[start], data[start + 1]
    if first & 0x03:
        stop(walk, WIRELESS_BAD_HEADER)
        return
    if first & 0x0C != 0x08 or first & 0x40:  # management, control, and data frames without data
        stop(walk, WIRELESS_MANAGEMENT)
        return
    if flags & 0x40:
        stop(walk, WIRELESS_ENCRYPTED)
        return
    has_quality, to_and_from = first & 0x80, flags & 0x03
    header = 24
    if to_and_from == 3:
        header += 6
    if has_quality:
        header += 2
    if not holds(walk, header):
        stop(walk, CUT_LINK_HEADER)
        return
    if u16_little(data, start + 22) & 0x0F or (has_quality and data[start + header - 2] & 0x80):
        stop(walk, WIRELESS_FRAGMENT)
        return
    if has_quality and flags & 0x80:
        header += 4
    if walk[IS_PADDED]:
        header = (header + 3) & ~3
    _take_addresses(data, walk, to_and_from)
    go_on(walk, LLC, header)


@compiled
def _take_addresses(data: Bytes, walk: Counts, to_and_from: int) -> None:
    """Which of the four addresses is the sender's depends on whether an access point stands on either side."""
    start = walk[OFFSET]
    if to_and_from == 0:
        destination, source = start + 4, start + 10
    elif to_and_from == 1:
        destination, source = start + 16, start + 10
    elif to_and_from == 2:
        destination, source = start + 4, start + 16
    else:
        destination, source = start + 16, start + 24
    walk[DST_MAC] = u48(data, destination)
    walk[SRC_MAC] = u48(data, source)
    walk[HAS_MACS] = BOTH_KNOWN


@compiled
def _read_radiotap(data: Bytes, walk: Counts) -> None:
    if not holds(walk, 8):
        stop(walk, CUT_LINK_HEADER)
        return
    start = walk[OFFSET]
    length = u16_little(data, start + 2)
    if data[start] != 0 or length < 8:
        stop(walk, WIRELESS_BAD_HEADER)
        return
    if not holds(walk, length):
        stop(walk, CUT_LINK_HEADER)
        return
    present = u32_little(data, start + 4)
    fields = 8
    words = present
    while words & 0x80000000 and fields + 4 <= length:
        words = u32_little(data, start + fields)
        fields += 4
    if present & 1:
        fields = ((fields + 7) & ~7) + 8
    if present & 2 and fields < length:
        flags = data[start + fields]
        walk[HAS_FCS] = np.int64(flags & 0x10 != 0)
        walk[IS_PADDED] = np.int64(flags & 0x20 != 0)
    go_on(walk, WIRELESS, length)


@compiled
def _read_prism(data: Bytes, walk: Counts) -> None:
    """The header names its length in the byte order of the driver; some drivers write an AVS header instead."""
    if not holds(walk, 8):
        stop(walk, CUT_LINK_HEADER)
        return
    start = walk[OFFSET]
    if u32(data, start) in (0x80211001, 0x80211002):
        go_on(walk, AVS, 0)
        return
    length = min(u32(data, start + 4), u32_little(data, start + 4))
    _skip_to_wireless(walk, length)


@compiled
def _read_avs(data: Bytes, walk: Counts) -> None:
    if not holds(walk, 8):
        stop(walk, CUT_LINK_HEADER)
        return
    _skip_to_wireless(walk, u32(data, walk[OFFSET] + 4))


@compiled
def _skip_to_wireless(walk: Counts, length: int) -> None:
    if length < 8:
        stop(walk, WIRELESS_BAD_HEADER)
    elif not holds(walk, length):
        stop(walk, CUT_LINK_HEADER)
    else:
        go_on(walk, WIRELESS, length)


@compiled
def _read_ppi(data: Bytes, walk: Counts) -> None:
    """Fields of type, length and value before a frame of any link type."""
    if not nest(walk):
        return
    if not holds(walk, 8):
        stop(walk, CUT_LINK_HEADER)
        return
    start = walk[OFFSET]
    length, link = u16_little(data, start + 2), u32_little(data, start + 4)
    if length < 8 or not holds(walk, length):
        stop(walk, CUT_LINK_HEADER)
        return
    field, fields_end = start + 8, min(start + length, walk[END])
    while field + 4 <= fields_end:
        kind, field_length = u16_little(data, field), u16_little(data, field + 2)
        if kind == 2 and field_length >= 10 and field + 14 <= fields_end:  # 802.11-Common
            walk[HAS_FCS] = u16_little(data, field + 12) & 1
        field += 4 + field_length
    kind = STOP if link > 0xFFFF or link == _PPI_LINK_TYPE else first_layer(link)
    if kind == STOP:
        stop(walk, UNKNOWN_LINK_TYPE)
    else:
        go_on(walk, kind, length)
