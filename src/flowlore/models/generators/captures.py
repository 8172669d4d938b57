"""Packet series → the bytes of a capture file: Ethernet, IPv4, TCP or UDP, with right checksums and sequence numbers.

Payload is zeros, since nobody's words may be made up from others'. Addresses are of the range for benchmarks
(198.18.0.0/15), so that nobody takes the packets for somebody's.

Shape letters: B flows, T packets, P packets of all flows in order of time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...features.augment.packets import PacketSeries

Integers = npt.NDArray[np.int64]
Octets = npt.NDArray[np.uint8]

TCP, UDP = 6, 17
FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10
PCAP_NS = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
RECORD, ETHERNET, IPV4, UDP_HEADER = 16, 14, 20, 8
SMALLEST_TCP, LARGEST_TCP = 20, 60
CLIENTS, SERVERS = 0xC6120000, 0xC6130000  # 198.18.0.0/16 and 198.19.0.0/16
MACS = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
WINDOW = 65_535
FIRST_PORT = 1024
NAME_PORTS, NAME_HEADER = (53, 137, 5353, 5355), 12  # UDP ports whose messages begin with so many bytes
TIMESTAMP = bytes([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Ends:
    """What is not in the packets of flows, `[B]`: IP protocol, port of the server, time of the first packet.

    Without the rest addresses and ports of clients are made up.
    """

    protocol: Integers
    dst_port: Integers
    start_ns: Integers
    src: Integers | None = None  # IPv4 addresses
    dst: Integers | None = None
    src_port: Integers | None = None


def capture_bytes(series: PacketSeries, ends: Ends) -> bytes:
    """A pcap file with nanoseconds, in order of time. Flows are told apart by address and port of their clients."""
    seen = series.seen()
    flow, place = np.nonzero(seen.is_packet)
    times = (ends.start_ns[:, None] + seen.times_ns)[flow, place]
    order = np.argsort(times, kind="stable")
    flow, place, times = flow[order], place[order], times[order]
    is_tcp = ends.protocol[flow] == TCP
    transport = np.where(is_tcp, _tcp_header(seen)[flow, place], UDP_HEADER)
    payload = seen.payload[flow, place].astype(np.int64)
    payload = np.minimum(payload, 65_535 - IPV4 - transport)
    is_name = ~is_tcp & (payload > 0) & np.isin(ends.dst_port[flow], NAME_PORTS)
    payload = np.where(is_name, np.maximum(payload, NAME_HEADER), payload)  # a shorter one would be damaged
    length = IPV4 + transport + payload
    frame = ETHERNET + length
    offsets = np.concatenate([[0], np.cumsum(RECORD + frame)])
    out = np.zeros(int(offsets[-1]), np.uint8)
    at = offsets[:-1]
    seconds, rest = np.divmod(times, 10**9)
    for place_, values in ((0, seconds), (4, rest), (8, frame), (12, frame)):
        _put(out, at + place_, values, 4, "little")
    is_forward = seen.direction[flow, place] > 0
    for place_, (forth, back) in ((0, MACS), (6, MACS[::-1])):
        for octet in range(6):
            out[at + RECORD + place_ + octet] = np.where(is_forward, back[octet], forth[octet])
    _put(out, at + RECORD + 12, np.full(len(at), 0x0800), 2)
    _write_ipv4(out, at + RECORD + ETHERNET, length, ends.protocol[flow], _addresses(ends, flow, is_forward))
    sequence, acknowledged = (one[flow, place] for one in _sequence(seen))
    flags = _tcp_flags(seen)[flow, place]
    ports = _ports(ends, flow, is_forward)
    begin = at + RECORD + ETHERNET + IPV4
    _write_udp(out, begin[~is_tcp], [one[~is_tcp] for one in ports], (UDP_HEADER + payload)[~is_tcp])
    _write_tcp(
        out,
        begin[is_tcp],
        [one[is_tcp] for one in ports],
        sequence[is_tcp],
        acknowledged[is_tcp],
        transport[is_tcp],
        flags[is_tcp],
    )
    _write_checksums(out, begin, transport, payload, ends.protocol[flow], _addresses(ends, flow, is_forward))
    return PCAP_NS + out.tobytes()


def with_headers(series: PacketSeries, protocol: Integers, knows: tuple[str, ...]) -> PacketSeries:
    """Packets whose size counts headers, as captures need them, where the series knows one length only."""
    usual = np.where(protocol == UDP, IPV4 + UDP_HEADER, IPV4 + SMALLEST_TCP)[:, None]
    header = np.where(series.is_packet, usual, 0).astype(np.int32)
    if "packet_bytes" not in knows:
        return replace(series, header=header, size=series.size + header)
    if "packet_payload_bytes" not in knows:
        return replace(series, header=np.minimum(header, series.size))
    return series


def _tcp_header(series: PacketSeries) -> Integers:
    """Bytes of the TCP header: what the series says of both headers, less IPv4's, in whole words."""
    told = (series.header.astype(np.int64) - IPV4 + 3) // 4 * 4
    return np.clip(told, SMALLEST_TCP, LARGEST_TCP)


def _tcp_flags(series: PacketSeries) -> Integers:
    """As in the series; where it says nothing, ACK, and PSH with payload."""
    usual = np.where(series.payload > 0, PSH | ACK, ACK)
    return np.where(series.flags > 0, series.flags, usual).astype(np.int64)


def _sequence(series: PacketSeries) -> tuple[Integers, Integers]:
    """Sequence and acknowledgement numbers, as of two hosts that lose nothing; each side begins at its own number."""
    flags = _tcp_flags(series)
    used = series.payload.astype(np.int64) + ((flags & SYN) > 0) + ((flags & FIN) > 0)
    forth, back = (np.cumsum(np.where(series.direction == side, used, 0), axis=1) for side in (1, -1))
    is_forward = series.direction > 0
    sent = np.where(is_forward, forth, back) - used
    received = np.where(is_forward, back, forth)
    begin = np.where(is_forward, 1_000_000, 2_000_000)
    other = np.where(is_forward, 2_000_000, 1_000_000)
    return (sent + begin) % 2**32, np.where(flags & ACK > 0, received + other, 0) % 2**32


def _addresses(ends: Ends, flow: Integers, is_forward: npt.NDArray[np.bool_]) -> tuple[Integers, Integers]:
    client = CLIENTS + 1 + flow % 65_000 if ends.src is None else ends.src[flow]
    server = SERVERS + 1 + flow % 251 if ends.dst is None else ends.dst[flow]
    return np.where(is_forward, client, server), np.where(is_forward, server, client)


def _ports(ends: Ends, flow: Integers, is_forward: npt.NDArray[np.bool_]) -> list[Integers]:
    client = FIRST_PORT + flow // 65_000 % 60_000 if ends.src_port is None else ends.src_port[flow]
    dst_port = ends.dst_port[flow]
    return [np.where(is_forward, client, dst_port), np.where(is_forward, dst_port, client)]


def _write_ipv4(
    out: Octets, at: Integers, length: Integers, protocol: Integers, addresses: tuple[Integers, Integers]
) -> None:
    out[at] = 0x45
    _put(out, at + 2, length, 2)
    _put(out, at + 6, np.full(len(at), 0x4000), 2)  # not to be fragmented
    out[at + 8] = 64
    out[at + 9] = protocol
    _put(out, at + 12, addresses[0], 4)
    _put(out, at + 16, addresses[1], 4)
    _put(out, at + 10, _folded(_sum_of_words(out, at, IPV4)), 2)


def _write_udp(out: Octets, at: Integers, ports: list[Integers], length: Integers) -> None:
    for place, values in ((0, ports[0]), (2, ports[1]), (4, length)):
        _put(out, at + place, values, 2)


def _write_tcp(
    out: Octets,
    at: Integers,
    ports: list[Integers],
    sequence: Integers,
    acknowledged: Integers,
    header: Integers,
    flags: Integers,
) -> None:
    _put(out, at, ports[0], 2)
    _put(out, at + 2, ports[1], 2)
    _put(out, at + 4, sequence, 4)
    _put(out, at + 8, acknowledged, 4)
    out[at + 12] = header // 4 << 4
    out[at + 13] = flags & 0xFF
    _put(out, at + 14, np.full(len(at), WINDOW), 2)
    stamped = at[header >= SMALLEST_TCP + len(TIMESTAMP)]  # longer headers end with zeros, the end of options
    for place, octet in enumerate(TIMESTAMP):
        out[stamped + SMALLEST_TCP + place] = octet


def _write_checksums(
    out: Octets,
    at: Integers,
    header: Integers,
    payload: Integers,
    protocol: Integers,
    addresses: tuple[Integers, Integers],
) -> None:
    """Of TCP and UDP, over the pseudo header and the header; zeros of the payload add nothing."""
    total = protocol + header + payload
    for address in addresses:
        total = total + (address >> 16) + (address & 0xFFFF)
    for words in np.unique(header).tolist():
        some = header == words
        total[some] += _sum_of_words(out, at[some], words)
    found = _folded(total)
    is_udp = protocol == UDP
    found = np.where(is_udp & (found == 0), 0xFFFF, found)
    _put(out, at + np.where(is_udp, 6, 16), found, 2)


def _sum_of_words(out: Octets, at: Integers, octets: int) -> Integers:
    total = np.zeros(len(at), np.int64)
    for place in range(0, octets, 2):
        total += out[at + place].astype(np.int64) * 256 + out[at + place + 1]
    return total


def _folded(total: Integers) -> Integers:
    for _ in range(3):
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _put(out: Octets, at: Integers, values: Integers, octets: int, order: str = "big") -> None:
    for place in range(octets):
        shift = 8 * (place if order == "little" else octets - 1 - place)
        out[at + place] = values >> shift & 0xFF
