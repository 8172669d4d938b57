"""What the walks over pcap records and pcapng blocks share: how they stop, what they count, how they read numbers."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes, Counts, Records

Integer: TypeAlias = Any  # int in Python, int64 in a kernel

# Why a walk stopped.
END_OF_BUFFER = 0  # the record at `position` is not whole; it takes `size` bytes, 0 where that is not known
FRAMES_FULL = 1
BAD_RECORD = 2  # the lengths at `position` cannot be: where the next record begins is not known
PASS_OVER = 3  # `size` bytes from `position` hold nothing for us and need not be in memory
SECTION = 4  # pcapng only: a block at `position` that changes how the following ones are read
INTERFACE = 5
STATISTICS = 6

# What a walk counts, by place. The first are packets that are not handed over, the others are notes.
SKIPPED = ("zero-length-record", "unknown-interface", "bad-block", "bad-time", "oversized-record")
NOTES = ("snapped", "time-backwards", "no-time", "bad-time-fraction", "passed-over-blocks")
ZERO_LENGTH, UNKNOWN_INTERFACE, BAD_BLOCK, BAD_TIME, OVERSIZED = range(5)
SNAPPED, TIME_BACKWARDS, NO_TIME, BAD_TIME_FRACTION, PASSED_OVER_BLOCKS = range(5, 10)

LARGEST_RECORD = 64 << 20  # bytes; a longer one is passed over and counted


class Step(NamedTuple):
    """Where a walk came to."""

    found: int  # frames written
    position: int
    stopped: int
    size: int


@kernel
def read_u16(data: Bytes, at: int, big_endian: bool) -> Integer:
    first, second = np.int64(data[at]), np.int64(data[at + 1])
    if big_endian:
        return (first << 8) | second
    return (second << 8) | first


@kernel
def read_u32(data: Bytes, at: int, big_endian: bool) -> Integer:
    if big_endian:
        return (
            (np.int64(data[at]) << 24)
            | (np.int64(data[at + 1]) << 16)
            | (np.int64(data[at + 2]) << 8)
            | np.int64(data[at + 3])
        )
    return (
        (np.int64(data[at + 3]) << 24)
        | (np.int64(data[at + 2]) << 16)
        | (np.int64(data[at + 1]) << 8)
        | np.int64(data[at])
    )


@kernel
def write_frame(
    frames: Records,
    place: int,
    tallies: Counts,
    last_time_ns: Counts,
    time_ns: Integer,
    start: Integer,
    captured: Integer,
    wire: Integer,
    link: Integer,
    interface: Integer,
) -> None:
    """One frame, and the notes about it. `last_time_ns`: time of the frame before, and whether there was one."""
    wire = max(wire, captured)
    if wire > captured:
        tallies[SNAPPED] += 1
    if last_time_ns[1] and time_ns < last_time_ns[0]:
        tallies[TIME_BACKWARDS] += 1
    last_time_ns[0] = time_ns
    last_time_ns[1] = 1
    frame = frames[place]
    frame.time_ns = time_ns
    frame.start = start
    frame.captured = captured
    frame.wire = wire
    frame.link = link
    frame.interface = interface
