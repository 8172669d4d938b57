"""HMAC-SHA-256 (RFC 2104) and HKDF (RFC 5869), with the labels of TLS 1.3 (RFC 8446)."""

import numpy as np

from ....flows.compiled import kernel, room
from ..layout import Bytes
from .bytes import copy_bytes
from .sha256 import BLOCK_BYTES, DIGEST_BYTES, sha256

LONGEST_MESSAGE = 96
INNER_BYTES = BLOCK_BYTES + LONGEST_MESSAGE
OUTER_BYTES = BLOCK_BYTES + DIGEST_BYTES


@kernel
def hmac_sha256(key: Bytes, key_size: int, message: Bytes, size: int, digest: Bytes) -> None:
    """Write the code of `message[:size]` under `key[:key_size]`, a key of at most one block.

    Messages here are short: at most 96 bytes.
    """
    if size > LONGEST_MESSAGE:
        return
    inner = room(INNER_BYTES, np.uint8)
    outer = room(OUTER_BYTES, np.uint8)
    for place in range(BLOCK_BYTES):
        byte = np.int64(key[place]) if place < key_size else np.int64(0)
        inner[place] = np.uint8(byte ^ 0x36)
        outer[place] = np.uint8(byte ^ 0x5C)
    copy_bytes(inner, BLOCK_BYTES, message, 0, size)
    sha256(inner, BLOCK_BYTES + size, digest)
    copy_bytes(outer, BLOCK_BYTES, digest, 0, DIGEST_BYTES)
    sha256(outer, BLOCK_BYTES + DIGEST_BYTES, digest)


@kernel
def expand_label(secret: Bytes, labels: Bytes, start: int, size: int, wanted: int, result: Bytes) -> None:
    """HKDF-Expand-Label with an empty context, for at most one digest.

    The label is `labels[start:start + size]`; it begins with "tls13 " and is short.
    """
    info = room(LONGEST_MESSAGE, np.uint8)
    info[0] = np.uint8(0)
    info[1] = np.uint8(wanted)
    info[2] = np.uint8(size)
    copy_bytes(info, 3, labels, start, size)
    info[3 + size] = np.uint8(0)
    info[4 + size] = np.uint8(1)  # the first block of HKDF-Expand
    hmac_sha256(secret, DIGEST_BYTES, info, size + 5, result)
