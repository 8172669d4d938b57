"""One capture file, read in chunks of frames."""

import io
from collections import Counter
from collections.abc import Iterator
from typing import IO, Protocol, cast

import numpy as np

from ...compressed import break_reason
from ..layout import Bytes, Records
from .chunk import Chunk, Interface, Ring
from .pcap import PcapWalk
from .pcapng import PcapngWalk
from .recognise import PCAP_HEADER_BYTES, PCAP_MAGICS, PCAPNG_SECTION
from .walking import BAD_RECORD, END_OF_BUFFER, NOTES, PASS_OVER, SKIPPED

CHUNK_BYTES = 1 << 20  # a ring of four stays in the processor's cache
MAX_FRAMES = 32_768
RING_SLOTS = 4


class Memory(Protocol):
    """Where a reader gets its buffers from: a `Ring`, or a row of a shared arena."""

    def take_data(self, least_bytes: int = 0) -> Bytes: ...

    def take_frames(self) -> Records: ...


class CaptureReader:
    """Iterates over the chunks of a pcap or pcapng stream. Any bytes are fit to be read; what is bad is counted.

    `packets == frames handed over + sum(skipped.values())` once the end is reached. A chunk is overwritten when three
    more have been read.
    """

    def __init__(
        self, stream: IO[bytes], name: str, *, chunk_bytes: int = CHUNK_BYTES, max_frames: int = MAX_FRAMES
    ) -> None:
        self.name = name
        self.skipped: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.frames_read = 0
        self._ring = Ring(RING_SLOTS, chunk_bytes, max_frames)
        self._stream = stream
        self._walk: PcapWalk | PcapngWalk | None = None
        self._tallies = np.zeros(len(SKIPPED) + len(NOTES), np.int64)
        self._data = np.empty(0, np.uint8)
        self._position = 0
        self._end = 0
        self._stream_ended = False
        self._finished = False

    @property
    def packets(self) -> int:
        """Records seen so far."""
        return self.frames_read + self.skipped.total()

    @property
    def interfaces(self) -> list[Interface]:
        return self._walk.interfaces if self._walk else []

    def __iter__(self) -> Iterator[Chunk]:
        while (chunk := self.read_chunk(self._ring)) is not None:
            yield chunk

    def read_chunk(self, memory: Memory) -> Chunk | None:
        """The next chunk, never empty, in buffers of `memory`; None at the end."""
        if self._finished:
            return None
        if self._walk is None and not self._begin(memory):
            return None
        assert self._walk is not None
        frames = memory.take_frames()
        while not self._finished:
            step = self._walk.walk(self._data, self._position, self._end, frames)
            self._position = step.position
            self._count_tallies()
            if step.stopped == PASS_OVER:
                self._pass_over(step.size)
            if step.found:
                self.frames_read += step.found
                return Chunk(self._data, frames[: step.found], [self.name])
            if step.stopped == END_OF_BUFFER:
                if not self._refill(memory, step.size):
                    self._finish_at_end()
            elif step.stopped == BAD_RECORD:
                self.skipped[self._walk.bad_record_reason] += 1
                self._finish_unread()
        return None

    def close(self) -> None:
        self._stream.close()

    def _begin(self, memory: Memory) -> bool:
        """Read the file's header. False where there is nothing that can be read."""
        self._refill(memory, PCAP_HEADER_BYTES)
        header = self._data[:PCAP_HEADER_BYTES].tobytes() if self._end >= PCAP_HEADER_BYTES else b""
        if header[:4] in PCAP_MAGICS:
            self._walk = PcapWalk(header, self._tallies)
        elif header[:4] == PCAPNG_SECTION:
            self._walk = PcapngWalk(self._tallies)
        else:
            beginning = self._data[: min(self._end, 4)].tobytes()
            known = beginning in PCAP_MAGICS or beginning == PCAPNG_SECTION
            self.notes["empty-file" if not self._end else "cut-off-file" if known else "not-a-capture"] += 1
            self._finish_unread()
            return False
        self._position = self._walk.first_record
        return True

    def _refill(self, memory: Memory, record_bytes: int) -> bool:
        """Carry the partial record over to the next buffer and fill it up. False where the stream gave no more."""
        if self._stream_ended:
            return False
        rest = self._data[self._position : self._end]
        data = memory.take_data(max(record_bytes, len(rest) + 1))
        data[: len(rest)] = rest
        end = len(rest)
        view = data.data
        raw = cast(io.RawIOBase, self._stream)
        while end < len(data):
            count = raw.readinto(view[end:])
            if not count:
                self._stream_ended = True
                break
            end += count
        self._data, self._position, self._end = data, 0, end
        return end > len(rest)

    def _pass_over(self, size: int) -> None:
        """Leave `size` bytes out, which may reach far beyond the buffer."""
        missing = size - (self._end - self._position)
        self._position = min(self._position + size, self._end)
        if missing > 0:
            short = missing - self._discard(missing)
            if short:
                self.notes["cut-off-file"] += 1
                self._finish_unread()

    def _discard(self, most_bytes: int) -> int:
        """Read up to `most_bytes` and drop them; the chunk's buffer stays as it is."""
        raw = cast(io.RawIOBase, self._stream)
        trash = memoryview(bytearray(min(1 << 16, most_bytes)))
        dropped = 0
        while dropped < most_bytes:
            count = raw.readinto(trash[: most_bytes - dropped])
            if not count:
                self._stream_ended = True
                break
            dropped += count
        return dropped

    def _finish_at_end(self) -> None:
        assert self._walk is not None
        rest = self._data[self._position : self._end].tobytes()
        if rest:
            self._walk.count_cut(rest, self.skipped, self.notes)
        self._finish()

    def _finish_unread(self) -> None:
        """The rest cannot be read: count its bytes."""
        unread = self._end - self._position + self._discard(1 << 62)
        if unread:
            self.notes["unread-bytes"] += unread
        self._finish()

    def _finish(self) -> None:
        self._finished = True
        reason = break_reason(self._stream)
        if reason:
            self.notes[reason] += 1

    def _count_tallies(self) -> None:
        if self._tallies.any():
            counts = self._tallies.tolist()
            self._tallies[:] = 0
            self.skipped.update({name: count for name, count in zip(SKIPPED, counts, strict=False) if count})
            self.notes.update({name: count for name, count in zip(NOTES, counts[len(SKIPPED) :], strict=True) if count})
