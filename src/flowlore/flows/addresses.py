"""Addresses as text ↔ addresses as bytes: IPv4 and IPv6 (IPv4 mapped into IPv6), MAC, and plain hexadecimal.

Millions a second over Arrow's own buffers, and exactly what Python's `ipaddress` says.
"""

import ipaddress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import QueryError
from .compiled import borrowing, kernel, room

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.int64]

IP_BYTES = 16
MAC_BYTES = 6
LONGEST_IP_TEXT = 39
LONGEST_MAC_TEXT = 17


def parse_addresses(text: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, Flags]:
    """Text → 16-byte addresses, and which rows are no address. Bad rows and nulls become null; a null is not bad.

    The zone of a link-local address (`fe80::1%eth0`) is left out.
    """
    data, offsets, present = _text_buffers(text)
    addresses = np.zeros((len(present), IP_BYTES), np.uint8)
    good = np.zeros(len(present), np.bool_)
    _parse_addresses(data, offsets, present, addresses, good)
    return _binary_array(addresses, good), present & ~good


def format_addresses(addresses: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """16-byte addresses → text: dotted quads for mapped IPv4, else IPv6 as RFC 5952 wants it. Nulls stay null."""
    return _format(addresses, IP_BYTES, LONGEST_IP_TEXT, _format_addresses)


def parse_macs(text: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, Flags]:
    """Text → 6-byte MAC addresses, and which rows are none: twelve digits with `:`, `-` or `.` at any byte, or none."""
    return _parse_hexadecimal_array(text, MAC_BYTES, separators=True)


def format_macs(macs: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """6-byte MAC addresses → `00:11:22:aa:bb:cc`."""
    return _format(macs, MAC_BYTES, LONGEST_MAC_TEXT, _format_macs)


def parse_hexadecimal(text: pa.Array | pa.ChunkedArray, width_bytes: int) -> tuple[pa.Array, Flags]:
    """Hexadecimal text (a `flow_id`) → bytes of one width, and which rows are not of that form."""
    return _parse_hexadecimal_array(text, width_bytes, separators=False)


def format_hexadecimal(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Bytes of one width (a `flow_id`; 16 where the type does not say) → lower-case hexadecimal text."""
    width_bytes = values.type.byte_width if pa.types.is_fixed_size_binary(values.type) else IP_BYTES
    return _format(values, width_bytes, 2 * width_bytes, _format_hexadecimal)


def host_text(name: str) -> str:
    """A host as tables show it: an address in the one form that we write, any other name as it is.

    >>> [host_text(one) for one in ("FD00:0:0::1", "::ffff:10.0.0.7", " 10.0.0.7", "printer")]
    ['fd00::1', '10.0.0.7', '10.0.0.7', 'printer']
    """
    address = format_addresses(parse_addresses(pa.array([name.strip()]))[0])[0].as_py()
    return name if address is None else str(address)


def prefix_range(prefix: str) -> tuple[bytes, bytes]:
    """The first and the last 16-byte address of a prefix; a lone address is a prefix of one. Host bits are ignored.

    >>> [end.hex() for end in prefix_range("10.0.0.0/8")]
    ['00000000000000000000ffff0a000000', '00000000000000000000ffff0affffff']
    """
    try:
        network = ipaddress.ip_network(prefix.strip(), strict=False)
    except ValueError as error:
        raise QueryError(
            f"prefix: `{prefix}` is not an IPv4 or IPv6 prefix",
            hint="write it as `10.0.0.0/8` or `2001:db8::/32`",
        ) from error
    return address_bytes(network[0]), address_bytes(network[-1])


def address_bytes(address: str | ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    """One address as 16 bytes; `ValueError` where the text is none."""
    known = ipaddress.ip_address(address)
    return known.packed if known.version == 6 else b"\0" * 10 + b"\xff\xff" + known.packed


def _text_buffers(text: pa.Array | pa.ChunkedArray) -> tuple[Bytes, Offsets, Flags]:
    """Characters, where each row begins (one more than rows), and which rows are not null."""
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
        if isinstance(text, pa.ChunkedArray):  # what is left where one chunk cannot hold all
            text = text.cast(pa.large_string()).combine_chunks()
    if isinstance(text, pa.DictionaryArray) or pa.types.is_string_view(text.type) or pa.types.is_null(text.type):
        text = text.cast(pa.string())
    rows = len(text)
    _, starts, characters = text.buffers()
    width = np.int64 if pa.types.is_large_string(text.type) else np.int32
    if rows:
        offsets = np.frombuffer(starts, width)[text.offset : text.offset + rows + 1].astype(np.int64)
    else:
        offsets = np.zeros(1, np.int64)
    return _readable(characters), offsets, _present(text)


def _readable(buffer: Any) -> Bytes:
    """Bytes of an Arrow buffer. Always read-only, so that each kernel is compiled once."""
    view = np.zeros(0, np.uint8) if buffer is None or not buffer.size else np.frombuffer(buffer, np.uint8)
    view.flags.writeable = False
    return view


def _present(array: pa.Array) -> Flags:
    if not array.null_count:
        return np.ones(len(array), np.bool_)
    return np.ascontiguousarray(array.is_valid().to_numpy(zero_copy_only=False))


def _binary_array(values: Bytes, good: Flags) -> pa.Array:
    validity = None if good.all() else pa.py_buffer(np.packbits(good, bitorder="little"))
    return pa.Array.from_buffers(pa.binary(values.shape[1]), len(values), [validity, pa.py_buffer(values)])


def _format(array: pa.Array | pa.ChunkedArray, width_bytes: int, longest: int, kernel: Any) -> Any:
    if isinstance(array, pa.ChunkedArray):
        return pa.chunked_array([_format(chunk, width_bytes, longest, kernel) for chunk in array.chunks], pa.string())
    if not pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.binary(width_bytes))
    rows = len(array)
    values = _readable(array.buffers()[1])[array.offset * width_bytes : (array.offset + rows) * width_bytes]
    text = np.empty(rows * longest, np.uint8)
    offsets = np.zeros(rows + 1, np.int32)
    present = _present(array)
    if rows * longest > np.iinfo(np.int32).max:
        raise ValueError(f"{rows:,} rows of text do not fit into one array: give chunks")
    kernel(values, present, text, offsets)
    validity = None if not array.null_count else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(
        pa.string(), rows, [validity, pa.py_buffer(offsets), pa.py_buffer(text[: offsets[-1]])], array.null_count
    )


def _parse_hexadecimal_array(
    text: pa.Array | pa.ChunkedArray, width_bytes: int, *, separators: bool
) -> tuple[pa.Array, Flags]:
    data, offsets, present = _text_buffers(text)
    values = np.zeros((len(present), width_bytes), np.uint8)
    good = np.zeros(len(present), np.bool_)
    _parse_hexadecimal(data, offsets, present, separators, values, good)
    return _binary_array(values, good), present & ~good


@borrowing
def _parse_addresses(data: Bytes, offsets: Offsets, present: Flags, addresses: Bytes, good: Flags) -> None:
    for row in range(present.size):
        begin, end = offsets[row], offsets[row + 1]
        if not present[row] or begin < 0 or end > data.size:
            continue
        is_ipv6 = False
        for at in range(begin, min(end, begin + 5)):
            if data[at] == 58:  # ":"
                is_ipv6 = True
        address = addresses[row]
        if is_ipv6:
            good[row] = _parse_ipv6(data, begin, end, address)
        else:
            address[10] = address[11] = 255
            good[row] = _parse_ipv4(data, begin, end, address)
        if not good[row]:
            address[:] = 0


@kernel
def _parse_ipv4(data: Bytes, begin: int, end: int, address: Bytes) -> bool:
    """Four decimal numbers into bytes 12 to 15. A leading zero is no number: some read it as octal."""
    at = begin
    for part in range(4):
        value, digits = 0, 0
        while at < end and digits < 4 and 48 <= data[at] <= 57:
            value = value * 10 + _digit(data[at])
            at += 1
            digits += 1
        if digits == 0 or digits > 3 or value > 255 or (digits > 1 and data[at - digits] == 48):
            return False
        address[12 + part] = value
        if part < 3:
            if at >= end or data[at] != 46:  # "."
                return False
            at += 1
    return at == end


@kernel
def _parse_ipv6(data: Bytes, begin: int, end: int, address: Bytes) -> bool:
    """Groups before `::` are written from the left, groups after it from its place and then moved to the right."""
    for at in range(begin, end):
        if data[at] == 37:  # "%": a zone, which must not be empty nor hold another
            for later in range(at + 1, end):
                if data[later] == 37:
                    return False
            if at + 1 == end:
                return False
            end = at
            break
    at = begin
    filled, gap = 0, -1  # bytes written, and where `::` stood among them
    if at + 1 < end and data[at] == 58 and data[at + 1] == 58:
        gap = 0
        at += 2
    while at < end:
        value, digits, group = 0, 0, at
        while at < end and digits < 5:
            digit = _digit(data[at])
            if digit < 0:
                break
            value = value * 16 + digit
            digits += 1
            at += 1
        if at < end and data[at] == 46:  # ".": the last four bytes are a dotted quad
            if filled > 12:
                return False
            quad = room(16, np.uint8)
            if not _parse_ipv4(data, group, end, quad):
                return False
            for byte in range(4):
                address[filled + byte] = quad[12 + byte]
            filled += 4
            at = end
            break
        if digits == 0 or digits > 4 or filled > 14:
            return False
        address[filled] = value >> 8
        address[filled + 1] = value & 255
        filled += 2
        if at == end:
            break
        if data[at] != 58 or at + 1 == end:
            return False
        at += 1
        if data[at] == 58:
            if gap >= 0:
                return False
            gap = filled
            at += 1
    if gap < 0:
        return filled == 16
    if filled > 14:
        return False
    moved = filled - gap
    for back in range(1, moved + 1):
        address[16 - back] = address[filled - back]
        address[filled - back] = 0
    return True


@kernel
def _digit(character: int) -> int:
    """Value of a hexadecimal digit, -1 for anything else."""
    if 48 <= character <= 57:
        return character - 48
    if 97 <= character <= 102:
        return character - 87
    if 65 <= character <= 70:
        return character - 55
    return -1


@borrowing
def _parse_hexadecimal(
    data: Bytes, offsets: Offsets, present: Flags, separators: bool, values: Bytes, good: Flags
) -> None:
    width = values.shape[1]
    for row in range(present.size):
        at, end = offsets[row], offsets[row + 1]
        if not present[row] or at < 0 or end > data.size:
            continue
        filled = 0
        while filled < width and at + 1 < end:
            high, low = _digit(data[at]), _digit(data[at + 1])
            if high < 0 or low < 0:
                break
            values[row, filled] = (high << 4) | low
            filled += 1
            at += 2
            if separators and filled < width and at < end and (45 <= data[at] <= 46 or data[at] == 58):
                at += 1
        good[row] = filled == width and at == end
        if not good[row]:
            values[row, :] = 0


@borrowing
def _format_addresses(values: Bytes, present: Flags, text: Bytes, offsets: npt.NDArray[np.int32]) -> None:
    at = 0
    for row in range(present.size):
        if present[row] and (row + 1) * 16 <= values.size:
            begin = row * 16
            mapped = values[begin + 10] == 255 and values[begin + 11] == 255
            for index in range(10):
                mapped = mapped and values[begin + index] == 0
            at = _format_ipv4(values, begin + 12, text, at) if mapped else _format_ipv6(values, begin, text, at)
        offsets[row + 1] = at


@kernel
def _format_ipv4(values: Bytes, begin: int, text: Bytes, at: int) -> int:
    for part in range(4):
        value = np.int64(values[begin + part])
        if value >= 100:
            text[at] = 48 + value // 100
            at += 1
        if value >= 10:
            text[at] = 48 + value // 10 % 10
            at += 1
        text[at] = 48 + value % 10
        at += 1
        if part < 3:
            text[at] = 46
            at += 1
    return at


@kernel
def _format_ipv6(values: Bytes, begin: int, text: Bytes, at: int) -> int:
    gap, gap_groups = -1, 1  # the first of the longest runs of at least two zero groups
    run = 0
    for group in range(8):
        if values[begin + 2 * group] == 0 and values[begin + 2 * group + 1] == 0:
            run += 1
            if run > gap_groups:
                gap, gap_groups = group + 1 - run, run
        else:
            run = 0
    group = 0
    while group < 8:
        if group == gap:
            text[at] = text[at + 1] = 58
            at += 2
            group += gap_groups
            continue
        if group > 0 and (gap < 0 or group != gap + gap_groups):
            text[at] = 58
            at += 1
        value = (np.int64(values[begin + 2 * group]) << 8) | np.int64(values[begin + 2 * group + 1])
        started = False
        for shift in (12, 8, 4, 0):
            digit = (value >> shift) & 15
            if digit > 0 or started or shift == 0:
                started = True
                text[at] = 48 + digit if digit < 10 else 87 + digit
                at += 1
        group += 1
    return at


@borrowing
def _format_macs(values: Bytes, present: Flags, text: Bytes, offsets: npt.NDArray[np.int32]) -> None:
    at = 0
    for row in range(present.size):
        if present[row] and (row + 1) * 6 <= values.size:
            for index in range(6):
                if index > 0:
                    text[at] = 58
                    at += 1
                at = _format_byte(values[row * 6 + index], text, at)
        offsets[row + 1] = at


@borrowing
def _format_hexadecimal(values: Bytes, present: Flags, text: Bytes, offsets: npt.NDArray[np.int32]) -> None:
    at = 0
    width = values.size // max(present.size, 1)
    for row in range(present.size):
        if present[row]:
            for index in range(width):
                at = _format_byte(values[row * width + index], text, at)
        offsets[row + 1] = at


@kernel
def _format_byte(value: int, text: Bytes, at: int) -> int:
    for digit in (np.int64(value) >> 4, np.int64(value) & 15):
        text[at] = 48 + digit if digit < 10 else 87 + digit
        at += 1
    return at
