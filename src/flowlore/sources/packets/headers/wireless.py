"""IEEE 802.11 data frames, with the headers that capture software puts before them."""

from ....flows.compiled import kernel
from ..layout import Bytes
from .links import BOTH_KNOWN, first_layer
from .network_order import u16_little, u32, u32_little, u48
from .walk import (
    CUT_LINK_HEADER,
    LLC,
    PPI,
    PRISM,
    RADIOTAP,
    STOP,
    TOO_MANY_HEADERS,
    UNKNOWN_LINK_TYPE,
    WIRELESS,
    WIRELESS_BAD_HEADER,
    WIRELESS_ENCRYPTED,
    WIRELESS_FRAGMENT,
    WIRELESS_MANAGEMENT,
    Walk,
    bound,
    nest,
)


@kernel
def read_wireless_layer(data: Bytes, walk: Walk, kind: int) -> int:
    """Read 802.11 or what was put before it. The next layer, or minus the reason why there is none."""
    if kind == WIRELESS:
        return _read_wireless(data, walk)
    if kind == RADIOTAP:
        return _read_radiotap(data, walk)
    if kind == PPI:
        return _read_ppi(data, walk)
    return _read_prism_or_avs(data, walk, kind)


@kernel
def _read_wireless(data: Bytes, walk: Walk) -> int:
    if walk["has_fcs"]:
        bound(walk, walk["wire_end"] - 4)
    start = walk["offset"]
    held = walk["end"] - start
    if held < 2:
        return -CUT_LINK_HEADER
    first, flags = data[start], data[start + 1]
    if first & 0x03:
        return -WIRELESS_BAD_HEADER
    if first & 0x0C != 0x08 or first & 0x40:  # management, control, and data frames without data
        return -WIRELESS_MANAGEMENT
    if flags & 0x40:
        return -WIRELESS_ENCRYPTED
    has_quality, sides = first & 0x80, flags & 0x03
    header = 30 if sides == 3 else 24
    if has_quality:
        header += 2
    if held < header:
        return -CUT_LINK_HEADER
    if data[start + 22] & 0x0F or (has_quality and data[start + header - 2] & 0x80):
        return -WIRELESS_FRAGMENT
    if has_quality and flags & 0x80:
        header += 4
    if walk["is_padded"]:
        header = (header + 3) & ~3
    # Which addresses are the sender's and the receiver's depends on which sides an access point stands on.
    walk["dst_mac"] = u48(data, start + (16 if sides & 1 else 4))
    walk["src_mac"] = u48(data, start + (24 if sides == 3 else 16 if sides == 2 else 10))
    walk["has_macs"] = BOTH_KNOWN
    walk["offset"] = start + header
    return LLC


@kernel
def _read_radiotap(data: Bytes, walk: Walk) -> int:
    start = walk["offset"]
    held = walk["end"] - start
    if held < 8:
        return -CUT_LINK_HEADER
    length, present = u16_little(data, start + 2), u32_little(data, start + 4)
    if data[start] != 0 or length < 8:
        return -WIRELESS_BAD_HEADER
    if held < length:
        return -CUT_LINK_HEADER
    fields, words = 8, present
    while words & 0x80000000 and fields + 4 <= length:
        words = u32_little(data, start + fields)
        fields += 4
    if present & 1:  # time stamp
        fields = ((fields + 7) & ~7) + 8
    if present & 2 and fields < length:
        flags = data[start + fields]
        walk["has_fcs"] = flags & 0x10
        walk["is_padded"] = flags & 0x20
    walk["offset"] = start + length
    return WIRELESS


@kernel
def _read_prism_or_avs(data: Bytes, walk: Walk, kind: int) -> int:
    """Both name their length: AVS in network order, Prism in that of the driver. Some drivers write AVS as Prism."""
    start = walk["offset"]
    if walk["end"] - start < 8:
        return -CUT_LINK_HEADER
    length = u32(data, start + 4)
    if kind == PRISM and u32(data, start) not in (0x80211001, 0x80211002):
        length = min(length, u32_little(data, start + 4))
    if length < 8:
        return -WIRELESS_BAD_HEADER
    if walk["end"] - start < length:
        return -CUT_LINK_HEADER
    walk["offset"] = start + length
    return WIRELESS


@kernel
def _read_ppi(data: Bytes, walk: Walk) -> int:
    """Fields of type, length and value before a frame of any link type."""
    if not nest(walk):
        return -TOO_MANY_HEADERS
    start = walk["offset"]
    held = walk["end"] - start
    if held < 8:
        return -CUT_LINK_HEADER
    length, link = u16_little(data, start + 2), u32_little(data, start + 4)
    if length < 8 or held < length:
        return -CUT_LINK_HEADER
    place, end = start + 8, start + length
    while place + 4 <= end:
        kind, field_length = u16_little(data, place), u16_little(data, place + 2)
        if kind == 2 and field_length >= 10 and place + 14 <= end:  # 802.11-Common
            walk["has_fcs"] = data[place + 12] & 1
        place += 4 + field_length
    walk["offset"] = end
    layer = first_layer(link)
    return -UNKNOWN_LINK_TYPE if layer == STOP else layer
