"""Link layers: from the first byte of a frame, or of what a tunnel carries, to the IP header."""

import numpy as np

from ....flows.compiled import compiled
from ..layout import NO_MPLS, NO_VLAN, Bytes, Counts
from .network_order import u16, u32, u32_little, u48
from .walk import (
    AVS,
    CISCO_HDLC,
    COOKED_V1,
    COOKED_V2,
    CUT_LINK_HEADER,
    DST_MAC,
    END,
    ETHERNET,
    ETHERTYPE,
    FDDI,
    HAS_MACS,
    INNER_VLAN,
    IP,
    IPV4,
    IPV6,
    LLC,
    MPLS,
    NETFILTER_LOG,
    NOT_IP,
    NULL,
    OFFSET,
    PPI,
    PPP,
    PPP_CONTROL,
    PPPOE,
    PRISM,
    RADIOTAP,
    SRC_MAC,
    STOP,
    TOP_LABEL,
    VALUE,
    VLAN,
    WIRELESS,
    bound,
    go_on,
    holds,
    nest,
    stop,
)

SOURCE_KNOWN, BOTH_KNOWN = 1, 3

_MAXIMUM_LENGTH = 0x05DC  # an EtherType field up to this is the length of an LLC frame


@compiled
def first_layer(link: int) -> int:
    """What frames of a link type begin with; STOP where the link type is not known."""
    if link == 1:
        return ETHERNET
    if link == 113:
        return COOKED_V1
    if link == 276:
        return COOKED_V2
    if link in (12, 14, 101):
        return IP
    if link == 228:
        return IPV4
    if link == 229:
        return IPV6
    if link in (0, 108):
        return NULL
    if link in (9, 50):
        return PPP
    if link == 51:
        return PPPOE
    if link == 104:
        return CISCO_HDLC
    if link == 105:
        return WIRELESS
    if link == 127:
        return RADIOTAP
    if link == 119:
        return PRISM
    if link == 163:
        return AVS
    if link == 192:
        return PPI
    if link == 239:
        return NETFILTER_LOG
    if link == 100:
        return LLC
    if link == 10:
        return FDDI
    return STOP


@compiled
def read_link_layer(data: Bytes, walk: Counts, kind: int) -> None:
    """Read one header of the wired link layers."""
    if kind == ETHERNET:
        _read_ethernet(data, walk)
    elif kind == ETHERTYPE:
        _read_ethertype(data, walk)
    elif kind == LLC:
        _read_llc(data, walk)
    elif kind == MPLS:
        _read_mpls(data, walk)
    elif kind == PPPOE:
        _read_pppoe(data, walk)
    elif kind == PPP:
        _read_ppp(data, walk)
    elif kind == CISCO_HDLC:
        _read_header_with_ethertype(data, walk, 4, 2)
    elif kind == NULL:
        _read_null(data, walk)
    elif kind == COOKED_V1:
        _read_cooked(data, walk, 16, 14, 4, 6)
    elif kind == COOKED_V2:
        _read_cooked(data, walk, 20, 0, 10, 12)
    elif kind == NETFILTER_LOG:
        _read_netfilter_log(data, walk)
    else:
        _read_fddi(data, walk)


@compiled
def _read_ethernet(data: Bytes, walk: Counts) -> None:
    """MAC addresses and VLAN ids are those of the Ethernet header nearest to the flow's IP header."""
    if not holds(walk, 14):
        stop(walk, CUT_LINK_HEADER)
        return
    start = walk[OFFSET]
    walk[DST_MAC] = u48(data, start)
    walk[SRC_MAC] = u48(data, start + 6)
    walk[HAS_MACS] = BOTH_KNOWN
    walk[VLAN] = NO_VLAN
    walk[INNER_VLAN] = NO_VLAN
    walk[VALUE] = u16(data, start + 12)
    go_on(walk, ETHERTYPE, 14)


@compiled
def _read_ethertype(data: Bytes, walk: Counts) -> None:
    """OFFSET is after the EtherType, which is in VALUE."""
    value = walk[VALUE]
    if value == 0x0800:
        go_on(walk, IPV4, 0)
    elif value == 0x86DD:
        go_on(walk, IPV6, 0)
    elif value in (0x8100, 0x88A8, 0x9100):
        if not nest(walk):
            return
        if not holds(walk, 4):
            stop(walk, CUT_LINK_HEADER)
            return
        tag = u16(data, walk[OFFSET]) & 0x0FFF
        if walk[VLAN] == NO_VLAN:
            walk[VLAN] = tag
        elif walk[INNER_VLAN] == NO_VLAN:
            walk[INNER_VLAN] = tag
        walk[VALUE] = u16(data, walk[OFFSET] + 2)
        go_on(walk, ETHERTYPE, 4)
    elif value in (0x8847, 0x8848):
        go_on(walk, MPLS, 0)
    elif value == 0x8864:
        go_on(walk, PPPOE, 0)
    elif value == 0x8863:
        stop(walk, PPP_CONTROL)
    elif value == 0x880B:
        go_on(walk, PPP, 0)
    elif value == 0x6558:
        if nest(walk):
            go_on(walk, ETHERNET, 0)
    elif value == 0x8870:  # LLC in a jumbo frame
        go_on(walk, LLC, 0)
    elif value <= _MAXIMUM_LENGTH:
        bound(walk, walk[OFFSET] + value)
        go_on(walk, LLC, 0)
    else:
        stop(walk, NOT_IP)


@compiled
def _read_llc(data: Bytes, walk: Counts) -> None:
    if not holds(walk, 3):
        stop(walk, CUT_LINK_HEADER)
        return
    start = walk[OFFSET]
    access_points, control = u16(data, start), data[start + 2]
    if access_points == 0x0606 and control == 3:
        go_on(walk, IPV4, 3)
    elif access_points != 0xAAAA or control != 3:
        stop(walk, NOT_IP)
    elif not holds(walk, 8):
        stop(walk, CUT_LINK_HEADER)
    else:
        organisation = (u16(data, start + 3) << 8) | np.int64(data[start + 5])
        if organisation not in (0x000000, 0x0000F8):
            stop(walk, NOT_IP)
        else:
            walk[VALUE] = u16(data, start + 6)
            if walk[VALUE] <= _MAXIMUM_LENGTH:  # no EtherType; as a length it would never end
                stop(walk, NOT_IP)
            else:
                go_on(walk, ETHERTYPE, 8)


@compiled
def _read_mpls(data: Bytes, walk: Counts) -> None:
    """One label. Below the last one, four bits tell IPv4, IPv6 and a control word from an Ethernet pseudowire."""
    if not nest(walk):
        return
    if not holds(walk, 5):
        stop(walk, CUT_LINK_HEADER)
        return
    start = walk[OFFSET]
    entry = u32(data, start)
    if walk[TOP_LABEL] == NO_MPLS:
        walk[TOP_LABEL] = entry >> 12
    if not entry & 0x100:
        go_on(walk, MPLS, 4)
        return
    first = data[start + 4]
    if first >> 4 == 4 and first & 15 >= 5:
        go_on(walk, IPV4, 4)
    elif first >> 4 == 6:
        go_on(walk, IPV6, 4)
    elif first >> 4 == 1:  # associated channel: control messages of the pseudowire
        stop(walk, NOT_IP)
    else:
        go_on(walk, ETHERNET, 8 if first >> 4 == 0 else 4)


@compiled
def _read_pppoe(data: Bytes, walk: Counts) -> None:
    if not nest(walk):
        return
    if not holds(walk, 6):
        stop(walk, CUT_LINK_HEADER)
        return
    start = walk[OFFSET]
    if data[start] != 0x11 or data[start + 1] != 0:
        stop(walk, PPP_CONTROL)
        return
    length = u16(data, start + 4)
    go_on(walk, PPP, 6)
    bound(walk, start + 6 + length)


@compiled
def _read_ppp(data: Bytes, walk: Counts) -> None:
    """With or without address and control bytes; the protocol may be compressed to one byte."""
    start = walk[OFFSET]
    if holds(walk, 4) and data[start] in (0x0F, 0x8F) and data[start + 1] == 0:
        go_on(walk, CISCO_HDLC, 0)
        return
    skipped = 2 if holds(walk, 2) and data[start] == 0xFF and data[start + 1] == 0x03 else 0
    if not holds(walk, skipped + 2):
        stop(walk, CUT_LINK_HEADER)
        return
    protocol = np.int64(data[start + skipped])
    skipped += 1
    if not protocol & 1:
        protocol = (protocol << 8) | np.int64(data[start + skipped])
        skipped += 1
    if protocol == 0x0021:
        go_on(walk, IPV4, skipped)
    elif protocol == 0x0057:
        go_on(walk, IPV6, skipped)
    elif protocol in (0x0281, 0x0283):
        go_on(walk, MPLS, skipped)
    elif protocol >= 0x8000:
        stop(walk, PPP_CONTROL)
    else:
        stop(walk, NOT_IP)


@compiled
def _read_header_with_ethertype(data: Bytes, walk: Counts, header_bytes: int, type_at: int) -> None:
    if not holds(walk, header_bytes):
        stop(walk, CUT_LINK_HEADER)
        return
    value = u16(data, walk[OFFSET] + type_at)
    if value == 0x0001 or value == 0x0004:  # cooked captures: an 802.3 frame without its MAC header
        go_on(walk, LLC, header_bytes)
    elif value <= _MAXIMUM_LENGTH:
        stop(walk, NOT_IP)
    else:
        walk[VALUE] = value
        go_on(walk, ETHERTYPE, header_bytes)


@compiled
def _read_cooked(
    data: Bytes, walk: Counts, header_bytes: int, type_at: int, address_length_at: int, address_at: int
) -> None:
    if holds(walk, header_bytes):
        start = walk[OFFSET]
        # The length is two bytes in version 1 and one in version 2, whose byte before it is the packet's type.
        length = u16(data, start + address_length_at) if header_bytes == 16 else np.int64(data[start + 11])
        if length == 6:
            walk[SRC_MAC] = u48(data, start + address_at)
            walk[HAS_MACS] = SOURCE_KNOWN
    _read_header_with_ethertype(data, walk, header_bytes, type_at)


@compiled
def _read_null(data: Bytes, walk: Counts) -> None:
    """The address family in the byte order of the capturing machine; some write PPP or an EtherType in its place."""
    if not holds(walk, 4):
        stop(walk, CUT_LINK_HEADER)
        return
    start = walk[OFFSET]
    if u16(data, start) == 0xFF03:
        go_on(walk, PPP, 0)
        return
    family = u32(data, start)
    if family > 0xFFFF:
        family = u32_little(data, start)
    if family == 2:
        go_on(walk, IPV4, 4)
    elif family in (10, 24, 28, 30):
        go_on(walk, IPV6, 4)
    elif _MAXIMUM_LENGTH < family <= 0xFFFF:
        walk[VALUE] = family
        go_on(walk, ETHERTYPE, 4)
    else:
        stop(walk, NOT_IP)


@compiled
def _read_netfilter_log(data: Bytes, walk: Counts) -> None:
    """Attributes of length, type and value, in the byte order of the capturing machine (taken as little-endian)."""
    if not holds(walk, 4):
        stop(walk, CUT_LINK_HEADER)
        return
    family, place = data[walk[OFFSET]], walk[OFFSET] + 4
    while place + 4 <= walk[END]:
        length = np.int64(data[place]) | (np.int64(data[place + 1]) << 8)
        kind = (np.int64(data[place + 2]) | (np.int64(data[place + 3]) << 8)) & 0x7FFF
        if length < 4:
            break
        if kind == 9:
            walk[OFFSET] = place + 4
            bound(walk, place + length)
            if family == 2:
                go_on(walk, IPV4, 0)
            elif family == 10:
                go_on(walk, IPV6, 0)
            else:
                stop(walk, NOT_IP)
            return
        place += (length + 3) & ~3
    stop(walk, CUT_LINK_HEADER)


@compiled
def _read_fddi(data: Bytes, walk: Counts) -> None:
    if not holds(walk, 13):
        stop(walk, CUT_LINK_HEADER)
        return
    start = walk[OFFSET]
    if data[start] & 0xC0 != 0x40 or data[start] & 0x30 != 0x10:  # LLC frames only
        stop(walk, NOT_IP)
        return
    walk[DST_MAC] = u48(data, start + 1)
    walk[SRC_MAC] = u48(data, start + 7)
    walk[HAS_MACS] = BOTH_KNOWN
    go_on(walk, LLC, 13)
