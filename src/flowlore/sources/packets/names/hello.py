"""ClientHello and ServerHello, once their bytes lie together in a flow's memory."""

import numpy as np

from ....flows.compiled import kernel, room
from ..layout import Bytes, Counts
from .bytes import number8, number16, number24
from .items import HEADER_BYTES, LONGEST_TEXT, copy_text, put_number, put_server_name
from .ja4 import MOST_NUMBERS, Numbers, is_grease, put_ja4
from .notes import ALPN_WRITTEN, FLAGS, SNI_WRITTEN
from .tags import ALPN, TLS_VERSION

CLIENT_HELLO = 1
SERVER_HELLO = 2
MESSAGE_HEADER = 4  # type and length
BODY_TO_SESSION = 34  # version and random

# Where the hello came from; places in TRANSPORTS of ja4.py and the origins of its name in tags.py.
OVER_TCP = 0
OVER_DATAGRAMS = 1
OVER_QUIC = 2

EXTENSION_NAME = 0
EXTENSION_SIGNATURES = 13
EXTENSION_ALPN = 16
EXTENSION_VERSIONS = 43


@kernel
def read_client_hello(
    memory: Bytes, have: int, transport: int, ended: bool, notes: Counts, out: Bytes, length: int
) -> int:
    """Write what the ClientHello in `memory[:have]` says; return the new length of the items.

    The message may still be growing (`ended` is false) or cut for good: names are written as soon as they are
    whole, the version once the extensions are or nothing more will come, the fingerprint only for a whole and
    well-formed message.
    """
    if have < MESSAGE_HEADER + BODY_TO_SESSION + 1:
        return length
    message_stop = MESSAGE_HEADER + number24(memory, 1)
    whole = message_stop <= have
    limit = min(message_stop, have)
    version = number16(memory, MESSAGE_HEADER)
    at = MESSAGE_HEADER + BODY_TO_SESSION
    at += 1 + number8(memory, at)
    if transport == OVER_DATAGRAMS and at < limit:
        at += 1 + number8(memory, at)
    if at + 2 > limit:
        return length
    cipher_start = at + 2
    cipher_stop = cipher_start + number16(memory, at)
    if cipher_stop + 1 > limit:
        return length
    at = cipher_stop + 1 + number8(memory, cipher_stop)
    well_formed = whole and at <= limit
    extensions = room(MOST_NUMBERS, np.uint16)
    extension_count = 0
    has_name = False
    alpn_first = -1
    alpn_last = -1
    signature_start = 0
    signature_stop = 0
    offered = 0
    highest = 0
    if at + 2 <= limit:
        block_stop = at + 2 + number16(memory, at)
        at += 2
        if block_stop > limit:
            well_formed = False
            block_stop = limit
        while at + 4 <= block_stop:
            kind = number16(memory, at)
            start = at + 4
            stop = start + number16(memory, at + 2)
            if stop > block_stop:
                well_formed = False
                break
            if kind == EXTENSION_NAME:
                has_name = True
                length = _put_name(memory, start, stop, transport, notes, out, length)
            elif kind == EXTENSION_ALPN:
                if start + 3 <= stop:
                    first = start + 2
                    size = number8(memory, first)
                    if size > 0 and first + 1 + size <= stop:
                        alpn_first = number8(memory, first + 1)
                        alpn_last = number8(memory, first + size)
                length = _put_alpn_list(memory, start, stop, notes, out, length)
            elif kind == EXTENSION_VERSIONS:
                offered = _offered_version(memory, start, stop, transport == OVER_DATAGRAMS)
                highest = _offered_version(memory, start, stop, False)
            elif kind == EXTENSION_SIGNATURES and start + 2 <= stop:
                signature_start = start + 2
                signature_stop = min(stop, signature_start + number16(memory, start))
            if extension_count == MOST_NUMBERS:
                well_formed = False
                break
            if not is_grease(kind):
                extensions[extension_count] = np.uint16(kind)
                extension_count += 1
            at = stop
    if offered == 0:
        highest = version
    else:
        version = offered
    if not (whole or ended):
        return length
    # A cut message may have lost the extension that says TLS 1.3.
    if whole or offered != 0:
        length = put_number(out, length, TLS_VERSION, version, 2)
    longest = max(cipher_stop - cipher_start, signature_stop - signature_start)
    if not well_formed or longest > 2 * MOST_NUMBERS:
        return length
    ciphers = room(MOST_NUMBERS, np.uint16)
    cipher_count = _copy_numbers(memory, cipher_start, cipher_stop, ciphers)
    signatures = room(MOST_NUMBERS, np.uint16)
    signature_count = _copy_numbers(memory, signature_start, signature_stop, signatures)
    return put_ja4(
        out,
        length,
        transport,
        highest,  # by its number, as JA4 says, though DTLS counts downwards
        has_name,
        alpn_first,
        alpn_last,
        ciphers,
        cipher_count,
        extensions,
        extension_count,
        signatures,
        signature_count,
    )


@kernel
def read_server_hello(memory: Bytes, have: int, out: Bytes, length: int) -> int:
    """Write the version that the server chose; nothing where the extension that could say so is cut off."""
    if have < MESSAGE_HEADER + BODY_TO_SESSION + 1:
        return length
    message_stop = MESSAGE_HEADER + number24(memory, 1)
    limit = min(message_stop, have)
    version = number16(memory, MESSAGE_HEADER)
    at = MESSAGE_HEADER + BODY_TO_SESSION
    at += 1 + number8(memory, at) + 3
    sure = message_stop <= have
    if at + 2 <= limit:
        block_stop = min(limit, at + 2 + number16(memory, at))
        at += 2
        while at + 4 <= block_stop:
            size = number16(memory, at + 2)
            if number16(memory, at) == EXTENSION_VERSIONS and size == 2 and at + 6 <= block_stop:
                version = number16(memory, at + 4)
                sure = True
                break
            at += 4 + size
    if not sure:
        return length
    return put_number(out, length, TLS_VERSION, version, 2)


@kernel
def _put_name(memory: Bytes, start: int, stop: int, transport: int, notes: Counts, out: Bytes, length: int) -> int:
    """The first host name of the server name extension."""
    if notes[FLAGS] & SNI_WRITTEN:
        return length
    at = start + 2
    while at + 3 <= stop:
        size = number16(memory, at + 1)
        if at + 3 + size > stop:
            return length
        if memory[at] == 0:
            notes[FLAGS] |= SNI_WRITTEN
            origin = 2 if transport == OVER_QUIC else 1
            return put_server_name(out, length, memory, at + 3, at + 3 + size, origin)
        at += 3 + size
    return length


@kernel
def _put_alpn_list(memory: Bytes, start: int, stop: int, notes: Counts, out: Bytes, length: int) -> int:
    """Names of offered protocols with a comma between; those that pass 255 bytes are left out."""
    if notes[FLAGS] & ALPN_WRITTEN or length + HEADER_BYTES + 2 * LONGEST_TEXT + 1 > out.size:
        return length
    begin = length + HEADER_BYTES
    written = 0
    at = start + 2
    while at < stop:
        size = number8(memory, at)
        comma = 1 if written > 0 else 0
        if size == 0 or at + 1 + size > stop or written + comma + size > LONGEST_TEXT:
            break
        if comma:
            out[begin + written] = np.uint8(44)
        written += comma
        written += copy_text(out, begin + written, memory, at + 1, at + 1 + size, False)
        at += 1 + size
    if written == 0:
        return length
    notes[FLAGS] |= ALPN_WRITTEN
    out[length] = np.uint8(ALPN)
    out[length + 1] = np.uint8(written & 255)
    out[length + 2] = np.uint8(written >> 8)
    return begin + written


@kernel
def _offered_version(memory: Bytes, start: int, stop: int, downwards: bool) -> int:
    """The highest number of the list of versions, or the lowest; 0 where it has none."""
    chosen = 0
    if start >= stop:
        return chosen
    at = start + 1
    list_stop = min(stop, at + number8(memory, start))
    while at + 2 <= list_stop:
        version = number16(memory, at)
        at += 2
        beyond = version < chosen if downwards else version > chosen
        if not is_grease(version) and (chosen == 0 or beyond):
            chosen = version
    return chosen


@kernel
def _copy_numbers(memory: Bytes, start: int, stop: int, numbers: Numbers) -> int:
    """Two-byte numbers without GREASE; returns how many."""
    count = 0
    at = start
    while at + 2 <= stop:
        value = number16(memory, at)
        at += 2
        if not is_grease(value):
            numbers[count] = np.uint16(value)
            count += 1
    return count
