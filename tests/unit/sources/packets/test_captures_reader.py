import io
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, cast

import numpy as np
import pytest

from flowlore.sources.compressed import decompressed
from flowlore.sources.inputs import FileInput
from flowlore.sources.packets.captures.reader import CaptureReader
from flowlore.sources.packets.captures.recognise import recognise
from flowlore.sources.source import Head

Packet = tuple[int, bytes, int]  # time_ns, captured bytes, length on the wire

MICROSECONDS, NANOSECONDS, MODIFIED, NAVTEL = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34, 0xA12B3C4D


def pcap(
    packets: Iterable[Packet],
    *,
    magic: int = MICROSECONDS,
    order: str = "<",
    link: int = 1,
    snaplen: int = 65535,
    minor: int = 4,
) -> bytes:
    parts = [struct.pack(order + "IHHiIII", magic, 2, minor, 0, 0, snaplen, link)]
    unit = 1 if magic == NANOSECONDS else 1000
    for time_ns, data, wire in packets:
        seconds, rest = divmod(time_ns, 1_000_000_000)
        parts.append(struct.pack(order + "IIII", seconds, rest // unit, len(data), wire))
        if magic == MODIFIED:
            parts.append(struct.pack(order + "IHBB", 1, 0x800, 0, 0))
        parts.append(data)
    return b"".join(parts)


def read(data: bytes, **options: int) -> tuple[list[Packet], CaptureReader]:
    reader = CaptureReader(io.BytesIO(data), "test", **options)
    packets = []
    for chunk in reader:
        assert len(chunk.frames)
        for frame in chunk.frames:
            start, captured = int(frame["start"]), int(frame["captured"])
            packets.append((int(frame["time_ns"]), chunk.data[start : start + captured].tobytes(), int(frame["wire"])))
    assert reader.packets == len(packets) + reader.skipped.total()
    return packets, reader


PACKETS: list[Packet] = [
    (1_700_000_000_000_001_000, b"first packet", 12),
    (1_700_000_000_000_002_000, bytes(range(256)) * 5, 1280),
    (4_294_967_295_999_999_000, b"x", 1500),
]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [MICROSECONDS, NANOSECONDS, MODIFIED, NAVTEL])
def test_every_flavour_gives_the_same_packets(magic: int, order: str) -> None:
    packets, reader = read(pcap(PACKETS, magic=magic, order=order))
    assert packets == PACKETS
    assert reader.notes == {"snapped": 1}
    assert not reader.skipped


def test_nanoseconds_are_kept() -> None:
    packet = (1_700_000_000_123_456_789, b"abc", 3)
    assert read(pcap([packet], magic=NANOSECONDS))[0] == [packet]


@pytest.mark.parametrize("chunk_bytes", [1, 40, 1000])
@pytest.mark.parametrize("max_frames", [1, 2, 1000])
def test_size_of_buffers_changes_nothing(chunk_bytes: int, max_frames: int) -> None:
    many = PACKETS * 5
    assert read(pcap(many), chunk_bytes=chunk_bytes, max_frames=max_frames)[0] == many


def test_stream_that_gives_a_byte_at_a_time() -> None:
    class Slow(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.rest = data

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            piece, self.rest = self.rest[:1], self.rest[1:]
            buffer[: len(piece)] = piece
            return len(piece)

    reader = CaptureReader(cast(IO[bytes], Slow(pcap(PACKETS))), "slow")
    assert sum(len(chunk.frames) for chunk in reader) == 3


def test_chunk_is_valid_until_three_more_were_read() -> None:
    packets = [(number * 1000, bytes([number]) * 100, 100) for number in range(20)]
    seen: list[tuple[bytes, np.ndarray, int]] = []
    for chunk in CaptureReader(io.BytesIO(pcap(packets)), "ring", chunk_bytes=150, max_frames=1):
        start = int(chunk.frames[0]["start"])
        view = chunk.data[start : start + 100]
        seen.append((view.tobytes(), view, len(seen)))
        for copied, kept, _ in seen[-4:]:
            assert kept.tobytes() == copied
    assert len(seen) == 20


def test_link_type_is_read_without_its_check_sequence_bits() -> None:
    _, reader = read(pcap(PACKETS, link=0x5400_0071))
    assert [(each.link, each.snaplen, each.name) for each in reader.interfaces] == [(113, 65535, None)]


def test_record_without_bytes_is_counted() -> None:
    packets, reader = read(pcap([PACKETS[0], (5000, b"", 60), PACKETS[1]]))
    assert packets == PACKETS[:2]
    assert reader.skipped == {"zero-length-record": 1}


def test_time_that_runs_backwards_is_kept_and_noted() -> None:
    packets, reader = read(pcap([PACKETS[1], PACKETS[0], PACKETS[1]]))
    assert packets == [PACKETS[1], PACKETS[0], PACKETS[1]]
    assert reader.notes["time-backwards"] == 1


def test_impossible_fraction_of_a_second_moves_no_clock() -> None:
    data = bytearray(pcap([(7_000_000_000, b"abc", 3)]))
    data[28:32] = b"\xff\xff\xff\xff"
    packets, reader = read(bytes(data))
    assert packets[0][0] == 7_999_999_000
    assert reader.notes == {"bad-time-fraction": 1}


def test_length_on_the_wire_is_never_below_what_was_captured() -> None:
    assert read(pcap([(0, b"abcdef", 2)]))[0] == [(0, b"abcdef", 6)]


@pytest.mark.parametrize(("minor", "captured"), [(2, 12), (3, 12), (4, 9)])
def test_old_files_swap_the_lengths(minor: int, captured: int) -> None:
    data = (
        pcap([], minor=minor)
        + struct.pack("<IIII", 1, 0, *((captured, 9) if minor < 4 else (9, captured)))
        + b"9bytes.."
    )
    data += b"!" * (9 + 24 + 16 - len(data))
    packets, _ = read(data)
    assert [(len(data), wire) for _, data, wire in packets] == [(9, 12 if minor < 4 else 9)]


@pytest.mark.parametrize("cut", range(1, 28))
def test_cut_off_file_counts_its_last_packet(cut: int) -> None:
    data = pcap(PACKETS[:1])
    packets, reader = read(data[:-cut] if cut < 28 else data)
    assert packets == []
    assert reader.skipped == {"cut-off-file": 1}


def test_file_without_packets_is_whole() -> None:
    _, reader = read(pcap([]))
    assert reader.packets == 0
    assert not reader.notes


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"", {"empty-file": 1}),
        (pcap([])[:-1], {"cut-off-file": 1, "unread-bytes": 23}),
        (b"GET / HTTP/1.1\r\nHost: example\r\n", {"not-a-capture": 1, "unread-bytes": 31}),
    ],
)
def test_what_is_no_capture_is_noted(data: bytes, note: dict[str, int]) -> None:
    _, reader = read(data)
    assert reader.notes == note
    assert reader.packets == 0


def test_impossible_length_ends_the_file() -> None:
    rest = struct.pack("<IIII", 1, 1, 0x7FFFFFFF, 0x7FFFFFFF) + bytes(100_000)
    packets, reader = read(pcap(PACKETS) + rest, chunk_bytes=2000)
    assert packets == PACKETS
    assert reader.skipped == {"bad-record-header": 1}
    assert reader.notes["unread-bytes"] == len(rest)


def test_record_larger_than_the_buffer_is_read_and_the_buffer_shrinks_again() -> None:
    packets = [(1000, bytes(200_000), 200_000), *PACKETS * 40]
    reader = CaptureReader(io.BytesIO(pcap(packets)), "large", chunk_bytes=4096)
    sizes = [len(chunk.data) for chunk in reader]
    assert max(sizes) >= 200_016
    assert sizes[-1] == 4096
    assert reader.packets == len(packets)


def test_snap_length_allows_longer_records() -> None:
    packet = (1000, bytes(400_000), 400_000)
    assert read(pcap([packet], snaplen=500_000))[0] == [packet]
    assert read(pcap([packet], snaplen=65535))[1].skipped == {"bad-record-header": 1}


def test_cut_compressed_file_keeps_the_packets_before_the_cut() -> None:
    import gzip

    many = [(number * 1000, np.random.default_rng(number).bytes(900), 900) for number in range(200)]
    packed = gzip.compress(pcap(many))
    raw = io.BytesIO(packed[:-20_000])
    reader = CaptureReader(decompressed(raw, raw.read(6)), "cut.pcap.gz")
    count = sum(len(chunk.frames) for chunk in reader)
    assert 100 < count < 200
    assert reader.notes["cut-compressed-stream"] == 1
    assert reader.packets == count + 1
    assert reader.skipped == {"cut-off-file": 1}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pcap([]), "pcap, little-endian, microseconds, Ethernet"),
        (pcap([], order=">", magic=NANOSECONDS, link=276), "pcap, big-endian, nanoseconds, Linux cooked v2"),
        (pcap([], magic=MODIFIED, link=147), "modified pcap (Kuznetzov), little-endian, microseconds, link type 147"),
        (pcap([])[:6], "pcap, little-endian, microseconds"),
        (b"\x0a\x0d\x0d\x0a" + bytes(20), None),
        (b"no capture", None),
        (b"", None),
    ],
)
def test_recognition(data: bytes, words: str | None) -> None:
    assert recognise(Head(name="x", data=data, complete=True)) == words


@pytest.mark.shared_data
def test_every_real_capture_is_accounted_for(shared_data: Path) -> None:
    """Counts as `capinfos -c` gives them for the whole of each folder."""
    expected = {
        "ndpi/pcap": 51_939,
        "iot_sentinel": 137_738,
        "malicious_pcap": 11_680,
        "stopddos": 54_198,
        "cicddos2019": 29_420,
    }
    for folder, packets in expected.items():
        frames = 0
        skipped: Counter[str] = Counter()
        for path in sorted((shared_data / folder).rglob("*")):
            if not path.is_file():
                continue
            item = FileInput(path)
            if recognise(item.head()) is None:
                continue
            with item.open() as stream:
                reader = CaptureReader(stream, item.name)
                frames += sum(len(chunk.frames) for chunk in reader)
                skipped.update(reader.skipped)
        assert frames == packets
        assert skipped == ({"cut-off-file": 1} if folder == "ndpi/pcap" else {})  # fuzz-2021-10-13.pcap
