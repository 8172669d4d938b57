"""Identities of flows: the 128-bit `flow_id` (SipHash-2-4-128) and Community ID v1 (SHA-1).

Shape letters: N flows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .compiled import borrowing, kernel, room

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

NO_KEY = (0, 0)


def flow_id_key(secret: str | None) -> tuple[int, int]:
    """The hash key made from a secret text, so that ids cannot be computed by those who do not know it.

    >>> flow_id_key(None)
    (0, 0)
    """
    if not secret:
        return NO_KEY
    import hashlib

    digest = hashlib.blake2b(secret.encode(), digest_size=16, person=b"flowlore-flow-id").digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def flow_ids_of_halves(
    halves: Sequence[Words],
    *,
    src_port: npt.NDArray[Any],
    dst_port: npt.NDArray[Any],
    protocol: npt.NDArray[Any],
    first_ns: npt.NDArray[np.int64],
    vlan: npt.NDArray[Any] | None = None,
    inner_vlan: npt.NDArray[Any] | None = None,
    tunnel: npt.NDArray[Any] | None = None,
    tunnel_id: npt.NDArray[Any] | None = None,
    observation_point: npt.NDArray[Any] | None = None,
    ordinal: npt.NDArray[Any] | None = None,
    key: tuple[int, int] = NO_KEY,
) -> pa.Array:
    """`flow_id` of N flows from `address_halves` of `src` and of `dst`; both directions of a flow give the same id.

    Absent VLANs are 0xFFFF, as in the packet layout. `ordinal` tells apart flows of one key that began in the same ns.
    """
    rows = len(first_ns)

    def column(values: npt.NDArray[Any] | None, type_: type[Any], absent: int) -> npt.NDArray[Any]:
        return np.full(rows, absent, type_) if values is None else np.ascontiguousarray(values, type_)

    out = np.empty((rows, 2), np.uint64)
    _flow_ids(
        halves[0],
        halves[1],
        halves[2],
        halves[3],
        column(src_port, np.uint16, 0), column(dst_port, np.uint16, 0), column(protocol, np.uint8, 0),
        column(vlan, np.uint16, 0xFFFF), column(inner_vlan, np.uint16, 0xFFFF), column(tunnel, np.uint8, 0),
        column(tunnel_id, np.uint32, 0), column(observation_point, np.uint32, 0), column(ordinal, np.uint32, 0),
        np.ascontiguousarray(first_ns, np.int64), np.uint64(key[0]), np.uint64(key[1]), out,
    )  # fmt: skip
    return fixed_binary(out.view(np.uint8).reshape(rows, 16))


def community_ids(
    *,
    src_ip: Bytes,
    dst_ip: Bytes,
    src_port: npt.NDArray[Any],
    dst_port: npt.NDArray[Any],
    protocol: npt.NDArray[Any],
) -> pa.Array:
    """Community ID v1 (seed 0) of N flows, as text. ICMP ports are type and counterpart, as the flow table has them."""
    rows = len(src_ip)
    out = np.empty(rows * _COMMUNITY_ID_LENGTH, np.uint8)
    _community_ids(
        np.ascontiguousarray(src_ip), np.ascontiguousarray(dst_ip), np.ascontiguousarray(src_port, np.uint16),
        np.ascontiguousarray(dst_port, np.uint16), np.ascontiguousarray(protocol, np.uint8), _BASE64, out,
    )  # fmt: skip
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(_COMMUNITY_ID_LENGTH)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(out))


def address_halves(addresses: Bytes) -> tuple[Words, Words]:
    """The two big-endian halves of N x 16 bytes of addresses."""
    halves = np.ascontiguousarray(addresses).view(">u8").astype(np.uint64).reshape(-1, 2)
    return np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])


def fixed_binary(rows: Bytes) -> pa.Array:
    """An Arrow array of fixed-size binary from N x width bytes, without a copy."""
    count, width = rows.shape
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), count, [None, pa.py_buffer(np.ascontiguousarray(rows))]
    )


_COMMUNITY_ID_LENGTH = 30  # "1:" and 28 characters of base64
_BASE64 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8).copy()


@borrowing
def sip_hash_128(words: Words, key_low: np.uint64, key_high: np.uint64, out: Words) -> None:
    """SipHash-2-4 with 128 bits of output over whole 64-bit words."""
    k0, k1 = np.uint64(key_low), np.uint64(key_high)
    v0 = k0 ^ np.uint64(0x736F6D6570736575)
    v1 = k1 ^ np.uint64(0x646F72616E646F6D) ^ np.uint64(0xEE)
    v2 = k0 ^ np.uint64(0x6C7967656E657261)
    v3 = k1 ^ np.uint64(0x7465646279746573)
    total = len(words)
    for place in range(total + 3):
        message = np.uint64(0)
        rounds = 2
        if place < total:
            message = words[place]
        elif place == total:
            message = np.uint64((total * 8) & 0xFF) << np.uint64(56)
        elif place == total + 1:
            v2 ^= np.uint64(0xEE)
            rounds = 4
        else:
            v1 ^= np.uint64(0xDD)
            rounds = 4
        if place <= total:
            v3 ^= message
        for _ in range(rounds):
            v0 += v1
            v1 = ((v1 << np.uint64(13)) | (v1 >> np.uint64(51))) ^ v0
            v0 = (v0 << np.uint64(32)) | (v0 >> np.uint64(32))
            v2 += v3
            v3 = ((v3 << np.uint64(16)) | (v3 >> np.uint64(48))) ^ v2
            v0 += v3
            v3 = ((v3 << np.uint64(21)) | (v3 >> np.uint64(43))) ^ v0
            v2 += v1
            v1 = ((v1 << np.uint64(17)) | (v1 >> np.uint64(47))) ^ v2
            v2 = (v2 << np.uint64(32)) | (v2 >> np.uint64(32))
        if place <= total:
            v0 ^= message
        else:
            out[place - total - 1] = v0 ^ v1 ^ v2 ^ v3


@borrowing
def _flow_ids(
    src_high: Words,
    src_low: Words,
    dst_high: Words,
    dst_low: Words,
    src_port: npt.NDArray[np.uint16],
    dst_port: npt.NDArray[np.uint16],
    protocol: Bytes,
    vlan: npt.NDArray[np.uint16],
    inner_vlan: npt.NDArray[np.uint16],
    tunnel: Bytes,
    tunnel_id: npt.NDArray[np.uint32],
    observation_point: npt.NDArray[np.uint32],
    ordinal: npt.NDArray[np.uint32],
    first_ns: npt.NDArray[np.int64],
    key_low: np.uint64,
    key_high: np.uint64,
    out: npt.NDArray[np.uint64],
) -> None:
    words = room(8, np.uint64)
    for row in range(len(first_ns)):
        swap = src_high[row] > dst_high[row] or (
            src_high[row] == dst_high[row]
            and (src_low[row] > dst_low[row] or (src_low[row] == dst_low[row] and src_port[row] > dst_port[row]))
        )
        first_port, second_port = np.uint64(src_port[row]), np.uint64(dst_port[row])
        if swap:
            words[0], words[1], words[2], words[3] = dst_high[row], dst_low[row], src_high[row], src_low[row]
            first_port, second_port = second_port, first_port
        else:
            words[0], words[1], words[2], words[3] = src_high[row], src_low[row], dst_high[row], dst_low[row]
        words[4] = (
            (first_port << np.uint64(48))
            | (second_port << np.uint64(32))
            | (np.uint64(protocol[row]) << np.uint64(8))
            | np.uint64(tunnel[row])
        )
        words[5] = (
            (np.uint64(observation_point[row]) << np.uint64(32))
            | (np.uint64(vlan[row]) << np.uint64(16))
            | np.uint64(inner_vlan[row])
        )
        words[6] = (np.uint64(tunnel_id[row]) << np.uint64(32)) | np.uint64(ordinal[row])
        words[7] = np.uint64(first_ns[row])
        sip_hash_128(words, key_low, key_high, out[row])


@borrowing
def _community_ids(
    src_ip: Bytes,
    dst_ip: Bytes,
    src_port: npt.NDArray[np.uint16],
    dst_port: npt.NDArray[np.uint16],
    protocol: Bytes,
    alphabet: Bytes,
    out: Bytes,
) -> None:
    block, schedule, digest = room(64, np.uint8), room(80, np.uint32), room(20, np.uint8)
    for row in range(len(protocol)):
        src, dst = src_ip[row], dst_ip[row]
        first = _mapped_offset(src, dst)
        swap = _swapped(src, dst, src_port[row], dst_port[row], protocol[row])
        low, high = (dst, src) if swap else (src, dst)
        low_port, high_port = (dst_port[row], src_port[row]) if swap else (src_port[row], dst_port[row])
        for byte in range(64):
            block[byte] = 0
        place = 2  # two bytes of seed, zero
        for half in range(2):
            address = low if half == 0 else high
            for byte in range(first, 16):
                block[place] = address[byte]
                place += 1
        block[place] = protocol[row]
        place += 2
        number = protocol[row]  # ICMP, TCP, UDP, ICMPv6, SCTP: what Community ID hashes ports of
        if number == 1 or number == 6 or number == 17 or number == 58 or number == 132:
            block[place] = low_port >> 8
            block[place + 1] = low_port & 0xFF
            block[place + 2] = high_port >> 8
            block[place + 3] = high_port & 0xFF
            place += 4
        _sha1_one_block(block, place, schedule, digest)
        _write_base64(digest, alphabet, out, row * 30)


@kernel
def _mapped_offset(src: Bytes, dst: Bytes) -> int:
    """12 where both addresses are IPv4-mapped, so that only the last four bytes are hashed; else 0."""
    for byte in range(10):
        if src[byte] != 0 or dst[byte] != 0:
            return 0
    for byte in range(10, 12):
        if src[byte] != 0xFF or dst[byte] != 0xFF:
            return 0
    return 12


@kernel
def _swapped(src: Bytes, dst: Bytes, src_port: int, dst_port: int, protocol: int) -> bool:
    """Whether Community ID puts `dst` first: the smaller endpoint leads, but one-way ICMP keeps its order."""
    if (protocol == 1 and not _icmp_pair(src_port, dst_port)) or (
        protocol == 58 and not _icmp6_pair(src_port, dst_port)
    ):
        return False
    for byte in range(16):
        if src[byte] != dst[byte]:
            return bool(src[byte] > dst[byte])
    return src_port > dst_port


@kernel
def _icmp_pair(first: int, second: int) -> bool:
    low, high = min(first, second), max(first, second)
    return (
        (low == 0 and high == 8)
        or (low == 13 and high == 14)
        or (low == 15 and high == 16)
        or (low == 17 and high == 18)
        or (low == 9 and high == 10)
    )


@kernel
def _icmp6_pair(first: int, second: int) -> bool:
    low, high = min(first, second), max(first, second)
    return high == low + 1 and (low == 128 or low == 130 or low == 133 or low == 135 or low == 139 or low == 144)


@kernel
def _sha1_one_block(block: Bytes, length: int, schedule: npt.NDArray[np.uint32], digest: Bytes) -> None:
    """SHA-1 of the first `length` (at most 55) bytes of `block`, whose rest is zero."""
    block[length] = 0x80
    block[62] = (length * 8) >> 8
    block[63] = (length * 8) & 0xFF
    for word in range(16):
        schedule[word] = (
            (np.uint32(block[word * 4]) << np.uint32(24))
            | (np.uint32(block[word * 4 + 1]) << np.uint32(16))
            | (np.uint32(block[word * 4 + 2]) << np.uint32(8))
            | np.uint32(block[word * 4 + 3])
        )
    for word in range(16, 80):
        mixed = schedule[word - 3] ^ schedule[word - 8] ^ schedule[word - 14] ^ schedule[word - 16]
        schedule[word] = np.uint32((mixed << np.uint32(1)) | (mixed >> np.uint32(31)))
    state = (
        np.uint32(0x67452301),
        np.uint32(0xEFCDAB89),
        np.uint32(0x98BADCFE),
        np.uint32(0x10325476),
        np.uint32(0xC3D2E1F0),
    )
    a, b, c, d, e = state
    for word in range(80):
        if word < 20:
            mix, constant = (b & c) | (~b & d), np.uint32(0x5A827999)
        elif word < 40:
            mix, constant = b ^ c ^ d, np.uint32(0x6ED9EBA1)
        elif word < 60:
            mix, constant = (b & c) | (b & d) | (c & d), np.uint32(0x8F1BBCDC)
        else:
            mix, constant = b ^ c ^ d, np.uint32(0xCA62C1D6)
        turned = np.uint32((a << np.uint32(5)) | (a >> np.uint32(27)))
        total = np.uint32(turned + np.uint32(mix) + e + constant + schedule[word])
        e, d = d, c
        c = np.uint32((b << np.uint32(30)) | (b >> np.uint32(2)))
        b, a = a, total
    last = (a, b, c, d, e)
    for word in range(5):
        value = np.uint32(state[word] + last[word])
        digest[word * 4] = value >> np.uint32(24)
        digest[word * 4 + 1] = (value >> np.uint32(16)) & np.uint32(0xFF)
        digest[word * 4 + 2] = (value >> np.uint32(8)) & np.uint32(0xFF)
        digest[word * 4 + 3] = value & np.uint32(0xFF)


@kernel
def _write_base64(digest: Bytes, alphabet: Bytes, out: Bytes, place: int) -> None:
    """ "1:" and the base64 of 20 bytes: 28 characters, the last of them "="."""
    out[place] = 49
    out[place + 1] = 58
    place += 2
    for group in range(7):
        first, second = np.uint32(digest[group * 3]), np.uint32(digest[group * 3 + 1])
        third = np.uint32(digest[group * 3 + 2]) if group < 6 else np.uint32(0)
        bits = (first << np.uint32(16)) | (second << np.uint32(8)) | third
        out[place] = alphabet[(bits >> np.uint32(18)) & np.uint32(63)]
        out[place + 1] = alphabet[(bits >> np.uint32(12)) & np.uint32(63)]
        out[place + 2] = alphabet[(bits >> np.uint32(6)) & np.uint32(63)]
        out[place + 3] = alphabet[bits & np.uint32(63)] if group < 6 else np.uint8(61)
        place += 4
