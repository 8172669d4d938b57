"""Datagrams side by side in one buffer, and the test whether bytes are datagrams of an exporter at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

V5_HEADER, V5_RECORD, V5_MOST_RECORDS = 24, 48, 30
V7_HEADER, V7_RECORD, V7_MOST_RECORDS = 24, 52, 28
V9_HEADER, IPFIX_HEADER = 20, 16
LARGEST_DATAGRAM = 65_535


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Export datagrams in order of arrival. `exporters` are places in `exporter_names`; 0 ns is an unknown arrival."""

    buffer: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    exporters: npt.NDArray[np.int32]
    received_ns: npt.NDArray[np.int64]
    exporter_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, first: int, last: int) -> "Datagrams":
        """Datagrams `first` to `last` (exclusive) over the same buffer."""
        cut = slice(first, last)
        return Datagrams(
            self.buffer,
            self.starts[cut],
            self.lengths[cut],
            self.exporters[cut],
            self.received_ns[cut],
            self.exporter_names,
        )

    @classmethod
    def join(
        cls,
        payloads: Sequence[bytes],
        *,
        exporter: str = "",
        exporters: npt.NDArray[np.int32] | None = None,
        exporter_names: Sequence[str] | None = None,
        received_ns: npt.NDArray[np.int64] | None = None,
    ) -> "Datagrams":
        """Payloads of one exporter, or of several: then `exporters` and `exporter_names` say whose each is."""
        count = len(payloads)
        lengths = np.fromiter(map(len, payloads), np.int64, count)
        starts = np.zeros(count, np.int64)
        np.cumsum(lengths[:-1], out=starts[1:])
        buffer = np.frombuffer(b"".join(payloads), np.uint8)
        return cls(
            buffer,
            starts,
            lengths,
            np.zeros(count, np.int32) if exporters is None else exporters,
            np.zeros(count, np.int64) if received_ns is None else received_ns,
            [exporter] if exporter_names is None else exporter_names,
        )


def split_datagrams(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, length) of each datagram in a file of one or several, back to back.

    A datagram ends where its header's length or the walk over its sets says. What cannot be a datagram is one last
    piece, so that nothing is dropped unseen.
    """
    start = 0
    while start < len(data):
        length = _datagram_length(data, start)
        if length <= 0 or not data[start + length :].strip(b"\0"):  # cut or broken; or only padding follows
            length = len(data) - start
        yield start, length
        start += length


def describe_datagram(data: bytes, *, complete: bool = True) -> str | None:
    """`NetFlow v9` … where the bytes begin with a whole, consistent export datagram; None where they do not."""
    if not _starts_datagram(data, 0):
        return None
    version = int.from_bytes(data[:2], "big")
    length = _datagram_length(data, 0)
    if length <= 0 and (complete or version in (5, 7)):
        return None
    return {5: "NetFlow v5", 7: "NetFlow v7", 9: "NetFlow v9", 10: "IPFIX"}[version]


def _starts_datagram(data: bytes, start: int) -> bool:
    """A header whose version, count, length and time can be."""
    if len(data) - start < IPFIX_HEADER:
        return False
    version = int.from_bytes(data[start : start + 2], "big")
    second = int.from_bytes(data[start + 2 : start + 4], "big")
    if version == 10:
        return second >= IPFIX_HEADER + 4 and _first_set_can_be(data, start + IPFIX_HEADER)
    if version == 9:
        return 0 < second <= 4096 and _first_set_can_be(data, start + V9_HEADER)
    if version == 5:
        return 0 < second <= V5_MOST_RECORDS and len(data) - start >= V5_HEADER + V5_RECORD
    return version == 7 and 0 < second <= V7_MOST_RECORDS and len(data) - start >= V7_HEADER + V7_RECORD


def _first_set_can_be(data: bytes, start: int) -> bool:
    if len(data) - start < 4:
        return False
    number = int.from_bytes(data[start : start + 2], "big")
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    return (number < 4 or number >= 256) and length >= 4


def _datagram_length(data: bytes, start: int) -> int:
    """Bytes of the datagram at `start`; 0 where it is cut or its sets do not fit."""
    version = int.from_bytes(data[start : start + 2], "big")
    second = int.from_bytes(data[start + 2 : start + 4], "big")
    left = len(data) - start
    if version == 10:
        return second if IPFIX_HEADER <= second <= left else 0
    if version in (5, 7):
        header, record = (V5_HEADER, V5_RECORD) if version == 5 else (V7_HEADER, V7_RECORD)
        length = header + second * record
        return length if second and length <= left else 0
    if version != 9:
        return 0
    place = start + V9_HEADER
    while place + 4 <= len(data):
        number = int.from_bytes(data[place : place + 2], "big")
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if number in (5, 7, 9, 10) and _starts_datagram(data, place):
            break
        if length < 4 or place + length > len(data):
            return left if not any(data[place:]) else 0
        place += length
    return place - start if place > start + V9_HEADER else 0
