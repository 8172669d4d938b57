"""Many captures as one: in order of time, packet by packet where files overlap, without a copy where they do not.

The key of a frame is the highest time in its file so far, then the place of its file in the order of first times: where
time runs backwards inside a file, the file's own order stands. The order in which files are given, the size of buffers
and how often they are refilled change nothing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ...source import Input
from ..layout import FRAME, Bytes, Counts, Records
from .arena import Arena
from .chunk import Chunk, FileOrdinals, Interface, Ring
from .interleave import LANE, LANE_EMPTY, NEXT_FILE_BEGINS, interleave
from .lanes import ALONE, BEFORE_ALL_NS, Lane, Pending, in_order_of_first_frame
from .readahead import ahead
from .reader import CHUNK_BYTES, MAX_FRAMES, RING_SLOTS

_ARENA_BYTES = 32 << 20  # shared by all files that are open at once …
_LEAST_SLOT_BYTES, _MOST_SLOT_BYTES = 16 << 10, 1 << 20  # … within these bounds for each
_MOST_OPEN_FILES = 256  # beyond it, plain files are closed between two reads
_READ_AHEAD_CHUNKS = 2
_SMALL_CHUNK_BYTES = 1 << 18  # many small files in a row are copied into few chunks
_NEVER = int(np.iinfo(np.int64).max)


def merge_captures(inputs: Sequence[Input], *, read_ahead: bool = False) -> "MergedCaptures":
    """The chunks of all `inputs` in order of time. With `read_ahead`, a thread reads while a chunk is processed."""
    return MergedCaptures(inputs, read_ahead=read_ahead)


class MergedCaptures:
    """Iterates, once, over the chunks of all files, and sums up what their readers count.

    At the end, `packets == frames handed over + sum(skipped.values())`. A chunk is overwritten when three more were
    read.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        *,
        read_ahead: bool = False,
        chunk_bytes: int = CHUNK_BYTES,
        max_frames: int = MAX_FRAMES,
        slot_bytes: int | None = None,
    ) -> None:
        self.skipped: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.frames_read = 0
        self.interfaces: dict[str, list[Interface]] = {}  # by file
        self._inputs = inputs
        self._read_ahead = read_ahead
        ring_slots = RING_SLOTS + (_READ_AHEAD_CHUNKS + 1 if read_ahead else 0)
        self._alone_ring = Ring(ring_slots, chunk_bytes, max_frames)
        self._merged_ring = Ring(ring_slots, chunk_bytes, max_frames)
        share = _ARENA_BYTES // max(len(inputs), 1)
        self._arena = Arena(slot_bytes or min(max(share, _LEAST_SLOT_BYTES), _MOST_SLOT_BYTES))
        self._names: list[str] = []
        self._pending: list[Pending] = []  # the last is the next to be opened
        self._lanes: list[Lane] = []
        self._states: Records = np.zeros(8, LANE)  # beside `_lanes`
        self._heap: Counts = np.empty(8, np.int64)
        self._keys_ns: Counts = np.empty(8, np.int64)
        self._alone_data: Bytes = np.empty(0, np.uint8)
        self._alone_frames: Records = np.empty(0, FRAME)

    @property
    def packets(self) -> int:
        """Records seen so far."""
        return self.frames_read + self.skipped.total()

    def __iter__(self) -> Iterator[Chunk]:
        chunks = self._chunks()
        return ahead(chunks, _READ_AHEAD_CHUNKS) if self._read_ahead else chunks

    def _chunks(self) -> Iterator[Chunk]:
        if len(self._inputs) == 1:
            self._pending = [Pending(BEFORE_ALL_NS, self._inputs[0])]
        else:
            self._pending = in_order_of_first_frame(self._inputs)
        self._names = [item.source.name for item in self._pending]
        self._pending.reverse()
        try:
            yield from self._in_order()
        finally:
            for lane in self._lanes:
                lane.close()

    def _in_order(self) -> Iterator[Chunk]:
        output = _Output(self._merged_ring)
        while self._lanes or self._pending:
            if not self._lanes:
                self._open_next()
            elif len(self._lanes) == 1 and self._is_worth_a_chunk():
                if output.taken:
                    yield output.chunk(self._names)
                chunk = self._frames_of_the_only_lane()
                if chunk is not None:
                    yield chunk
                if self._states[0]["position"] == self._states[0]["count"]:
                    self._refill(0)
                else:
                    self._open_next()
            else:
                stopped, which = self._interleave(output)
                if stopped == LANE_EMPTY:
                    self._refill(which)
                elif stopped == NEXT_FILE_BEGINS:
                    self._open_next()
                else:
                    if output.taken:
                        yield output.chunk(self._names)
                    output.make_room(which)
        if output.taken:
            yield output.chunk(self._names)

    def _next_file_ns(self) -> int:
        return self._pending[-1].first_ns if self._pending else _NEVER

    def _open_next(self) -> None:
        order = len(self._names) - len(self._pending)
        lane = Lane(self._pending.pop().source, order, self._arena, self._alone_ring)
        self._lanes.append(lane)
        if len(self._lanes) > len(self._states):
            self._states = np.concatenate([self._states, np.zeros_like(self._states)])
            self._heap = np.empty(len(self._states), np.int64)
            self._keys_ns = np.empty(len(self._states), np.int64)
        place = len(self._lanes) - 1
        self._states[place]["order"] = order
        self._states[place]["highest_ns"] = BEFORE_ALL_NS
        self._refill(place)

    def _refill(self, place: int) -> None:
        lane = self._lanes[place]
        if not lane.refill(alone=len(self._lanes) == 1):
            self._close(place)
            return
        chunk = lane.chunk
        assert chunk is not None
        self.frames_read += len(chunk.frames)
        state = self._states[place]
        state["data_slot"], state["frames_slot"] = lane.data_slot, lane.frames_slot
        state["position"], state["count"] = 0, len(chunk.frames)
        if lane.data_slot == ALONE:
            self._alone_data = chunk.data
        if lane.frames_slot == ALONE:
            self._alone_frames = chunk.frames
        if len(self._lanes) > _MOST_OPEN_FILES:
            lane.park()

    def _close(self, place: int) -> None:
        """The last lane takes the place of the closed one; `order` tells them apart."""
        lane = self._lanes[place]
        lane.close()
        self.skipped.update(lane.reader.skipped)
        self.notes.update(lane.reader.notes)
        self.interfaces[lane.name] = lane.reader.interfaces
        last = self._lanes.pop()
        if last is not lane:
            self._lanes[place] = last
            self._states[place] = self._states[len(self._lanes)]

    def _is_worth_a_chunk(self) -> bool:
        """Whether the only lane's frames can be handed over as they lie, and are not few of a small file."""
        lane = self._lanes[0]
        assert lane.chunk is not None
        first, last = lane.chunk.frames[int(self._states[0]["position"])], lane.chunk.frames[-1]
        is_small = int(last["start"]) + int(last["captured"]) - int(first["start"]) < _SMALL_CHUNK_BYTES
        return lane.is_alone and not (is_small and len(self._names) > 1)

    def _frames_of_the_only_lane(self) -> Chunk | None:
        """Its frames up to where the next file begins, as they lie."""
        lane, state = self._lanes[0], self._states[0]
        assert lane.chunk is not None
        begin = int(state["position"])
        frames = lane.chunk.frames[begin:]
        times_ns = frames["time_ns"]
        until_ns = self._next_file_ns()
        if int(times_ns.max()) > until_ns:
            keys_ns = np.maximum(np.maximum.accumulate(times_ns), state["highest_ns"])
            frames = frames[: np.searchsorted(keys_ns, until_ns, side="right")]
        if not len(frames):
            return None
        state["position"] = begin + len(frames)
        state["highest_ns"] = max(int(state["highest_ns"]), int(frames["time_ns"].max()))
        return Chunk(lane.chunk.data, frames, self._names, lane.order)

    def _interleave(self, output: "_Output") -> tuple[int, int]:
        output.taken, output.used, stopped, which = interleave(
            self._states[: len(self._lanes)],
            self._heap,
            self._keys_ns,
            self._next_file_ns(),
            self._alone_data,
            self._alone_frames,
            self._arena.data,
            self._arena.slot_bytes,
            self._arena.frames,
            self._arena.slot_frames,
            output.data,
            output.frames,
            output.captures,
            output.taken,
            output.used,
        )
        return stopped, which


class _Output:
    """The chunk that a merge is filling."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self.taken = 0  # frames
        self.used = 0  # bytes
        self._begin(0)

    def chunk(self, names: list[str]) -> Chunk:
        """What was taken, and a fresh buffer for what comes."""
        done = Chunk(self.data, self.frames[: self.taken], names, self.captures[: self.taken])
        self._begin(0)
        return done

    def make_room(self, least_bytes: int) -> None:
        if len(self.data) < least_bytes:
            self._begin(least_bytes)

    def _begin(self, least_bytes: int) -> None:
        self.data: Bytes = self._ring.take_data(least_bytes)
        self.frames: Records = self._ring.take_frames()
        self.captures: FileOrdinals = self._ring.take_captures()
        self.taken = self.used = 0
