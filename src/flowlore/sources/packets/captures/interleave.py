"""The kernel of the merge: frames of many lanes, in order, copied into one chunk."""

import numpy as np

from ....flows.compiled import borrowing, kernel
from ..layout import Bytes, Counts, Records
from .chunk import FileOrdinals
from .walking import Integer

# Why it stopped.
LANE_EMPTY = 0
NEXT_FILE_BEGINS = 1
OUTPUT_FULL = 2

LANE = np.dtype(
    [
        ("data_slot", np.int64),  # slot of the arena, or ALONE
        ("frames_slot", np.int64),
        ("position", np.int64),  # next frame
        ("count", np.int64),
        ("order", np.int64),  # place of the file among all
        ("highest_ns", np.int64),  # time of the frames taken so far
    ]
)


@borrowing
def interleave(
    lanes: Records,
    heap: Counts,
    keys_ns: Counts,
    next_file_ns: int,
    alone_data: Bytes,
    alone_frames: Records,
    arena_data: Bytes,
    slot_bytes: int,
    arena_frames: Records,
    slot_frames: int,
    out_data: Bytes,
    out_frames: Records,
    out_captures: FileOrdinals,
    taken: int,
    used: Integer,
) -> tuple[int, int, int, Integer]:
    """Append frames to the output, until a lane is empty, a frame is later than `next_file_ns`, or the output is full.

    Gives the frames and the bytes in the output, why it stopped, and which lane is empty, or the size of the frame that
    did not fit.
    """
    size = 0
    for lane in range(len(lanes)):
        if lanes[lane].position >= lanes[lane].count:
            return taken, used, LANE_EMPTY, lane
        keys_ns[lane] = key_of(lanes[lane], alone_frames, arena_frames, slot_frames)
        heap[size] = lane
        size += 1
        rise(heap, size - 1, keys_ns, lanes)
    while size > 0:
        which = heap[0]
        lane_state = lanes[which]
        if keys_ns[which] > next_file_ns:
            return taken, used, NEXT_FILE_BEGINS, which
        if lane_state.frames_slot < 0:
            frame = alone_frames[lane_state.position]
        else:
            frame = arena_frames[lane_state.frames_slot * slot_frames + lane_state.position]
        captured = np.int64(frame.captured)
        if taken == len(out_frames) or used + captured > len(out_data):
            return taken, used, OUTPUT_FULL, captured
        if lane_state.data_slot < 0:
            _copy(alone_data, frame.start, captured, out_data, used)
        else:
            _copy(arena_data, lane_state.data_slot * slot_bytes + frame.start, captured, out_data, used)
        out = out_frames[taken]
        out.time_ns = frame.time_ns
        out.start = used
        out.captured = frame.captured
        out.wire = frame.wire
        out.link = frame.link
        out.interface = frame.interface
        out_captures[taken] = lane_state.order
        taken += 1
        used += captured
        lane_state.highest_ns = keys_ns[which]
        lane_state.position += 1
        if lane_state.position == lane_state.count:
            return taken, used, LANE_EMPTY, which
        keys_ns[which] = key_of(lane_state, alone_frames, arena_frames, slot_frames)
        sink(heap, size, keys_ns, lanes)
    return taken, used, LANE_EMPTY, 0


@kernel
def _copy(data: Bytes, start: Integer, size: Integer, out: Bytes, place: Integer) -> None:
    for byte in range(size):
        out[place + byte] = data[start + byte]


@kernel
def key_of(lane: Integer, alone_frames: Records, arena_frames: Records, slot_frames: int) -> Integer:
    """Time by which the next frame of a lane is put in order: never before what came before it in its file."""
    if lane.frames_slot < 0:
        return max(lane.highest_ns, alone_frames[lane.position].time_ns)
    return max(lane.highest_ns, arena_frames[lane.frames_slot * slot_frames + lane.position].time_ns)


@kernel
def comes_first(one: int, other: int, keys_ns: Counts, lanes: Records) -> bool:
    if keys_ns[one] != keys_ns[other]:
        return bool(keys_ns[one] < keys_ns[other])
    return bool(lanes[one].order < lanes[other].order)


@kernel
def rise(heap: Counts, place: int, keys_ns: Counts, lanes: Records) -> None:
    """Move the lane at `place` up to where it belongs."""
    while place > 0:
        parent = (place - 1) // 2
        if not comes_first(heap[place], heap[parent], keys_ns, lanes):
            return
        heap[place], heap[parent] = heap[parent], heap[place]
        place = parent


@kernel
def sink(heap: Counts, size: int, keys_ns: Counts, lanes: Records) -> None:
    """Move the lane at the top down to where it belongs."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            return
        if child + 1 < size and comes_first(heap[child + 1], heap[child], keys_ns, lanes):
            child += 1
        if not comes_first(heap[child], heap[place], keys_ns, lanes):
            return
        heap[place], heap[child] = heap[child], heap[place]
        place = child
