"""Finding the samples inside many sFlow datagrams. Every read is guarded: the bytes come from the network."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ....flows.compiled import borrowing, kernel
from ..netflow.datagrams import Datagrams

Bytes = npt.NDArray[np.uint8]
Records = npt.NDArray[np.void]
Row = Any  # one record of a structured array

# One flow sample: the packet's header where it was sent, or its addresses where only those were.
SAMPLE = np.dtype(
    [
        ("datagram", np.int64),
        ("header_start", np.int64),
        ("header_bytes", np.int64),  # 0 where no header was sent
        ("frame_bytes", np.int64),
        ("rate", np.uint32),
        ("input", np.uint32),
        ("output", np.uint32),
        ("src_as", np.uint32),
        ("dst_as", np.uint32),
        ("vlan", np.uint16),
        ("link", np.uint16),  # sFlow's header protocol: 1 Ethernet, 11 IPv4, 12 IPv6; 0 none
        ("has_interfaces", np.uint8),
        ("has_as", np.uint8),
        ("address_kind", np.uint8),  # 4 or 6: parsed addresses at `address_start`, for want of a header
        ("address_start", np.int64),
    ],
    align=True,
)

# What the header of one datagram says.
HEADER = np.dtype(
    [
        ("agent_high", np.uint64),
        ("agent_low", np.uint64),
        ("sub_agent", np.uint32),
        ("sequence", np.uint32),
        ("uptime_ms", np.uint32),
        ("status", np.uint8),  # place in STATUS
    ],
    align=True,
)

STATUS = ("", "unknown-version", "bad-header", "bad-sample-length", "cut-datagram")
UNKNOWN_VERSION, BAD_HEADER, BAD_SAMPLE_LENGTH, CUT = 1, 2, 3, 4
COUNTS = ("counter-sample", "discarded-packet-sample", "other-sample", "bad-record-length")
COUNTER, DISCARDED, OTHER, BAD_RECORD = 0, 1, 2, 3
_MOST_SAMPLES = 4096
_INTERFACE_UNKNOWN = 0x3FFFFFFF

_MAPPED = np.uint64(0xFFFF00000000)


def find_samples(datagrams: Datagrams) -> tuple[Records, Records, npt.NDArray[np.int64]]:
    """(headers, flow samples, a count for each of COUNTS)."""
    headers = np.zeros(len(datagrams), HEADER)
    counts = np.zeros(len(COUNTS), np.int64)
    none, scratch = np.zeros(0, SAMPLE), np.zeros(1, SAMPLE)
    found = _scan(datagrams.buffer, datagrams.starts, datagrams.lengths, headers, none, scratch, counts)
    samples = np.zeros(found, SAMPLE)
    counts[:] = 0
    _scan(datagrams.buffer, datagrams.starts, datagrams.lengths, headers, samples, scratch, counts)
    return headers, samples, counts


@borrowing
def _scan(
    data: Bytes,
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    headers: Records,
    samples: Records,
    scratch: Records,
    counts: npt.NDArray[np.int64],
) -> int:
    """Fill `headers` and as much of `samples` as fits, the rest into `scratch`; the number of samples there are."""
    found = 0
    for datagram in range(starts.shape[0]):
        at = starts[datagram]
        end = min(at + lengths[datagram], data.shape[0])
        header = headers[datagram]
        header.status = 0
        if at < 0 or end - at < 8:
            header.status = BAD_HEADER
            continue
        if _word(data, at) != 5:
            header.status = UNKNOWN_VERSION
            continue
        kind = _word(data, at + 4)
        size = 4 if kind == 1 else 16
        if (kind != 1 and kind != 2) or end - at < 24 + size:
            header.status = BAD_HEADER
            continue
        at += 8
        if kind == 1:
            header.agent_low = _MAPPED | np.uint64(_word(data, at))
        else:
            header.agent_high = (np.uint64(_word(data, at)) << np.uint64(32)) | np.uint64(_word(data, at + 4))
            header.agent_low = (np.uint64(_word(data, at + 8)) << np.uint64(32)) | np.uint64(_word(data, at + 12))
        at += size
        header.sub_agent = _word(data, at)
        header.sequence = _word(data, at + 4)
        header.uptime_ms = _word(data, at + 8)
        announced = _word(data, at + 12)
        at += 16
        for _ in range(min(announced, _MOST_SAMPLES)):
            if end - at < 8:
                header.status = CUT
                break
            kind = _word(data, at)
            length = _word(data, at + 4)
            at += 8
            if length > end - at:
                header.status = CUT if at + length > starts[datagram] + 65_535 else BAD_SAMPLE_LENGTH
                break
            if kind == 1 or kind == 3:
                sample = samples[found] if found < samples.shape[0] else scratch[0]
                sample.datagram = datagram
                _read_sample(data, at, at + length, kind, sample, counts)
                found += 1
            elif kind == 2 or kind == 4:
                counts[COUNTER] += 1
            elif kind == 5:
                counts[DISCARDED] += 1
            else:
                counts[OTHER] += 1
            at += length
    return found


@kernel
def _read_sample(data: Bytes, at: int, end: int, kind: int, sample: Row, counts: npt.NDArray[np.int64]) -> None:
    fixed = 32 if kind == 1 else 44
    if end - at < fixed:
        counts[BAD_RECORD] += 1
        return
    if kind == 1:
        sample.rate = _word(data, at + 8)
        first, second = _word(data, at + 20), _word(data, at + 24)
        known = (first >> 30) == 0 and (second >> 30) == 0
        records = _word(data, at + 28)
    else:
        sample.rate = _word(data, at + 12)
        first, second = _word(data, at + 28), _word(data, at + 36)
        known = _word(data, at + 24) == 0 and _word(data, at + 32) == 0
        records = _word(data, at + 40)
    if known and first != _INTERFACE_UNKNOWN and second != _INTERFACE_UNKNOWN:
        sample.input = first
        sample.output = second
        sample.has_interfaces = 1
    at += fixed
    for _ in range(min(records, 256)):
        if end - at < 8:
            counts[BAD_RECORD] += 1
            return
        kind_of_record = _word(data, at)
        length = _word(data, at + 4)
        at += 8
        if length > end - at:
            counts[BAD_RECORD] += 1
            return
        if kind_of_record == 1 and length >= 16:
            size = min(_word(data, at + 12), length - 16)
            sample.link = min(_word(data, at), 0xFFFF)
            sample.frame_bytes = _word(data, at + 4)
            sample.header_start = at + 16
            sample.header_bytes = size
        elif (kind_of_record == 3 and length >= 32) or (kind_of_record == 4 and length >= 56):
            sample.address_kind = 4 if kind_of_record == 3 else 6
            sample.address_start = at
        elif kind_of_record == 1001 and length >= 16:
            vlan = _word(data, at)
            if 0 < vlan < 4095:
                sample.vlan = vlan
        elif kind_of_record == 1003:
            _read_gateway(data, at, at + length, sample)
        at += length


@kernel
def _read_gateway(data: Bytes, at: int, end: int, sample: Row) -> None:
    """AS numbers of both ends: the destination's is the last of its path."""
    if end - at < 4:
        return
    kind = _word(data, at)
    at += 4 + (4 if kind == 1 else 16 if kind == 2 else 0)
    if end - at < 16:
        return
    own, source = _word(data, at), _word(data, at + 4)
    segments = _word(data, at + 12)
    at += 16
    last = own if segments == 0 else np.int64(0)
    for _ in range(min(segments, 64)):
        if end - at < 8:
            return
        length = _word(data, at + 4)
        at += 8
        if length > (end - at) // 4:
            return
        if length > 0:
            last = _word(data, at + 4 * (length - 1))
        at += 4 * length
    sample.src_as = source
    sample.dst_as = last
    sample.has_as = 1


@kernel
def _word(data: Bytes, at: int) -> int:
    return int(
        (np.int64(data[at]) << 24)
        | (np.int64(data[at + 1]) << 16)
        | (np.int64(data[at + 2]) << 8)
        | np.int64(data[at + 3])
    )
