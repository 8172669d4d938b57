"""Numbers of several bytes from the wire. The caller has checked that they lie inside the buffer."""

from typing import Any

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes

_32 = np.uint64(32)


@kernel
def as_int(value: Any) -> int:
    """A narrow unsigned number as a signed one of 64 bits, as every number between layers is."""
    number: int = value | 0
    return number


@kernel
def u8(data: Bytes, at: int) -> int:
    # An unsigned place keeps Numba from testing for a negative one, and lets neighbouring bytes be loaded at once.
    number: int = data[np.uint64(at)] | 0
    return number


@kernel
def u16(data: Bytes, at: int) -> int:
    return (u8(data, at) << 8) | u8(data, at + 1)


@kernel
def u16_little(data: Bytes, at: int) -> int:
    return (u8(data, at + 1) << 8) | u8(data, at)


@kernel
def u24(data: Bytes, at: int) -> int:
    return (u16(data, at) << 8) | u8(data, at + 2)


@kernel
def u32(data: Bytes, at: int) -> int:
    return (u8(data, at) << 24) | (u8(data, at + 1) << 16) | (u8(data, at + 2) << 8) | u8(data, at + 3)


@kernel
def u32_little(data: Bytes, at: int) -> int:
    return (u16_little(data, at + 2) << 16) | u16_little(data, at)


@kernel
def u48(data: Bytes, at: int) -> int:
    return (u16(data, at) << 32) | u32(data, at + 2)


@kernel
def u64(data: Bytes, at: int) -> np.uint64:
    return (np.uint64(u32(data, at)) << _32) | np.uint64(u32(data, at + 4))
