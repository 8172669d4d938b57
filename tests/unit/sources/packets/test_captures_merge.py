import io
import random
import struct
from pathlib import Path

import pytest

from flowlore.sources.inputs import FileInput, StandardInput
from flowlore.sources.packets.captures import merge
from flowlore.sources.packets.captures.merge import MergedCaptures, merge_captures
from flowlore.sources.packets.captures.readahead import ahead
from flowlore.sources.source import Input

Packet = tuple[int, bytes]  # time in microseconds, bytes


def write_pcap(path: Path, packets: list[Packet]) -> FileInput:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for time_us, data in packets:
            file.write(struct.pack("<IIII", *divmod(time_us, 1_000_000), len(data), len(data)) + data)
    return FileInput(path)


def frames_of(merged: MergedCaptures) -> list[tuple[int, bytes, str]]:
    """(time in microseconds, bytes, name of the file) in the order in which they come."""
    found = []
    for chunk in merged:
        assert len(chunk.frames)
        for place, frame in enumerate(chunk.frames):
            start = int(frame["start"])
            file = chunk.frame_capture if isinstance(chunk.frame_capture, int) else int(chunk.frame_capture[place])
            data = chunk.data[start : start + int(frame["captured"])].tobytes()
            found.append((int(frame["time_ns"]) // 1000, data, Path(chunk.capture_names[file]).name))
    assert merged.packets == len(found) + merged.skipped.total()
    return found


def expected(files: dict[str, list[Packet]]) -> list[tuple[int, bytes, str]]:
    """The rule, in plain Python: sort by the highest time so far, then by first time and name of the file."""
    order = sorted(files, key=lambda name: (files[name][0][0] if files[name] else -1, name))
    keyed = []
    for place, name in enumerate(order):
        highest = 0
        for time_us, data in files[name]:
            highest = max(highest, time_us)
            keyed.append((highest, place, (time_us, data, name)))
    return [item for _, _, item in sorted(keyed, key=lambda entry: entry[:2])]


def some_files(rng: random.Random, *, count: int, spread: int) -> dict[str, list[Packet]]:
    files = {}
    for number in range(count):
        time_us = 1_000_000 + rng.randrange(spread)
        packets = []
        for _ in range(rng.randrange(40)):
            time_us = max(time_us + rng.choice([0, 0, 1, 5, 300, -3]), 0)
            packets.append((time_us, rng.randbytes(rng.choice([1, 60, 1500]))))
        files[f"{number:03}.pcap"] = packets
    return files


@pytest.mark.parametrize("seed", range(12))
def test_order_follows_the_rule_whatever_the_order_given_and_the_buffers(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    files = some_files(rng, count=rng.randrange(1, 25), spread=rng.choice([1, 500, 100_000]))
    inputs: list[Input] = [write_pcap(tmp_path / name, packets) for name, packets in files.items()]
    rng.shuffle(inputs)
    sizes = {
        "chunk_bytes": rng.choice([64, 2000, 1 << 20]),
        "max_frames": rng.choice([1, 3, 1000]),
        "slot_bytes": rng.choice([64, 1000, 1 << 16]),
    }
    merged = MergedCaptures(inputs, read_ahead=rng.random() < 0.5, **sizes)
    assert frames_of(merged) == expected(files)


def test_large_files_that_do_not_overlap_are_not_copied(tmp_path: Path) -> None:
    first = [(number, bytes(1000)) for number in range(1000)]
    second = [(1_000_000 + number, bytes(1000)) for number in range(1000)]
    inputs = [write_pcap(tmp_path / "b", second), write_pcap(tmp_path / "a", first)]
    chunks = list(merge_captures(inputs))
    assert [chunk.frame_capture for chunk in chunks] == [0, 1]
    assert [Path(name).name for name in chunks[0].capture_names] == ["a", "b"]


def test_small_files_in_a_row_share_a_chunk(tmp_path: Path) -> None:
    inputs = [
        write_pcap(tmp_path / f"{number}", [(number * 10, b"x"), (number * 10 + 5, b"y")]) for number in range(50)
    ]
    chunks = list(merge_captures(inputs))
    assert [len(chunk.frames) for chunk in chunks] == [100]


def test_more_files_than_may_be_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "_MOST_OPEN_FILES", 3)
    files = {
        f"{number:02}": [(step * 100 + number, bytes([number]) * 90) for step in range(50)] for number in range(20)
    }
    inputs = [write_pcap(tmp_path / name, packets) for name, packets in files.items()]
    most_open = 0
    merged = MergedCaptures(inputs, slot_bytes=1000)
    found = []
    for chunk in merged:
        still_open = sum(lane._stream._stream is not None for lane in merged._lanes)
        most_open = max(most_open, still_open)
        found.extend(chunk.frames["time_ns"].tolist())
    assert found == [step * 100_000 + number * 1000 for step in range(50) for number in range(20)]
    assert most_open <= 4


def test_large_record_among_small_buffers(tmp_path: Path) -> None:
    files = {
        "a": [(1, b"a"), (3, bytes(60_000)), (5, b"c")],
        "b": [(2, b"d"), (4, bytes(70_000)), (6, b"f")],
        "c": [(2, b"g"), (7, b"h")],
    }
    inputs = [write_pcap(tmp_path / name, packets) for name, packets in files.items()]
    assert frames_of(MergedCaptures(inputs, slot_bytes=100, chunk_bytes=200)) == expected(files)


def test_what_every_file_counts_is_summed_up(tmp_path: Path) -> None:
    whole = write_pcap(tmp_path / "a", [(1, b"abc"), (2, b"")])
    cut = write_pcap(tmp_path / "b", [(1, b"abc"), (2, b"abcdef")])
    cut.path.write_bytes(cut.path.read_bytes()[:-2])
    (tmp_path / "c").write_bytes(b"not a capture at all, but text")
    (tmp_path / "d").touch()
    merged = merge_captures([whole, cut, FileInput(tmp_path / "c"), FileInput(tmp_path / "d")])
    assert len(frames_of(merged)) == 2
    assert merged.skipped == {"zero-length-record": 1, "cut-off-file": 1}
    assert merged.notes == {"not-a-capture": 1, "unread-bytes": 30, "empty-file": 1}
    assert [len(merged.interfaces[str(tmp_path / name)]) for name in "abcd"] == [1, 1, 0, 0]


def test_standard_input_takes_part(tmp_path: Path) -> None:
    files = {"a": [(1, b"a"), (5, b"b")], "piped": [(2, b"c"), (6, b"d")]}
    a = write_pcap(tmp_path / "a", files["a"])
    piped = StandardInput(io.BytesIO(write_pcap(tmp_path / "piped", files["piped"]).path.read_bytes()), name="piped")
    assert frames_of(merge_captures([piped, a])) == expected(files)


def test_first_packet_behind_a_large_block_is_found(tmp_path: Path) -> None:
    def block(kind: int, body: bytes) -> bytes:
        size = struct.pack("<I", len(body) + 12)
        return struct.pack("<I", kind) + size + body + size

    begin = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 0))
    packet = block(6, struct.pack("<IIIII", 0, 0, 3, 4, 4) + b"late")
    (tmp_path / "a.pcapng").write_bytes(begin + block(0xBAD, bytes(100_000)) + packet)
    early = write_pcap(tmp_path / "b.pcap", [(1, b"one")])
    found = frames_of(merge_captures([FileInput(tmp_path / "a.pcapng"), early]))
    assert [data for _, data, _ in found] == [b"one", b"late"]


def test_reading_ahead_hands_errors_over_and_stops_with_its_reader() -> None:
    def failing() -> "object":
        yield 1
        raise ValueError("broken")

    items = ahead(failing(), 2)  # type: ignore[arg-type]
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)

    produced = []

    def endless() -> "object":
        while True:
            produced.append(len(produced))
            yield produced[-1]

    items = ahead(endless(), 2)  # type: ignore[arg-type]
    assert [next(items), next(items)] == [0, 1]
    items.close()  # type: ignore[attr-defined]
    assert len(produced) <= 6


def test_leaving_early_closes_the_files(tmp_path: Path) -> None:
    inputs = [write_pcap(tmp_path / name, [(number, bytes(5000)) for number in range(200)]) for name in "ab"]
    merged = MergedCaptures(inputs, chunk_bytes=10_000)
    chunks = iter(merged)
    next(chunks)
    streams = [lane._stream for lane in merged._lanes]
    chunks.close()  # type: ignore[attr-defined]
    assert streams
    assert all(stream.closed for stream in streams)


def test_no_inputs_give_no_chunks() -> None:
    assert list(merge_captures([])) == []
