"""QUIC: the client's Initial packets are opened with the keys that anyone can derive, and their ClientHello read."""

import numpy as np

from ....flows.compiled import kernel, room
from ..layout import Bytes, Counts
from .aes import BLOCK_BYTES, ROUND_KEYS, encrypt_block, expand_key
from .bytes import copy_bytes, number8, number24, number32
from .gcm import NONCE_BYTES, TAG_BYTES, open_sealed
from .gquic import GQUIC_50, find_old_hello
from .hello import CLIENT_HELLO, MESSAGE_HEADER, OVER_QUIC, read_client_hello
from .hkdf import expand_label, hmac_sha256
from .items import put_app
from .notes import APP_WRITTEN, COLLECTED, FLAGS, FORWARD, MEMORY_USED, QUIC_PACKETS, REVERSE, SIDE
from .sha256 import DIGEST_BYTES
from .tags import APP_PROTOCOLS, DONE, MORE

APP_QUIC = APP_PROTOCOLS.index("quic")

VERSION_1 = 0x00000001
VERSION_2 = 0x6B3343CF
SALT_BYTES = 20
SALTS = np.frombuffer(
    bytes.fromhex(
        "38762cf7f55934b34d179ae6a4c80cadccbb7f0a"  # 1, and drafts 33 and 34
        "0dede3def700a6db819381be6e269dcbf9bd2ed9"  # 2
        "afbfec289993d24c9e9786f19c6111e04390a899"  # drafts 29 to 32
        "c3eef712c72ebb5a11a7d2432bb46365bef9f502"  # drafts 23 to 28, and Facebook's form of 27
        "504574efd066fe2f9d945cfcdbd3a7f0d3b56b45"  # Google's Q050
        "7ff579e5acd072915580304c43a2367c60488310"  # Google's T050
        "7a4edef4e7ccee5fa4506c19124fc8ccda6e033d"  # Google's T051
    ),
    dtype=np.uint8,
).copy()
LABELS = tuple(
    b"tls13 " + label
    for label in (b"client in", b"quic hp", b"quic iv", b"quic key", b"quicv2 hp", b"quicv2 iv", b"quicv2 key")
)
LABEL_BYTES = np.frombuffer(b"".join(LABELS), dtype=np.uint8).copy()
LABEL_ENDS = np.cumsum([len(label) for label in LABELS])

LONGEST_ID = 20
LONGEST_HEADER = 2048  # with the token of a Retry
CRYPTO = 6
GOOGLE_CRYPTO = 8  # of T050 and T051; elsewhere no such frame may stand in an Initial
MOST_PACKETS = 4  # in one datagram

# How `memory` is laid out: the CRYPTO stream, a bit for each of its bytes, the first connection id, a plain packet.
STREAM_BYTES = 5120
SEEN = STREAM_BYTES
ID_PLACE = SEEN + STREAM_BYTES // 8
PLAIN = ID_PLACE + 1 + LONGEST_ID


@kernel
def salt_of(version: int) -> int:
    """Place of the salt in SALTS; -1 where the version is not one that we can open.

    Versions that only ask for a negotiation (0x?a?a?a?a) are tried as draft 29; if its keys do not fit,
    the client will come back with a true version.
    """
    if version == VERSION_1 or 0xFF000021 <= version <= 0xFF000022:
        return 0
    if version == VERSION_2:
        return 1
    if 0xFF00001D <= version <= 0xFF000020 or version & 0x0F0F0F0F == 0x0A0A0A0A:
        return 2
    if 0xFF000017 <= version <= 0xFF00001C or version == 0xFACEB002 or version == 0xFACEB00E:
        return 3
    if version == 0x51303530:
        return GQUIC_50
    if version == 0x54303530:
        return 5
    return 6 if version == 0x54303531 else -1


@kernel
def looks_like_quic(data: Bytes, start: int, stop: int) -> bool:
    """A long header of a version that we can open."""
    if stop - start < 16 or data[start] & 0xC0 != 0xC0 or data[start + 5] > LONGEST_ID:
        return False
    return salt_of(number32(data, start + 1)) >= 0


@kernel
def sniff_quic(
    data: Bytes, start: int, stop: int, is_forward: bool, memory: Bytes, notes: Counts, out: Bytes
) -> tuple[int, int]:
    """Gather the ClientHello of a flow from CRYPTO frames in any order, over any packets."""
    length = 0
    side = FORWARD if is_forward else REVERSE
    if notes[FLAGS] & APP_WRITTEN == 0:
        notes[FLAGS] |= APP_WRITTEN
        length = put_app(out, length, APP_QUIC)
    if notes[SIDE] != 0 and notes[SIDE] != side:
        return MORE, length
    at = start
    for _ in range(MOST_PACKETS):
        if stop - at < 7 or data[at] & 0x80 == 0:
            break
        version = number32(data, at + 1)
        salt = salt_of(version)
        if salt < 0:
            break
        kind = (number8(data, at) >> 4) & 3
        if version == VERSION_2:
            kind = (kind + 3) & 3
        id_start = at + 6
        id_size = number8(data, at + 5)
        place = id_start + id_size
        if id_size > LONGEST_ID or kind == 3 or place >= stop:
            break
        place += 1 + number8(data, place)
        if kind == 0:
            place, size = varint(data, place, stop)
            place += size
        place, size = varint(data, place, stop)
        if place > stop or size < 4 + TAG_BYTES:
            break
        if kind == 0:
            opened = _open(data, at, place, size, stop, id_start, id_size, salt, memory, notes)
            if opened > 0:
                notes[SIDE] = side
                if salt == GQUIC_50:
                    after = find_old_hello(memory, PLAIN, PLAIN + opened, notes, out, length)
                    if after > length:
                        notes[MEMORY_USED] = 0
                        return DONE, after
                _gather(memory, opened, notes)
        at = place + size
    return _read(memory, notes, out, length)


@kernel
def varint(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """The place after a number of QUIC, and the number; a place past the end where it is cut off."""
    if at >= stop:
        return stop + 1, 0
    first = number8(data, at)
    width = 1 << (first >> 6)
    if at + width > stop:
        return stop + 1, 0
    value = first & 0x3F
    for step in range(1, width):
        value = value << 8 | number8(data, at + step)
    return at + width, value


@kernel
def _open(
    data: Bytes,
    start: int,
    number_at: int,
    size: int,
    stop: int,
    id_start: int,
    id_size: int,
    salt: int,
    memory: Bytes,
    notes: Counts,
) -> int:
    """Open an Initial with the keys of the flow's first connection id, or, after a Retry, with those of its own.

    Returns the bytes of plain text at PLAIN in `memory`, or -1.
    """
    identifier = room(LONGEST_ID, np.uint8)
    first_size = number8(memory, ID_PLACE) if notes[QUIC_PACKETS] > 0 else -1
    is_same = first_size == id_size
    opened = -1
    for attempt in range(2):
        if attempt == 0:
            for place in range(first_size):
                identifier[place] = memory[ID_PLACE + 1 + place]
                is_same = is_same and identifier[place] == data[id_start + place]
        else:
            copy_bytes(identifier, 0, data, id_start, id_size)
        if attempt == 0 and first_size < 0:
            continue
        known = first_size if attempt == 0 else id_size
        opened = _open_with(data, start, number_at, size, stop, identifier, known, salt, memory)
        if opened >= 0 and attempt == 1:
            _begin(memory, identifier, id_size, notes)
        if opened >= 0 or is_same:
            break
    return opened


@kernel
def _begin(memory: Bytes, identifier: Bytes, id_size: int, notes: Counts) -> None:
    """Forget the stream gathered so far and remember whose keys fit."""
    for place in range(SEEN, ID_PLACE):
        memory[place] = np.uint8(0)
    memory[ID_PLACE] = np.uint8(id_size)
    copy_bytes(memory, ID_PLACE + 1, identifier, 0, id_size)
    notes[COLLECTED] = 0
    notes[QUIC_PACKETS] = 1
    notes[MEMORY_USED] = PLAIN


@kernel
def _open_with(
    data: Bytes,
    start: int,
    number_at: int,
    size: int,
    stop: int,
    identifier: Bytes,
    id_size: int,
    salt: int,
    memory: Bytes,
) -> int:
    """Derive the client's keys, take off the header's protection, check and decrypt. -1 where the keys do not fit."""
    if number_at + 4 + BLOCK_BYTES > stop or number_at + 4 - start > LONGEST_HEADER:
        return -1
    secret = room(DIGEST_BYTES, np.uint8)
    derived = room(DIGEST_BYTES, np.uint8)
    nonce = room(DIGEST_BYTES, np.uint8)
    round_keys = room(ROUND_KEYS, np.int64)
    mask = room(BLOCK_BYTES, np.uint8)
    header = room(LONGEST_HEADER, np.uint8)
    copy_bytes(header, 0, data, start, number_at + 4 - start)
    copy_bytes(derived, 0, SALTS, salt * SALT_BYTES, SALT_BYTES)
    hmac_sha256(derived, SALT_BYTES, identifier, id_size, secret)

    number_size = 0
    for step in range(4):
        label = step + 3 if salt == 1 and step > 0 else step
        label_start = LABEL_ENDS[label - 1] if label > 0 else 0
        label_size = int(LABEL_ENDS[label] - label_start)
        wanted = DIGEST_BYTES if step == 0 else (NONCE_BYTES if step == 2 else BLOCK_BYTES)
        expand_label(secret, LABEL_BYTES, int(label_start), label_size, wanted, derived)
        if step == 0:  # the client's secret
            copy_bytes(secret, 0, derived, 0, DIGEST_BYTES)
        elif step == 2:  # the nonce
            copy_bytes(nonce, 0, derived, 0, NONCE_BYTES)
            for place in range(number_size):
                nonce[NONCE_BYTES - number_size + place] ^= header[number_at - start + place]
        else:  # the key that protects the header, at last the key of the payload
            expand_key(derived, round_keys)
        if step == 1:
            encrypt_block(round_keys, data, number_at + 4, mask)
            header[0] ^= mask[0] & 0x0F
            number_size = 1 + (number8(header, 0) & 3)
            for place in range(number_size):
                header[number_at - start + place] ^= mask[1 + place]
    header_size = number_at + number_size - start
    is_whole = number_at + size <= stop
    sealed_stop = number_at + size - TAG_BYTES if is_whole else min(stop, number_at + size - TAG_BYTES)
    sealed_start = start + header_size
    if sealed_stop <= sealed_start:
        return -1
    opened = open_sealed(
        round_keys, nonce, header, header_size, data, sealed_start, sealed_stop, is_whole, memory, PLAIN
    )
    if not is_whole and (opened < 4 or memory[PLAIN] != CRYPTO or memory[PLAIN + 1] != 0):
        return -1  # no tag to check: only a hello's beginning is believed
    return opened


@kernel
def _gather(memory: Bytes, size: int, notes: Counts) -> None:
    """Copy the CRYPTO frames of the plain packet into the stream and advance over what is whole."""
    stop = PLAIN + size
    at = PLAIN
    while at < stop:
        kind = memory[at]
        at += 1
        if kind <= 1:
            continue
        if kind == 2 or kind == 3:
            at, _ = varint(memory, at, stop)
            at, _ = varint(memory, at, stop)
            at, ranges = varint(memory, at, stop)
            numbers = 1 + 2 * ranges + (3 if kind == 3 else 0)
            while numbers > 0 and at < stop:
                at, _ = varint(memory, at, stop)
                numbers -= 1
            continue
        if kind not in (CRYPTO, GOOGLE_CRYPTO):
            break
        at, offset = varint(memory, at, stop)
        at, count = varint(memory, at, stop)
        if at > stop or offset >= STREAM_BYTES:
            break
        for step in range(min(count, stop - at, STREAM_BYTES - offset)):
            place = offset + step
            memory[place] = memory[at + step]
            memory[SEEN + (place >> 3)] |= np.uint8(1 << (place & 7))
        if count > stop - at:
            break
        at += count
    have = int(notes[COLLECTED])
    while have < STREAM_BYTES and memory[SEEN + (have >> 3)] & np.uint8(1 << (have & 7)) != 0:
        have += 1
    notes[COLLECTED] = have


@kernel
def _read(memory: Bytes, notes: Counts, out: Bytes, length: int) -> tuple[int, int]:
    have = int(notes[COLLECTED])
    if have < MESSAGE_HEADER:
        return MORE, length
    if memory[0] != CLIENT_HELLO or memory[MESSAGE_HEADER] != 3:
        notes[MEMORY_USED] = 0
        return DONE, length
    whole = have >= MESSAGE_HEADER + number24(memory, 1)
    ended = have == STREAM_BYTES
    length = read_client_hello(memory, have, OVER_QUIC, ended, notes, out, length)
    if whole or ended:
        notes[MEMORY_USED] = 0
        return DONE, length
    return MORE, length
