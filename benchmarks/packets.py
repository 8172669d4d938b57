"""Reads small captures whole and finds their headers: the raw material of the benchmark captures. Slow and simple."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ETHERNET, RAW, LOOP, LINUX_COOKED, IPV4_LINK, IPV6_LINK = 1, 101, 0, 113, 228, 229
MAC_PAIR = bytes.fromhex("020000000002020000000001")
TUNNEL_PROTOCOLS = (4, 41, 47)
TUNNEL_PORTS = (2152, 3544, 4754, 4789, 6081, 8472)


@dataclass(slots=True)
class Packet:
    """One Ethernet frame and where its headers begin; -1 where there is none."""

    time_ns: int
    frame: bytes
    wire: int
    ip_at: int = -1
    version: int = 0
    checksum_at: int = -1  # of TCP, UDP or ICMPv6, inside the frame
    key: tuple[object, ...] | None = None  # equal for both directions of a flow
    tunnelled: bool = False


def read_capture(path: Path) -> list[Packet]:
    """Every packet of a pcap or pcapng file that can be written as Ethernet; what cannot be read is left out."""
    data = path.read_bytes()
    reader = _read_pcapng if data[:4] == b"\x0a\x0d\x0d\x0a" else _read_pcap
    packets = []
    for time_ns, link, frame, wire in reader(data):
        ethernet = _as_ethernet(link, frame)
        if ethernet is not None:
            packet = Packet(time_ns, ethernet, max(wire + len(ethernet) - len(frame), len(ethernet)))
            _find_headers(packet)
            packets.append(packet)
    return packets


def _read_pcap(data: bytes) -> Iterator[tuple[int, int, bytes, int]]:
    magics = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
    for order in "<>":
        unit_ns = magics.get(struct.unpack_from(order + "I", data)[0])
        if unit_ns:
            break
    else:
        return
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, kept, wire = struct.unpack_from(order + "IIII", data, at)
        if kept > 262_144 or at + 16 + kept > len(data):
            return
        yield seconds * 1_000_000_000 + fraction * unit_ns, link, data[at + 16 : at + 16 + kept], wire
        at += 16 + kept


def _read_pcapng(data: bytes) -> Iterator[tuple[int, int, bytes, int]]:
    at, order = 0, "<"
    interfaces: list[tuple[int, float]] = []
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, size = struct.unpack_from(order + "II", data, at)
        if size < 12 or at + size > len(data):
            return
        body = data[at + 8 : at + size - 4]
        if kind == 1:
            interfaces.append((struct.unpack_from(order + "H", body)[0], _resolution(order, body[8:])))
        elif kind == 6 and len(body) >= 20:
            interface, high, low, kept, wire = struct.unpack_from(order + "IIIII", body)
            if interface < len(interfaces):
                link, unit_ns = interfaces[interface]
                yield int((high << 32 | low) * unit_ns), link, body[20 : 20 + kept], wire
        at += size


def _resolution(order: str, options: bytes) -> float:
    at = 0
    while at + 4 <= len(options):
        code, size = struct.unpack_from(order + "HH", options, at)
        if code == 9 and size == 1:
            value = options[at + 4]
            return 1e9 / (2 ** (value & 0x7F) if value & 0x80 else 10**value)
        at += 4 + size + (-size % 4)
    return 1000.0


def _as_ethernet(link: int, frame: bytes) -> bytes | None:
    if link == ETHERNET:
        return frame if len(frame) >= 14 else None
    if link == LINUX_COOKED:
        return MAC_PAIR + frame[14:16] + frame[16:] if len(frame) > 16 else None
    if link == LOOP:
        frame, link = frame[4:], RAW
    if link in (RAW, 12, 14, IPV4_LINK, IPV6_LINK) and frame:
        kind = {4: b"\x08\x00", 6: b"\x86\xdd"}.get(frame[0] >> 4)
        return MAC_PAIR + kind + frame if kind else None
    return None


def _find_headers(packet: Packet) -> None:
    frame, at = packet.frame, 12
    while frame[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    kind, at = frame[at : at + 2], at + 2
    if kind == b"\x08\x00" and len(frame) >= at + 20 and frame[at] >> 4 == 4:
        protocol, transport = frame[at + 9], at + (frame[at] & 15) * 4
        ends = (frame[at + 12 : at + 16], frame[at + 16 : at + 20])
        later = int.from_bytes(frame[at + 6 : at + 8]) & 0x1FFF
    elif kind == b"\x86\xdd" and len(frame) >= at + 40 and frame[at] >> 4 == 6:
        protocol, transport, later = frame[at + 6], at + 40, 0
        ends = (frame[at + 8 : at + 24], frame[at + 24 : at + 40])
    else:
        return
    packet.ip_at, packet.version = at, frame[at] >> 4
    packet.tunnelled = protocol in TUNNEL_PROTOCOLS
    place = {6: 16, 17: 6, 58: 2}.get(protocol)
    if later or place is None:
        packet.key = (protocol, *sorted(ends))
        return
    if transport + place + 2 <= len(frame):
        packet.checksum_at = transport + place
    ports = (frame[transport : transport + 2], frame[transport + 2 : transport + 4])
    if protocol == 58:
        ports = (b"", b"")
    elif protocol == 17:
        packet.tunnelled = any(int.from_bytes(port) in TUNNEL_PORTS for port in ports)
    packet.key = (protocol, *sorted(zip(ends, ports, strict=True)))
