"""DNS and its local forms (mDNS, LLMNR): the question, how it was answered, and which addresses now have a name."""

import numpy as np

from ....flows.compiled import kernel, room
from ..layout import Bytes, Counts
from .bytes import copy_bytes, number8, number16, number32
from .items import HEADER_BYTES, LONGEST_TEXT, copy_text, put_app, put_number, put_text
from .notes import (
    APP_WRITTEN,
    CODE_WRITTEN,
    COLLECTED,
    FIRST_ID,
    FLAGS,
    FORWARD,
    MEMORY_USED,
    QUERY_WRITTEN,
    REQUESTS,
    RESPONSES,
    REVERSE,
    SIDE,
)
from .tags import (
    APP_PROTOCOLS,
    DNS_ANSWER,
    DNS_QUERY,
    DNS_QUERY_TYPE,
    DNS_RESPONSE_CODE,
    DONE,
    MORE,
    NOTHING,
)

APP_DNS = APP_PROTOCOLS.index("dns")
APP_MDNS = APP_PROTOCOLS.index("mdns")
APP_LLMNR = APP_PROTOCOLS.index("llmnr")
APP_NETBIOS = APP_PROTOCOLS.index("netbios-ns")

HEADER = 12
MOST_ANSWERS = 16
MOST_QUESTIONS = 64
MOST_JUMPS = 32
LONGEST_NAME = 255
NAME_ROOM = LONGEST_NAME + 1
TYPE_A = 1
TYPE_AAAA = 28
ADDRESS_BYTES = 16
TTL_BYTES = 4


@kernel
def dns_app(from_port: int, to_port: int) -> int:
    """Which form of DNS uses these UDP ports; 0 for none."""
    if from_port == 53 or to_port == 53:
        return APP_DNS
    if from_port == 5353 or to_port == 5353:
        return APP_MDNS
    if from_port == 5355 or to_port == 5355:
        return APP_LLMNR
    if from_port == 137 or to_port == 137:
        return APP_NETBIOS
    return 0


@kernel
def sniff_dns(data: Bytes, start: int, stop: int, app: int, notes: Counts, out: Bytes) -> tuple[int, int]:
    """One datagram is one message."""
    length = read_message(data, start, stop, app, notes, out, 0)
    if length < 0:
        return DONE if notes[FLAGS] & APP_WRITTEN else NOTHING, 0
    if app == APP_MDNS:
        finished = notes[FLAGS] & QUERY_WRITTEN != 0 and notes[RESPONSES] > 0
    else:
        finished = notes[RESPONSES] >= notes[REQUESTS] or app != APP_DNS
    return DONE if finished else MORE, length


@kernel
def sniff_dns_stream(
    data: Bytes, start: int, stop: int, is_forward: bool, memory: Bytes, notes: Counts, out: Bytes
) -> tuple[int, int]:
    """Over TCP each message has its length before it, and may cross segments."""
    side = FORWARD if is_forward else REVERSE
    length = 0
    if notes[SIDE] != side:
        notes[SIDE] = side
        notes[COLLECTED] = 0
    at = start
    while at < stop:
        if notes[COLLECTED] == 0 and stop - at >= 2 + HEADER:
            size = number16(data, at)
            if size <= stop - at - 2:
                after = read_message(data, at + 2, at + 2 + size, APP_DNS, notes, out, length)
                if after < 0:
                    return DONE if notes[FLAGS] & APP_WRITTEN else NOTHING, length
                length = after
                at += 2 + size
                continue
        have = int(notes[COLLECTED])
        if have == 0 and stop - at >= 2 + HEADER and not _is_plausible(data, at + 2, at + 2 + number16(data, at)):
            return DONE if notes[FLAGS] & APP_WRITTEN else NOTHING, length
        wanted = 2
        if have >= 2:
            wanted = min(2 + number16(memory, 0), memory.size)
        count = min(stop - at, wanted - have)
        copy_bytes(memory, have, data, at, count)
        at += count
        have += count
        notes[COLLECTED] = have
        if have >= 2:
            size = number16(memory, 0)
            if have >= min(2 + size, memory.size):
                after = read_message(memory, 2, have, APP_DNS, notes, out, length)
                notes[COLLECTED] = 0
                if after < 0 or have < 2 + size:
                    notes[MEMORY_USED] = 0
                    return DONE if notes[FLAGS] & APP_WRITTEN else NOTHING, max(after, length)
                length = after
    notes[MEMORY_USED] = notes[COLLECTED]
    finished = notes[RESPONSES] > 0 and notes[RESPONSES] >= notes[REQUESTS]
    return DONE if finished else MORE, length


@kernel
def read_message(data: Bytes, start: int, stop: int, app: int, notes: Counts, out: Bytes, length: int) -> int:
    """Append what one message says; -1 where it cannot be DNS."""
    if stop - start < HEADER or not _is_plausible(data, start, stop):
        return -1
    flags = number16(data, start + 2)
    is_response = flags & 0x8000 != 0
    questions = number16(data, start + 4)
    name = room(NAME_ROOM, np.uint8)
    size = 0
    at = start + HEADER
    kind = 0
    if questions > 0:
        at, size = decode_name(data, start, stop, at, name)
        if at < 0 and notes[FLAGS] & APP_WRITTEN == 0 and size < 0:
            return -1
        if at >= 0 and at + 4 <= stop:
            kind = number16(data, at)
            at += 4
        else:
            at = -1
    if notes[FLAGS] & APP_WRITTEN == 0:
        notes[FLAGS] |= APP_WRITTEN
        length = put_app(out, length, app)
    if app == APP_NETBIOS:
        return length
    identifier = number16(data, start) + 1
    notes[RESPONSES if is_response else REQUESTS] += 1
    if flags & 0x7800 != 0:
        return length
    if questions > 0 and at >= 0 and notes[FLAGS] & QUERY_WRITTEN == 0:
        notes[FLAGS] |= QUERY_WRITTEN
        notes[FIRST_ID] = identifier
        length = put_text(out, length, DNS_QUERY, name, 0, size, True)
        length = put_number(out, length, DNS_QUERY_TYPE, kind, 2)
    if not is_response:
        return length
    if notes[FLAGS] & CODE_WRITTEN == 0 and (notes[FIRST_ID] == 0 or notes[FIRST_ID] == identifier):
        notes[FLAGS] |= CODE_WRITTEN
        length = put_number(out, length, DNS_RESPONSE_CODE, flags & 15, 1)
    if at < 0:
        return length
    for _ in range(questions - 1):
        at = _skip_name(data, at, stop)
        if at < 0 or at + 4 > stop:
            return length
        at += 4
    return _put_answers(data, start, stop, at, number16(data, start + 6), app == APP_MDNS, name, size, out, length)


@kernel
def decode_name(data: Bytes, start: int, stop: int, at: int, name: Bytes) -> tuple[int, int]:
    """Write the name at `at`, labels joined by dots, following pointers within the message `data[start:stop]`.

    Returns the place after the name and the name's size; the place is -1 where the name is cut off, and the size is -1
    too where it cannot be a name. The root is ".".
    """
    after = -1
    size = 0
    jumps = 0
    while True:
        if at >= stop:
            return -1, 0
        count = number8(data, at)
        if count >= 0xC0:
            if at + 2 > stop:
                return -1, 0
            target = start + (number16(data, at) & 0x3FFF)
            jumps += 1
            if jumps > MOST_JUMPS or target >= stop:
                return -1, -1
            if after < 0:
                after = at + 2
            at = target
            continue
        if count >= 0x40:
            return -1, -1
        if count == 0:
            break
        if at + 1 + count > stop:
            return -1, 0
        if size + count + 1 > LONGEST_NAME:
            return -1, -1
        if size > 0:
            name[size] = np.uint8(46)
            size += 1
        copy_bytes(name, size, data, at + 1, count)
        size += count
        at += 1 + count
    if size == 0:
        name[0] = np.uint8(46)
        size = 1
    return at + 1 if after < 0 else after, size


@kernel
def _is_plausible(data: Bytes, start: int, stop: int) -> bool:
    """Whether a header that DNS would write begins here."""
    flags = number16(data, start + 2)
    operation = (flags >> 11) & 15
    if (operation > 6 and operation != 15) or (flags & 0x8000 == 0 and flags & 15 != 0):
        return False
    questions = number16(data, start + 4)
    if questions > MOST_QUESTIONS:
        return False
    records = number16(data, start + 6) + number16(data, start + 8) + number16(data, start + 10)
    if questions == 0 and records == 0 and flags & 0x8000 == 0:
        return False
    # Each question takes at least 5 bytes, each record 11; a fragment or a cut may hide some of them.
    return 5 * questions <= stop - start - HEADER and records <= 4096


@kernel
def _skip_name(data: Bytes, at: int, stop: int) -> int:
    """The place after the name, -1 where it is cut off or no name."""
    while at < stop:
        count = number8(data, at)
        if count >= 0xC0:
            return at + 2 if at + 2 <= stop else -1
        if count >= 0x40:
            return -1
        at += 1 + count
        if count == 0:
            return at if at <= stop else -1
    return -1


@kernel
def _put_answers(
    data: Bytes,
    start: int,
    stop: int,
    at: int,
    count: int,
    by_owner: bool,
    name: Bytes,
    size: int,
    out: Bytes,
    length: int,
) -> int:
    """Append the addresses of the answer section under the name asked for, or under each record's own name."""
    written = 0
    for _ in range(count):
        owner = at
        at = _skip_name(data, at, stop)
        if at < 0 or at + 10 > stop or written >= MOST_ANSWERS:
            break
        kind = number16(data, at)
        is_internet = number16(data, at + 2) & 0x7FFF == 1
        ttl_s = number32(data, at + 4)
        width = number16(data, at + 8)
        at += 10
        if at + width > stop:
            break
        if is_internet and ((kind == TYPE_A and width == 4) or (kind == TYPE_AAAA and width == ADDRESS_BYTES)):
            if by_owner:
                after, size = decode_name(data, start, stop, owner, name)
                if after < 0:
                    size = 0
            if size > 0:
                length = _put_answer(data, at, width, ttl_s, name, size, out, length)
                written += 1
        at += width
    return length


@kernel
def _put_answer(data: Bytes, at: int, width: int, ttl_s: int, name: Bytes, size: int, out: Bytes, length: int) -> int:
    if length + HEADER_BYTES + ADDRESS_BYTES + TTL_BYTES + min(size, LONGEST_TEXT) > out.size:
        return length
    place = length + HEADER_BYTES
    for step in range(ADDRESS_BYTES):
        out[place + step] = np.uint8(0)
    if width == 4:
        out[place + 10] = np.uint8(255)
        out[place + 11] = np.uint8(255)
    copy_bytes(out, place + ADDRESS_BYTES - width, data, at, width)
    place += ADDRESS_BYTES
    for step in range(TTL_BYTES):
        out[place + step] = np.uint8((ttl_s >> (24 - 8 * step)) & 255)
    place += TTL_BYTES
    place += copy_text(out, place, name, 0, size, True)
    total = place - length - HEADER_BYTES
    out[length] = np.uint8(DNS_ANSWER)
    out[length + 1] = np.uint8(total & 255)
    out[length + 2] = np.uint8(total >> 8)
    return place
