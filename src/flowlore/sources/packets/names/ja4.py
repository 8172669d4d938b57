"""JA4, the fingerprint of a ClientHello: what kind of client asks, whatever order it asks in.

`t13d1516h2_8daaf6152771_02713d6af862`: transport, version, whether a name was given, counts of ciphers and extensions,
first and last character of the first ALPN; then two truncated SHA-256, over the sorted ciphers, and over the sorted
extensions with the signature algorithms in their order. GREASE values count nowhere.
"""

import numpy as np
import numpy.typing as npt

from ....flows.compiled import kernel, room
from ..layout import Bytes
from .items import HEADER_BYTES
from .sha256 import DIGEST_BYTES, sha256
from .tags import JA4

Numbers = npt.NDArray[np.uint16]

JA4_BYTES = 36
HASH_BYTES = 6
MOST_NUMBERS = 1024  # of each list; longer ones are no client's and get no fingerprint
TEXT_BYTES = 5 * 2 * MOST_NUMBERS + 1
DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8).copy()
TRANSPORTS = np.frombuffer(b"tdq", dtype=np.uint8).copy()


@kernel
def put_ja4(
    out: Bytes,
    length: int,
    transport: int,
    version: int,
    has_name: bool,
    alpn_first: int,
    alpn_last: int,
    ciphers: Numbers,
    cipher_count: int,
    extensions: Numbers,
    extension_count: int,
    signatures: Numbers,
    signature_count: int,
) -> int:
    """Append the fingerprint. The arrays hold no GREASE; ciphers and extensions are sorted in place.

    `alpn_first` and `alpn_last` are the first and last byte of the first ALPN, or -1 where there is none.
    """
    if length + HEADER_BYTES + JA4_BYTES > out.size:
        return length
    out[length] = np.uint8(JA4)
    out[length + 1] = np.uint8(JA4_BYTES)
    out[length + 2] = np.uint8(0)
    at = length + HEADER_BYTES
    out[at] = TRANSPORTS[transport]
    _put_version(out, at + 1, version)
    out[at + 3] = np.uint8(100 if has_name else 105)
    _put_count(out, at + 4, cipher_count)
    _put_count(out, at + 6, extension_count)
    _put_alpn(out, at + 8, alpn_first, alpn_last)
    out[at + 10] = np.uint8(95)
    out[at + 23] = np.uint8(95)

    text = room(TEXT_BYTES, np.uint8)
    digest = room(DIGEST_BYTES, np.uint8)
    _sort(ciphers, cipher_count)
    end = _put_list(text, 0, ciphers, cipher_count)
    _put_hash(out, at + 11, text, end, digest)

    kept = 0
    for place in range(extension_count):
        if extensions[place] != 0 and extensions[place] != 16:
            extensions[kept] = extensions[place]
            kept += 1
    _sort(extensions, kept)
    end = _put_list(text, 0, extensions, kept)
    if signature_count > 0 and kept > 0:
        text[end] = np.uint8(95)
        end = _put_list(text, end + 1, signatures, signature_count)
    _put_hash(out, at + 24, text, end, digest)
    return at + JA4_BYTES


@kernel
def is_grease(value: int) -> bool:
    """Whether the number is one of those that mean nothing (RFC 8701): 0x0a0a, 0x1a1a … 0xfafa."""
    return (value & 0x0F0F) == 0x0A0A and (value >> 8) == (value & 0xFF)


@kernel
def _put_version(out: Bytes, at: int, version: int) -> None:
    first, second = 48, 48
    if 0x0301 <= version <= 0x0304:
        first, second = 49, 48 + version - 0x0301
    elif version == 0x0300:
        first, second = 115, 51
    elif version == 0x0002:
        first, second = 115, 50
    elif version == 0xFEFF:
        first, second = 100, 49
    elif version == 0xFEFD:
        first, second = 100, 50
    elif version == 0xFEFC:
        first, second = 100, 51
    out[at] = np.uint8(first)
    out[at + 1] = np.uint8(second)


@kernel
def _put_count(out: Bytes, at: int, count: int) -> None:
    shown = min(count, 99)
    out[at] = np.uint8(48 + shown // 10)
    out[at + 1] = np.uint8(48 + shown % 10)


@kernel
def _put_alpn(out: Bytes, at: int, first: int, last: int) -> None:
    """The two bytes as they are if both are letters or digits, else the outermost hexadecimal digits of the two."""
    if first < 0:
        out[at] = np.uint8(48)
        out[at + 1] = np.uint8(48)
    elif _is_letter_or_digit(first) and _is_letter_or_digit(last):
        out[at] = np.uint8(first)
        out[at + 1] = np.uint8(last)
    else:
        out[at] = DIGITS[first >> 4]
        out[at + 1] = DIGITS[last & 15]


@kernel
def _is_letter_or_digit(value: int) -> bool:
    return 48 <= value <= 57 or 65 <= value <= 90 or 97 <= value <= 122


@kernel
def _sort(values: Numbers, count: int) -> None:
    """Shell sort: short code, and no input makes it slow."""
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for place in range(gap, count):
            value = values[place]
            hole = place
            while hole >= gap and values[hole - gap] > value:
                values[hole] = values[hole - gap]
                hole -= gap
            values[hole] = value
        gap //= 3


@kernel
def _put_list(text: Bytes, start: int, values: Numbers, count: int) -> int:
    """Write the numbers as four hexadecimal digits with commas between; return the end."""
    at = start
    for place in range(count):
        if place > 0:
            text[at] = np.uint8(44)
            at += 1
        value = np.int64(values[place])
        for step in range(4):
            text[at + step] = DIGITS[(value >> (12 - 4 * step)) & 15]
        at += 4
    return at


@kernel
def _put_hash(out: Bytes, at: int, text: Bytes, length: int, digest: Bytes) -> None:
    """Twelve hexadecimal digits of the hash; zeros for an empty list."""
    if length == 0:
        for step in range(2 * HASH_BYTES):
            out[at + step] = np.uint8(48)
        return
    sha256(text, length, digest)
    for step in range(HASH_BYTES):
        out[at + 2 * step] = DIGITS[digest[step] >> 4]
        out[at + 2 * step + 1] = DIGITS[digest[step] & 15]
