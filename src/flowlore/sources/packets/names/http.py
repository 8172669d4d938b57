"""HTTP/1 and its look-alikes (RTSP, SIP, SSDP): the request's host and user agent, over any segments."""

import numpy as np

from ....flows.compiled import kernel
from ..layout import Bytes, Counts
from .bytes import copy_bytes
from .items import put_app, put_server_name, put_text
from .notes import (
    AGENT_WRITTEN,
    CLIENT_READ,
    COLLECTED,
    FLAGS,
    FORWARD,
    HOST_WRITTEN,
    INSIDE,
    MEMORY_USED,
    REVERSE,
    SIDE,
)
from .tags import APP_PROTOCOLS, DONE, MORE, USER_AGENT

APP_HTTP = APP_PROTOCOLS.index("http")
FROM_HTTP = 3

# Kinds of first line.
NO_LINE = 0
HTTP_REQUEST = 1
HTTP_RESPONSE = 2
RTSP = 3
SIP = 4

LONGEST_METHOD = 20
LONGEST_KEPT_LINE = 1024  # of a line over several segments; longer ones hold neither host nor user agent
NEWLINE = 10
SPACE = 32
METHODS = np.frombuffer(
    b" GET POST HEAD PUT DELETE OPTIONS PATCH CONNECT TRACE PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT"
    b" SEARCH SUBSCRIBE UNSUBSCRIBE NOTIFY PURGE RPC_IN_DATA RPC_OUT_DATA BITS_POST CCM_POST ",
    dtype=np.uint8,
).copy()
HTTP_MARK = np.frombuffer(b"HTTP/", dtype=np.uint8).copy()
RTSP_MARK = np.frombuffer(b"RTSP/1.", dtype=np.uint8).copy()
SIP_MARK = np.frombuffer(b"SIP/2.0", dtype=np.uint8).copy()
RTSP_SCHEME = np.frombuffer(b"rtsp:", dtype=np.uint8).copy()
SIP_SCHEME = np.frombuffer(b"sip:", dtype=np.uint8).copy()
WEB_SCHEME = np.frombuffer(b"http", dtype=np.uint8).copy()
CONNECT_MARK = np.frombuffer(b"CONNECT ", dtype=np.uint8).copy()
HOST_FIELD = np.frombuffer(b"host:", dtype=np.uint8).copy()
AGENT_FIELD = np.frombuffer(b"user-agent:", dtype=np.uint8).copy()


@kernel
def kind_of_first_line(data: Bytes, start: int, stop: int) -> int:
    if stop - start < 5 or not 65 <= data[start] <= 90 or (not 65 <= data[start + 1] <= 90 and data[start + 1] != 45):
        return NO_LINE
    if begins_with(data, start, stop, HTTP_MARK):
        return HTTP_RESPONSE
    if begins_with(data, start, stop, RTSP_MARK):
        return RTSP
    if begins_with(data, start, stop, SIP_MARK):
        return SIP
    space = start + 2
    while space < stop and space - start <= LONGEST_METHOD and data[space] != SPACE:
        if not (65 <= data[space] <= 90 or data[space] == 45 or data[space] == 95):
            return NO_LINE
        space += 1
    if space >= stop or data[space] != SPACE:
        return NO_LINE
    end = find_newline(data, space, stop)
    if end < stop:
        if end > space and data[end - 1] == 13:
            end -= 1
        word = end
        while word > space and data[word - 1] != SPACE:
            word -= 1
        if begins_with(data, word, end, HTTP_MARK):
            return HTTP_REQUEST
        if begins_with(data, word, end, RTSP_MARK):
            return RTSP
        return SIP if begins_with(data, word, end, SIP_MARK) else NO_LINE
    if begins_with(data, space + 1, stop, RTSP_SCHEME):
        return RTSP
    if begins_with(data, space + 1, stop, SIP_SCHEME):
        return SIP
    if not _is_known_method(data, start, space):
        return NO_LINE
    plausible = (
        space + 1 == stop
        or data[space + 1] == 47
        or begins_with(data, space + 1, stop, WEB_SCHEME)
        or begins_with(data, start, stop, CONNECT_MARK)
    )
    return HTTP_REQUEST if plausible else NO_LINE


@kernel
def sniff_http(
    data: Bytes, start: int, stop: int, is_forward: bool, memory: Bytes, notes: Counts, out: Bytes
) -> tuple[int, int]:
    """Read a request's lines as they come; a request that opens a tunnel leaves the flow open for the TLS inside."""
    side = FORWARD if is_forward else REVERSE
    length = 0
    if notes[FLAGS] & CLIENT_READ == 0:
        if notes[SIDE] == 0:
            kind = kind_of_first_line(data, start, stop)
            if notes[FLAGS] & HOST_WRITTEN == 0 and kind != NO_LINE:
                length = put_app(out, length, APP_HTTP)
            if kind != HTTP_REQUEST:
                return MORE, length
            notes[SIDE] = side
            if begins_with(data, start, stop, CONNECT_MARK):
                notes[FLAGS] |= INSIDE
                length = _put_authority(data, start + CONNECT_MARK.size, stop, notes, out, length)
        if notes[SIDE] == side:
            length = _read_segment(data, start, stop, memory, notes, out, length)
        else:
            notes[FLAGS] |= CLIENT_READ
    if notes[FLAGS] & INSIDE:
        return MORE, length
    both = HOST_WRITTEN | AGENT_WRITTEN
    finished = notes[FLAGS] & CLIENT_READ != 0 or notes[FLAGS] & both == both
    return DONE if finished else MORE, length


@kernel
def read_lines(data: Bytes, start: int, stop: int, notes: Counts, out: Bytes, length: int) -> tuple[int, int]:
    """Read whole header lines; return where the unfinished last one begins, and the new length of the items."""
    at = start
    while at < stop and notes[FLAGS] & CLIENT_READ == 0:
        end = find_newline(data, at, stop)
        if end == stop:
            break
        length = _read_line(data, at, end, notes, out, length)
        at = end + 1
    return at, length


@kernel
def begins_with(data: Bytes, start: int, stop: int, mark: Bytes) -> bool:
    if stop - start < mark.size:
        return False
    step = 0
    while step < mark.size and data[start + step] == mark[step]:
        step += 1
    return step == mark.size


@kernel
def begins_with_word(data: Bytes, start: int, stop: int, mark: Bytes) -> bool:
    """Like `begins_with`, whatever the case of the data's letters; `mark` is in lower case."""
    if stop - start < mark.size:
        return False
    for step in range(mark.size):
        value = data[start + step]
        if value != mark[step] and not (65 <= value <= 90 and value + 32 == mark[step]):
            return False
    return True


@kernel
def find_newline(data: Bytes, start: int, stop: int) -> int:
    at = start
    while at < stop and data[at] != NEWLINE:
        at += 1
    return at


@kernel
def _is_known_method(data: Bytes, start: int, space: int) -> bool:
    size = space - start
    for place in range(METHODS.size - size - 1):
        if METHODS[place] != SPACE or METHODS[place + size + 1] != SPACE:
            continue
        step = 0
        while step < size and METHODS[place + 1 + step] == data[start + step]:
            step += 1
        if step == size:
            return True
    return False


@kernel
def _read_segment(data: Bytes, start: int, stop: int, memory: Bytes, notes: Counts, out: Bytes, length: int) -> int:
    """Lines within the segment are read in place; one that crosses segments is put together in `memory`."""
    at = start
    if notes[COLLECTED] > 0:
        end = find_newline(data, start, stop)
        _keep(data, start, end, memory, notes)
        if end == stop:
            return length
        length = _read_line(memory, 0, int(notes[COLLECTED]), notes, out, length)
        notes[COLLECTED] = 0
        notes[MEMORY_USED] = 0
        at = end + 1
    at, length = read_lines(data, at, stop, notes, out, length)
    if notes[FLAGS] & CLIENT_READ == 0:
        _keep(data, at, stop, memory, notes)
    return length


@kernel
def _keep(data: Bytes, start: int, stop: int, memory: Bytes, notes: Counts) -> None:
    have = int(notes[COLLECTED])
    count = min(stop - start, LONGEST_KEPT_LINE - have)
    copy_bytes(memory, have, data, start, count)
    if count > 0:
        notes[COLLECTED] = have + count
        notes[MEMORY_USED] = have + count


@kernel
def _read_line(data: Bytes, start: int, stop: int, notes: Counts, out: Bytes, length: int) -> int:
    """Read one line without its newline; an empty one ends the headers."""
    if stop > start and data[stop - 1] == 13:
        stop -= 1
    if stop == start:
        notes[FLAGS] |= CLIENT_READ
        return length
    first = data[start]
    if (first == 72 or first == 104) and begins_with_word(data, start, stop, HOST_FIELD):
        return _put_host(data, start + HOST_FIELD.size, stop, notes, out, length)
    if (first == 85 or first == 117) and begins_with_word(data, start, stop, AGENT_FIELD):
        if notes[FLAGS] & AGENT_WRITTEN:
            return length
        notes[FLAGS] |= AGENT_WRITTEN
        at = start + AGENT_FIELD.size
        while at < stop and (data[at] == SPACE or data[at] == 9):
            at += 1
        while stop > at and (data[stop - 1] == SPACE or data[stop - 1] == 9):
            stop -= 1
        return put_text(out, length, USER_AGENT, data, at, stop, False)
    return length


@kernel
def _put_authority(data: Bytes, start: int, stop: int, notes: Counts, out: Bytes, length: int) -> int:
    """The host of a CONNECT line, if the line is whole."""
    end = start
    while end < stop and data[end] != SPACE and data[end] != NEWLINE:
        end += 1
    return length if end == stop else _put_host(data, start, end, notes, out, length)


@kernel
def _put_host(data: Bytes, start: int, stop: int, notes: Counts, out: Bytes, length: int) -> int:
    """A host without its port and without the brackets of an IPv6 address."""
    while start < stop and (data[start] == SPACE or data[start] == 9):
        start += 1
    while stop > start and (data[stop - 1] == SPACE or data[stop - 1] == 9):
        stop -= 1
    if notes[FLAGS] & HOST_WRITTEN or start == stop:
        return length
    colon = stop
    while colon > start and 48 <= data[colon - 1] <= 57:
        colon -= 1
    if colon > start and data[colon - 1] == 58:
        stop = colon - 1
    if stop - start > 2 and data[start] == 91 and data[stop - 1] == 93:
        start += 1
        stop -= 1
    notes[FLAGS] |= HOST_WRITTEN
    return put_server_name(out, length, data, start, stop, FROM_HTTP)
