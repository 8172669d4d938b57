"""What verbs print: JSON on one line, tables with aligned columns."""

import json
import math
from collections.abc import Sequence
from typing import Any


def print_json(value: Any) -> None:
    """One line of strict JSON. What JSON cannot say becomes text; a number that is no number becomes null."""
    print(json.dumps(_strict(value), ensure_ascii=False, default=str), flush=True)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
    """Aligned columns; those whose place is in `numbers` stand to the right. Control characters are shown, not sent."""
    shown = [[printable(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(len(row[place]) for row in shown) for place in range(len(headings))]
    for row in shown:
        cells = (
            cell.rjust(width) if place in numbers else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


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
