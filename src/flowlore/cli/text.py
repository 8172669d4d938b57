"""What verbs print: JSON on one line, tables with aligned columns."""

import json
import math
import unicodedata
from collections.abc import Sequence
from typing import Any


def print_json(value: Any) -> None:
    """One line of strict JSON. What JSON cannot say becomes text; a number that is no number becomes null."""
    print(json.dumps(_strict(value), ensure_ascii=False, default=str), flush=True)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
    """Aligned columns; those whose place is in `numbers` stand to the right. Control characters are shown, not sent."""
    shown = [[printable(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(columns(row[place]) for row in shown) for place in range(len(headings))]
    for row in shown:
        padded = []
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - columns(cell))
            padded.append(space + cell if place in numbers else cell + space)
        print("  ".join(padded).rstrip())


def columns(text: str) -> int:
    """How wide a terminal shows it: East Asian letters take two columns, marks above others none.

    >>> columns("東京"), columns("e\u0301")
    (4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def printable(text: str) -> str:
    """Names on the wire are written by strangers: nothing in them may steer a terminal.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _strict(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(one) for one in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
