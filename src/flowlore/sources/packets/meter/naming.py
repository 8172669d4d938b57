"""Names that the sniffer read → text columns of the flow table."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ....flows.arrays import chosen_words, plain_array
from ....flows.compiled import borrowing, prefetch
from ..layout import Bytes, Counts
from ..names.tags import (
    ALPN,
    APP_PROTOCOL,
    APP_PROTOCOLS,
    DHCP_HOSTNAME,
    DHCP_VENDOR,
    DNS_QUERY,
    DNS_QUERY_TYPE,
    DNS_RESPONSE_CODE,
    JA4,
    LOOKED_UP,
    NAME_ORIGINS,
    SERVER_NAME,
    SERVER_NAME_FROM,
    SSH_CLIENT,
    SSH_SERVER,
    TLS_VERSION,
    USER_AGENT,
)
from .chains import read_items
from .columns import ROWS_AHEAD
from .layout import MAX_NAMES_BYTES, NAMES_BLOCK, Tables

TAGS = 17
TEXT = {
    "server_name": SERVER_NAME,
    "alpn": ALPN,
    "ja4": JA4,
    "user_agent": USER_AGENT,
    "dns_query": DNS_QUERY,
    "ssh_client": SSH_CLIENT,
    "ssh_server": SSH_SERVER,
    "dhcp_hostname": DHCP_HOSTNAME,
    "dhcp_vendor": DHCP_VENDOR,
}
TLS_VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
DTLS_VERSIONS = {0xFEFF: "DTLS 1.0", 0xFEFD: "DTLS 1.2", 0xFEFC: "DTLS 1.3"}
FROM_DNS = NAME_ORIGINS.index("dns")


def name_columns(tables: Tables, slots: Counts) -> dict[str, Any]:
    """The entity columns of the flows in `slots`. A server without a name of its own has the one that DNS gave."""
    lengths = tables.flows["names_bytes"][slots].astype(np.int64)
    starts = np.zeros(len(slots) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    items = np.empty(int(starts[-1]) + MAX_NAMES_BYTES, np.uint8)
    places = np.full((TAGS, len(slots)), -1, np.int64)  # where the last item of each tag begins
    sizes = np.zeros((TAGS, len(slots)), np.int32)
    _find_items(tables, slots, starts, items, places, sizes)
    is_looked_up = (places[SERVER_NAME] < 0) & (places[LOOKED_UP] >= 0)
    for of_tag in (places, sizes):
        of_tag[SERVER_NAME][is_looked_up] = of_tag[LOOKED_UP][is_looked_up]
    known: dict[str, Any] = {name: _text(items, places[tag], sizes[tag]) for name, tag in TEXT.items()}
    origin = np.where(is_looked_up, FROM_DNS, _number(items, places[SERVER_NAME_FROM], 1))
    known["server_name_from"] = _word(origin, places[SERVER_NAME] < 0, NAME_ORIGINS)
    known["app_protocol"] = _word(_number(items, places[APP_PROTOCOL], 1), places[APP_PROTOCOL] < 0, APP_PROTOCOLS)
    known["tls_version"] = _versions(_number(items, places[TLS_VERSION], 2), places[TLS_VERSION] < 0)
    known["dns_query_type"] = plain_array(
        _number(items, places[DNS_QUERY_TYPE], 2).astype(np.uint16), is_null=places[DNS_QUERY_TYPE] < 0
    )
    known["dns_response_code"] = plain_array(
        _number(items, places[DNS_RESPONSE_CODE], 1).astype(np.uint8), is_null=places[DNS_RESPONSE_CODE] < 0
    )
    return known


@borrowing
def _find_items(
    tables: Tables,
    slots: Counts,
    starts: Counts,
    items: Bytes,
    places: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int32],
) -> None:
    """Lay the names of all flows one after the other and note where the last item of each tag is."""
    for row in range(len(slots)):
        if row + ROWS_AHEAD < len(slots):
            prefetch(tables.names, np.int64(tables.flows[slots[row + ROWS_AHEAD]].names_first) * NAMES_BLOCK)
        start = starts[row]
        if starts[row + 1] == start:
            continue
        stop = start + read_items(tables, tables.flows[slots[row]], items[start:])
        while start + 3 <= stop:
            tag = items[start]
            size = np.int64(items[start + 1]) + (np.int64(items[start + 2]) << 8)
            if tag < len(places) and start + 3 + size <= stop:
                places[tag, row] = start + 3
                sizes[tag, row] = size
            start += 3 + size


@borrowing
def _measure_text(
    places: Counts,
    sizes: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int32],
    bitmap: Bytes,
) -> int:
    """Where the text of each row begins and which rows have one; how many have."""
    total = np.int64(0)
    present = 0
    for row in range(len(places)):
        offsets[row] = total
        if places[row] >= 0:
            total += np.int64(sizes[row])
            bitmap[row >> 3] |= np.uint8(1 << (row & 7))
            present += 1
    offsets[len(places)] = total
    return present


@borrowing
def _copy_text(items: Bytes, places: Counts, offsets: npt.NDArray[np.int32], out: Bytes) -> None:
    for row in range(len(places)):
        start = np.int64(offsets[row])
        size = np.int64(offsets[row + 1]) - start
        if places[row] >= 0:
            for byte in range(size):
                out[start + byte] = items[places[row] + byte]


@borrowing
def _read_numbers(items: Bytes, places: Counts, width: int, out: Counts) -> None:
    for row in range(len(places)):
        value = np.int64(0)
        if places[row] >= 0:
            for byte in range(width):
                value = (value << 8) | np.int64(items[places[row] + byte])
        out[row] = value


def _text(items: Bytes, places: Counts, sizes: npt.NDArray[np.int32]) -> pa.Array:
    rows = len(places)
    offsets = np.empty(rows + 1, np.int32)
    bitmap = np.zeros((rows + 7) // 8, np.uint8)
    present = _measure_text(places, sizes, offsets, bitmap)
    if not present:
        return pa.nulls(rows, pa.string())
    data = np.empty(int(offsets[-1]), np.uint8)
    _copy_text(items, places, offsets, data)
    validity = pa.py_buffer(bitmap) if present < rows else None
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(data), validity)


def _number(items: Bytes, places: Counts, width: int) -> Counts:
    """A big-endian number of `width` bytes at each place; 0 where there is none."""
    numbers = np.empty(len(places), np.int64)
    _read_numbers(items, places, width, numbers)
    return numbers


def _word(numbers: npt.NDArray[np.int64], absent: npt.NDArray[np.bool_], words: tuple[str, ...]) -> pa.Array:
    is_null = absent | (numbers >= len(words)) | (numbers == 0)
    return chosen_words(np.where(is_null, 0, numbers), words, is_null)


def _versions(numbers: npt.NDArray[np.int64], absent: npt.NDArray[np.bool_]) -> pa.Array:
    known = TLS_VERSIONS | DTLS_VERSIONS
    codes = np.array(sorted(known))
    at = np.minimum(np.searchsorted(codes, numbers), len(codes) - 1)
    is_null = absent | (codes[at] != numbers)
    return chosen_words(at, [known[int(code)] for code in codes], is_null)
