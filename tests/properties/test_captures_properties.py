"""Any bytes can be read as a capture, and a capture that is cut gives the beginning of what it gave."""

import io
import struct

from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowlore.sources.packets.captures.reader import CaptureReader
from flowlore.sources.packets.captures.recognise import PCAP_MAGICS, recognise
from flowlore.sources.source import Head

Frame = tuple[int, bytes, int, int, int]

PACKETS = st.lists(
    st.tuples(st.integers(0, 2**62), st.binary(max_size=80), st.integers(0, 2000), st.integers(0, 2)), max_size=12
)
SIZES = st.fixed_dictionaries({"chunk_bytes": st.integers(1, 300), "max_frames": st.integers(1, 9)})


def read(data: bytes, chunk_bytes: int = 4096, max_frames: int = 64) -> tuple[list[Frame], CaptureReader]:
    reader = CaptureReader(io.BytesIO(data), "any", chunk_bytes=chunk_bytes, max_frames=max_frames)
    frames: list[Frame] = []
    for chunk in reader:
        assert 0 < len(chunk.frames) <= max_frames
        for frame in chunk.frames:
            start, captured = int(frame["start"]), int(frame["captured"])
            assert 0 <= start <= start + captured <= len(chunk.data)
            assert int(frame["wire"]) >= captured > 0
            data = chunk.data[start : start + captured].tobytes()
            frames.append(
                (int(frame["time_ns"]), data, int(frame["wire"]), int(frame["link"]), int(frame["interface"]))
            )
    assert reader.packets == len(frames) + reader.skipped.total()
    return frames, reader


@st.composite
def pcaps(draw: st.DrawFn) -> bytes:
    magic = draw(st.sampled_from(sorted(PCAP_MAGICS)))
    order = ">" if PCAP_MAGICS[magic].big_endian else "<"
    data = magic + struct.pack(order + "HHiIII", 2, 4, 0, 0, 65535, draw(st.integers(0, 300)))
    for time, payload, wire, _ in draw(PACKETS):
        data += struct.pack(order + "IIII", time & 0xFFFFFFFF, time % 1_000_000, len(payload), wire)
        data += bytes(PCAP_MAGICS[magic].record_header_bytes - 16) + payload
    return data


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


@st.composite
def pcapngs(draw: st.DrawFn) -> bytes:
    data = b""
    for order in draw(st.lists(st.sampled_from("<>"), min_size=1, max_size=3)):
        data += block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
        for resolution in draw(st.lists(st.integers(0, 255), max_size=2)):
            options = struct.pack(order + "HHB3x", 9, 1, resolution)
            data += block(order, 1, struct.pack(order + "HHI", resolution, 0, resolution) + options)
        for time, payload, wire, number in draw(PACKETS):
            kind = draw(st.sampled_from([2, 3, 4, 5, 6, 6, 6, 99]))
            high, low = time >> 32, time & 0xFFFFFFFF
            if kind == 2:
                head = struct.pack(order + "HHIIII", number, 0, high, low, len(payload), wire)
            elif kind == 3:
                head = struct.pack(order + "I", wire)
            else:
                head = struct.pack(order + "IIIII", number, high, low, len(payload), wire)
            data += block(order, kind, head + payload)
    return data


CAPTURES = st.one_of(pcaps(), pcapngs())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(CAPTURES))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(data) - 1))
        piece = draw(st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f"])))
        data[place : place + len(piece)] = piece
    return bytes(data)


@given(st.one_of(st.binary(max_size=200), damaged()), SIZES)
@example(bytes.fromhex("4d3cb2a1"), {"chunk_bytes": 1, "max_frames": 1})
@settings(deadline=None)
def test_any_bytes_are_read_alike_whatever_the_buffers(data: bytes, sizes: dict[str, int]) -> None:
    recognise(Head(name="any", data=data, complete=True))
    frames, reader = read(data)
    again, other = read(data, **sizes)
    assert frames == again
    assert (reader.skipped, reader.notes) == (other.skipped, other.notes)


@given(CAPTURES, st.data())
@settings(deadline=None)
def test_cut_capture_gives_the_beginning(data: bytes, more: st.DataObject) -> None:
    whole, _ = read(data)
    cut = more.draw(st.integers(0, len(data)))
    frames, _ = read(data[:cut])
    assert frames == whole[: len(frames)]
    assert cut < len(data) or len(frames) == len(whole)


@given(CAPTURES)
@settings(deadline=None)
def test_whole_capture_is_neither_cut_nor_bad(data: bytes) -> None:
    _, reader = read(data)
    assert not {"cut-off-file", "bad-record-header"} & set(reader.skipped)
    assert "unread-bytes" not in reader.notes
