"""Templates: what the records of a data set are made of, read from template sets."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property

from .elements import Element, element

VARIABLE = 65_535  # field length that says: each record tells its own
FIRST_DATA_SET = 256
V9_TEMPLATES, V9_OPTIONS, IPFIX_TEMPLATES, IPFIX_OPTIONS = 0, 1, 2, 3

V9_SCOPE_PEN = -1  # scope types of NetFlow v9 have numbers of their own
_V9_SCOPES = {1: "scopeSystem", 2: "scopeInterface", 3: "scopeLineCard", 4: "scopeCache", 5: "scopeTemplate"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a template. `offset` counts from the record's start, and is -1 after a variable-length field."""

    element: Element
    length: int
    offset: int


@dataclass(frozen=True)
class Template:
    """How the records of one data set lie. Equal templates compare equal, whenever they came."""

    number: int
    version: int
    fields: tuple[Field, ...]
    scopes: int = 0  # the first fields that say what an options record is about
    is_options: bool = False

    @cached_property
    def is_variable(self) -> bool:
        return any(item.length == VARIABLE for item in self.fields)

    @cached_property
    def record_bytes(self) -> int:
        """Bytes of a record, the least there can be where it is variable."""
        return sum(1 if item.length == VARIABLE else item.length for item in self.fields)

    @cached_property
    def places(self) -> dict[tuple[int, int], int]:
        """(PEN, element number) → place of its first field. What comes first in a record is the outermost header."""
        found: dict[tuple[int, int], int] = {}
        for place, item in enumerate(self.fields):
            if item.length:
                found.setdefault((item.element.pen, item.element.number), place)
        return found

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(item.element.name for item in self.fields)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An IPFIX exporter takes back one template, or all of one sort (`number` is None)."""

    number: int | None
    options: bool


def parse_templates(
    payload: bytes, set_number: int, version: int, problems: Counter[str]
) -> list[Template | Withdrawal]:
    """Every template and withdrawal of a template set. What cannot be is counted in `problems`, and ends the set."""
    reader: Callable[[bytes, int, Counter[str]], Iterator[Template | Withdrawal]]
    if version == 9:
        reader = _v9_options if set_number == V9_OPTIONS else _v9_templates
    else:
        reader = _ipfix_options if set_number == IPFIX_OPTIONS else _ipfix_templates
    return list(reader(payload, version, problems))


# The records of v5 and v7 as `element:bytes` words. Element 210 is padding.
_FIXED = {
    5: "8:4 12:4 15:4 10:2 14:2 2:4 1:4 22:4 21:4 7:2 11:2 210:1 6:1 4:1 5:1 16:2 17:2 9:1 13:1 210:2",
    7: "8:4 12:4 15:4 10:2 14:2 2:4 1:4 22:4 21:4 7:2 11:2 210:1 6:1 4:1 5:1 16:2 17:2 9:1 13:1 210:2 210:4",
}


@cache
def fixed_template(version: int) -> Template:
    """A template of our own for the records of v5 and v7. Its number is the version."""
    words = (word.split(":") for word in _FIXED[version].split())
    fields = _place([(element(int(item), version=9), int(length)) for item, length in words])
    return Template(number=version, version=version, fields=fields)


def _v9_templates(payload: bytes, version: int, problems: Counter[str]) -> Iterator[Template]:
    place = 0
    while len(payload) - place >= 4:
        number, count = _u16(payload, place), _u16(payload, place + 2)
        place += 4
        if number == 0 and count == 0:  # padding
            return
        if number < FIRST_DATA_SET or count == 0 or place + 4 * count > len(payload):
            problems["bad-template"] += 1
            return
        specifiers = []
        for _ in range(count):
            specifiers.append((element(_u16(payload, place), version=9), _u16(payload, place + 2)))
            place += 4
        yield from _checked(Template(number, version, _place(specifiers)), problems)


def _v9_options(payload: bytes, version: int, problems: Counter[str]) -> Iterator[Template]:
    place = 0
    while len(payload) - place >= 6:
        number, scope_bytes, option_bytes = (_u16(payload, place + step) for step in (0, 2, 4))
        place += 6
        if number == 0:  # padding
            return
        if (
            number < FIRST_DATA_SET
            or (scope_bytes | option_bytes) % 4
            or place + scope_bytes + option_bytes > len(payload)
        ):
            problems["bad-template"] += 1
            return
        specifiers = []
        scopes = scope_bytes // 4
        for ordinal in range(scopes + option_bytes // 4):
            item, length = _u16(payload, place), _u16(payload, place + 2)
            specifiers.append((_v9_scope(item) if ordinal < scopes else element(item, version=9), length))
            place += 4
        template = Template(number, version, _place(specifiers), scopes, is_options=True)
        yield from _checked(template, problems)


def _ipfix_templates(payload: bytes, version: int, problems: Counter[str]) -> Iterator[Template | Withdrawal]:
    place = 0
    while len(payload) - place >= 4:
        number, count = _u16(payload, place), _u16(payload, place + 2)
        place += 4
        if count == 0:
            if number == IPFIX_TEMPLATES or number >= FIRST_DATA_SET:
                yield Withdrawal(None if number == IPFIX_TEMPLATES else number, options=False)
            elif number:
                problems["bad-template"] += 1
            continue
        specifiers, place = _ipfix_fields(payload, place, count)
        if number < FIRST_DATA_SET or len(specifiers) < count:
            problems["bad-template"] += 1
            return
        yield from _checked(Template(number, version, _place(specifiers)), problems)


def _ipfix_options(payload: bytes, version: int, problems: Counter[str]) -> Iterator[Template | Withdrawal]:
    place = 0
    while len(payload) - place >= 4:
        number, count = _u16(payload, place), _u16(payload, place + 2)
        if count == 0:
            place += 4
            if number == IPFIX_OPTIONS or number >= FIRST_DATA_SET:
                yield Withdrawal(None if number == IPFIX_OPTIONS else number, options=True)
            elif number:
                problems["bad-template"] += 1
            continue
        if len(payload) - place < 6:
            return
        scopes = _u16(payload, place + 4)
        specifiers, place = _ipfix_fields(payload, place + 6, count)
        if number < FIRST_DATA_SET or len(specifiers) < count or scopes > count:
            problems["bad-template"] += 1
            return
        template = Template(number, version, _place(specifiers), scopes, is_options=True)
        yield from _checked(template, problems)


def _ipfix_fields(payload: bytes, place: int, count: int) -> tuple[list[tuple[Element, int]], int]:
    """At most `count` field specifiers, fewer where the set ends; and where they end."""
    found: list[tuple[Element, int]] = []
    while len(found) < count and len(payload) - place >= 4:
        number, length = _u16(payload, place), _u16(payload, place + 2)
        place += 4
        pen = 0
        if number & 0x8000:
            if len(payload) - place < 4:
                break
            pen = int.from_bytes(payload[place : place + 4], "big")
            place += 4
        found.append((element(number & 0x7FFF, pen), length))
    return found, place


def _checked(template: Template, problems: Counter[str]) -> Iterator[Template]:
    """The template, unless its records would have no bytes."""
    if template.record_bytes:
        yield template
    else:
        problems["bad-template"] += 1


def _place(specifiers: list[tuple[Element, int]]) -> tuple[Field, ...]:
    fields, offset = [], 0
    for item, length in specifiers:
        fields.append(Field(item, length, offset))
        offset = -1 if offset < 0 or length == VARIABLE else offset + length
    return tuple(fields)


def _v9_scope(number: int) -> Element:
    return Element(number, V9_SCOPE_PEN, _V9_SCOPES.get(number, f"scope{number}"), "unsigned")


def _u16(payload: bytes, place: int) -> int:
    return payload[place] << 8 | payload[place + 1]
