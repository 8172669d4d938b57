"""TLS over TCP: records are taken apart and the handshake message they carry is put together, over any segments."""

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes, Counts
from .bytes import copy_bytes, number16, number24
from .hello import CLIENT_HELLO, MESSAGE_HEADER, OVER_TCP, SERVER_HELLO, read_client_hello, read_server_hello
from .items import put_app, put_number
from .notes import (
    APP_WRITTEN,
    CLIENT_READ,
    CLIENT_SIDE,
    COLLECTED,
    FLAGS,
    FORWARD,
    HEADER_COUNT,
    HEADER_VALUE,
    INSIDE,
    MEMORY_USED,
    PAYLOAD_CUT,
    RECORD_LEFT,
    REVERSE,
    SIDE,
)
from .tags import APP_PROTOCOLS, DONE, MORE, NOTHING, TLS_VERSION

HANDSHAKE = 22
RECORD_HEADER = 5
LONGEST_RECORD = 16384 + 2048
APP_TLS = APP_PROTOCOLS.index("tls")


@kernel
def looks_like_tls(data: Bytes, start: int, stop: int) -> bool:
    """Whether a hello begins here, or a record of a session that began earlier."""
    size = stop - start
    kind = data[start]
    if kind == HANDSHAKE:
        # A client may cut its hello anywhere to pass a filter, even after one byte.
        if size > 1 and data[start + 1] != 3:
            return False
        if size > 2 and data[start + 2] > 4:
            return False
        return size < 6 or (
            number16(data, start + 3) <= LONGEST_RECORD
            and (data[start + 5] == CLIENT_HELLO or data[start + 5] == SERVER_HELLO)
        )
    if size < RECORD_HEADER + 2 or kind < 20 or kind > 23 or data[start + 1] != 3 or data[start + 2] > 4:
        return False
    record = number16(data, start + 3)
    if kind == 20:
        return record == 1 and data[start + 5] == 1
    if kind == 21:
        return record == 2 and data[start + 2] > 0 and data[start + 5] <= 2
    return 16 < record <= LONGEST_RECORD


@kernel
def looks_like_old_hello(data: Bytes, start: int, stop: int) -> bool:
    """A ClientHello in the form of SSL 2 that offers SSL 3 or TLS."""
    return (
        stop - start >= 11
        and data[start] & 0x80 != 0
        and data[start + 2] == CLIENT_HELLO
        and data[start + 3] == 3
        and data[start + 4] <= 3
        and (number16(data, start) & 0x7FFF) + 2 == stop - start
        and number16(data, start + 5) % 3 == 0
        and 9 + number16(data, start + 5) + number16(data, start + 7) + number16(data, start + 9) == stop - start - 2
    )


@kernel
def sniff_old_hello(data: Bytes, start: int, is_forward: bool, notes: Counts, out: Bytes) -> tuple[int, int]:
    length = put_app(out, 0, APP_TLS)
    length = put_number(out, length, TLS_VERSION, number16(data, start + 3), 2)
    notes[FLAGS] |= APP_WRITTEN | CLIENT_READ
    notes[SIDE] = FORWARD if is_forward else REVERSE
    notes[CLIENT_SIDE] = notes[SIDE]
    return MORE, length


@kernel
def sniff_tls(
    data: Bytes, start: int, stop: int, is_forward: bool, memory: Bytes, notes: Counts, out: Bytes
) -> tuple[int, int]:
    side = FORWARD if is_forward else REVERSE
    length = 0
    if notes[SIDE] == 0:
        notes[SIDE] = side
    elif notes[SIDE] != side:
        if not notes[FLAGS] & CLIENT_READ:
            # The other side answers, so the hello is as whole as it will get.
            length = _read_message(memory, True, notes, out, length)
            notes[FLAGS] |= CLIENT_READ
            notes[CLIENT_SIDE] = notes[SIDE]
        elif notes[CLIENT_SIDE] == side:
            return MORE, length
        _begin_collecting(notes, side)
    elif notes[CLIENT_SIDE] == side:
        return MORE, length

    ended = _collect(data, start, stop, memory, notes)
    have = int(notes[COLLECTED])
    if have < MESSAGE_HEADER:
        if ended and have == 0 and notes[FLAGS] & (APP_WRITTEN | INSIDE) == 0:
            length = put_app(out, length, APP_TLS)
            return DONE, length
        return (DONE if notes[FLAGS] & APP_WRITTEN else NOTHING) if ended else MORE, length
    kind = memory[0]
    if kind != CLIENT_HELLO and kind != SERVER_HELLO:
        return DONE if notes[FLAGS] & APP_WRITTEN else NOTHING, length
    whole = have >= MESSAGE_HEADER + number24(memory, 1)
    ended = ended or notes[PAYLOAD_CUT] != 0
    length = _read_message(memory, ended, notes, out, length)
    if not whole and not ended:
        return MORE, length
    if kind == SERVER_HELLO:
        notes[MEMORY_USED] = 0
        return DONE, length
    notes[FLAGS] |= CLIENT_READ
    notes[CLIENT_SIDE] = side
    _begin_collecting(notes, side)
    return MORE, length


@kernel
def _begin_collecting(notes: Counts, side: int) -> None:
    notes[SIDE] = side
    notes[COLLECTED] = 0
    notes[RECORD_LEFT] = 0
    notes[HEADER_COUNT] = 0
    notes[HEADER_VALUE] = 0
    notes[MEMORY_USED] = 0


@kernel
def _read_message(memory: Bytes, ended: bool, notes: Counts, out: Bytes, length: int) -> int:
    have = int(notes[COLLECTED])
    if have < MESSAGE_HEADER + 2 or memory[4] != 3:
        return length
    kind = memory[0]
    if notes[FLAGS] & (APP_WRITTEN | INSIDE) == 0 and kind in (CLIENT_HELLO, SERVER_HELLO):
        length = put_app(out, length, APP_TLS)
    notes[FLAGS] |= APP_WRITTEN
    if kind == CLIENT_HELLO:
        return read_client_hello(memory, have, OVER_TCP, ended, notes, out, length)
    if kind == SERVER_HELLO and (ended or have >= MESSAGE_HEADER + number24(memory, 1)):
        return read_server_hello(memory, have, out, length)
    return length


@kernel
def _collect(data: Bytes, start: int, stop: int, memory: Bytes, notes: Counts) -> bool:
    """Append the content of handshake records to `memory`, up to one whole message.

    Returns true where no more of the message can come: another kind of record, nonsense, or the memory is full.
    """
    at = start
    while at < stop:
        if notes[RECORD_LEFT] == 0:
            while notes[HEADER_COUNT] < RECORD_HEADER and at < stop:
                notes[HEADER_VALUE] = notes[HEADER_VALUE] << 8 | np.int64(data[at])
                notes[HEADER_COUNT] += 1
                at += 1
            if notes[HEADER_COUNT] < RECORD_HEADER:
                return False
            header = int(notes[HEADER_VALUE])
            notes[HEADER_COUNT] = 0
            notes[HEADER_VALUE] = 0
            size = header & 0xFFFF
            if header >> 32 != HANDSHAKE or (header >> 24) & 255 != 3 or size == 0 or size > LONGEST_RECORD:
                return True
            notes[RECORD_LEFT] = size
        have = int(notes[COLLECTED])
        count = min(int(notes[RECORD_LEFT]), stop - at, memory.size - have)
        if count <= 0:
            return at < stop
        copy_bytes(memory, have, data, at, count)
        at += count
        have += count
        notes[COLLECTED] = have
        notes[MEMORY_USED] = have
        notes[RECORD_LEFT] -= count
        if have >= MESSAGE_HEADER and have >= MESSAGE_HEADER + number24(memory, 1):
            return False
    return False
