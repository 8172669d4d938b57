"""Kernels that write copies of packets with other addresses and correct checksums."""

import numpy as np
from numba import njit


@njit(cache=True)
def write_copies(out, frames, starts, lengths, wires, ip_ats, versions, checksum_ats, order, times_us):  # type: ignore[no-untyped-def]
    """Write pcap records into `out` from byte 24 on. Place `order[i]` stands for copy `// packets` of `% packets`."""
    packets = len(starts)
    at = 24
    for i in range(len(order)):
        copy, n = order[i] // packets, order[i] % packets
        length = lengths[n]
        _put(out, at, times_us[i] // 1_000_000)
        _put(out, at + 4, times_us[i] % 1_000_000)
        _put(out, at + 8, length)
        _put(out, at + 12, wires[n])
        at += 16
        for j in range(length):
            out[at + j] = frames[starts[n] + j]
        if versions[n] != 0:
            _readdress(out, at, ip_ats[n], versions[n], checksum_ats[n], np.uint8(7 * copy % 256))
        at += length


@njit(cache=True)
def find_records(records):  # type: ignore[no-untyped-def]
    """Where each little-endian pcap record begins."""
    count, at = 0, 0
    while at < len(records):
        count += 1
        at += 16 + _get(records, at + 8)
    starts = np.empty(count, np.int64)
    at = 0
    for i in range(count):
        starts[i] = at
        at += 16 + _get(records, at + 8)
    return starts


@njit(cache=True)
def _readdress(out, at, ip_at, version, checksum_at, shift):  # type: ignore[no-untyped-def]
    ip = at + ip_at
    transport = at + checksum_at if checksum_at >= 0 else -1
    if transport >= 0 and version == 4 and out[ip + 9] == 17 and out[transport] == 0 and out[transport + 1] == 0:
        transport = -1  # a UDP checksum that was never computed
    for side in range(2):
        place = ip + 13 + 4 * side if version == 4 else ip + 13 + 16 * side
        old = np.int64(out[place - 1]) << 8 | out[place]
        out[place] = np.uint8((np.int64(out[place]) + shift) & 255)
        new = np.int64(out[place - 1]) << 8 | out[place]
        if version == 4:
            _correct(out, ip + 10, old, new)
        if transport >= 0:
            _correct(out, transport, old, new)


@njit(cache=True)
def _correct(out, place, old, new):  # type: ignore[no-untyped-def]
    """RFC 1624: the checksum after one 16-bit word changed."""
    total = (~(np.int64(out[place]) << 8 | out[place + 1]) & 0xFFFF) + (~old & 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    out[place], out[place + 1] = np.uint8(total >> 8), np.uint8(total & 255)


@njit(cache=True)
def _put(out, at, value):  # type: ignore[no-untyped-def]
    for i in range(4):
        out[at + i] = np.uint8((value >> (8 * i)) & 255)


@njit(cache=True)
def _get(data, at):  # type: ignore[no-untyped-def]
    return (
        np.int64(data[at]) | np.int64(data[at + 1]) << 8 | np.int64(data[at + 2]) << 16 | np.int64(data[at + 3]) << 24
    )
