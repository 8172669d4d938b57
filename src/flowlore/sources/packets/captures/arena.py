"""One block of memory for the buffers of all files that are open at once, so that a kernel can reach them by number."""

import heapq

import numpy as np

from ..layout import FRAME, Bytes, Records


class Arena:
    """Slots of equal size. Slots that were never used cost no memory; freed ones are used again, lowest first.

    Growing moves everything to new arrays. Old views stay readable and hold what they held.
    """

    def __init__(self, slot_bytes: int) -> None:
        self.slot_bytes = slot_bytes
        self.slot_frames = max(slot_bytes // 64, 64)
        self._slots = 0
        self._free: list[int] = []
        self._in_use: set[int] = set()
        self.data: Bytes = np.empty(0, np.uint8)
        self.frames: Records = np.empty(0, FRAME)

    def allocate(self) -> int:
        if not self._free:
            before, self._slots = self._slots, max(2 * self._slots, 8)
            self._free = list(range(before, self._slots))
            self._move_data(self.slot_bytes)
            frames = np.empty(self._slots * self.slot_frames, FRAME)
            frames[: len(self.frames)] = self.frames
            self.frames = frames
        slot = heapq.heappop(self._free)
        self._in_use.add(slot)
        return slot

    def release(self, slot: int) -> None:
        self._in_use.discard(slot)
        heapq.heappush(self._free, slot)

    def data_of(self, slot: int, least_bytes: int = 0) -> Bytes:
        """A slot's bytes. Where `least_bytes` asks for more than a slot has, all slots grow."""
        if least_bytes > self.slot_bytes:
            self._move_data(least_bytes)
        return self.data[slot * self.slot_bytes : (slot + 1) * self.slot_bytes]

    def frames_of(self, slot: int) -> Records:
        return self.frames[slot * self.slot_frames : (slot + 1) * self.slot_frames]

    def _move_data(self, slot_bytes: int) -> None:
        data = np.empty(self._slots * slot_bytes, np.uint8)
        for slot in self._in_use:
            old = self.data[slot * self.slot_bytes : (slot + 1) * self.slot_bytes]
            data[slot * slot_bytes : slot * slot_bytes + len(old)] = old
        self.data, self.slot_bytes = data, slot_bytes
