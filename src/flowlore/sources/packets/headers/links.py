"""Link layers: from the first byte of a frame, or of what a tunnel carries, to the IP header."""

from ....flows.compiled import kernel
from ..layout import NO_MPLS, NO_VLAN, Bytes
from .network_order import u8, u16, u16_little, u24, u32, u32_little, u48
from .walk import (
    AVS,
    CISCO_HDLC,
    COOKED_V1,
    COOKED_V2,
    CUT_LINK_HEADER,
    ETHERNET,
    ETHERTYPE,
    FDDI,
    INFINIBAND,
    IP,
    IPV4,
    IPV6,
    LLC,
    MPLS,
    NETFILTER_LOG,
    NOT_IP,
    NULL,
    PPI,
    PPP,
    PPP_CONTROL,
    PPPOE,
    PRISM,
    RADIOTAP,
    STOP,
    TOO_MANY_HEADERS,
    WIRELESS,
    Walk,
    bound,
    nest,
)

SOURCE_KNOWN, BOTH_KNOWN = 1, 3

_MAXIMUM_LENGTH = 0x05DC  # an EtherType field up to this is the length of an LLC frame


@kernel
def first_layer(link: int) -> int:
    """What frames of a link type begin with; STOP where the link type is not known."""
    if link == 1:
        return ETHERNET
    if link == 113:
        return COOKED_V1
    if link == 276:
        return COOKED_V2
    if link in (12, 14, 101, 228, 229):
        return IP
    if link in (0, 108):
        return NULL
    if link in (9, 50):
        return PPP
    if link == 51:
        return PPPOE
    if link == 104:
        return CISCO_HDLC
    if link == 242:
        return INFINIBAND
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


@kernel
def read_link_layer(data: Bytes, walk: Walk, kind: int) -> int:
    """Read one header of the wired link layers. The next layer, or minus the reason why there is none."""
    if kind == ETHERNET:
        return _read_ethernet(data, walk)
    if kind == ETHERTYPE:
        return _read_ethertype(data, walk)
    if kind == LLC:
        return _read_llc(data, walk)
    if kind == MPLS:
        return _read_mpls(data, walk)
    if kind == PPPOE:
        return _read_pppoe(data, walk)
    if kind == PPP:
        return _read_ppp(data, walk)
    if kind in (CISCO_HDLC, INFINIBAND):
        return _read_typed(data, walk, kind)
    if kind == NULL:
        return _read_null(data, walk)
    if kind in (COOKED_V1, COOKED_V2):
        return _read_cooked(data, walk, kind)
    if kind == NETFILTER_LOG:
        return _read_netfilter_log(data, walk)
    return _read_fddi(data, walk)


@kernel
def _read_ethernet(data: Bytes, walk: Walk) -> int:
    """MAC addresses and VLAN ids are those of the Ethernet header nearest to the flow's IP header."""
    start = walk["offset"]
    if walk["end"] - start < 14:
        return -CUT_LINK_HEADER
    walk["dst_mac"] = u48(data, start)
    walk["src_mac"] = u48(data, start + 6)
    walk["has_macs"] = BOTH_KNOWN
    walk["vlan"] = NO_VLAN
    walk["inner_vlan"] = NO_VLAN
    walk["value"] = u16(data, start + 12)
    walk["offset"] = start + 14
    return ETHERTYPE


@kernel
def _read_ethertype(data: Bytes, walk: Walk) -> int:
    """What the EtherType in `value`, which stood before `offset`, announces. VLAN tags are read here."""
    value, start = walk["value"], walk["offset"]
    if value == 0x0800:
        return IPV4
    if value == 0x86DD:
        return IPV6
    if value in (0x8100, 0x88A8, 0x9100):
        if not nest(walk):
            return -TOO_MANY_HEADERS
        if walk["end"] - start < 4:
            return -CUT_LINK_HEADER
        tag = u16(data, start) & 0x0FFF
        if walk["vlan"] == NO_VLAN:
            walk["vlan"] = tag
        elif walk["inner_vlan"] == NO_VLAN:
            walk["inner_vlan"] = tag
        walk["value"] = u16(data, start + 2)
        walk["offset"] = start + 4
        return ETHERTYPE
    if value in (0x8847, 0x8848):
        return MPLS
    if value == 0x8864:
        return PPPOE
    if value == 0x8863:
        return -PPP_CONTROL
    if value == 0x880B:
        return PPP
    if value == 0x6558:
        return ETHERNET if nest(walk) else -TOO_MANY_HEADERS
    if value == 0x8903:  # FabricPath: two bytes after another Ethernet header's addresses and type
        walk["offset"] = start + 2
        return ETHERNET if nest(walk) else -TOO_MANY_HEADERS
    if value == 0x8909:  # Cisco metadata, which ends in another EtherType
        if not nest(walk):
            return -TOO_MANY_HEADERS
        if walk["end"] - start < 8:
            return -CUT_LINK_HEADER
        walk["offset"] = start + 8
        return _ethertype_layer(walk, u16(data, start + 6))
    if value == 0x8870:  # LLC in a jumbo frame
        return LLC
    if value <= _MAXIMUM_LENGTH:
        bound(walk, start + value)
        return LLC
    return -NOT_IP


@kernel
def _read_llc(data: Bytes, walk: Walk) -> int:
    start = walk["offset"]
    held = walk["end"] - start
    if held < 3:
        return -CUT_LINK_HEADER
    access_points = u16(data, start)
    if data[start + 2] != 3:
        return -NOT_IP
    if access_points == 0x0606:
        walk["offset"] = start + 3
        return IPV4
    if access_points != 0xAAAA:
        return -NOT_IP
    if held < 8:
        return -CUT_LINK_HEADER
    organisation = u24(data, start + 3)
    if organisation != 0 and organisation != 0xF8:
        return -NOT_IP
    walk["offset"] = start + 8
    return _ethertype_layer(walk, u16(data, start + 6))


@kernel
def _ethertype_layer(walk: Walk, value: int) -> int:
    """An EtherType where no length may stand."""
    if value <= _MAXIMUM_LENGTH:
        return -NOT_IP
    walk["value"] = value
    return ETHERTYPE


@kernel
def _read_mpls(data: Bytes, walk: Walk) -> int:
    """One label. Below the last one, four bits tell IPv4, IPv6 and a control word from an Ethernet pseudowire."""
    if not nest(walk):
        return -TOO_MANY_HEADERS
    start = walk["offset"]
    if walk["end"] - start < 5:
        return -CUT_LINK_HEADER
    entry = u32(data, start)
    if walk["top_label"] == NO_MPLS:
        walk["top_label"] = entry >> 12
    walk["offset"] = start + 4
    if not entry & 0x100:
        return MPLS
    first = data[start + 4]
    if first >> 4 == 4 and first & 15 >= 5:
        return IPV4
    if first >> 4 == 6:
        return IPV6
    if first >> 4 == 1:  # associated channel: control messages of the pseudowire
        return -NOT_IP
    # A control word begins with four zeros, but so do most MAC addresses: the EtherType decides.
    if first >> 4 == 0 and not _is_usual_ethertype(data, walk, start + 16):
        walk["offset"] = start + 8
    return ETHERNET


@kernel
def _is_usual_ethertype(data: Bytes, walk: Walk, at: int) -> bool:
    if at + 2 > walk["end"]:
        return False
    return u16(data, at) in (0x0800, 0x0806, 0x8100, 0x86DD, 0x8847, 0x8864, 0x88A8)


@kernel
def _read_pppoe(data: Bytes, walk: Walk) -> int:
    if not nest(walk):
        return -TOO_MANY_HEADERS
    start = walk["offset"]
    if walk["end"] - start < 6:
        return -CUT_LINK_HEADER
    if u16(data, start) != 0x1100:
        return -PPP_CONTROL
    walk["offset"] = start + 6
    bound(walk, start + 6 + u16(data, start + 4))
    return PPP


@kernel
def _read_ppp(data: Bytes, walk: Walk) -> int:
    """With or without address and control bytes; the protocol may be compressed to one byte."""
    place, end = walk["offset"], walk["end"]
    if end - place < 2:
        return -CUT_LINK_HEADER
    first = u16(data, place)
    if first == 0x0F00 or first == 0x8F00:
        return CISCO_HDLC
    if first == 0xFF03:
        place += 2
        if end - place < 2:
            return -CUT_LINK_HEADER
    protocol = u8(data, place)
    if protocol & 1:
        place += 1
    else:
        protocol = u16(data, place)
        place += 2
    walk["offset"] = place
    if protocol == 0x0021:
        return IPV4
    if protocol == 0x0057:
        return IPV6
    if protocol in (0x0281, 0x0283):
        return MPLS
    return -PPP_CONTROL if protocol >= 0x8000 else -NOT_IP


@kernel
def _read_typed(data: Bytes, walk: Walk, kind: int) -> int:
    """Headers of which nothing but the EtherType is wanted: Cisco HDLC, IP over InfiniBand."""
    start = walk["offset"]
    header, type_at = (4, 2) if kind == CISCO_HDLC else (44, 40)
    if walk["end"] - start < header:
        return -CUT_LINK_HEADER
    walk["offset"] = start + header
    return _ethertype_layer(walk, u16(data, start + type_at))


@kernel
def _read_cooked(data: Bytes, walk: Walk, kind: int) -> int:
    """Linux cooked captures know the sender's link address only."""
    start = walk["offset"]
    header = 16 if kind == COOKED_V1 else 20
    if walk["end"] - start < header:
        return -CUT_LINK_HEADER
    if kind == COOKED_V1:
        length, address, value = u16(data, start + 4), start + 6, u16(data, start + 14)
    else:
        length, address, value = u8(data, start + 11), start + 12, u16(data, start)
    if length == 6:
        walk["src_mac"] = u48(data, address)
        walk["has_macs"] = SOURCE_KNOWN
    walk["offset"] = start + header
    if value == 0x0001 or value == 0x0004:  # 802.3 frames without their MAC header
        return LLC
    return _ethertype_layer(walk, value)


@kernel
def _read_null(data: Bytes, walk: Walk) -> int:
    """The address family in the byte order of the capturing machine; some write PPP or an EtherType in its place."""
    start = walk["offset"]
    if walk["end"] - start < 4:
        return -CUT_LINK_HEADER
    if u16(data, start) == 0xFF03:
        return PPP
    family = u32(data, start)
    if family > 0xFFFF:
        family = u32_little(data, start)
    walk["offset"] = start + 4
    if family == 2:
        return IPV4
    if family in (10, 24, 28, 30):
        return IPV6
    if family > 0xFFFF:
        return -NOT_IP
    return _ethertype_layer(walk, family)


@kernel
def _read_netfilter_log(data: Bytes, walk: Walk) -> int:
    """Attributes of length, type and value, in the byte order of the capturing machine (taken as little-endian)."""
    start, end = walk["offset"], walk["end"]
    if end - start < 4:
        return -CUT_LINK_HEADER
    place = start + 4
    while place + 4 <= end:
        length = u16_little(data, place)
        if length < 4:
            break
        if u16_little(data, place + 2) & 0x7FFF == 9:
            walk["offset"] = place + 4
            bound(walk, place + length)
            if data[start] == 2:
                return IPV4
            return IPV6 if data[start] == 10 else -NOT_IP
        place += (length + 3) & ~3
    return -CUT_LINK_HEADER


@kernel
def _read_fddi(data: Bytes, walk: Walk) -> int:
    start = walk["offset"]
    if walk["end"] - start < 13:
        return -CUT_LINK_HEADER
    if data[start] & 0xF0 != 0x50:  # LLC frames only
        return -NOT_IP
    walk["dst_mac"] = u48(data, start + 1)
    walk["src_mac"] = u48(data, start + 7)
    walk["has_macs"] = BOTH_KNOWN
    walk["offset"] = start + 13
    return LLC
