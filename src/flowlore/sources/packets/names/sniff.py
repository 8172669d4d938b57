"""Names on the wire: what the first payloads of a flow say about who is asked for, and by what."""

from ....flows.compiled import compiled
from ..layout import Bytes, Counts
from .dhcp import sniff_dhcp, sniff_dhcp6
from .dns import dns_app, sniff_dns, sniff_dns_stream
from .http import HTTP_REQUEST, HTTP_RESPONSE, NO_LINE, RTSP, kind_of_first_line, read_lines, sniff_http
from .items import put_app
from .notes import (
    APP_WRITTEN,
    BANNER,
    CLIENT_READ,
    COLLECTED,
    DNS_TCP,
    DNS_UDP,
    DTLS,
    FLAGS,
    HANDLER,
    HOST_WRITTEN,
    HTTP,
    INSIDE,
    MEMORY_USED,
    QUIC,
    SIDE,
    SSH,
    STUN,
    TLS,
)
from .others import APP_STUN, banner_app, datagram_app, stream_app
from .ssh import sniff_ssh
from .tags import APP_PROTOCOLS, DONE, MORE, NOTHING
from .tls import HANDSHAKE, looks_like_old_hello, looks_like_tls, sniff_old_hello, sniff_tls

TCP = 6
UDP = 17
APP_RTSP = APP_PROTOCOLS.index("rtsp")
APP_SIP = APP_PROTOCOLS.index("sip")
APP_SSDP = APP_PROTOCOLS.index("ssdp")

MEMORY_BYTES = 8192
NOTES = 16
OUT_BYTES = 2048


@compiled
def sniff(
    data: Bytes,
    start: int,
    stop: int,
    protocol: int,
    src_port: int,
    dst_port: int,
    is_forward: bool,
    memory: Bytes,
    notes: Counts,
    out: Bytes,
) -> tuple[int, int]:
    """Read one payload of a flow; return a verdict of tags.py and how many bytes of items `out` now holds.

    `data[start:stop]` is the captured transport payload, `src_port` and `dst_port` are this packet's, `is_forward` says
    that the flow's source sent it. `memory` (8192 bytes) and `notes` (16 numbers, 0 before the first payload) belong to
    the flow until the verdict is no longer MORE. The caller may set `notes[PAYLOAD_CUT]` before the call, and may drop
    `memory` between calls while `notes[MEMORY_USED]` is 0. Items are those found in this payload; the last of a tag wins.
    """
    if stop <= start:
        return MORE, 0
    if protocol == TCP:
        return _sniff_stream(data, start, stop, int(src_port), int(dst_port), is_forward, memory, notes, out)
    if protocol == UDP:
        return _sniff_datagram(data, start, stop, int(src_port), int(dst_port), is_forward, memory, notes, out)
    return NOTHING, 0


@compiled
def _sniff_stream(
    data: Bytes,
    start: int,
    stop: int,
    from_port: int,
    to_port: int,
    is_forward: bool,
    memory: Bytes,
    notes: Counts,
    out: Bytes,
) -> tuple[int, int]:
    handler = notes[HANDLER]
    length = 0
    if handler == 0:
        handler, length = _choose_handler(data, start, stop, from_port, to_port, is_forward, notes, out)
        if handler <= 0:
            return -handler, length
        notes[HANDLER] = handler
        if length > 0:
            return MORE, length
    if notes[FLAGS] & INSIDE and handler != TLS and data[start] == HANDSHAKE and looks_like_tls(data, start, stop):
        handler = TLS
        notes[HANDLER] = TLS
        notes[FLAGS] &= ~CLIENT_READ
        notes[SIDE] = 0
        notes[COLLECTED] = 0
        notes[MEMORY_USED] = 0
    if handler == TLS:
        return sniff_tls(data, start, stop, is_forward, memory, notes, out)
    if handler == HTTP:
        return sniff_http(data, start, stop, is_forward, memory, notes, out)
    if handler == SSH:
        return sniff_ssh(data, start, stop, from_port, to_port, is_forward, memory, notes, out)
    if handler == DNS_TCP:
        return sniff_dns_stream(data, start, stop, is_forward, memory, notes, out)
    return MORE, 0


@compiled
def _choose_handler(
    data: Bytes, start: int, stop: int, from_port: int, to_port: int, is_forward: bool, notes: Counts, out: Bytes
) -> tuple[int, int]:
    """Who reads this TCP flow: a handler, or a verdict with its sign turned; and the items already written."""
    first = data[start]
    if 20 <= first <= 23 and looks_like_tls(data, start, stop):
        return TLS, 0
    if from_port == 53 or to_port == 53:
        return DNS_TCP, 0
    if 65 <= first <= 90:
        if first == 83 and stop - start > 4 and data[start + 1] == 83 and data[start + 2] == 72 and data[start + 3] == 45:
            return SSH, 0
        kind = kind_of_first_line(data, start, stop)
        if kind == HTTP_REQUEST or kind == HTTP_RESPONSE:
            return HTTP, 0
        if kind != NO_LINE:
            return -DONE, put_app(out, 0, APP_RTSP if kind == RTSP else APP_SIP)
    if first & 0x80 and looks_like_old_hello(data, start, stop):
        _, length = sniff_old_hello(data, start, is_forward, notes, out)
        return TLS, length
    app = stream_app(data, start, stop)
    if app != 0:
        return -DONE, put_app(out, 0, app)
    app = banner_app(data, start, stop, from_port, to_port)
    if app != 0:
        notes[FLAGS] |= INSIDE | APP_WRITTEN
        return BANNER, put_app(out, 0, app)
    return -NOTHING, 0


@compiled
def _sniff_datagram(
    data: Bytes,
    start: int,
    stop: int,
    from_port: int,
    to_port: int,
    is_forward: bool,
    memory: Bytes,
    notes: Counts,
    out: Bytes,
) -> tuple[int, int]:
    app = dns_app(from_port, to_port)
    if app != 0:
        return sniff_dns(data, start, stop, app, notes, out)
    app = datagram_app(data, start, stop, from_port, to_port)
    if app != 0:
        return DONE, put_app(out, 0, app)
    if from_port == 67 or to_port == 67 or from_port == 68 or to_port == 68:
        return sniff_dhcp(data, start, stop, out)
    if 546 <= from_port <= 547 or 546 <= to_port <= 547:
        return sniff_dhcp6(data, start, stop, out)
    first = data[start]
    if 65 <= first <= 90:
        kind = kind_of_first_line(data, start, stop)
        if kind == RTSP or kind == NO_LINE:
            return NOTHING, 0
        if kind != HTTP_REQUEST and kind != HTTP_RESPONSE:
            return DONE, put_app(out, 0, APP_SIP)
        if from_port == 1900 or to_port == 1900:
            notes[FLAGS] |= HOST_WRITTEN  # the host of a multicast request is the group
            _, length = read_lines(data, start, stop, notes, out, put_app(out, 0, APP_SSDP))
            return DONE, length
    return NOTHING, 0
