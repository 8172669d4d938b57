"""Tunnels: what an IP packet carries that may hold another IP packet.

Ports alone prove nothing, so every fixed bit of a tunnel's header is checked before its inside is looked at.
"""

import numpy as np

from ....flows.compiled import compiled
from ..layout import TUNNELS, Bytes, Counts
from .network_order import u16, u24, u32
from .transport import UDP
from .walk import (
    DST_PORT,
    ETHERNET,
    ETHERTYPE,
    FRAGMENT,
    IP,
    IPV4,
    IPV6,
    KIND,
    OFFSET,
    PAYLOAD_BYTES,
    PAYLOAD_START,
    PROTOCOL,
    SRC_PORT,
    STOP,
    TUNNEL,
    TUNNEL_ID,
    VALUE,
    VERSION,
    bound,
    go_on,
    holds,
    nest,
)

IPV4_IN_IP, IPV6_IN_IP, GRE = 4, 41, 47
VXLAN_PORT, VXLAN_LINUX_PORT, GENEVE_PORT, GTP_U_PORT, TEREDO_PORT = 4789, 8472, 6081, 2152, 3544

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


@compiled
def enter_tunnel(data: Bytes, walk: Counts) -> None:
    """Go on with what the packet carries if it is a tunnel, else stop. The packet is no later fragment."""
    protocol = walk[PROTOCOL]
    walk[KIND] = STOP
    if protocol == UDP:
        if is_tunnel_port(walk[SRC_PORT], walk[DST_PORT]):
            walk[OFFSET] = walk[PAYLOAD_START]
            bound(walk, walk[PAYLOAD_START] + walk[PAYLOAD_BYTES])
            _enter_udp(data, walk)
    elif protocol == GRE:
        _enter_gre(data, walk)
    elif protocol == IPV4_IN_IP:
        _enter(walk, _IP_IN_IP if walk[VERSION] == 4 else _4_IN_6, 0, IPV4, 0)
    elif protocol == IPV6_IN_IP:
        _enter(walk, _6_IN_4 if walk[VERSION] == 4 else _6_IN_6, 0, IPV6, 0)


@compiled
def is_tunnel_port(src_port: int, dst_port: int) -> bool:
    """Whether a UDP packet may be a tunnel's. VXLAN and Geneve choose their source port at random."""
    return (
        dst_port in (VXLAN_PORT, VXLAN_LINUX_PORT, GENEVE_PORT, GTP_U_PORT, TEREDO_PORT)
        or src_port == GTP_U_PORT
        or src_port == TEREDO_PORT
    )


@compiled
def _enter(walk: Counts, tunnel: int, tunnel_id: int, kind: int, header_bytes: int) -> None:
    if nest(walk):
        walk[TUNNEL] = tunnel
        walk[TUNNEL_ID] = tunnel_id
        go_on(walk, kind, header_bytes)


@compiled
def _enter_udp(data: Bytes, walk: Counts) -> None:
    src_port, dst_port = walk[SRC_PORT], walk[DST_PORT]
    if dst_port in (VXLAN_PORT, VXLAN_LINUX_PORT):
        _enter_vxlan(data, walk)
    elif dst_port == GENEVE_PORT:
        _enter_geneve(data, walk)
    elif GTP_U_PORT in (src_port, dst_port):
        _enter_gtp_u(data, walk)
    else:
        _enter_teredo(data, walk)


@compiled
def _enter_vxlan(data: Bytes, walk: Counts) -> None:
    """The group policy extension is allowed: its flag, two more flags and a group id."""
    if not holds(walk, 8):
        return
    start = walk[OFFSET]
    flags, group = data[start], u24(data, start + 1)
    if flags & 0x7F != 0x08 or data[start + 7] != 0 or (group != 0 and not flags & 0x80):
        return
    _enter(walk, _VXLAN, u24(data, start + 4), ETHERNET, 8)


@compiled
def _enter_geneve(data: Bytes, walk: Counts) -> None:
    if not holds(walk, 8):
        return
    start = walk[OFFSET]
    if data[start] & 0xC0 or data[start + 1] & 0x3F or data[start + 7]:
        return
    options = np.int64(data[start] & 0x3F) * 4
    walk[VALUE] = u16(data, start + 2)
    if walk[VALUE] in (0x6558, 0x0800, 0x86DD):
        kind = ETHERNET if walk[VALUE] == 0x6558 else ETHERTYPE
        _enter(walk, _GENEVE, u24(data, start + 4), kind, 8 + options)


@compiled
def _enter_gtp_u(data: Bytes, walk: Counts) -> None:
    if not holds(walk, 8):
        return
    start = walk[OFFSET]
    flags = data[start]
    is_whole = walk[FRAGMENT] == 0
    if flags & 0xF8 != 0x30 or data[start + 1] != 0xFF:
        return
    if is_whole and u16(data, start + 2) != walk[PAYLOAD_BYTES] - 8:
        return
    header = 8
    if flags & 0x07:
        header = 12
        if not holds(walk, header):
            return
        extension = data[start + 11] if flags & 0x04 else np.uint8(0)
        while extension:
            if not holds(walk, header + 1):
                return
            length = np.int64(data[start + header]) * 4
            header += length
            if length == 0 or not holds(walk, header):
                return
            extension = data[start + header - 1]
    if holds(walk, header + 1) and data[start + header] >> 4 in (4, 6):
        _enter(walk, _GTP_U, u32(data, start + 4), IP, header)


@compiled
def _enter_teredo(data: Bytes, walk: Counts) -> None:
    """IPv6 after an authentication and an origin indication, each of which may be absent; the lengths must agree."""
    start, header = walk[OFFSET], 0
    if holds(walk, 4) and u16(data, start) == 0x0001:
        header += 13 + np.int64(data[start + 2]) + np.int64(data[start + 3])
    if holds(walk, header + 8) and u16(data, start + header) == 0x0000:
        header += 8
    if not holds(walk, header + 40) or data[start + header] >> 4 != 6:
        return
    if walk[FRAGMENT] == 0 and u16(data, start + header + 4) + 40 + header != walk[PAYLOAD_BYTES]:
        return
    _enter(walk, _TEREDO, 0, IPV6, header)


@compiled
def _enter_gre(data: Bytes, walk: Counts) -> None:
    """Version 0 with checksum, routing, key and sequence, and version 1 (PPTP), whose call id is no tunnel id:
    each direction has its own."""
    if not holds(walk, 4):
        return
    start = walk[OFFSET]
    flags, kind = u16(data, start), u16(data, start + 2)
    version, header, key = flags & 0x07, 4, 0
    if version > 1 or (version == 1 and (kind != 0x880B or flags & 0xE000 != 0x2000)):
        return
    if flags & 0xC000:
        header += 4
    if flags & 0x2000:
        if not holds(walk, header + 4):
            return
        key = u32(data, start + header)
        header += 4
    if flags & 0x1000:
        header += 4
    if version == 1:
        header += 4 if flags & 0x0080 else 0
        if key >> 16:  # else an acknowledgement alone
            walk[VALUE] = kind
            _enter(walk, _GRE, 0, ETHERTYPE, header)
        return
    if flags & 0x4000:
        while True:  # source route entries up to an empty one
            if not holds(walk, header + 4):
                return
            length = np.int64(data[start + header + 3])
            header += 4 + length
            if length == 0:
                break
    if kind == 0x88BE or kind == 0x22EB:
        _enter_erspan(data, walk, kind, header, flags & 0x1000 != 0)
        return
    if kind == 0x883E:  # WCCP: its second version has four bytes before the IP header
        if not holds(walk, header + 1):
            return
        header += 0 if data[start + header] >> 4 == 4 else 4
        kind = 0x0800
    walk[VALUE] = kind
    _enter(walk, _GRE, key, ETHERTYPE, header)


@compiled
def _enter_erspan(data: Bytes, walk: Counts, kind: int, header: int, has_sequence: bool) -> None:
    """Types I (no header), II and III of mirrored Ethernet; the session is the tunnel's id."""
    if kind == 0x88BE and not has_sequence:
        _enter(walk, _ERSPAN, 0, ETHERNET, header)
        return
    start, length = walk[OFFSET] + header, 8 if kind == 0x88BE else 12
    if not holds(walk, header + length) or data[start] >> 4 != (1 if kind == 0x88BE else 2):
        return
    if kind == 0x22EB and data[start + 11] & 1:
        length += 8
    _enter(walk, _ERSPAN, u16(data, start + 2) & 0x03FF, ETHERNET, header + length)
