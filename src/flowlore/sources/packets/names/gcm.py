"""AES-GCM (NIST SP 800-38D): opening what was sealed, and telling whether anyone changed it."""

import numpy as np
import numpy.typing as npt

from ....flows.compiled import kernel, room
from ..layout import Bytes, Counts
from .aes import BLOCK_BYTES, encrypt_block
from .bytes import copy_bytes

NONCE_BYTES = 12
TAG_BYTES = 16
Halves = npt.NDArray[np.uint64]

# What the four bits shifted out at the right add at the left (4-bit tables after Shoup).
CARRIES = np.array([v << 48 for v in (
    0x0000, 0x1C20, 0x3840, 0x2460, 0x7080, 0x6CA0, 0x48C0, 0x54E0,
    0xE100, 0xFD20, 0xD940, 0xC560, 0x9180, 0x8DA0, 0xA9C0, 0xB5E0,
)], dtype=np.uint64)  # fmt: skip


@kernel
def open_sealed(
    round_keys: Counts,
    nonce: Bytes,
    header: Bytes,
    header_size: int,
    data: Bytes,
    start: int,
    stop: int,
    is_whole: bool,
    plain: Bytes,
    plain_start: int,
) -> int:
    """Decrypt `data[start:stop]` to `plain[plain_start:]` as far as it reaches; return the bytes written.

    Where `is_whole`, the tag follows at `stop`, and -1 says that it does not fit. Without the end there is no tag to
    check; the caller must judge by the content.
    """
    counter = room(BLOCK_BYTES, np.uint8)
    stream = room(BLOCK_BYTES, np.uint8)
    copy_bytes(counter, 0, nonce, 0, NONCE_BYTES)
    if is_whole and not _fits(round_keys, counter, stream, header, header_size, data, start, stop):
        return -1
    reach = min(stop - start, plain.size - plain_start)
    done = 0
    number = 2
    while done < reach:
        _set_counter(counter, number)
        encrypt_block(round_keys, counter, 0, stream)
        for place in range(min(BLOCK_BYTES, reach - done)):
            plain[plain_start + done + place] = data[start + done + place] ^ stream[place]
        done += BLOCK_BYTES
        number += 1
    return max(reach, 0)


@kernel
def _fits(
    round_keys: Counts,
    counter: Bytes,
    stream: Bytes,
    header: Bytes,
    header_size: int,
    data: Bytes,
    start: int,
    stop: int,
) -> bool:
    """Whether the tag at `stop` is the tag of header and data."""
    high = room(16, np.uint64)
    low = room(16, np.uint64)
    hashed = room(BLOCK_BYTES, np.uint8)
    for place in range(BLOCK_BYTES):
        hashed[place] = np.uint8(0)
    encrypt_block(round_keys, hashed, 0, stream)
    _fill_tables(stream, high, low)
    _hash_bytes(hashed, high, low, header, 0, header_size)
    _hash_bytes(hashed, high, low, data, start, stop)
    for place in range(8):
        hashed[7 - place] ^= np.uint8(((8 * header_size) >> (8 * place)) & 255)
        hashed[15 - place] ^= np.uint8(((8 * (stop - start)) >> (8 * place)) & 255)
    _multiply(hashed, high, low)
    _set_counter(counter, 1)
    encrypt_block(round_keys, counter, 0, stream)
    difference = 0
    for place in range(TAG_BYTES):
        difference |= hashed[place] ^ stream[place] ^ data[stop + place]
    return difference == 0


@kernel
def _set_counter(counter: Bytes, number: int) -> None:
    for place in range(4):
        counter[15 - place] = np.uint8((number >> (8 * place)) & 255)


@kernel
def _fill_tables(key: Bytes, high: Halves, low: Halves) -> None:
    """Multiples of the hash key by every four-bit polynomial."""
    top = np.uint64(0)
    bottom = np.uint64(0)
    for place in range(8):
        top = np.uint64(top << np.uint64(8) | np.uint64(key[place]))
        bottom = np.uint64(bottom << np.uint64(8) | np.uint64(key[8 + place]))
    high[0] = np.uint64(0)
    low[0] = np.uint64(0)
    high[8] = top
    low[8] = bottom
    index = 4
    while index > 0:
        carry = np.uint64(0xE100000000000000) if bottom & np.uint64(1) else np.uint64(0)
        bottom = np.uint64(top << np.uint64(63) | bottom >> np.uint64(1))
        top = np.uint64(top >> np.uint64(1) ^ carry)
        high[index] = top
        low[index] = bottom
        index >>= 1
    index = 2
    while index <= 8:
        for other in range(1, index):
            high[index + other] = high[index] ^ high[other]
            low[index + other] = low[index] ^ low[other]
        index *= 2


@kernel
def _hash_bytes(hashed: Bytes, high: Halves, low: Halves, data: Bytes, start: int, stop: int) -> None:
    at = start
    while at < stop:
        for place in range(min(BLOCK_BYTES, stop - at)):
            hashed[place] ^= data[at + place]
        _multiply(hashed, high, low)
        at += BLOCK_BYTES


@kernel
def _multiply(hashed: Bytes, high: Halves, low: Halves) -> None:
    """Multiply by the hash key, in place."""
    top = np.uint64(0)
    bottom = np.uint64(0)
    for step in range(32):
        value = np.int64(hashed[15 - step // 2])
        nibble = value & 15 if step % 2 == 0 else value >> 4
        if step > 0:
            carry = CARRIES[np.int64(bottom & np.uint64(15))]
            bottom = np.uint64(top << np.uint64(60) | bottom >> np.uint64(4))
            top = np.uint64(top >> np.uint64(4) ^ carry)
        top = np.uint64(top ^ high[nibble])
        bottom = np.uint64(bottom ^ low[nibble])
    for place in range(8):
        shift = np.uint64(56 - 8 * place)
        hashed[place] = np.uint8(top >> shift & np.uint64(255))
        hashed[8 + place] = np.uint8(bottom >> shift & np.uint64(255))
