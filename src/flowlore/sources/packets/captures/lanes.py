"""One file on its way into a merge: its reader, and where its next frames lie."""

from collections.abc import Sequence
from io import BytesIO
from typing import IO, NamedTuple, cast

import numpy as np

from ...inputs import StandardInput
from ...source import Input
from ..layout import Bytes, Records
from .arena import Arena
from .chunk import Chunk, Ring
from .parking import ParkingStream
from .reader import CaptureReader

BEFORE_ALL_NS = int(np.iinfo(np.int64).min)
ALONE = -1  # in place of a slot: the buffer of the lane that is, or was, the only one open

_SCAN_RING = (2, 1 << 16, 64)


class Pending(NamedTuple):
    """A file that is not open yet."""

    first_ns: int  # time of its first frame; BEFORE_ALL_NS where that is not known or it has none
    source: Input


def in_order_of_first_frame(inputs: Sequence[Input]) -> list[Pending]:
    """By time of the first frame, then by name: whatever the order they were given in."""
    ring = Ring(*_SCAN_RING)
    pending = [Pending(_first_frame_ns(item, ring), item) for item in inputs]
    return sorted(pending, key=lambda item: (item.first_ns, item.source.name))


def _first_frame_ns(item: Input, ring: Ring) -> int:
    head = item.head()
    chunk = CaptureReader(BytesIO(head.data), item.name).read_chunk(ring)
    if chunk is None and not head.complete and not isinstance(item, StandardInput):
        with item.open() as stream:
            chunk = CaptureReader(stream, item.name).read_chunk(ring)
    return BEFORE_ALL_NS if chunk is None else int(chunk.frames["time_ns"][0])


class Lane:
    """An open file. Its buffers lie in the ring of chunks while it is alone, else in its slot of the arena."""

    def __init__(self, item: Input, order: int, arena: Arena, ring: Ring) -> None:
        self.order = order
        self.name = item.name
        self.data_slot = ALONE
        self.frames_slot = ALONE
        self.chunk: Chunk | None = None
        self._stream = ParkingStream(item)
        self.reader = CaptureReader(cast(IO[bytes], self._stream), item.name)
        self._arena = arena
        self._ring = ring
        self._slot: int | None = None
        self._alone = False

    @property
    def is_alone(self) -> bool:
        """True where its frames can be handed over as they lie."""
        return self.data_slot == ALONE and self.frames_slot == ALONE

    def refill(self, *, alone: bool) -> bool:
        """Read the next frames, all former ones being taken. False at the end of the file."""
        self._alone = alone
        self.chunk = self.reader.read_chunk(self)
        return self.chunk is not None

    def park(self) -> None:
        self._stream.park()

    def close(self) -> None:
        self.reader.close()
        if self._slot is not None:
            self._arena.release(self._slot)

    def take_data(self, least_bytes: int = 0) -> Bytes:
        if self._alone:
            self.data_slot = ALONE
            return self._ring.take_data(least_bytes)
        self.data_slot = self._own_slot()
        return self._arena.data_of(self.data_slot, least_bytes)

    def take_frames(self) -> Records:
        if self._alone:
            self.frames_slot = ALONE
            return self._ring.take_frames()
        self.frames_slot = self._own_slot()
        return self._arena.frames_of(self.frames_slot)

    def _own_slot(self) -> int:
        if self._slot is None:
            self._slot = self._arena.allocate()
        return self._slot
