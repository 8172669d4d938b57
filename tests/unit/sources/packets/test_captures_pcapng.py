import io
import struct

import pytest

from flowlore.sources.packets.captures.reader import CaptureReader
from flowlore.sources.packets.captures.recognise import recognise
from flowlore.sources.source import Head

SECOND = 1_000_000_000


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = 1, snaplen: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(data: bytes, ticks: int, number: int = 0, wire: int | None = None, order: str = "<") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire or len(data))
    return block(6, head + data, order)


def simple(data: bytes, wire: int | None = None, order: str = "<") -> bytes:
    return block(3, struct.pack(order + "I", wire or len(data)) + data, order)


def obsolete(data: bytes, ticks: int, number: int = 0, order: str = "<") -> bytes:
    head = struct.pack(order + "HHIIII", number, 3, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(2, head + data, order)


def read(data: bytes, **options: int) -> tuple[list[tuple[int, bytes, int, int, int]], CaptureReader]:
    """(time_ns, bytes, wire, link, interface) of every frame."""
    reader = CaptureReader(io.BytesIO(data), "test", **options)
    packets = []
    for chunk in reader:
        for frame in chunk.frames:
            start = int(frame["start"])
            packets.append(
                (
                    int(frame["time_ns"]),
                    chunk.data[start : start + int(frame["captured"])].tobytes(),
                    int(frame["wire"]),
                    int(frame["link"]),
                    int(frame["interface"]),
                )
            )
    assert reader.packets == len(packets) + reader.skipped.total()
    return packets, reader


def test_sections_turn_the_byte_order_and_begin_their_interfaces_anew() -> None:
    data = b""
    for order, link in (("<", 1), (">", 101), ("<", 113)):
        data += section(order) + interface(link, order=order) + interface(link + 1, order=order)
        data += enhanced(b"abcde", 2_000_000, 1, order=order) + obsolete(b"xyz", 3_000_000, order=order)
    for chunk_bytes in (8, 100, 1 << 20):
        packets, reader = read(data, chunk_bytes=chunk_bytes)
        assert packets == [
            (2 * SECOND, b"abcde", 5, 2, 1),
            (3 * SECOND, b"xyz", 3, 1, 0),
            (2 * SECOND, b"abcde", 5, 102, 3),
            (3 * SECOND, b"xyz", 3, 101, 2),
            (2 * SECOND, b"abcde", 5, 114, 5),
            (3 * SECOND, b"xyz", 3, 113, 4),
        ]
        assert not reader.skipped


@pytest.mark.parametrize(
    ("resolution", "ticks", "time_ns"),
    [
        (6, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (0, 1_700_000_000, 1_700_000_000 * SECOND),
        (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
        (12, 17_000_000_123_456_789_012, 17_000_000_123_456_789),
        (19, 17_000_000_000_000_000_000, 1_700_000_000),
        (60, 1 << 63, 0),
        (0x80 | 10, (1_700_000_000 << 10) | 512, 1_700_000_000_500_000_000),
        (0x80 | 32, (1_700_000_000 << 32) | (1 << 31), 1_700_000_000_500_000_000),
        (0x80 | 60, (3 << 60) | (1 << 58), 3_250_000_000),
        (0x80 | 63, 1 << 62, 500_000_000),
        (0x80 | 127, (1 << 64) - 1, 0),
    ],
)
def test_ticks_become_nanoseconds(resolution: int, ticks: int, time_ns: int) -> None:
    data = section() + interface(options=option(9, bytes([resolution]))) + enhanced(b"x", ticks)
    packets, reader = read(data)
    assert [packet[0] for packet in packets] == [time_ns]
    base = "2" if resolution & 0x80 else "10"
    assert reader.interfaces[0].ticks == f"{base}^-{resolution & 0x7F} s"


@pytest.mark.parametrize("offset_s", [-1_000_000_000, 3, 1_700_000_000])
def test_time_offset_is_added(offset_s: int) -> None:
    data = section(">") + interface(options=option(14, struct.pack(">q", offset_s), ">"), order=">")
    packets, _ = read(data + enhanced(b"x", 5_000_007, order=">"))
    assert packets[0][0] == (offset_s + 5) * SECOND + 7000


@pytest.mark.parametrize(
    ("options", "ticks"),
    [(b"", (1 << 64) - 1), (option(9, b"\0"), 1 << 63), (option(14, struct.pack("<q", 1 << 62)), 0)],
)
def test_time_beyond_64_bits_is_counted(options: bytes, ticks: int) -> None:
    packets, reader = read(section() + interface(options=options) + enhanced(b"x", ticks) + enhanced(b"y", ticks))
    assert packets == []
    assert reader.skipped == {"bad-time": 2}


def test_simple_packets_take_the_time_before_and_the_snap_length() -> None:
    data = section() + interface(snaplen=4) + enhanced(b"abcd", 7_000_000) + simple(b"efgh", 100) + simple(b"ij")
    packets, reader = read(data)
    assert [packet[:3] for packet in packets] == [
        (7 * SECOND, b"abcd", 4),
        (7 * SECOND, b"efgh", 100),
        (7 * SECOND, b"ij", 2),
    ]
    assert reader.notes == {"no-time": 2, "snapped": 1}


def test_interfaces_and_what_their_capturing_program_counted() -> None:
    statistics = struct.pack("<III", 1, 0, 0) + option(4, struct.pack("<Q", 900)) + option(5, struct.pack("<Q", 17))
    data = (
        section() + interface() + interface(113, 96, option(2, b"eth1\0") + option(3, b"upl\xffnk") + option(1, b"c"))
    )
    _, reader = read(data + block(5, statistics))
    first, second = reader.interfaces
    assert (first.name, first.counters) == (None, {})
    assert (second.number, second.link, second.snaplen, second.name) == (1, 113, 96, "eth1")
    assert second.description == "upl\ufffdnk"
    assert second.counters == {"received": 900, "dropped": 17}


@pytest.mark.parametrize("size", [50_000, 3 << 20])
def test_other_blocks_are_passed_over_even_where_larger_than_the_buffer(size: int) -> None:
    data = section() + interface() + enhanced(b"a", 1) + block(4, bytes(size)) + block(0xBAD, b"") + enhanced(b"b", 2)
    packets, reader = read(data, chunk_bytes=200)
    assert [packet[1] for packet in packets] == [b"a", b"b"]
    assert reader.notes == {"passed-over-blocks": 2}


def test_packets_of_no_known_interface_and_without_bytes_are_counted() -> None:
    data = section() + enhanced(b"a", 1) + interface() + enhanced(b"b", 1, 1) + enhanced(b"", 1) + enhanced(b"c", 1)
    packets, reader = read(data)
    assert [packet[1] for packet in packets] == [b"c"]
    assert reader.skipped == {"unknown-interface": 2, "zero-length-record": 1}


def test_packet_longer_than_its_block_is_counted_and_the_next_is_read() -> None:
    bad = block(6, struct.pack("<IIIII", 0, 0, 1, 9, 9) + b"12345678")
    packets, reader = read(section() + interface() + bad + block(6, b"short") + enhanced(b"good", 1))
    assert [packet[1] for packet in packets] == [b"good"]
    assert reader.skipped == {"bad-block": 2}


@pytest.mark.parametrize(
    "bad",
    [
        struct.pack("<III", 6, 8, 8),
        struct.pack("<III", 7, 0, 0),
        block(6, bytes(20))[:-4] + b"\1\0\0\0",
        b"\x0a\x0d\x0d\x0a" + bytes(24),
        section()[:4] + struct.pack("<I", 12) + section()[8:],
    ],
)
def test_lengths_that_cannot_be_end_the_file(bad: bytes) -> None:
    packets, reader = read(section() + interface() + enhanced(b"good", 1) + bad + enhanced(b"lost", 1))
    assert [packet[1] for packet in packets] == [b"good"]
    assert reader.skipped == {"bad-block": 1}
    assert reader.notes["unread-bytes"] == len(bad) + 36


def test_length_without_its_padding_is_read() -> None:
    whole = enhanced(b"abcde", 1)
    short = struct.pack("<I", len(whole) - 3)
    packets, _ = read(section() + interface() + whole[:4] + short + whole[8:-4] + short + enhanced(b"next", 2))
    assert [packet[1] for packet in packets] == [b"abcde", b"next"]


def test_cut_off_packet_counts_and_cut_off_description_is_noted() -> None:
    begin = section() + interface()
    packet = enhanced(b"abcdefgh", 1)
    for cut in range(1, len(packet)):
        _, reader = read(begin + packet[:cut])
        assert reader.skipped == {"cut-off-file": 1}
    for cut in range(4, 20):
        _, reader = read(section() + interface()[:cut])
        assert (reader.notes, reader.skipped) == ({"cut-off-file": 1}, {})
    _, reader = read(begin + block(4, bytes(1000))[:-500])
    assert reader.notes["cut-off-file"] == 1


def test_oversized_packet_is_passed_over() -> None:
    size = 65 << 20
    large = struct.pack("<II", 6, size) + bytes(size - 12) + struct.pack("<I", size)
    packets, reader = read(section() + interface() + large + enhanced(b"after", 1))
    assert [packet[1] for packet in packets] == [b"after"]
    assert reader.skipped == {"oversized-record": 1}


def test_more_interfaces_than_the_table_begins_with() -> None:
    data = section() + b"".join(interface(number) for number in range(100))
    data += b"".join(enhanced(b"x", 1, number) for number in range(100))
    packets, reader = read(data)
    assert [packet[3:] for packet in packets] == [(number, number) for number in range(100)]
    assert len(reader.interfaces) == 100


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (section(), "pcapng, little-endian"),
        (section(">") + interface(101, order=">"), "pcapng, big-endian, raw IP"),
        (section() + interface() + interface(276) + interface(), "pcapng, little-endian, Ethernet, Linux cooked v2"),
        (section() + struct.pack("<II", 1, 20), "pcapng, little-endian"),
        (section()[:8], None),
    ],
)
def test_recognition(data: bytes, words: str | None) -> None:
    assert recognise(Head(name="x", data=data, complete=True)) == words
