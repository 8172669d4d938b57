"""What the sniffer reads in real captures, against tshark's fields and against a second reading of the ClientHello."""

import csv
import hashlib
import io
import ipaddress
import shutil
import struct
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from flowlore.sources.packets.names.read import Items, decode_items
from flowlore.sources.packets.names.sniff import sniff
from flowlore.sources.packets.names.tags import MORE

pytestmark = pytest.mark.shared_data

SAMPLE = (
    "chrome.pcap",
    "dns_ambiguous_names.pcap",
    "http_connect.pcap",
    "quic-v2.pcapng",
    "safari.pcap",
    "youtubeupload.pcap",
)
TLS_SAMPLE = ("chrome.pcap", "dns_doh.pcap", "safari.pcap", "tls_ech.pcapng")
MOST_PAYLOADS = 8  # that the meter shows of a flow
Key = tuple[str, str]


@dataclass
class Flow:
    """A flow as the test's own reader sees it."""

    protocol: int
    source: str
    memory: np.ndarray = field(default_factory=lambda: np.full(8192, 0xAA, dtype=np.uint8))
    notes: np.ndarray = field(default_factory=lambda: np.zeros(16, dtype=np.int64))
    verdict: int = MORE
    shown: int = 0
    items: bytes = b""
    expected: dict[str, int] = field(default_factory=dict)  # next TCP sequence number by sender
    streams: dict[str, bytes] = field(default_factory=lambda: defaultdict(bytes))


def frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """Link type and bytes of each frame of a pcap or pcapng file."""
    data = path.read_bytes()
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        yield from _pcapng_frames(data)
        return
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack_from(order + "I", data, at + 8)[0]
        yield link, data[at + 16 : at + 16 + size]
        at += 16 + size


def _pcapng_frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    order, links, at = "<", [], 0
    while at + 12 <= len(data):
        kind = struct.unpack_from(order + "I", data, at)[0]
        if kind == 0x0A0D0D0A:
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        size = struct.unpack_from(order + "I", data, at + 4)[0]
        if kind == 1:
            links.append(struct.unpack_from(order + "H", data, at + 8)[0])
        elif kind == 6:
            interface = struct.unpack_from(order + "I", data, at + 8)[0]
            captured = struct.unpack_from(order + "I", data, at + 20)[0]
            yield links[interface], data[at + 28 : at + 28 + captured]
        at += max(size, 12)


def segment(link: int, frame: bytes) -> tuple[int, bytes, bytes, bytes] | None:
    """Protocol, addresses and transport bytes of a frame without tunnels or fragments."""
    if link == 1:
        at, kind = 14, frame[12:14]
        while kind in (b"\x81\x00", b"\x88\xa8"):
            kind = frame[at + 2 : at + 4]
            at += 4
        if kind == b"\x88\x64":
            at += 8
    elif link == 113:
        at = 16
    elif link == 0:
        at = 4
    elif link in (101, 228, 229, 12):
        at = 0
    else:
        return None
    packet = frame[at:]
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        total = int.from_bytes(packet[2:4], "big") or len(packet)
        if int.from_bytes(packet[6:8], "big") & 0x3FFF:
            return None
        return packet[9], packet[12:16], packet[16:20], packet[4 * (packet[0] & 15) : total]
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        return packet[6], packet[8:24], packet[24:40], packet[40 : 40 + int.from_bytes(packet[4:6], "big")]
    return None


def sniff_capture(path: Path) -> dict[Key, Flow]:
    """Every TCP and UDP flow of a capture by its two ends, shown to the sniffer as the meter would."""
    flows: dict[Key, Flow] = {}
    out = np.zeros(2048, dtype=np.uint8)
    for link, frame in frames(path):
        found = segment(link, frame)
        if found is None or found[0] not in (6, 17) or len(found[3]) < 8:
            continue
        protocol, source, target, bytes_ = found
        ports = struct.unpack_from(">HH", bytes_)
        sender, receiver = f"{source.hex()}:{ports[0]}/{protocol}", f"{target.hex()}:{ports[1]}/{protocol}"
        key = (min(sender, receiver), max(sender, receiver))
        if protocol == 6:
            if len(bytes_) < 20:
                continue
            payload = bytes_[4 * (bytes_[12] >> 4) :]
            sequence = int.from_bytes(bytes_[4:8], "big")
            is_syn = bool(bytes_[13] & 2)
            if is_syn and not bytes_[13] & 16:
                flows.setdefault(key, Flow(protocol, sender))
        else:
            payload = bytes_[8 : int.from_bytes(bytes_[4:6], "big") or None]
        flow = flows.setdefault(key, Flow(protocol, sender))
        if protocol == 6:
            if is_syn:
                flow.expected[sender] = (sequence + 1) & 0xFFFFFFFF
                continue
            if payload == b"\x00" and flow.expected.get(sender, sequence + 1) == sequence + 1:
                continue
            expected = flow.expected.setdefault(sender, sequence)
            ahead = (expected - sequence) & 0xFFFFFFFF
            if ahead >= 0x80000000 or ahead >= len(payload):
                continue
            payload = payload[ahead:]
            flow.expected[sender] = (expected + len(payload)) & 0xFFFFFFFF
        if not payload:
            continue
        flow.streams[sender] += payload if protocol == 6 else b""
        if flow.verdict != MORE or flow.shown == MOST_PAYLOADS:
            continue
        flow.shown += 1
        data = np.frombuffer(payload, dtype=np.uint8).copy()
        flow.verdict, length = sniff(
            data,
            np.int64(0),
            np.int64(len(data)),
            np.uint8(protocol),
            np.uint16(ports[0]),
            np.uint16(ports[1]),
            sender == flow.source,
            flow.memory,
            flow.notes,
            out,
        )
        flow.items += out[:length].tobytes()
    return flows


FIELDS = {
    "sni": "tls.handshake.extensions_server_name",
    "alpn": "tls.handshake.extensions_alpn_str",
    "hello": "tls.handshake.type",
    "version": "tls.handshake.extensions.supported_version",
    "dns": "dns.qry.name",
    "type": "dns.qry.type",
    "code": "dns.flags.rcode",
    "host": "http.host",
    "agent": "http.user_agent",
}


def tshark_flows(path: Path) -> dict[Key, list[dict[str, list[str]]]]:
    """For each flow without a tunnel, what tshark says of each of its frames."""
    wanted = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport"]
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=/t", "-E", "aggregator=\x02"]
    for name in [*wanted, *FIELDS.values()]:
        command += ["-e", name]
    command += ["-Y", "tls.handshake or dns or http"]
    output = subprocess.run(command, capture_output=True, check=False).stdout.decode("utf-8", "replace")
    flows: dict[Key, list[dict[str, list[str]]]] = defaultdict(list)
    for row in csv.reader(io.StringIO(output), delimiter="\t", quoting=csv.QUOTE_NONE):
        if len(row) < len(wanted) + len(FIELDS) or any("\x02" in value for value in row[:8]):
            continue
        source, target = _address(row[0] or row[2]), _address(row[1] or row[3])
        protocol = 6 if row[4] else 17
        ports = (row[4], row[5]) if row[4] else (row[6], row[7])
        ends = (f"{source}:{ports[0]}/{protocol}", f"{target}:{ports[1]}/{protocol}")
        values = {name: [v for v in value.split("\x02") if v] for name, value in zip(FIELDS, row[8:], strict=False)}
        flows[(min(ends), max(ends))].append(values)
    return flows


def _address(text: str) -> str:
    return ipaddress.ip_address(text).packed.hex() if text else ""


def read_items(path: Path) -> dict[Key, Items]:
    return {key: decode_items(flow.items) for key, flow in sniff_capture(path).items()}


@pytest.mark.parametrize("name", SAMPLE)
def test_names_equal_those_of_tshark(shared_data: Path, name: str) -> None:
    """Every flow of which tshark names a server, a question, a host or a user agent."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed; it reads the same captures for comparison")
    path = shared_data / "ndpi" / "pcap" / name
    ours = read_items(path)
    compared = 0
    for key, rows in tshark_flows(path).items():
        if key not in ours:
            continue
        expected = {
            "server_name": _first(rows, "sni") or _first(rows, "host"),
            "dns_query": _first(rows, "dns"),
            "dns_query_type": _first(rows, "type"),
            "user_agent": _first(rows, "agent"),
        }
        for field_, value in expected.items():
            if value is None:
                continue
            clean = value.lower().partition(":")[0] if field_ != "user_agent" else value[:255]
            assert str(ours[key].get(field_)) == clean.replace("<root>", "."), (key, field_)
            compared += 1
    assert compared > 0


def _first(rows: list[dict[str, list[str]]], name: str) -> str | None:
    """What tshark says first; a tunnel's inner name stands before the proxy's host."""
    return next((row[name][0] for row in rows if row[name]), None)


@pytest.mark.parametrize("name", TLS_SAMPLE)
def test_ja4_equals_a_second_computation(shared_data: Path, name: str) -> None:
    compared = 0
    for flow in sniff_capture(shared_data / "ndpi" / "pcap" / name).values():
        for stream in flow.streams.values():
            expected = second_ja4(stream)
            if expected is not None:
                assert decode_items(flow.items).get("ja4") == expected
                compared += 1
    assert compared > 0


def second_ja4(stream: bytes) -> str | None:
    """JA4 of a TCP stream that begins with a ClientHello, written for shortness from FoxIO's description."""
    message, at = b"", 0
    while stream[at : at + 2] == b"\x16\x03":
        size = int.from_bytes(stream[at + 3 : at + 5], "big")
        message, at = message + stream[at + 5 : at + 5 + size], at + 5 + size
    if message[:1] != b"\x01" or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        return None
    rest = io.BytesIO(message[38 : 4 + int.from_bytes(message[1:4], "big")])
    _vector(rest, 1)
    ciphers = _numbers(_vector(rest, 2))
    _vector(rest, 1)
    block = io.BytesIO(_vector(rest, 2))
    extensions: list[tuple[int, bytes]] = []
    while head := block.read(2):
        extensions.append((int.from_bytes(head, "big"), _vector(block, 2)))
    by_kind = dict(extensions)
    kinds = [kind for kind, _ in extensions if not _is_grease(kind)]
    version = max(_numbers(by_kind.get(43, b"")[1:]), default=int.from_bytes(message[4:6], "big"))
    shown = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3"}.get(version, "00")
    first = by_kind.get(16, b"")[3:][: by_kind.get(16, bytes(3))[2]]
    alpn = "00" if not first else chr(first[0]) + chr(first[-1])
    if first and not (alpn.isascii() and alpn.isalnum()):
        alpn = first.hex()[0] + first.hex()[-1]
    signatures = ",".join(f"{one:04x}" for one in _numbers(by_kind.get(13, b"")[2:]))
    listed = ",".join(f"{kind:04x}" for kind in sorted(kinds) if kind not in (0, 16))
    name = "d" if 0 in by_kind else "i"
    return (
        f"t{shown}{name}{min(len(ciphers), 99):02}{min(len(kinds), 99):02}{alpn}"
        f"_{_hash(','.join(f'{one:04x}' for one in sorted(ciphers)))}"
        f"_{_hash(listed + ('_' + signatures if signatures else ''))}"
    )


def _vector(data: io.BytesIO, width: int) -> bytes:
    return data.read(int.from_bytes(data.read(width), "big"))


def _numbers(data: bytes) -> list[int]:
    numbers = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2)]
    return [number for number in numbers if not _is_grease(number)]


def _is_grease(number: int) -> bool:
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12


QUIC_KINDS = {
    "quic-27.pcap": "QUIC draft 27",
    "quic-28.pcap": "QUIC draft 28",
    "quic-v2.pcapng": "QUIC version 2",
    "quic_t50.pcap": "Google's T050",
    "quic_t51.pcap": "Google's T051",
    "quic_q50.pcap": "Google's Q050",
    "quic_q46.pcap": "Google's Q046",
    "quic_frags_ch_in_multiple_packets.pcapng": "a hello over several packets",
    "quic_frags_ch_out_of_order_same_packet_craziness.pcapng": "a hello in shuffled frames",
}


@pytest.mark.parametrize("name", QUIC_KINDS)
def test_quic_of_every_kind_is_opened(shared_data: Path, name: str) -> None:
    flows = read_items(shared_data / "ndpi" / "pcap" / name).values()
    assert any(items.keys() & {"server_name", "ja4"} for items in flows), QUIC_KINDS[name]
