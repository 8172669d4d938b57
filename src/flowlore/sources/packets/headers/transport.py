"""Transport headers: ports, TCP's numbers and flags, and where the payload lies.

A header that the capture cuts after its ports still makes a flow; what was cut off reads as 0.
"""

from ....flows.compiled import kernel
from ..layout import Bytes
from . import notes
from .network_order import u8, u16, u32
from .walk import (
    BAD_TRANSPORT_HEADER,
    CUT_TRANSPORT_HEADER,
    LATER_FRAGMENT,
    Walk,
)

ICMP, TCP, UDP, DCCP, ICMPV6, SCTP, UDP_LITE = 1, 6, 17, 33, 58, 132, 136


@kernel
def read_transport(data: Bytes, walk: Walk) -> int:
    """Read the header at `offset`. 0, or the reason why that cannot be. Protocols without ports have ports 0."""
    place, protocol = walk["offset"], walk["protocol"]
    claimed, captured = walk["ip_end"] - place, walk["end"] - place
    walk["src_port"] = 0
    walk["dst_port"] = 0
    walk["sequence"] = 0
    walk["acknowledgement"] = 0
    walk["window"] = 0
    walk["tcp_flags"] = 0
    header = 0
    if walk["fragment"] != LATER_FRAGMENT:
        fixed = _fixed_header(protocol)
        if fixed > 0:
            ports = min(fixed, 4)
            if claimed < (ports if walk["fragment"] else fixed):
                return BAD_TRANSPORT_HEADER
            if captured < ports:
                return CUT_TRANSPORT_HEADER
            if captured < fixed and claimed >= fixed:
                walk["pending_notes"] |= notes.SNAPPED_TRANSPORT
            header = _read_header(data, walk, protocol, claimed, captured)
            if header < 0:
                return BAD_TRANSPORT_HEADER
    walk["payload_start"] = place + header
    if protocol != UDP or walk["fragment"] == LATER_FRAGMENT:
        walk["payload_bytes"] = max(claimed - header, 0)  # a first fragment may end inside the header
    return 0


@kernel
def icmp_ports(protocol: int, kind: int, code: int) -> tuple[int, int]:
    """What stands for the ports of an ICMP message, as in Community ID v1.

    A message that has a counterpart gives (its type, the counterpart's type), so that request and reply are the two
    directions of one flow. Any other gives (type, code).
    """
    other = _icmp_counterpart(kind) if protocol == ICMP else _icmpv6_counterpart(kind)
    return (kind, code) if other < 0 else (kind, other)


@kernel
def _fixed_header(protocol: int) -> int:
    """Bytes that a header of this protocol has at least; 0 where none is read."""
    if protocol == TCP:
        return 20
    if protocol in (UDP, UDP_LITE):
        return 8
    if protocol in (SCTP, DCCP):
        return 12
    if protocol in (ICMP, ICMPV6):
        return 4
    return 0


@kernel
def _read_header(data: Bytes, walk: Walk, protocol: int, claimed: int, captured: int) -> int:
    """The length of the header, -1 where it cannot be. At least four bytes are captured."""
    place = walk["offset"]
    if protocol in (ICMP, ICMPV6):
        walk["src_port"], walk["dst_port"] = icmp_ports(protocol, u8(data, place), u8(data, place + 1))
        return 8 if claimed >= 8 else 4
    walk["src_port"] = u16(data, place)
    walk["dst_port"] = u16(data, place + 2)
    if protocol == TCP:
        return _read_tcp(data, walk, claimed, captured)
    if protocol == UDP:
        return _read_udp(data, walk, claimed, captured)
    if protocol == DCCP and captured >= 5:
        header = u8(data, place + 4) * 4
        if header < 12 or (header > claimed and not walk["fragment"]):
            return -1
        return header
    return 8 if protocol == UDP_LITE else 12


@kernel
def _read_tcp(data: Bytes, walk: Walk, claimed: int, captured: int) -> int:
    place = walk["offset"]
    if captured >= 8:
        walk["sequence"] = u32(data, place + 4)
    if captured >= 12:
        walk["acknowledgement"] = u32(data, place + 8)
    header = 20
    if captured >= 14:
        header = (u8(data, place + 12) >> 4) * 4
        walk["tcp_flags"] = data[place + 13]
        if header < 20 or (header > claimed and not walk["fragment"]):
            return -1
    if captured >= 16:
        walk["window"] = u16(data, place + 14)
    return header


@kernel
def _read_udp(data: Bytes, walk: Walk, claimed: int, captured: int) -> int:
    """The payload ends by the nearer of the UDP and the IP length. UDP length 0 is allowed beyond 64 KiB only."""
    end = claimed
    if captured >= 6:
        length = u16(data, walk["offset"] + 4)
        if length == 0 and walk["is_oversize"]:
            length = claimed
        if length < 8:
            return -1
        if length != claimed and not walk["fragment"]:
            walk["pending_notes"] |= notes.UDP_LENGTH_MISMATCH
        end = min(length, claimed)
    walk["payload_bytes"] = max(end - 8, 0)
    return 8


@kernel
def _icmp_counterpart(kind: int) -> int:
    if kind in (0, 8):  # echo
        return 8 - kind
    if kind in (9, 10):  # router
        return 19 - kind
    if kind in (13, 14):  # timestamp
        return 27 - kind
    if kind in (15, 16):  # information
        return 31 - kind
    if kind in (17, 18):  # address mask
        return 35 - kind
    return -1


@kernel
def _icmpv6_counterpart(kind: int) -> int:
    if kind in (128, 129):  # echo
        return 257 - kind
    if kind in (130, 131):  # multicast listener
        return 261 - kind
    if kind in (133, 134):  # router
        return 267 - kind
    if kind in (135, 136):  # neighbour
        return 271 - kind
    if kind in (139, 140):  # node information
        return 279 - kind
    if kind in (144, 145):  # home agent discovery
        return 289 - kind
    return -1
