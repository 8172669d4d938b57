"""The pcapng format: sections of blocks; interfaces are described before the packets that came over them."""

import struct
from collections import Counter
from typing import Any

import numpy as np

from ....flows.compiled import borrowing, kernel
from ..layout import Bytes, Counts, Records
from .chunk import Interface
from .walking import (
    BAD_BLOCK,
    BAD_RECORD,
    BAD_TIME,
    END_OF_BUFFER,
    FRAMES_FULL,
    INTERFACE,
    LARGEST_RECORD,
    NO_TIME,
    OVERSIZED,
    PASS_OVER,
    PASSED_OVER_BLOCKS,
    SECTION,
    STATISTICS,
    UNKNOWN_INTERFACE,
    ZERO_LENGTH,
    Integer,
    Step,
    read_u16,
    read_u32,
    write_frame,
)

_SECTION_BLOCK = 0x0A0D0D0A
_INTERFACE_BLOCK = 1
_OBSOLETE_PACKET_BLOCK = 2
_SIMPLE_PACKET_BLOCK = 3
_STATISTICS_BLOCK = 5
_ENHANCED_PACKET_BLOCK = 6
_PACKET_BLOCKS = (_OBSOLETE_PACKET_BLOCK, _SIMPLE_PACKET_BLOCK, _ENHANCED_PACKET_BLOCK)
_LARGEST_OTHER_BLOCK = 1 << 20  # bytes; a longer block that is no packet is passed over unread
_MOST_INTERFACES = 65_535  # FRAME.interface has 16 bits

_INTERFACE_NAME, _INTERFACE_DESCRIPTION, _TICKS, _TIME_OFFSET = 2, 3, 9, 14
_STATISTICS_COUNTERS = {
    4: "received",
    5: "dropped",
    6: "accepted_by_filter",
    7: "dropped_by_system",
    8: "delivered",
}

# How an interface's time stamps become nanoseconds, for the kernel:
# seconds = ticks / prescale / per_second; nanoseconds = rest / shrink * 10^9 / reduced, without leaving 64 bits.
_CLOCK = np.dtype(
    [
        ("prescale", np.uint64),
        ("per_second", np.uint64),
        ("shrink", np.uint64),
        ("reduced", np.uint64),
        ("offset_s", np.int64),
        ("snaplen", np.int64),
        ("link", np.uint16),
        ("ordinal", np.uint16),
    ],
    align=True,
)
_NO_SUCH_TIME = np.int64(np.iinfo(np.int64).min)
_LAST_SECOND = 9_223_372_035  # in 64 bits of nanoseconds


class PcapngWalk:
    """Walks over the blocks of one pcapng file, of any number of sections."""

    bad_record_reason = "bad-block"
    first_record = 0

    def __init__(self, tallies: Counts) -> None:
        self._tallies = tallies
        self._last_time_ns = np.zeros(2, np.int64)
        self._big_endian = False
        self._clocks = np.zeros(16, _CLOCK)
        self._clock_count = 0  # interfaces of this section
        self._section_begins = 0  # interfaces of the sections before
        self.interfaces: list[Interface] = []

    def walk(self, data: Bytes, position: int, end: int, frames: Records) -> Step:
        count = 0
        while True:
            found, position, stopped, size = walk_pcapng(
                data,
                position,
                end,
                frames[count:],
                self._tallies,
                self._last_time_ns,
                self._big_endian,
                self._clocks,
                self._clock_count,
            )
            count += found
            if stopped < SECTION:
                return Step(count, position, stopped, size)
            if stopped == SECTION:
                step = self._begin_section(data, position, end)
            else:
                block = data[position : position + size].tobytes()
                step = Step(0, position + size, FRAMES_FULL, 0)
                if stopped == INTERFACE:
                    self._add_interface(block)
                else:
                    self._add_statistics(block)
            if step.stopped != FRAMES_FULL:
                return Step(count, step.position, step.stopped, step.size)
            position = step.position

    def count_cut(self, rest: bytes, skipped: Counter[str], notes: Counter[str]) -> None:
        """`rest` is what follows the last whole block. A block that is known not to be a packet is only noted."""
        if len(rest) >= 4:
            (kind,) = struct.unpack_from(">I" if self._big_endian else "<I", rest)
            if kind not in _PACKET_BLOCKS:
                notes["cut-off-file"] += 1
                return
        skipped["cut-off-file"] += 1

    def _begin_section(self, data: Bytes, position: int, end: int) -> Step:
        """A new section may turn the byte order, and forgets the interfaces of the one before."""
        if position + 12 > end:
            return Step(0, position, END_OF_BUFFER, 12)
        magic = data[position + 8 : position + 12].tobytes()
        if magic not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
            return Step(0, position, BAD_RECORD, 0)
        big_endian = magic == b"\x1a\x2b\x3c\x4d"
        size = int.from_bytes(data[position + 4 : position + 8].tobytes(), "big" if big_endian else "little")
        if size < 28 or size % 4:
            return Step(0, position, BAD_RECORD, 0)
        self._big_endian = big_endian
        self._section_begins = len(self.interfaces)
        self._clock_count = 0
        if position + size > end:
            return Step(0, position, PASS_OVER, size)
        return Step(0, position + size, FRAMES_FULL, 0)

    def _add_interface(self, block: bytes) -> None:
        order = ">" if self._big_endian else "<"
        if len(self.interfaces) >= _MOST_INTERFACES or len(block) < 20:
            self._tallies[PASSED_OVER_BLOCKS] += 1
            return
        link, _, snaplen = struct.unpack_from(order + "HHI", block, 8)
        options = _options(block, 16, order)
        ticks = options.get(_TICKS, b"\x06")[:1] or b"\x06"
        offset = options.get(_TIME_OFFSET, b"")
        number = len(self.interfaces)
        self.interfaces.append(
            Interface(
                number=number,
                link=link,
                snaplen=snaplen,
                name=_text(options.get(_INTERFACE_NAME)),
                description=_text(options.get(_INTERFACE_DESCRIPTION)),
                ticks=f"2^-{ticks[0] & 0x7F} s" if ticks[0] & 0x80 else f"10^-{ticks[0]} s",
            )
        )
        if self._clock_count == len(self._clocks):
            self._clocks = np.concatenate([self._clocks, np.zeros_like(self._clocks)])
        clock = self._clocks[self._clock_count]
        clock["prescale"], clock["per_second"], clock["shrink"], clock["reduced"] = _clock_divisors(ticks[0])
        clock["offset_s"] = struct.unpack(order + "q", offset)[0] if len(offset) == 8 else 0
        clock["snaplen"], clock["link"], clock["ordinal"] = snaplen, link, number
        self._clock_count += 1

    def _add_statistics(self, block: bytes) -> None:
        """The last statistics of an interface stand: counters only grow."""
        order = ">" if self._big_endian else "<"
        if len(block) < 24:
            return
        (number,) = struct.unpack_from(order + "I", block, 8)
        if number >= self._clock_count:
            return
        counters = self.interfaces[self._section_begins + number].counters
        for code, value in _options(block, 20, order).items():
            if code in _STATISTICS_COUNTERS and len(value) == 8:
                (counters[_STATISTICS_COUNTERS[code]],) = struct.unpack(order + "Q", value)


def _options(block: bytes, at: int, order: str) -> dict[int, bytes]:
    """Code → value, of the first option of each code."""
    found: dict[int, bytes] = {}
    end = len(block) - 4
    while at + 4 <= end:
        code, size = struct.unpack_from(order + "HH", block, at)
        if code == 0 or at + 4 + size > end:
            break
        found.setdefault(code, block[at + 4 : at + 4 + size])
        at += 4 + (size + 3 & ~3)
    return found


def _text(value: bytes | None) -> str | None:
    return value.rstrip(b"\0").decode("utf-8", "replace") if value else None


def _clock_divisors(resolution: int) -> tuple[int, int, int, int]:
    """`if_tsresol` → prescale, per_second, shrink, reduced of `_CLOCK`.

    >>> _clock_divisors(6)
    (1, 1000000, 1, 1000000)
    >>> _clock_divisors(0x80 | 40)
    (1, 1099511627776, 64, 17179869184)
    """
    base, exponent = (2, resolution & 0x7F) if resolution & 0x80 else (10, resolution)
    largest, exact = (63, 34) if base == 2 else (19, 10)  # exact: fractions of which 10^9 times fits in 64 bits
    per_second = min(exponent, largest)
    reduced = min(per_second, exact)
    prescale = base ** min(exponent - per_second, largest)
    return prescale, base**per_second, base ** (per_second - reduced), base**reduced


@borrowing
def walk_pcapng(
    data: Bytes,
    position: int,
    end: int,
    frames: Records,
    tallies: Counts,
    last_time_ns: Counts,
    big_endian: bool,
    clocks: Records,
    clock_count: int,
) -> tuple[int, int, int, int]:
    """Frames of the packet blocks from `position` on; a `Step` as a tuple."""
    count = 0
    while position + 12 <= end:
        kind = read_u32(data, position, big_endian)
        if kind == _SECTION_BLOCK:
            return count, position, SECTION, 0
        size = read_u32(data, position + 4, big_endian)
        padded = (size + 3) & ~3  # some writers leave the padding out of the length
        if size < 12:
            return count, position, BAD_RECORD, 0
        is_packet = kind in (_ENHANCED_PACKET_BLOCK, _SIMPLE_PACKET_BLOCK, _OBSOLETE_PACKET_BLOCK)
        is_description = kind in (_INTERFACE_BLOCK, _STATISTICS_BLOCK)
        if padded > (LARGEST_RECORD if is_packet else _LARGEST_OTHER_BLOCK):
            tallies[OVERSIZED if is_packet else PASSED_OVER_BLOCKS] += 1
            return count, position, PASS_OVER, padded
        if position + padded > end:
            return count, position, END_OF_BUFFER, padded
        if read_u32(data, position + padded - 4, big_endian) != size:
            return count, position, BAD_RECORD, 0
        if is_description:
            return count, position, INTERFACE if kind == _INTERFACE_BLOCK else STATISTICS, padded
        if not is_packet:
            tallies[PASSED_OVER_BLOCKS] += 1
        elif count == len(frames):
            return count, position, FRAMES_FULL, 0
        else:
            count += read_packet_block(
                data, position, padded, kind, frames, count, tallies, last_time_ns, big_endian, clocks, clock_count
            )
        position += padded
    return count, position, END_OF_BUFFER, 0


@kernel
def read_packet_block(
    data: Bytes,
    position: int,
    size: int,
    kind: int,
    frames: Records,
    place: int,
    tallies: Counts,
    last_time_ns: Counts,
    big_endian: bool,
    clocks: Records,
    clock_count: int,
) -> Integer:
    """1 where the block at `position`, which lies whole in `data`, gave a frame; else 0 and it is counted."""
    fixed = 16 if kind == _SIMPLE_PACKET_BLOCK else 32
    if size < fixed:
        tallies[BAD_BLOCK] += 1
        return 0
    interface = 0
    if kind == _ENHANCED_PACKET_BLOCK:
        interface = read_u32(data, position + 8, big_endian)
    elif kind == _OBSOLETE_PACKET_BLOCK:
        interface = read_u16(data, position + 8, big_endian)
    if interface >= clock_count:
        tallies[UNKNOWN_INTERFACE] += 1
        return 0
    clock = clocks[interface]
    if kind == _SIMPLE_PACKET_BLOCK:
        wire = read_u32(data, position + 8, big_endian)
        captured = min(wire, size - fixed)
        if clock.snaplen > 0:
            captured = min(captured, clock.snaplen)
        time_ns = last_time_ns[0]
    else:
        captured = read_u32(data, position + 20, big_endian)
        wire = read_u32(data, position + 24, big_endian)
        time_ns = nanoseconds_of_ticks(
            read_u32(data, position + 12, big_endian), read_u32(data, position + 16, big_endian), clock
        )
    if captured > size - fixed:
        tallies[BAD_BLOCK] += 1
        return 0
    if captured == 0:
        tallies[ZERO_LENGTH] += 1
        return 0
    if time_ns == _NO_SUCH_TIME:
        tallies[BAD_TIME] += 1
        return 0
    if kind == _SIMPLE_PACKET_BLOCK:
        tallies[NO_TIME] += 1
    start = position + fixed - 4
    write_frame(
        frames,
        place,
        tallies,
        last_time_ns,
        time_ns,
        start,
        captured,
        wire,
        np.int64(clock.link),
        np.int64(clock.ordinal),
    )
    return 1


@kernel
def nanoseconds_of_ticks(high: Integer, low: Integer, clock: Any) -> Integer:
    """Time stamp → nanoseconds since 1970, `_NO_SUCH_TIME` where 64 bits do not hold them."""
    ticks = (np.uint64(high) << np.uint64(32)) | np.uint64(low)
    if clock.per_second == np.uint64(1_000_000) and clock.offset_s == 0 and ticks < np.uint64(9_000_000_000_000_000):
        return np.int64(ticks) * 1000
    ticks = ticks // clock.prescale
    seconds = ticks // clock.per_second
    if seconds > np.uint64(1 << 61):
        return _NO_SUCH_TIME
    rest = ticks - seconds * clock.per_second
    nanoseconds = np.int64((rest // clock.shrink) * np.uint64(1_000_000_000) // clock.reduced)
    offset_s = clock.offset_s
    if offset_s > (1 << 61) or offset_s < -(1 << 61):
        return _NO_SUCH_TIME
    total_s = np.int64(seconds) + offset_s
    if total_s > _LAST_SECOND or total_s < -_LAST_SECOND:
        return _NO_SUCH_TIME
    return total_s * 1_000_000_000 + nanoseconds
