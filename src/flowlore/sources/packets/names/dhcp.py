"""DHCP for IPv4 and IPv6: the name and the kind that a machine gives itself when it asks for an address."""

import numpy as np

from ....flows.compiled import kernel, room
from ..layout import Bytes
from .bytes import copy_bytes, number8, number16, number32
from .dns import LONGEST_NAME, NAME_ROOM
from .items import put_app, put_text
from .tags import APP_PROTOCOLS, DHCP_HOSTNAME, DHCP_VENDOR, DONE, MORE, NOTHING

APP_DHCP = APP_PROTOCOLS.index("dhcp")
COOKIE = 0x63825363
OPTIONS = 240  # where options begin
OPTION_HOSTNAME = 12
OPTION_VENDOR = 60
OPTION_FULL_NAME = 81
OPTION6_VENDOR = 16
OPTION6_FULL_NAME = 39


@kernel
def sniff_dhcp(data: Bytes, start: int, stop: int, out: Bytes) -> tuple[int, int]:
    """Options 12 and 60; 81 where 12 is absent."""
    if stop - start < OPTIONS or data[start] < 1 or data[start] > 2 or number32(data, start + 236) != COOKIE:
        return NOTHING, 0
    length = put_app(out, 0, APP_DHCP)
    has_name = False
    full_start = 0
    full_stop = 0
    at = start + OPTIONS
    while at < stop and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        if at + 2 > stop:
            break
        kind = data[at]
        value = at + 2
        end = value + number8(data, at + 1)
        if end > stop:
            break
        at = end
        if kind in (OPTION_HOSTNAME, OPTION_VENDOR):
            # Some clients count a closing zero.
            while end > value and data[end - 1] == 0:
                end -= 1
        if kind == OPTION_HOSTNAME and not has_name:
            has_name = end > value
            length = put_text(out, length, DHCP_HOSTNAME, data, value, end, False)
        elif kind == OPTION_VENDOR:
            length = put_text(out, length, DHCP_VENDOR, data, value, end, False)
        elif kind == OPTION_FULL_NAME and end - value > 3:
            full_start = value
            full_stop = end
    if not has_name and full_stop > 0:
        is_wire_form = data[full_start] & 4 != 0
        after = length
        length = _put_full_name(data, full_start + 3, full_stop, is_wire_form, out, length)
        has_name = length > after
    return DONE if has_name else MORE, length


@kernel
def sniff_dhcp6(data: Bytes, start: int, stop: int, out: Bytes) -> tuple[int, int]:
    """Options 39 and 16 of messages between client and server; relayed ones are only recognised."""
    if stop - start < 8 or data[start] < 1 or data[start] > 13:
        return NOTHING, 0
    if data[start] >= 12:
        return (DONE, put_app(out, 0, APP_DHCP)) if stop - start >= 38 else (NOTHING, 0)
    # The options must fit each other to be believed.
    at = start + 4
    while at + 4 <= stop:
        at += 4 + number16(data, at + 2)
    if number16(data, start + 4) > 200 or number16(data, start + 6) > stop - start - 8:
        return NOTHING, 0
    length = put_app(out, 0, APP_DHCP)
    has_name = False
    at = start + 4
    while at + 4 <= stop:
        kind = number16(data, at)
        value = at + 4
        end = value + number16(data, at + 2)
        if end > stop:
            break
        at = end
        if kind == OPTION6_FULL_NAME and end - value > 1:
            after = length
            length = _put_full_name(data, value + 1, end, True, out, length)
            has_name = length > after
        elif kind == OPTION6_VENDOR and end - value > 6:
            size = number16(data, value + 4)
            length = put_text(out, length, DHCP_VENDOR, data, value + 6, min(end, value + 6 + size), False)
    return DONE if has_name else MORE, length


@kernel
def _put_full_name(data: Bytes, start: int, stop: int, is_wire_form: bool, out: Bytes, length: int) -> int:
    """A name in DNS form (it may lack its root, and holds no pointers that lead anywhere) or as plain text."""
    if not is_wire_form:
        return put_text(out, length, DHCP_HOSTNAME, data, start, stop, False)
    at = start
    size = 0
    name = room(NAME_ROOM, np.uint8)
    while at < stop and 0 < data[at] < 64:
        count = number8(data, at)
        if at + 1 + count > stop or size + count + 1 > LONGEST_NAME:
            return length
        if size > 0:
            name[size] = np.uint8(46)
            size += 1
        copy_bytes(name, size, data, at + 1, count)
        size += count
        at += 1 + count
    return put_text(out, length, DHCP_HOSTNAME, name, 0, size, False)
