"""Names on the wire: what the first payloads of a flow say about who is asked for, and by what."""

import numpy as np

from ....flows.compiled import borrowing, kernel
from ..layout import Bytes, Counts
from .dhcp import sniff_dhcp, sniff_dhcp6
from .dns import dns_app, sniff_dns, sniff_dns_stream
from .dtls import looks_like_dtls, sniff_dtls
from .gquic import find_old_hello, looks_like_gquic
from .http import (
    HTTP_REQUEST,
    HTTP_RESPONSE,
    NO_LINE,
    RTSP,
    SIP,
    kind_of_first_line,
    read_lines,
    sniff_http,
)
from .items import put_app
from .notes import (
    APP_WRITTEN,
    BANNER,
    CLIENT_READ,
    CLIENT_SIDE,
    COLLECTED,
    DHCP,
    DHCP6,
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
from .others import APP_RDP, APP_STUN, banner_app, datagram_app, stream_app
from .quic import APP_QUIC, looks_like_quic, sniff_quic
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


@borrowing
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
    `memory` between calls while `notes[MEMORY_USED]` is 0. Items are those found in this payload; the last of a tag
    wins.
    """
    if stop <= start:
        return MORE, 0
    from_port = int(np.int64(src_port))
    to_port = int(np.int64(dst_port))
    handler = int(notes[HANDLER])
    length = 0
    if handler == 0 or notes[FLAGS] & INSIDE or handler == STUN:
        if protocol == TCP:
            chosen, length = _choose_for_stream(data, start, stop, from_port, to_port, is_forward, notes, out)
        elif protocol == UDP:
            chosen, length = _choose_for_datagram(data, start, stop, from_port, to_port, notes, out)
        else:
            return NOTHING, 0
        if chosen <= 0:
            return -chosen, length
        handler = chosen
        notes[HANDLER] = handler
        if length > 0:
            return MORE, length
    if handler == TLS:
        return sniff_tls(data, start, stop, is_forward, memory, notes, out)
    if handler == HTTP:
        return sniff_http(data, start, stop, is_forward, memory, notes, out)
    if handler == DNS_UDP:
        return sniff_dns(data, start, stop, dns_app(from_port, to_port), notes, out)
    if handler == QUIC:
        return sniff_quic(data, start, stop, is_forward, memory, notes, out)
    if handler == SSH:
        return sniff_ssh(data, start, stop, from_port, to_port, is_forward, memory, notes, out)
    if handler == DHCP:
        return sniff_dhcp(data, start, stop, out)
    if handler == DHCP6:
        return sniff_dhcp6(data, start, stop, out)
    if handler == DNS_TCP:
        return sniff_dns_stream(data, start, stop, is_forward, memory, notes, out)
    if handler == DTLS:
        return sniff_dtls(data, start, stop, is_forward, memory, notes, out)
    return MORE, 0


@kernel
def _choose_for_stream(
    data: Bytes, start: int, stop: int, from_port: int, to_port: int, is_forward: bool, notes: Counts, out: Bytes
) -> tuple[int, int]:
    """Who reads this TCP flow: a handler, or a verdict with its sign turned; and the items already written."""
    first = data[start]
    if notes[FLAGS] & INSIDE:
        return _turn_to_tls(data, start, stop, notes), 0
    if 20 <= first <= 23 and looks_like_tls(data, start, stop):
        return TLS, 0
    if from_port == 53 or to_port == 53:
        return DNS_TCP, 0
    if 65 <= first <= 90:
        if (
            first == 83
            and stop - start > 4
            and data[start + 1] == 83
            and data[start + 2] == 72
            and data[start + 3] == 45
        ):
            return SSH, 0
        kind = kind_of_first_line(data, start, stop)
        if kind in (HTTP_REQUEST, HTTP_RESPONSE):
            return HTTP, 0
        if kind != NO_LINE:
            return -DONE, put_app(out, 0, APP_RTSP if kind == RTSP else APP_SIP)
    if first & 0x80 and looks_like_old_hello(data, start, stop):
        _, length = sniff_old_hello(data, start, is_forward, notes, out)
        return TLS, length
    app = stream_app(data, start, stop)
    if app != 0 and app != APP_RDP:
        return -DONE, put_app(out, 0, app)
    if app == 0:
        app = banner_app(data, start, stop, from_port, to_port)
    if app != 0:
        notes[FLAGS] |= INSIDE | APP_WRITTEN
        return BANNER, put_app(out, 0, app)
    return -NOTHING, 0


@kernel
def _turn_to_tls(data: Bytes, start: int, stop: int, notes: Counts) -> int:
    """TLS if it begins inside of what was recognised before, else the handler that reads the flow already."""
    handler = int(notes[HANDLER])
    if handler == TLS or data[start] != HANDSHAKE or not looks_like_tls(data, start, stop):
        return handler
    notes[FLAGS] &= ~CLIENT_READ
    notes[SIDE] = 0
    notes[CLIENT_SIDE] = 0
    notes[COLLECTED] = 0
    notes[MEMORY_USED] = 0
    return TLS


@kernel
def _choose_for_datagram(
    data: Bytes, start: int, stop: int, from_port: int, to_port: int, notes: Counts, out: Bytes
) -> tuple[int, int]:
    """Who reads this UDP flow, in the form of `_choose_for_stream`."""
    if looks_like_dtls(data, start, stop):
        return DTLS, 0
    if notes[HANDLER] == STUN:
        return STUN, 0
    if dns_app(from_port, to_port) != 0:
        return DNS_UDP, 0
    first = data[start]
    if first & 0xC0 == 0xC0 and looks_like_quic(data, start, stop):
        return QUIC, 0
    app = datagram_app(data, start, stop, from_port, to_port)
    if app == APP_STUN:
        return STUN, put_app(out, 0, app)
    if app != 0:
        return -DONE, put_app(out, 0, app)
    if from_port == 67 or to_port == 67 or from_port == 68 or to_port == 68:
        return DHCP, 0
    if 546 <= from_port <= 547 or 546 <= to_port <= 547:
        return DHCP6, 0
    if looks_like_gquic(data, start, stop):
        return -DONE, find_old_hello(data, start, stop, notes, out, put_app(out, 0, APP_QUIC))
    if 65 <= first <= 90:
        kind = kind_of_first_line(data, start, stop)
        if kind == SIP:
            return -DONE, put_app(out, 0, APP_SIP)
        if kind in (HTTP_REQUEST, HTTP_RESPONSE) and (from_port == 1900 or to_port == 1900):
            notes[FLAGS] |= HOST_WRITTEN  # the host of a multicast request is the group
            _, length = read_lines(data, start, stop, notes, out, put_app(out, 0, APP_SSDP))
            return -DONE, length
    return -NOTHING, 0
