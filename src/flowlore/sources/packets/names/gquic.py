"""Google's QUIC before TLS: a hello of tags and values, in the clear up to version 46."""

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes, Counts
from .bytes import number8, number32
from .http import begins_with
from .items import put_server_name, put_text
from .notes import FLAGS, SNI_WRITTEN
from .tags import USER_AGENT

GQUIC_50 = 4  # place of its salt
HELLO_MARK = np.frombuffer(b"CHLO", dtype=np.uint8).copy()
TAG_NAME = 0x534E4900  # "SNI\0"
TAG_AGENT = 0x55414944  # "UAID"
MOST_TAGS = 64
FARTHEST_HELLO = 96  # bytes of headers and frames before the hello
FROM_QUIC = 2


@kernel
def looks_like_gquic(data: Bytes, start: int, stop: int) -> bool:
    """A public header with a version: Q0xx after flags and connection id, or Q046 in a long header."""
    if stop - start < 16:
        return False
    at = start + 1 if data[start] & 0x80 else start + 9
    if data[start] & 0x80 == 0 and data[start] & 0x09 != 0x09:
        return False
    return bool(data[at] == 81 and data[at + 1] == 48 and 50 <= data[at + 2] <= 52 and 48 <= data[at + 3] <= 57)


@kernel
def find_old_hello(data: Bytes, start: int, stop: int, notes: Counts, out: Bytes, length: int) -> int:
    """Write server name and user agent of a CHLO that begins near `start`."""
    at = start
    while at < stop and at - start < FARTHEST_HELLO and not begins_with(data, at, stop, HELLO_MARK):
        at += 1
    if at - start >= FARTHEST_HELLO or at + 8 > stop:
        return length
    count = number8(data, at + 4)
    values = at + 8 + 8 * count
    if count > MOST_TAGS or data[at + 5] != 0 or values > stop:
        return length
    begin = values
    for entry in range(count):
        place = at + 8 + 8 * entry
        tag = number32(data, place)
        end = values + (number8(data, place + 4) | number8(data, place + 5) << 8 | number8(data, place + 6) << 16)
        if end < begin or end > stop:
            break
        if tag == TAG_NAME and notes[FLAGS] & SNI_WRITTEN == 0:
            notes[FLAGS] |= SNI_WRITTEN
            length = put_server_name(out, length, data, begin, end, FROM_QUIC)
        elif tag == TAG_AGENT:
            length = put_text(out, length, USER_AGENT, data, begin, end, False)
        begin = end
    return length
