"""Valid streams of export datagrams for measurements: v5, v9 (19 fields, 54 bytes) and IPFIX (19 fields, 70 bytes)."""

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

EXPORT_S = 1_700_000_000
UPTIME_MS = 400_000_000
TEMPLATE_EVERY = 500  # datagrams

V9_FIELDS = (8, 12, 15, 10, 14, 2, 1, 22, 21, 7, 11, 16, 17, 6, 4, 5, 9, 13, 61)
V9_BYTES = (4, 4, 4, 4, 4, 4, 4, 4, 4, 2, 2, 4, 4, 1, 1, 1, 1, 1, 1)
IPFIX_FIELDS = (8, 12, 15, 10, 14, 1, 2, 152, 153, 7, 11, 16, 17, 6, 4, 5, 9, 13, 61)
IPFIX_BYTES = (4, 4, 4, 4, 4, 8, 8, 8, 8, 2, 2, 4, 4, 1, 1, 1, 1, 1, 1)
V5_FIELDS = (8, 12, 15, 10, 14, 2, 1, 22, 21, 7, 11, 210, 6, 4, 5, 16, 17, 9, 13, 211)
V5_BYTES = (4, 4, 4, 2, 2, 4, 4, 4, 4, 2, 2, 1, 1, 1, 1, 2, 2, 1, 1, 2)

RECORDS_IN_DATAGRAM = {5: 30, 9: 26, 10: 20}


def stream(version: int, records: int, *, seed: int = 0, both_directions: bool = False) -> list[bytes]:
    """Datagrams that hold `records` flow records; with `both_directions` each odd record answers the one before."""
    fields, sizes = {5: (V5_FIELDS, V5_BYTES), 9: (V9_FIELDS, V9_BYTES), 10: (IPFIX_FIELDS, IPFIX_BYTES)}[version]
    table = _records(fields, sizes, records, np.random.default_rng(seed), both_directions)
    each = RECORDS_IN_DATAGRAM[version]
    datagrams, sequence = [], 0
    for ordinal, first in enumerate(range(0, records, each)):
        data = table[first : first + each].tobytes()
        count = len(data) // table.itemsize
        if version == 5:
            datagrams.append(struct.pack(">HHIIIIBBH", 5, count, UPTIME_MS, EXPORT_S, 0, sequence, 0, 0, 0) + data)
            sequence += count
            continue
        if ordinal % TEMPLATE_EVERY == 0:
            datagrams.append(_message(version, sequence, 1, _template(version, fields, sizes)))
            sequence += version == 9
        datagrams.append(_message(version, sequence, count, struct.pack(">HH", 256, len(data) + 4) + data))
        sequence += 1 if version == 9 else count
    return datagrams


def _records(
    fields: Sequence[int], sizes: Sequence[int], count: int, rng: np.random.Generator, both_directions: bool
) -> npt.NDArray[np.void]:
    dtype = np.dtype([(str(field), f">u{size}") for field, size in zip(fields, sizes, strict=True)])
    table = np.zeros(count, dtype)
    table["8"] = rng.integers(0x0A000000, 0x0AFFFFFF, count)
    table["12"] = rng.integers(0x0A000000, 0x0AFFFFFF, count)
    table["7"] = rng.integers(1024, 65_536, count)
    table["11"] = rng.choice([53, 80, 123, 443, 8443], count)
    table["4"] = rng.choice([6, 17], count)
    table["2"] = rng.integers(1, 1000, count)
    table["1"] = table["2"].astype(np.uint64) * rng.integers(40, 1500, count).astype(np.uint64)
    table["10"], table["14"], table["6"], table["9"] = 1, 2, 27, 24
    if "22" in (dtype.names or ()):
        table["22"] = UPTIME_MS - rng.integers(30_000, 60_000, count)
        table["21"] = UPTIME_MS - rng.integers(0, 30_000, count)
    else:
        table["152"] = EXPORT_S * 1000 - rng.integers(30_000, 60_000, count)
        table["153"] = EXPORT_S * 1000 - rng.integers(0, 30_000, count)
    if both_directions:
        pairs = count // 2 * 2
        for one, other in (("8", "12"), ("7", "11"), ("10", "14")):
            table[one][1:pairs:2], table[other][1:pairs:2] = table[other][0:pairs:2], table[one][0:pairs:2]
        table["4"][1:pairs:2] = table["4"][0:pairs:2]
    return table


def _template(version: int, fields: Sequence[int], sizes: Sequence[int]) -> bytes:
    body = struct.pack(">HH", 256, len(fields))
    body += b"".join(struct.pack(">HH", field, size) for field, size in zip(fields, sizes, strict=True))
    return struct.pack(">HH", 0 if version == 9 else 2, len(body) + 4) + body


def _message(version: int, sequence: int, count: int, body: bytes) -> bytes:
    if version == 9:
        return struct.pack(">HHIIII", 9, count, UPTIME_MS, EXPORT_S, sequence & 0xFFFFFFFF, 0) + body
    return struct.pack(">HHIII", 10, 16 + len(body), EXPORT_S, sequence & 0xFFFFFFFF, 0) + body
