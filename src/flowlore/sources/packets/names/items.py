"""Writing items: tag, length, bytes. What does not fit is left out; nothing is written past the end of `out`."""

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes
from .bytes import copy_bytes
from .tags import APP_PROTOCOL, SERVER_NAME, SERVER_NAME_FROM

LONGEST_TEXT = 255
HEADER_BYTES = 3  # tag and length


@kernel
def put_number(out: Bytes, length: int, tag: int, value: int, width: int) -> int:
    """Append a big-endian number of `width` bytes; return the new length of the items."""
    if length + HEADER_BYTES + width > out.size:
        return length
    out[length] = np.uint8(tag)
    out[length + 1] = np.uint8(width)
    out[length + 2] = np.uint8(0)
    for place in range(width):
        out[length + HEADER_BYTES + place] = np.uint8((value >> (8 * (width - 1 - place))) & 255)
    return length + HEADER_BYTES + width


@kernel
def put_app(out: Bytes, length: int, app: int) -> int:
    return put_number(out, length, APP_PROTOCOL, app, 1)


@kernel
def put_text(out: Bytes, length: int, tag: int, source: Bytes, start: int, stop: int, lower: bool) -> int:
    """Append `source[start:stop]` as clean text of at most 255 bytes; empty text is no item."""
    if stop <= start or length + HEADER_BYTES + min(stop - start, LONGEST_TEXT) > out.size:
        return length
    size = copy_text(out, length + HEADER_BYTES, source, start, stop, lower)
    out[length] = np.uint8(tag)
    out[length + 1] = np.uint8(size & 255)
    out[length + 2] = np.uint8(size >> 8)
    return length + HEADER_BYTES + size


@kernel
def put_server_name(out: Bytes, length: int, source: Bytes, start: int, stop: int, origin: int) -> int:
    """Append a server's name in lower case, and where it was read."""
    after = put_text(out, length, SERVER_NAME, source, start, stop, True)
    if after == length:
        return length
    return put_number(out, after, SERVER_NAME_FROM, origin, 1)


@kernel
def copy_text(out: Bytes, place: int, source: Bytes, start: int, stop: int, lower: bool) -> int:
    """Copy at most 255 bytes of text; bytes that are neither printable ASCII nor valid UTF-8 become "?".

    A character of several bytes that would pass the 255th is left out. Returns the bytes written.
    """
    written = 0
    position = start
    while position < stop and written < LONGEST_TEXT:
        first = source[position]
        width = character_bytes(source, position, stop)
        if width > 1:
            if written + width > LONGEST_TEXT:
                break
            copy_bytes(out, place + written, source, position, width)
            written += width
            position += width
            continue
        if width == 0:
            out[place + written] = np.uint8(63)
        elif lower and 65 <= first <= 90:
            out[place + written] = np.uint8(first + 32)
        else:
            out[place + written] = first
        written += 1
        position += 1
    return written


@kernel
def character_bytes(source: Bytes, position: int, stop: int) -> int:
    """Bytes of the UTF-8 character at `position`; 0 where the byte there is not printable or not UTF-8."""
    first = source[position]
    if first < 128:
        return 1 if 32 <= first < 127 else 0
    if first < 0xC2 or first > 0xF4:
        return 0
    width = 2 if first < 0xE0 else (3 if first < 0xF0 else 4)
    if position + width > stop:
        return 0
    for step in range(1, width):
        if source[position + step] & 0xC0 != 0x80:
            return 0
    second = source[position + 1]
    too_long = (first == 0xE0 and second < 0xA0) or (first == 0xF0 and second < 0x90)
    surrogate = first == 0xED and second >= 0xA0
    too_high = first == 0xF4 and second >= 0x90
    control = first == 0xC2 and second < 0xA0
    return 0 if too_long or surrogate or too_high or control else width
