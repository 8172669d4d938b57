"""Export datagrams inside captures: whole, in fragments, cut, and beside other traffic."""

import io
import struct
from collections import Counter

import pytest
from test_netflow_decoder import PORTS, ports, v9

from flowlore.sources.records.netflow.captures import datagrams_from_capture, share_of_exports
from flowlore.sources.records.netflow.datagrams import describe_datagram

RAW_IP = 101
UDP, TCP = 17, 6


def ipv4(body: bytes, *, protocol: int = UDP, fragment: int = 0, number: int = 7, src: int = 1) -> bytes:
    addresses = bytes([192, 0, 2, src, 192, 0, 2, 99])
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), number, fragment, 64, protocol, 0) + addresses + body


def udp(payload: bytes) -> bytes:
    return struct.pack(">HHHH", 5000, 2055, 8 + len(payload), 0) + payload


def in_fragments(datagram: bytes, size: int = 64) -> list[bytes]:
    pieces = [datagram[place : place + size] for place in range(0, len(datagram), size)]
    more = [0x2000] * (len(pieces) - 1) + [0]
    return [
        ipv4(piece, fragment=flag | place * size // 8)
        for place, (piece, flag) in enumerate(zip(pieces, more, strict=True))
    ]


def capture(packets: list[bytes], snap_bytes: int = 65_535) -> bytes:
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snap_bytes, RAW_IP)
    for place, packet in enumerate(packets):
        kept = packet[:snap_bytes]
        data += struct.pack("<IIII", 1_700_000_000 + place, 0, len(kept), len(packet)) + kept
    return data


def read(packets: list[bytes], snap_bytes: int = 65_535) -> tuple[list[bytes], list[str], Counter[str]]:
    notes = Counter[str]()
    payloads, exporters = [], []
    for batch in datagrams_from_capture(io.BytesIO(capture(packets, snap_bytes)), "x", notes):
        for start, length, exporter in zip(batch.starts, batch.lengths, batch.exporters, strict=True):
            payloads.append(batch.buffer[start : start + length].tobytes())
            exporters.append(batch.exporter_names[exporter])
    return payloads, exporters, notes


EXPORT = v9(1, PORTS, ports(*((place, place) for place in range(60))))


def test_payloads_come_out_whole_with_their_exporter_and_time() -> None:
    payloads, exporters, notes = read([ipv4(udp(EXPORT)), ipv4(udp(EXPORT), src=2), ipv4(bytes(20), protocol=TCP)])
    assert payloads == [EXPORT, EXPORT]
    assert exporters == ["192.0.2.1", "192.0.2.2"]
    assert notes == {"capture-packets": 3, "not-an-export": 1}


@pytest.mark.parametrize("turned", [False, True])
def test_datagrams_in_fragments_are_put_together(turned: bool) -> None:
    pieces = in_fragments(udp(EXPORT))
    assert len(pieces) > 3
    if turned:
        pieces = [pieces[0], *reversed(pieces[1:])]
    assert read(pieces)[0] == [EXPORT]


def test_a_missing_fragment_is_counted() -> None:
    payloads, _, notes = read(in_fragments(udp(EXPORT))[:-1])
    assert payloads == []
    assert notes["fragmented-export-incomplete"] == 1


def test_what_the_snap_length_cuts_is_counted() -> None:
    payloads, _, notes = read([ipv4(udp(EXPORT))], snap_bytes=100)
    assert payloads == []
    assert notes["cut-by-snap-length"] == 1


def test_the_share_of_exports_decides_what_a_capture_is() -> None:
    dns = ipv4(struct.pack(">HHHH", 53, 5353, 40, 0) + bytes(32))
    assert share_of_exports(capture([ipv4(udp(EXPORT))] * 3 + [dns]), "x", describe_datagram) == 0.75
    assert share_of_exports(capture([dns]), "x", describe_datagram) == 0.0
    assert share_of_exports(b"", "x", describe_datagram) == 0.0
