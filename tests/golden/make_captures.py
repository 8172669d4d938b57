"""Writes in.pcap of every golden case, byte by byte: `python tests/golden/make_captures.py`."""

import struct
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from handmade import (  # noqa: E402
    ACK,
    FIN,
    NANOSECONDS,
    PSH,
    SYN,
    Timed,
    ethernet,
    icmp_echo,
    ipv4,
    ipv6,
    tcp,
    udp,
    vlan_tag,
    write_pcap,
)

BEGIN_NS = 1_700_000_000 * NANOSECONDS
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


def main() -> None:
    for name, (frames, snap_length) in CASES.items():
        (HERE / name).mkdir(exist_ok=True)
        write_pcap(HERE / name / "in.pcap", frames, snap_length=snap_length)


def at(time_s: float, frame: bytes) -> Timed:
    return BEGIN_NS + round(time_s * NANOSECONDS), frame


def to_server(payload: bytes = b"", **what: int) -> bytes:
    return ethernet(ipv4(tcp(payload, **what), src=CLIENT, dst=SERVER))


def to_client(payload: bytes = b"", **what: int) -> bytes:
    return ethernet(ipv4(tcp(payload, **({"src": 80, "dst": 40000} | what)), src=SERVER, dst=CLIENT), turned=True)


def connection(begin_s: float, sequence: int = 1000) -> list[Timed]:
    """Handshake, ten bytes there, 300 back, and both FINs."""
    there, back = sequence + 1, 9001
    return [
        at(begin_s, to_server(flags=SYN, sequence=sequence, window=64240)),
        at(begin_s + 0.02, to_client(flags=SYN | ACK, sequence=9000, acknowledgement=there, window=65160)),
        at(begin_s + 0.03, to_server(sequence=there, acknowledgement=back, window=502)),
        at(begin_s + 0.031, to_server(b"0123456789", sequence=there, acknowledgement=back, flags=PSH | ACK)),
        at(begin_s + 0.06, to_client(bytes(300), sequence=back, acknowledgement=there + 10, flags=PSH | ACK)),
        at(begin_s + 0.07, to_server(sequence=there + 10, acknowledgement=back + 300, flags=FIN | ACK)),
        at(begin_s + 0.09, to_client(sequence=back + 300, acknowledgement=there + 11, flags=FIN | ACK)),
        at(begin_s + 0.1, to_server(sequence=there + 11, acknowledgement=back + 301)),
    ]


def idle_and_active() -> list[Timed]:
    """A datagram every 50 s for 35 minutes, then 61 s of silence, then one more."""
    times = [*range(0, 2101, 50), 2161]
    return [at(time_s, ethernet(ipv4(udp(b"tick"), protocol=17))) for time_s in times]


def fragments() -> list[Timed]:
    datagram = udp(bytes(1992))
    first = ipv4(datagram[:1480], protocol=17, identification=77, more_fragments=True)
    second = ipv4(datagram[1480:], protocol=17, identification=77, fragment_offset=1480)
    orphan = ipv4(bytes(64), protocol=17, identification=99, fragment_offset=1480)
    return [at(0, ethernet(first)), at(0.001, ethernet(second)), at(0.002, ethernet(orphan))]


def vlans() -> list[Timed]:
    plain = ipv4(udp(b"one"), protocol=17)
    return [
        at(0, ethernet(plain)),
        at(1, ethernet(plain, tags=vlan_tag(100))),
        at(2, ethernet(plain, tags=vlan_tag(200, 0x88A8) + vlan_tag(100))),
        at(3, ethernet(plain, tags=vlan_tag(100))),
    ]


def tunnels() -> list[Timed]:
    inner = ipv4(udp(b"inside", src=1111, dst=2222), protocol=17, src="192.168.0.1", dst="192.168.0.2")
    gre = ipv4(struct.pack(">HHI", 0x2000, 0x0800, 42) + inner, protocol=47)
    vxlan = ipv4(udp(struct.pack(">II", 0x08000000, 7 << 8) + ethernet(inner), src=55555, dst=4789), protocol=17)
    gtp_there, gtp_back = (
        ipv4(udp(struct.pack(">BBHI", 0x30, 0xFF, len(packet), teid) + packet, src=2152, dst=2152), protocol=17)
        for teid, packet in (
            (100, inner),
            (200, ipv4(udp(b"back", src=2222, dst=1111), protocol=17, src="192.168.0.2", dst="192.168.0.1")),
        )
    )
    four_in_six = ipv6(inner, protocol=4)
    return [
        at(0, ethernet(gre)),
        at(1, ethernet(vxlan)),
        at(2, ethernet(gtp_there)),
        at(3, ethernet(gtp_back)),
        at(4, ethernet(four_in_six, kind=0x86DD)),
        at(5, ethernet(inner)),
    ]


def echo() -> list[Timed]:
    frames = []
    for number in range(3):
        frames.append(at(number, ethernet(ipv4(icmp_echo(number=number), protocol=1))))
        reply = ipv4(icmp_echo(number=number, reply=True), protocol=1, src=SERVER, dst=CLIENT, ttl=57)
        frames.append(at(number + 0.01, ethernet(reply, turned=True)))
    return frames


def dns_then_flow() -> list[Timed]:
    name = b"\x03www\x07example\x03org\x00"
    question = name + struct.pack(">HH", 1, 1)
    query = struct.pack(">HHHHHH", 5, 0x0100, 1, 0, 0, 0) + question
    answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 300, 4) + bytes([203, 0, 113, 9])
    response = struct.pack(">HHHHHH", 5, 0x8180, 1, 1, 0, 0) + question + answer
    return [
        at(0, ethernet(ipv4(udp(query, src=50000, dst=53), protocol=17, dst="10.0.0.53"))),
        at(0.01, ethernet(ipv4(udp(response, src=53, dst=50000), protocol=17, src="10.0.0.53", dst=CLIENT))),
        at(0.05, ethernet(ipv4(tcp(flags=SYN, dst=8443), dst="203.0.113.9"))),
        at(0.05, ethernet(ipv4(tcp(flags=SYN, dst=8443), src="10.0.0.7", dst="203.0.113.9"))),
    ]


def tls_in_two_segments() -> list[Timed]:
    hello = client_hello(b"split.example.org")
    there = 1001
    return [
        at(0, to_server(flags=SYN, sequence=1000, dst=443)),
        at(0.02, to_client(flags=SYN | ACK, sequence=9000, acknowledgement=there, src=443)),
        at(0.03, to_server(sequence=there, acknowledgement=9001, dst=443)),
        at(0.04, to_server(hello[:60], sequence=there, acknowledgement=9001, flags=PSH | ACK, dst=443)),
        at(0.05, to_server(hello[60:], sequence=there + 60, acknowledgement=9001, flags=PSH | ACK, dst=443)),
    ]


def client_hello(server_name: bytes) -> bytes:
    names = struct.pack(">HBH", len(server_name) + 3, 0, len(server_name)) + server_name
    alpn = struct.pack(">H", 12) + b"\x02h2\x08http/1.1"
    extensions = b"".join(
        struct.pack(">HH", kind, len(body)) + body
        for kind, body in (
            (0, names),
            (10, struct.pack(">HHH", 4, 0x001D, 0x0017)),
            (13, struct.pack(">HHH", 4, 0x0403, 0x0804)),
            (16, alpn),
            (43, b"\x04\x03\x04\x03\x03"),
        )
    )
    ciphers = struct.pack(">HHH", 0x1301, 0x1302, 0xC02F)
    body = b"\x03\x03" + bytes(range(32)) + b"\x00" + struct.pack(">H", len(ciphers)) + ciphers + b"\x01\x00"
    body += struct.pack(">H", len(extensions)) + extensions
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack(">H", len(handshake)) + handshake


def retransmission_and_reorder() -> list[Timed]:
    pieces = [(0, 100), (100, 100), (100, 100), (300, 100), (200, 100), (400, 100), (499, 1)]
    packets = [to_server(bytes(size), sequence=5000 + start) for start, size in pieces]
    return [at(place / 10, packet) for place, packet in enumerate(packets)]


def time_backwards() -> list[Timed]:
    return [at(time_s, ethernet(ipv4(udp(b"late"), protocol=17))) for time_s in (10.0, 9.5, 9.75, 11.0)]


def snap_length() -> list[Timed]:
    return [
        at(0, to_server(bytes(1000), sequence=1)),
        at(1, to_server(bytes(500), sequence=1001)),
        at(2, ethernet(ipv6(tcp(bytes(400))), kind=0x86DD)),
    ]


def sctp() -> list[Timed]:
    init = struct.pack(">BBHIIHHI", 1, 0, 20, 0xABCD, 65535, 10, 10, 1)
    there = struct.pack(">HHII", 36412, 36412, 0, 0) + init
    back = struct.pack(">HHII", 36412, 36412, 0xABCD, 0) + b"\x02" + init[1:]
    return [
        at(0, ethernet(ipv4(there, protocol=132))),
        at(0.01, ethernet(ipv4(back, protocol=132, src=SERVER, dst=CLIENT), turned=True)),
    ]


def ipv6_extensions() -> list[Timed]:
    options = bytes([60, 0, 1, 4, 0, 0, 0, 0])  # hop-by-hop, then destination options
    destination = bytes([17, 0, 1, 4, 0, 0, 0, 0])
    datagram = udp(b"behind two headers")
    fragment = struct.pack(">BBHI", 17, 0, 1, 0xBEEF)
    tail = struct.pack(">BBHI", 17, 0, 8 | 0, 0xBEEF)
    long = udp(bytes(24), src=7, dst=8)
    return [
        at(0, ethernet(ipv6(options + destination + datagram, protocol=0), kind=0x86DD)),
        at(1, ethernet(ipv6(fragment + long[:8], protocol=44), kind=0x86DD)),
        at(1.1, ethernet(ipv6(tail + long[8:], protocol=44), kind=0x86DD)),
    ]


CASES: dict[str, tuple[list[Timed], int]] = {
    "tcp-connection": (connection(0), 65535),
    "ports-used-again": (connection(0) + connection(2, sequence=777_000), 65535),
    "idle-and-active": (idle_and_active(), 65535),
    "fragments": (fragments(), 65535),
    "vlans": (vlans(), 65535),
    "tunnels": (tunnels(), 65535),
    "icmp-echo": (echo(), 65535),
    "dns-names-a-flow": (dns_then_flow(), 65535),
    "tls-in-two-segments": (tls_in_two_segments(), 65535),
    "retransmission-and-reorder": (retransmission_and_reorder(), 65535),
    "time-backwards": (time_backwards(), 65535),
    "snap-length": (snap_length(), 60),
    "sctp": (sctp(), 65535),
    "ipv6-extensions": (ipv6_extensions(), 65535),
}

if __name__ == "__main__":
    main()
