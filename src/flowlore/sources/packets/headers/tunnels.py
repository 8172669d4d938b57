"""Tunnels: what an IP packet carries that may hold another IP packet.

Ports alone prove nothing, so every fixed bit of a tunnel's header is checked before its inside is looked at.
"""

from ....flows.compiled import kernel
from ..layout import TUNNELS, Bytes
from .network_order import u8, u16, u24, u32
from .transport import UDP
from .walk import (
    ETHERNET,
    ETHERTYPE,
    IP,
    IPV4,
    IPV6,
    STOP,
    TOO_MANY_HEADERS,
    WIRELESS,
    Walk,
    bound,
    nest,
)

IPV4_IN_IP, IPV6_IN_IP, GRE = 4, 41, 47
VXLAN_PORT, VXLAN_LINUX_PORT, VXLAN_GPE_PORT = 4789, 8472, 4790
GENEVE_PORT, GTP_U_PORT, TEREDO_PORT = 6081, 2152, 3544

_GRE = TUNNELS.index("gre")
_IP_IN_IP = TUNNELS.index("ipip")
_6_IN_4 = TUNNELS.index("6in4")
_VXLAN = TUNNELS.index("vxlan")
_GENEVE = TUNNELS.index("geneve")
_GTP_U = TUNNELS.index("gtp-u")
_4_IN_6 = TUNNELS.index("4in6")
_6_IN_6 = TUNNELS.index("6in6")
_TEREDO = TUNNELS.index("teredo")
_ERSPAN = TUNNELS.index("erspan")


@kernel
def enter_tunnel(data: Bytes, walk: Walk) -> int:
    """The layer that a packet carries if it is a tunnel, STOP if it is none; minus the reason if it is one too many.

    The packet is no later fragment.
    """
    protocol = walk["protocol"]
    layer = STOP
    if protocol == UDP:
        if is_tunnel_port(walk["src_port"], walk["dst_port"]):
            walk["offset"] = walk["payload_start"]
            bound(walk, walk["payload_start"] + walk["payload_bytes"])
            layer = _enter_udp(data, walk)
    elif protocol == GRE:
        layer = _enter_gre(data, walk)
    elif protocol in (IPV4_IN_IP, IPV6_IN_IP):
        layer = IPV4 if protocol == IPV4_IN_IP else IPV6
        walk["tunnel_id"] = 0
        if walk["version"] == 4:
            walk["tunnel"] = _IP_IN_IP if protocol == IPV4_IN_IP else _6_IN_4
        else:
            walk["tunnel"] = _4_IN_6 if protocol == IPV4_IN_IP else _6_IN_6
    if layer != STOP and not nest(walk):
        return -TOO_MANY_HEADERS
    return layer


@kernel
def is_tunnel_port(src_port: int, dst_port: int) -> bool:
    """Whether a UDP packet may be a tunnel's. VXLAN is known by its destination alone, the others by either port."""
    return dst_port in (VXLAN_PORT, VXLAN_LINUX_PORT, VXLAN_GPE_PORT) or _is_two_way(src_port) or _is_two_way(dst_port)


@kernel
def _is_two_way(port: int) -> bool:
    return port in (GENEVE_PORT, GTP_U_PORT, TEREDO_PORT)


@kernel
def _enter_udp(data: Bytes, walk: Walk) -> int:
    src_port, dst_port, held = walk["src_port"], walk["dst_port"], walk["end"] - walk["offset"]
    if held < 8:
        return STOP
    if dst_port in (VXLAN_PORT, VXLAN_LINUX_PORT, VXLAN_GPE_PORT):
        return _enter_vxlan(data, walk)
    if GENEVE_PORT in (src_port, dst_port):
        return _enter_geneve(data, walk)
    if GTP_U_PORT in (src_port, dst_port):
        return _enter_gtp_u(data, walk, held)
    return _enter_teredo(data, walk, held)


@kernel
def _enter_vxlan(data: Bytes, walk: Walk) -> int:
    """With its extensions for group policies (a flag and a group id) and other protocols (a flag and a number)."""
    start = walk["offset"]
    flags, reserved = data[start], u24(data, start + 1)
    layer = ETHERNET
    if flags & 0xF3 == 0 and flags & 0x0C == 0x0C:
        if reserved not in (1, 2, 3):
            return STOP
        if reserved != 3:
            layer = IPV4 if reserved == 1 else IPV6
    elif flags & 0x7F != 0x08 or (reserved != 0 and not flags & 0x80):
        return STOP
    if data[start + 7] != 0:
        return STOP
    walk["tunnel"] = _VXLAN
    walk["tunnel_id"] = u24(data, start + 4)
    walk["offset"] = start + 8
    return layer


@kernel
def _enter_geneve(data: Bytes, walk: Walk) -> int:
    start = walk["offset"]
    if data[start] & 0xC0 or data[start + 1] & 0x3F or data[start + 7]:
        return STOP
    value = u16(data, start + 2)
    if value not in (0x6558, 0x0800, 0x86DD):
        return STOP
    walk["tunnel"] = _GENEVE
    walk["tunnel_id"] = u24(data, start + 4)
    walk["offset"] = start + 8 + (u8(data, start) & 0x3F) * 4
    walk["value"] = value
    return ETHERTYPE


@kernel
def _enter_gtp_u(data: Bytes, walk: Walk, held: int) -> int:
    """User data of version 1, whose length must agree with that of UDP; extension headers are skipped."""
    start, header = walk["offset"], 8
    flags = data[start]
    if flags & 0xF8 != 0x30 or data[start + 1] != 0xFF:
        return STOP
    if walk["fragment"] == 0 and u16(data, start + 2) != walk["payload_bytes"] - 8:
        return STOP
    if flags & 0x07:
        header = 12
        if held < header:
            return STOP
        has_next = flags & 0x04 and data[start + 11]
        while has_next:
            if held <= header:
                return STOP
            length = u8(data, start + header) * 4
            header += length
            if length == 0 or held < header:
                return STOP
            has_next = data[start + header - 1]
    if held <= header or data[start + header] >> 4 not in (4, 6):
        return STOP
    walk["tunnel"] = _GTP_U
    walk["tunnel_id"] = u32(data, start + 4)
    walk["offset"] = start + header
    return IP


@kernel
def _enter_teredo(data: Bytes, walk: Walk, held: int) -> int:
    """IPv6 after an authentication and an origin indication, each of which may be absent; trailers may follow."""
    start, header = walk["offset"], 0
    if u16(data, start) == 0x0001:
        header += 13 + u8(data, start + 2) + u8(data, start + 3)
    if held >= header + 8 and u16(data, start + header) == 0x0000:
        header += 8
    if held < header + 40 or data[start + header] >> 4 != 6:
        return STOP
    if walk["fragment"] == 0 and u16(data, start + header + 4) + 40 + header > walk["payload_bytes"]:
        return STOP
    walk["tunnel"] = _TEREDO
    walk["tunnel_id"] = 0
    walk["offset"] = start + header
    return IPV6


@kernel
def _enter_gre(data: Bytes, walk: Walk) -> int:
    """Version 0 with checksum, routing, key and sequence, and version 1 (PPTP), whose call id is no tunnel id:
    each direction has its own."""
    start = walk["offset"]
    held = walk["end"] - start
    if held < 8:
        return STOP
    flags, value = u16(data, start), u16(data, start + 2)
    version, header, key = flags & 0x07, 4, 0
    if version > 1 or (version == 1 and (value != 0x880B or flags & 0xE000 != 0x2000)):
        return STOP
    if flags & 0xC000:
        header += 4
    if flags & 0x2000:
        if held < header + 4:
            return STOP
        key = u32(data, start + header)
        header += 4
    if flags & 0x1000:
        header += 4
    if version == 1:
        if key >> 16 == 0:  # an acknowledgement alone
            return STOP
        header += 4 if flags & 0x0080 else 0
        key = 0
    elif flags & 0x4000:
        length = 1
        while length != 0:  # source route entries up to an empty one
            if held < header + 4:
                return STOP
            length = u8(data, start + header + 3)
            header += 4 + length
    walk["tunnel"] = _GRE
    walk["tunnel_id"] = key
    walk["value"] = value
    walk["offset"] = start + header
    if value == 0x88BE or value == 0x22EB:
        return _enter_erspan(data, walk, value, flags)
    if value == 0x883E:  # WCCP: its second version has four bytes before the IP header
        if held <= header:
            return STOP
        walk["offset"] += 0 if data[start + header] >> 4 == 4 else 4
        return IPV4
    if value == 0x8909:  # Cisco metadata, which begins with another EtherType here
        if held < header + 8:
            return STOP
        walk["offset"] += 8
        value = u16(data, start + header)
        walk["value"] = value
    if value >> 8 == 0x82:  # 802.11 frames from an access point to its controller (Aruba)
        return WIRELESS
    return ETHERTYPE if value > 0x05DC else STOP


@kernel
def _enter_erspan(data: Bytes, walk: Walk, value: int, flags: int) -> int:
    """Types I (no header, no sequence number), II and III of mirrored Ethernet; the session is the tunnel's id."""
    start = walk["offset"]
    held = walk["end"] - start
    walk["tunnel"] = _ERSPAN
    walk["tunnel_id"] = 0
    if value == 0x88BE and not flags & 0x1000:
        return ETHERNET
    length = 8 if value == 0x88BE else 12
    if held < length or data[start] >> 4 != (1 if value == 0x88BE else 2):
        return STOP
    if value == 0x22EB and data[start + 11] & 1:
        length += 8
    walk["tunnel_id"] = u16(data, start + 2) & 0x03FF
    walk["offset"] = start + length
    return ETHERNET
