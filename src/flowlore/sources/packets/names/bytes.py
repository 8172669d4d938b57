"""Numbers in network order, and copies, for kernels. None checks an end: the caller has."""

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes


@kernel
def number8(data: Bytes, place: int) -> int:
    """One byte as a signed 64-bit number: what kernels count with."""
    return int(np.int64(data[place]))


@kernel
def number16(data: Bytes, place: int) -> int:
    return int(np.int64(data[place]) << 8 | np.int64(data[place + 1]))


@kernel
def number24(data: Bytes, place: int) -> int:
    return int(np.int64(data[place]) << 16 | np.int64(data[place + 1]) << 8 | np.int64(data[place + 2]))


@kernel
def number32(data: Bytes, place: int) -> int:
    return int(
        np.int64(data[place]) << 24
        | np.int64(data[place + 1]) << 16
        | np.int64(data[place + 2]) << 8
        | np.int64(data[place + 3])
    )


@kernel
def copy_bytes(target: Bytes, at: int, source: Bytes, start: int, count: int) -> None:
    """Copy `source[start:start + count]` to `target[at:]`; nothing where `count` is 0 or less.

    Many small loops of this kind, each made fast by the compiler, would take long to compile; here is one.
    """
    for step in range(count):
        target[at + step] = source[start + step]
