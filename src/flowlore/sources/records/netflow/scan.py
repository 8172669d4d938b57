"""Finding headers and sets inside many datagrams at once. Every read is guarded: the bytes come from the network."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ....flows.compiled import borrowing, kernel
from .datagrams import Datagrams

Row = Any  # one record of a structured array

# What the header of one datagram says.
HEADER = np.dtype(
    [
        ("export_ns", np.int64),  # exporter's clock, ns since 1970
        ("boot_ns", np.int64),  # when the exporter's uptime was 0; NO_BOOT where the header has no uptime
        ("domain", np.uint32),  # source id, observation domain, or engine type and id
        ("sequence", np.uint32),
        ("version", np.uint16),
        ("count", np.uint16),  # v5, v7: records there; v9: records announced; IPFIX: 0
        ("sampling", np.uint16),  # v5: sampling mode (2 bits) and interval (14 bits)
        ("status", np.uint8),  # place in STATUS
    ],
    align=True,
)

# Where one set lies. The records of v5 and v7 are one set with the number of the version.
SET = np.dtype(
    [("start", np.int64), ("length", np.int64), ("datagram", np.int64), ("number", np.int64)],
    align=True,
)

NO_BOOT = np.iinfo(np.int64).min
STATUS = ("", "unknown-version", "bad-header", "bad-set-length", "cut-datagram")
UNKNOWN_VERSION, BAD_HEADER, BAD_SET_LENGTH, CUT = 1, 2, 3, 4


def find_sets(datagrams: Datagrams) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    """(headers, sets) of every datagram, in order. Sets never reach over the end of their datagram."""
    headers = np.zeros(len(datagrams), HEADER)
    empty = np.zeros(0, SET)
    count = _scan(datagrams.buffer, datagrams.starts, datagrams.lengths, headers, empty)
    sets = np.zeros(count, SET)
    _scan(datagrams.buffer, datagrams.starts, datagrams.lengths, headers, sets)
    return headers, sets


@borrowing
def _scan(
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    headers: npt.NDArray[np.void],
    sets: npt.NDArray[np.void],
) -> int:
    """Fill `headers` and as much of `sets` as fits; the number of sets there are."""
    found = 0
    for datagram in range(starts.shape[0]):
        start = starts[datagram]
        end = min(start + lengths[datagram], buffer.shape[0])
        header = headers[datagram]
        header.status = 0
        if start < 0 or end - start < 2:
            header.status = BAD_HEADER
            continue
        version = _u16(buffer, start)
        header.version = version
        if version == 9 or version == 10:
            found = _scan_sets(buffer, start, end, datagram, header, sets, found)
        elif version == 5 or version == 7:
            found = _scan_fixed(buffer, start, end, datagram, header, sets, found)
        else:
            header.status = UNKNOWN_VERSION
    return found


@kernel
def _scan_fixed(
    buffer: npt.NDArray[np.uint8],
    start: int,
    end: int,
    datagram: int,
    header: Row,
    sets: npt.NDArray[np.void],
    found: int,
) -> int:
    if end - start < 24:
        header.status = BAD_HEADER
        return found
    record, most = (48, 30) if header.version == 5 else (52, 28)
    count = _u16(buffer, start + 2)
    header.export_ns = _u32(buffer, start + 8) * 1_000_000_000 + _u32(buffer, start + 12)
    header.boot_ns = header.export_ns - _u32(buffer, start + 4) * 1_000_000
    header.sequence = _u32(buffer, start + 16)
    if header.version == 5:
        header.domain = _u16(buffer, start + 20)
        header.sampling = _u16(buffer, start + 22)
    there = (end - start - 24) // record
    if count == 0 or (count > there and count > most):
        header.status = BAD_HEADER
        return found
    header.count = count
    if count > there:
        header.status = CUT
        count = there
    if count > 0:
        if found < sets.shape[0]:
            row = sets[found]
            row.start = start + 24
            row.length = count * record
            row.datagram = datagram
            row.number = header.version
        found += 1
    return found


@kernel
def _scan_sets(
    buffer: npt.NDArray[np.uint8],
    start: int,
    end: int,
    datagram: int,
    header: Row,
    sets: npt.NDArray[np.void],
    found: int,
) -> int:
    header_bytes = 20 if header.version == 9 else 16
    if end - start < header_bytes:
        header.status = BAD_HEADER
        return found
    if header.version == 9:
        header.count = _u16(buffer, start + 2)
        header.export_ns = _u32(buffer, start + 8) * 1_000_000_000
        header.boot_ns = header.export_ns - _u32(buffer, start + 4) * 1_000_000
        header.sequence = _u32(buffer, start + 12)
        header.domain = _u32(buffer, start + 16)
    else:
        length = _u16(buffer, start + 2)
        if length < 16:
            header.status = BAD_HEADER
            return found
        header.export_ns = _u32(buffer, start + 4) * 1_000_000_000
        header.boot_ns = NO_BOOT
        header.sequence = _u32(buffer, start + 8)
        header.domain = _u32(buffer, start + 12)
        if length > end - start:
            header.status = CUT
        else:
            end = start + length
    place = start + header_bytes
    while place + 4 <= end:
        number = _u16(buffer, place)
        length = _u16(buffer, place + 2)
        if length < 4:
            if number != 0 or length != 0:  # zeros are padding
                header.status = BAD_SET_LENGTH
            return found
        if place + length > end:
            if header.status == 0:
                header.status = BAD_SET_LENGTH if number < 256 else CUT
            if number < 256:
                return found
            length = end - place
        if found < sets.shape[0]:
            row = sets[found]
            row.start = place + 4
            row.length = length - 4
            row.datagram = datagram
            row.number = number
        found += 1
        place += length
    return found


@kernel
def _u16(buffer: npt.NDArray[np.uint8], place: int) -> int:
    return int((np.int64(buffer[place]) << 8) | np.int64(buffer[place + 1]))


@kernel
def _u32(buffer: npt.NDArray[np.uint8], place: int) -> int:
    return int(
        (np.int64(buffer[place]) << 24)
        | (np.int64(buffer[place + 1]) << 16)
        | (np.int64(buffer[place + 2]) << 8)
        | np.int64(buffer[place + 3])
    )
