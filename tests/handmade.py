"""Frames and capture files made by hand, byte by byte, for tests of what is metered from them."""

import struct
from collections.abc import Iterable
from pathlib import Path

NANOSECONDS = 1_000_000_000
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
MAC_A, MAC_B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")

Timed = tuple[int, bytes]  # time in ns, frame


def ethernet(payload: bytes, *, kind: int = 0x0800, turned: bool = False, tags: bytes = b"") -> bytes:
    """`tags` are whole VLAN tags, each with its own ethertype first: `vlan_tag`."""
    macs = MAC_A + MAC_B if turned else MAC_B + MAC_A
    return macs + tags + struct.pack(">H", kind) + payload


def vlan_tag(number: int, kind: int = 0x8100) -> bytes:
    return struct.pack(">HH", kind, number)


def ipv4(
    payload: bytes,
    *,
    src: str = "10.0.0.1",
    dst: str = "10.0.0.2",
    protocol: int = 6,
    ttl: int = 64,
    tos: int = 0,
    identification: int = 1,
    fragment_offset: int = 0,
    more_fragments: bool = False,
) -> bytes:
    """`fragment_offset` is in bytes, a multiple of 8."""
    fragment = fragment_offset // 8 | (0x2000 if more_fragments else 0)
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, tos, 20 + len(payload), identification, fragment, ttl, protocol, 0, _v4(src), _v4(dst)
    )
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(payload: bytes, *, src: int = 1, dst: int = 2, protocol: int = 6, hops: int = 64) -> bytes:
    """Hosts are numbers in 2001:db8::/64."""
    net = bytes.fromhex("20010db800000000")
    head = struct.pack(">IHBB", 0x60000000, len(payload), protocol, hops)
    return head + net + struct.pack(">Q", src) + net + struct.pack(">Q", dst) + payload


def tcp(
    payload: bytes = b"",
    *,
    src: int = 40000,
    dst: int = 80,
    sequence: int = 0,
    acknowledgement: int = 0,
    flags: int = ACK,
    window: int = 1000,
) -> bytes:
    return struct.pack(">HHIIBBHHH", src, dst, sequence, acknowledgement, 0x50, flags, window, 0, 0) + payload


def udp(payload: bytes = b"", *, src: int = 40000, dst: int = 5000) -> bytes:
    return struct.pack(">HHHH", src, dst, 8 + len(payload), 0) + payload


def icmp_echo(*, reply: bool = False, identifier: int = 7, number: int = 1, payload: bytes = b"ping") -> bytes:
    return struct.pack(">BBHHH", 0 if reply else 8, 0, 0, identifier, number) + payload


def pcap(frames: Iterable[Timed], *, link: int = 1, snap_length: int = 65535) -> bytes:
    """A capture file with ns times, in the order given; frames longer than `snap_length` are cut."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snap_length, link)]
    for time_ns, frame in frames:
        seconds, rest = divmod(time_ns, NANOSECONDS)
        kept = frame[:snap_length]
        parts.append(struct.pack("<IIII", seconds, rest, len(kept), len(frame)) + kept)
    return b"".join(parts)


def write_pcap(path: Path, frames: Iterable[Timed], *, link: int = 1, snap_length: int = 65535) -> Path:
    path.write_bytes(pcap(frames, link=link, snap_length=snap_length))
    return path


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _v4(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))
