"""DTLS: handshake messages arrive as numbered pieces; the hello is put together from those that come in order."""

from ....flows.compiled import kernel
from ..layout import Bytes, Counts
from .bytes import copy_bytes, number16, number24
from .hello import CLIENT_HELLO, MESSAGE_HEADER, OVER_DATAGRAMS, SERVER_HELLO, read_client_hello, read_server_hello
from .items import put_app
from .notes import APP_WRITTEN, CLIENT_READ, COLLECTED, FLAGS, FORWARD, MEMORY_USED, REVERSE, SIDE
from .tags import APP_PROTOCOLS, DONE, MORE

APP_DTLS = APP_PROTOCOLS.index("dtls")
RECORD_HEADER = 13
PIECE_HEADER = 12
HANDSHAKE = 22
HELLO_VERIFY = 3


@kernel
def looks_like_dtls(data: Bytes, start: int, stop: int) -> bool:
    """A record of DTLS 1.0, 1.2 or the versions before and after, that fits into the datagram."""
    if stop - start < RECORD_HEADER + 1 or data[start] < 20 or data[start] > 23:
        return False
    version = number16(data, start + 1)
    known = version == 0xFEFF or version == 0xFEFD or version == 0x0100
    return known and 0 < number16(data, start + 11) <= stop - start - RECORD_HEADER


@kernel
def sniff_dtls(
    data: Bytes, start: int, stop: int, is_forward: bool, memory: Bytes, notes: Counts, out: Bytes
) -> tuple[int, int]:
    """Read the first ClientHello, then the version that the server chose."""
    length = 0
    if notes[FLAGS] & APP_WRITTEN == 0:
        notes[FLAGS] |= APP_WRITTEN
        length = put_app(out, length, APP_DTLS)
    if data[start] != HANDSHAKE:
        return DONE, length
    side = FORWARD if is_forward else REVERSE
    at = start
    while at + RECORD_HEADER + PIECE_HEADER <= stop and data[at] == HANDSHAKE:
        record_stop = min(stop, at + RECORD_HEADER + number16(data, at + 11))
        piece = at + RECORD_HEADER
        at = record_stop
        if piece + PIECE_HEADER > record_stop:
            break
        kind = data[piece]
        size = number24(data, piece + 1)
        offset = number24(data, piece + 6)
        count = number24(data, piece + 9)
        # An encrypted message has a number for its epoch and looks like anything.
        if (kind != CLIENT_HELLO and kind != SERVER_HELLO) or data[piece - RECORD_HEADER + 4] != 0:
            if kind != HELLO_VERIFY:
                return DONE, length
            continue
        if notes[FLAGS] & CLIENT_READ and kind == CLIENT_HELLO:
            continue
        if notes[SIDE] != side or offset == 0:
            notes[SIDE] = side
            notes[COLLECTED] = 0
        have = int(notes[COLLECTED])
        start_of_piece = piece + PIECE_HEADER
        copied = min(count, record_stop - start_of_piece, memory.size - MESSAGE_HEADER - offset)
        if offset != max(have - MESSAGE_HEADER, 0) or offset + count > size or copied < 0:
            continue
        if offset == 0:
            copy_bytes(memory, 0, data, piece, MESSAGE_HEADER)
        copy_bytes(memory, MESSAGE_HEADER + offset, data, start_of_piece, copied)
        have = MESSAGE_HEADER + offset + copied
        notes[COLLECTED] = have
        notes[MEMORY_USED] = have
        ended = copied < count
        if have < MESSAGE_HEADER + size and not ended:
            continue
        notes[COLLECTED] = 0
        notes[MEMORY_USED] = 0
        if kind == SERVER_HELLO:
            return DONE, read_server_hello(memory, have, out, length)
        notes[FLAGS] |= CLIENT_READ
        length = read_client_hello(memory, have, OVER_DATAGRAMS, ended, notes, out, length)
    return MORE, length
