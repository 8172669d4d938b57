"""The pcap format: a header of 24 bytes, then records."""

import struct
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ....flows.compiled import borrowing
from ..layout import Bytes, Counts, Records
from .chunk import Interface
from .recognise import PCAP_HEADER_BYTES, PCAP_MAGICS
from .walking import (
    BAD_RECORD,
    BAD_TIME_FRACTION,
    END_OF_BUFFER,
    FRAMES_FULL,
    LARGEST_RECORD,
    ZERO_LENGTH,
    Step,
    read_u32,
    write_frame,
)

_LARGEST_USUAL_RECORD = 262_144  # what libpcap takes whatever the file's snap length says
_LENGTHS_IN_ORDER, _LENGTHS_MAYBE_SWAPPED, _LENGTHS_SWAPPED = 0, 1, 2
_LINK_MASK = 0xFFFF  # the bits above tell of frame check sequences


@dataclass(frozen=True, slots=True)
class _Layout:
    big_endian: bool
    nanoseconds: bool
    record_header_bytes: int
    lengths: int


class PcapWalk:
    """Walks over the records of one pcap file."""

    bad_record_reason = "bad-record-header"

    def __init__(self, header: bytes, tallies: Counts) -> None:
        """`header` is the first 24 bytes of the file, recognised."""
        kind = PCAP_MAGICS[header[:4]]
        self._layout = _Layout(
            big_endian=kind.big_endian,
            nanoseconds=kind.nanoseconds,
            record_header_bytes=kind.record_header_bytes,
            lengths=_order_of_lengths(header, kind.big_endian),
        )
        snaplen, link = struct.unpack_from(">II" if kind.big_endian else "<II", header, 16)
        self._longest = min(max(snaplen, _LARGEST_USUAL_RECORD), LARGEST_RECORD)
        self._tallies = tallies
        self._last_time_ns = np.zeros(2, np.int64)
        self.first_record = PCAP_HEADER_BYTES
        self.interfaces = [
            Interface(
                number=0,
                link=link & _LINK_MASK,
                snaplen=snaplen,
                ticks="10^-9 s" if kind.nanoseconds else "10^-6 s",
            )
        ]

    def walk(self, data: Bytes, position: int, end: int, frames: Records) -> Step:
        layout = self._layout
        return Step(
            *walk_pcap(
                data,
                position,
                end,
                frames,
                self._tallies,
                self._last_time_ns,
                layout.big_endian,
                layout.nanoseconds,
                layout.record_header_bytes,
                layout.lengths,
                self.interfaces[0].link,
                self._longest,
            )
        )

    def count_cut(self, rest: bytes, skipped: Counter[str], notes: Counter[str]) -> None:
        """`rest` is what follows the last whole record at the end of the file."""
        skipped["cut-off-file"] += 1


def _order_of_lengths(header: bytes, big_endian: bool) -> int:
    """Captured length before length on the wire, except in files from before 1994 (libpcap reads them so too)."""
    major, minor = struct.unpack_from(">HH" if big_endian else "<HH", header, 4)
    if (major == 2 and minor < 3) or major == 543:
        return _LENGTHS_SWAPPED
    return _LENGTHS_MAYBE_SWAPPED if major == 2 and minor == 3 else _LENGTHS_IN_ORDER


@borrowing
def walk_pcap(
    data: Bytes,
    position: int,
    end: int,
    frames: Records,
    tallies: Counts,
    last_time_ns: Counts,
    big_endian: bool,
    nanoseconds: bool,
    header_bytes: int,
    lengths: int,
    link: int,
    longest: int,
) -> tuple[int, int, int, int]:
    """Frames of the records from `position` on; a `Step` as a tuple."""
    count = 0
    unit_ns = 1 if nanoseconds else 1000
    units = 1_000_000_000 if nanoseconds else 1_000_000
    while position + header_bytes <= end:
        if count == len(frames):
            return count, position, FRAMES_FULL, 0
        captured = read_u32(data, position + 8, big_endian)
        wire = read_u32(data, position + 12, big_endian)
        if lengths == _LENGTHS_SWAPPED or (lengths == _LENGTHS_MAYBE_SWAPPED and captured > wire):
            captured, wire = wire, captured
        if captured > longest:
            return count, position, BAD_RECORD, 0
        start = position + header_bytes
        if start + captured > end:
            return count, position, END_OF_BUFFER, header_bytes + captured
        position = start + captured
        if captured == 0:
            tallies[ZERO_LENGTH] += 1
            continue
        fraction = read_u32(data, start - header_bytes + 4, big_endian)
        if fraction >= units:
            tallies[BAD_TIME_FRACTION] += 1
            fraction = units - 1
        time_ns = read_u32(data, start - header_bytes, big_endian) * 1_000_000_000 + fraction * unit_ns
        write_frame(frames, count, tallies, last_time_ns, time_ns, start, captured, wire, link, 0)
        count += 1
    return count, position, END_OF_BUFFER, 0
