"""What a capture file is, by its first bytes."""

import struct
from dataclasses import dataclass

from ...source import Head

PCAP_HEADER_BYTES = 24
PCAPNG_SECTION = b"\x0a\x0d\x0d\x0a"
_PCAPNG_ORDERS = {b"\x4d\x3c\x2b\x1a": "little-endian", b"\x1a\x2b\x3c\x4d": "big-endian"}
_PCAPNG_INTERFACE = 1


@dataclass(frozen=True, slots=True)
class PcapKind:
    """A flavour of the pcap format."""

    big_endian: bool
    nanoseconds: bool = False
    record_header_bytes: int = 16
    flavour: str = "pcap"


def _magics() -> dict[bytes, PcapKind]:
    kinds = {}
    for big_endian in (False, True):
        order = ">I" if big_endian else "<I"
        kinds[struct.pack(order, 0xA1B2C3D4)] = PcapKind(big_endian)
        kinds[struct.pack(order, 0xA1B23C4D)] = PcapKind(big_endian, nanoseconds=True)
        kinds[struct.pack(order, 0xA1B2CD34)] = PcapKind(
            big_endian, record_header_bytes=24, flavour="modified pcap (Kuznetzov)"
        )
        kinds[struct.pack(order, 0xA12B3C4D)] = PcapKind(big_endian, flavour="pcap (Navtel)")
    return kinds


PCAP_MAGICS = _magics()  # first four bytes → flavour

LINK_NAMES = {
    0: "null/loopback",
    1: "Ethernet",
    9: "PPP",
    12: "raw IP",
    14: "raw IP",
    50: "PPP in HDLC framing",
    51: "PPPoE",
    101: "raw IP",
    104: "Cisco HDLC",
    105: "IEEE 802.11",
    107: "frame relay",
    108: "OpenBSD loopback",
    113: "Linux cooked",
    119: "IEEE 802.11 with Prism header",
    127: "IEEE 802.11 with radiotap",
    163: "IEEE 802.11 with AVS header",
    228: "raw IPv4",
    229: "raw IPv6",
    276: "Linux cooked v2",
}


def link_name(link: int) -> str:
    """A LINKTYPE_ number in words.

    >>> link_name(1), link_name(147)
    ('Ethernet', 'link type 147')
    """
    return LINK_NAMES.get(link, f"link type {link}")


def recognise(head: Head) -> str | None:
    """`pcap, little-endian, microseconds, Ethernet`, or None where `head` is no capture file."""
    kind = PCAP_MAGICS.get(head.data[:4])
    if kind is not None:
        return _describe_pcap(kind, head.data)
    if head.data[:4] == PCAPNG_SECTION and (order := _PCAPNG_ORDERS.get(head.data[8:12])):
        return _describe_pcapng(order, head.data)
    return None


def _describe_pcap(kind: PcapKind, data: bytes) -> str:
    order = "big-endian" if kind.big_endian else "little-endian"
    words = [kind.flavour, order, "nanoseconds" if kind.nanoseconds else "microseconds"]
    if len(data) >= PCAP_HEADER_BYTES:
        (link,) = struct.unpack_from(">I" if kind.big_endian else "<I", data, 20)
        words.append(link_name(link & 0xFFFF))
    return ", ".join(words)


def _describe_pcapng(order: str, data: bytes) -> str:
    """The interfaces that come before the first packet give the link types."""
    mark = ">" if order == "big-endian" else "<"
    links: list[str] = []
    at = 0
    while at + 12 <= len(data):
        kind, size = struct.unpack_from(mark + "II", data, at)
        is_section = data[at : at + 4] == PCAPNG_SECTION
        if size < 12 or size % 4 or (is_section and at) or (kind != _PCAPNG_INTERFACE and not is_section):
            break
        if kind == _PCAPNG_INTERFACE:
            (link,) = struct.unpack_from(mark + "H", data, at + 8)
            if link_name(link) not in links:
                links.append(link_name(link))
        at += size
    return ", ".join(["pcapng", order, *links])
