"""Numbers of several bytes from the wire. The caller has checked that they lie inside the buffer."""

import numpy as np

from ....flows.compiled import compiled
from ..layout import Bytes

# Unsigned places keep Numba from testing for a negative index, and let the bytes be loaded at once.
_1, _2, _3 = np.uint64(1), np.uint64(2), np.uint64(3)
_32 = np.uint64(32)


@compiled
def u16(data: Bytes, at: int) -> int:
    place = np.uint64(at)
    return (np.int64(data[place]) << 8) | np.int64(data[place + _1])


@compiled
def u16_little(data: Bytes, at: int) -> int:
    place = np.uint64(at)
    return (np.int64(data[place + _1]) << 8) | np.int64(data[place])


@compiled
def u24(data: Bytes, at: int) -> int:
    return (u16(data, at) << 8) | np.int64(data[np.uint64(at) + _2])


@compiled
def u32(data: Bytes, at: int) -> int:
    place = np.uint64(at)
    return np.int64(
        (np.uint32(data[place]) << np.uint32(24))
        | (np.uint32(data[place + _1]) << np.uint32(16))
        | (np.uint32(data[place + _2]) << np.uint32(8))
        | np.uint32(data[place + _3])
    )


@compiled
def u32_little(data: Bytes, at: int) -> int:
    return (u16_little(data, at + 2) << 16) | u16_little(data, at)


@compiled
def u48(data: Bytes, at: int) -> int:
    return (u16(data, at) << 32) | u32(data, at + 2)


@compiled
def u64(data: Bytes, at: int) -> np.uint64:
    return (np.uint64(u32(data, at)) << _32) | np.uint64(u32(data, at + 4))
