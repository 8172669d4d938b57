"""SHA-256 (FIPS 180-4)."""

import numpy as np
import numpy.typing as npt

from ....flows.compiled import kernel, room
from ..layout import Bytes

Words = npt.NDArray[np.uint32]

DIGEST_BYTES = 32
BLOCK_BYTES = 64


def _first_bits(power: float, count: int) -> list[int]:
    """The first 32 bits of the fractional parts of the roots of the first primes."""
    primes = [n for n in range(2, 312) if all(n % d for d in range(2, int(n**0.5) + 1))][:count]
    return [_root_bits(prime, 2 if power == 0.5 else 3) for prime in primes]


def _root_bits(prime: int, degree: int) -> int:
    """Exact by integers: floor(root of prime times 2**32), less its whole part."""
    target = prime << (32 * degree)
    low, high = 0, 1 << 40
    while high - low > 1:
        middle = (low + high) // 2
        if middle**degree <= target:
            low = middle
        else:
            high = middle
    return low & 0xFFFFFFFF


ROUNDS = np.array(_first_bits(1 / 3, 64), dtype=np.uint32)
BEGINNING = np.array(_first_bits(0.5, 8), dtype=np.uint32)


@kernel
def sha256(message: Bytes, length: int, digest: Bytes) -> None:
    """Write the digest of `message[:length]` to the first 32 bytes of `digest`."""
    state = room(8, np.uint32)
    for place in range(8):
        state[place] = BEGINNING[place]
    words = room(64, np.uint32)
    # A byte of 0x80 and eight of length follow the message, and zeros between fill the last block.
    total = (length + 9 + BLOCK_BYTES - 1) // BLOCK_BYTES * BLOCK_BYTES
    for start in range(0, total, BLOCK_BYTES):
        for place in range(16):
            word = 0
            for at in range(start + 4 * place, start + 4 * place + 4):
                byte = 0
                if at < length:
                    byte = int(np.int64(message[at]))
                elif at == length:
                    byte = 0x80
                elif at >= total - 8:
                    byte = ((8 * length) >> (8 * (total - 1 - at))) & 255
                word = word << 8 | byte
            words[place] = np.uint32(word)
        mix_block(state, words)
    for place in range(DIGEST_BYTES):
        digest[place] = np.uint8((state[place // 4] >> np.uint32(24 - 8 * (place % 4))) & np.uint32(255))


@kernel
def mix_block(state: Words, words: Words) -> None:
    """Mix a block, whose sixteen words begin `words`, into the state."""
    for place in range(16, 64):
        old = words[place - 15]
        late = words[place - 2]
        small0 = turned(old, 7) ^ turned(old, 18) ^ (old >> np.uint32(3))
        small1 = turned(late, 17) ^ turned(late, 19) ^ (late >> np.uint32(10))
        words[place] = np.uint32(words[place - 16] + small0 + words[place - 7] + small1)
    a, b, c, d, e, f, g, h = (state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7])
    for place in range(64):
        big1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
        choice = (e & f) ^ (~e & g)
        first = np.uint32(h + big1 + choice + ROUNDS[place] + words[place])
        big0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
        majority = (a & b) ^ (a & c) ^ (b & c)
        h = g
        g = f
        f = e
        e = np.uint32(d + first)
        d = c
        c = b
        b = a
        a = np.uint32(first + np.uint32(big0 + majority))
    state[0] = np.uint32(state[0] + a)
    state[1] = np.uint32(state[1] + b)
    state[2] = np.uint32(state[2] + c)
    state[3] = np.uint32(state[3] + d)
    state[4] = np.uint32(state[4] + e)
    state[5] = np.uint32(state[5] + f)
    state[6] = np.uint32(state[6] + g)
    state[7] = np.uint32(state[7] + h)


@kernel
def turned(word: np.uint32, count: int) -> np.uint32:
    """The word's bits, rotated right."""
    return np.uint32((word >> np.uint32(count)) | (word << np.uint32(32 - count)))
