"""AES-128 (FIPS 197), encryption of one block; tables join the substitution and the mixing of columns."""

import numpy as np
import numpy.typing as npt

from ....flows.compiled import kernel
from ..layout import Bytes, Counts
from .bytes import number32

BLOCK_BYTES = 16
ROUNDS = 10
ROUND_KEYS = 44


def _doubled(value: int) -> int:
    return (value << 1) ^ (0x11B if value & 0x80 else 0)


def _substitutions() -> list[int]:
    """The S-box: the inverse in GF(2^8), then the affine map."""
    box = [0] * 256
    value, inverse = 1, 1
    while True:
        value ^= _doubled(value)  # times 3
        for shift in (1, 2, 4):  # the inverse divided by 3
            inverse ^= inverse << shift
        inverse &= 0xFF
        inverse ^= 0x09 if inverse & 0x80 else 0
        turned = inverse | inverse << 8
        box[value] = (turned ^ turned >> 7 ^ turned >> 6 ^ turned >> 5 ^ turned >> 4) & 0xFF ^ 0x63
        if value == 1:
            break
    box[0] = 0x63
    return box


def _column_tables(box: list[int]) -> npt.NDArray[np.int64]:
    """Four rows of 256: what a byte in row r of the state adds to its column."""
    first = [_doubled(s) << 24 | s << 16 | s << 8 | _doubled(s) ^ s for s in box]
    return np.array([[t >> 8 * r | (t << 32 - 8 * r) & 0xFFFFFFFF for t in first] for r in range(4)], dtype=np.int64)


SUBSTITUTIONS = np.array(_substitutions(), dtype=np.int64)
COLUMNS = _column_tables(_substitutions())


@kernel
def expand_key(key: Bytes, round_keys: Counts) -> None:
    """Write the 44 words of the round keys."""
    for word in range(4):
        round_keys[word] = number32(key, 4 * word)
    constant = 1
    for word in range(4, ROUND_KEYS):
        mixed = round_keys[word - 1]
        if word % 4 == 0:
            mixed = (
                (SUBSTITUTIONS[(mixed >> 16) & 255] ^ constant) << 24
                | SUBSTITUTIONS[(mixed >> 8) & 255] << 16
                | SUBSTITUTIONS[mixed & 255] << 8
                | SUBSTITUTIONS[(mixed >> 24) & 255]
            )
            constant = (constant << 1) ^ (0x11B if constant & 0x80 else 0)
        round_keys[word] = round_keys[word - 4] ^ mixed


@kernel
def encrypt_block(round_keys: Counts, source: Bytes, start: int, target: Bytes) -> None:
    """Encrypt `source[start:start + 16]` into `target[:16]`."""
    a = number32(source, start) ^ round_keys[0]
    b = number32(source, start + 4) ^ round_keys[1]
    c = number32(source, start + 8) ^ round_keys[2]
    d = number32(source, start + 12) ^ round_keys[3]
    for step in range(1, ROUNDS):
        key = 4 * step
        new_a = _column(a, b, c, d) ^ round_keys[key]
        new_b = _column(b, c, d, a) ^ round_keys[key + 1]
        new_c = _column(c, d, a, b) ^ round_keys[key + 2]
        d = _column(d, a, b, c) ^ round_keys[key + 3]
        a = new_a
        b = new_b
        c = new_c
    _put_word(target, 0, _last_column(a, b, c, d) ^ round_keys[40])
    _put_word(target, 4, _last_column(b, c, d, a) ^ round_keys[41])
    _put_word(target, 8, _last_column(c, d, a, b) ^ round_keys[42])
    _put_word(target, 12, _last_column(d, a, b, c) ^ round_keys[43])


@kernel
def _column(a: int, b: int, c: int, d: int) -> int:
    return int(
        COLUMNS[0, (a >> 24) & 255] ^ COLUMNS[1, (b >> 16) & 255] ^ COLUMNS[2, (c >> 8) & 255] ^ COLUMNS[3, d & 255]
    )


@kernel
def _last_column(a: int, b: int, c: int, d: int) -> int:
    return int(
        SUBSTITUTIONS[(a >> 24) & 255] << 24
        | SUBSTITUTIONS[(b >> 16) & 255] << 16
        | SUBSTITUTIONS[(c >> 8) & 255] << 8
        | SUBSTITUTIONS[d & 255]
    )


@kernel
def _put_word(data: Bytes, place: int, word: int) -> None:
    for step in range(4):
        data[place + step] = np.uint8((word >> (24 - 8 * step)) & 255)
