"""What readers hand to the header parser: a chunk of frames over a buffer from a ring."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..layout import FRAME, Bytes, Records

FileOrdinals = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames in order, and the buffer in which their bytes lie. Both are reused after three more chunks were read."""

    data: Bytes
    frames: Records  # FRAME
    capture_names: list[str] = field(default_factory=list)
    frame_capture: FileOrdinals | int = 0  # place in `capture_names`, one for each frame or one for all
    now_ns: int | None = None  # live only: the machine's clock, so that a silent link moves time on


@dataclass(slots=True)
class Interface:
    """One interface of a capture. A pcap file has one without a name."""

    number: int  # FRAME.interface
    link: int  # LINKTYPE_ number
    snaplen: int  # bytes kept of a frame at most; 0 is no limit
    name: str | None = None
    description: str | None = None
    ticks: str = "10^-6 s"  # unit of its time stamps
    counters: dict[str, int] = field(default_factory=dict)  # received, dropped … as the capturing program counted


class Ring:
    """A few buffers used in turn, so that memory stays warm and its size stays fixed.

    What `take_data` gives is overwritten `slots` calls later.
    """

    def __init__(self, slots: int, data_bytes: int, max_frames: int) -> None:
        self.data_bytes = data_bytes
        self.max_frames = max_frames
        self._data: list[Bytes | None] = [None] * slots
        self._frames: list[Records | None] = [None] * slots
        self._captures: list[FileOrdinals | None] = [None] * slots
        self._next_data = 0
        self._next_frames = 0
        self._next_captures = 0

    def take_data(self, least_bytes: int = 0) -> Bytes:
        """The next buffer, larger than usual where `least_bytes` asks for it, this once."""
        size = max(self.data_bytes, least_bytes)
        slot = self._next_data
        self._next_data = (slot + 1) % len(self._data)
        buffer = self._data[slot]
        if buffer is None or len(buffer) != size:
            buffer = self._data[slot] = np.empty(size, np.uint8)
        return buffer

    def take_frames(self) -> Records:
        slot = self._next_frames
        self._next_frames = (slot + 1) % len(self._frames)
        frames = self._frames[slot]
        if frames is None:
            frames = self._frames[slot] = np.empty(self.max_frames, FRAME)
        return frames

    def take_captures(self) -> FileOrdinals:
        """One number for each frame of a chunk."""
        slot = self._next_captures
        self._next_captures = (slot + 1) % len(self._captures)
        captures = self._captures[slot]
        if captures is None:
            captures = self._captures[slot] = np.empty(self.max_frames, np.uint32)
        return captures
