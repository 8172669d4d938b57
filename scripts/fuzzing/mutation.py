"""Changes that have broken parsers before: lengths, counts, cuts, repeats, splices."""

import random
import struct
from collections.abc import Sequence

NUMBERS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 63, 64, 127, 128, 255, 256, 1023, 32_767, 32_768, 65_534, 65_535)
WIDE_NUMBERS = (*NUMBERS, 65_536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
WORDS = (
    b"",
    b"-",
    b"nan",
    b"inf",
    b"-1",
    b"1e400",
    b"99999999999999999999",
    b"\x00",
    b"\xff\xfe",
    b'"',
    b"{",
    b"}",
    b"[",
    b",,,",
)
SEPARATORS = (b"\t", b",", b"\n", b":", b'"')


def mutate(data: bytes, others: Sequence[bytes], chance: random.Random, *, most: int = 6) -> bytes:
    """A changed copy of `data`; `others` are what may be spliced in."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, most)):
        chance.choice(CHANGES)(changed, others, chance)
    return bytes(changed)


def mutate_text(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """The same for lines of fields: fields go, come, swap and turn into what is no value."""
    if chance.random() < 0.3:
        return mutate(data, others, chance)
    lines = data.split(b"\n")
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(lines))
        separator = chance.choice(SEPARATORS)
        fields = lines[at].split(separator)
        place = chance.randrange(len(fields))
        what = chance.randrange(6)
        if what == 0:
            fields[place] = chance.choice(WORDS)
        elif what == 1:
            del fields[place]
        elif what == 2:
            fields.insert(place, chance.choice(fields))
        elif what == 3:
            fields[place], fields[-1] = fields[-1], fields[place]
        elif what == 4:
            lines.insert(at, chance.choice(lines))
        else:
            fields[place] *= chance.choice((2, 50))
        lines[at] = separator.join(fields)
    return b"\n".join(lines)


def _flip(data: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set_byte(data: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice(NUMBERS) & 255


def _set_number(data: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    order, size = chance.choice("<>"), chance.choice((2, 4))
    if len(data) >= size:
        at = chance.randrange(len(data) - size + 1)
        value = chance.choice(WIDE_NUMBERS) & (0xFFFF if size == 2 else 0xFFFFFFFF)
        struct.pack_into(order + ("H" if size == 2 else "I"), data, at, value)


def _add_to_byte(data: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    if data:
        at = chance.randrange(len(data))
        data[at] = (data[at] + chance.randint(-4, 4)) & 255


def _cut(data: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    if data:
        del data[chance.randrange(len(data)) :]


def _remove(data: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    if data:
        at = chance.randrange(len(data))
        del data[at : at + chance.randint(1, 16)]


def _repeat(data: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    if data:
        at = chance.randrange(len(data))
        data[at:at] = data[at : at + chance.randint(1, 64)]


def _insert(data: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    at = chance.randint(0, len(data))
    data[at:at] = chance.randbytes(chance.randint(1, 8))


def _splice(data: bytearray, others: Sequence[bytes], chance: random.Random) -> None:
    other = chance.choice(others) if others else b""
    if other:
        begin = chance.randrange(len(other))
        piece = other[begin : begin + chance.randint(1, 256)]
        at = chance.randint(0, len(data))
        data[at : at + len(piece) * chance.randint(0, 1)] = piece


CHANGES = (_flip, _flip, _set_byte, _set_number, _set_number, _add_to_byte, _cut, _remove, _repeat, _insert, _splice)
