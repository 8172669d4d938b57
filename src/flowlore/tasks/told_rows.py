"""Small files in which somebody tells what is known, a row each: `.csv` with a line of names, or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError

Row = Mapping[str, Any]


def told_rows(path: str | Path, stage: str, what: str, fields: Sequence[str]) -> Iterator[tuple[int, Row]]:
    """The number of each row's line, and the row. A csv must have all fields; a JSON line may lack some."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{stage}: the {what} in `{path}` cannot be read: {error}", hint="a .csv or .jsonl file"
        ) from error
    return _csv_rows(text, stage, path, fields) if file.suffix == ".csv" else _json_rows(text, stage, path)


def _csv_rows(text: str, stage: str, path: str | Path, fields: Sequence[str]) -> Iterator[tuple[int, Row]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        missing = [name for name in fields if name not in (reader.fieldnames or ())]
        if missing:
            names = f"{', '.join(fields[:-1])} and {fields[-1]}"
            raise InputError(
                f"{stage}: `{path}` has no column `{missing[0]}`", hint=f"its first line must name {names}"
            )
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(
            f"{stage}: line {reader.line_num + 1} of `{path}` is no CSV: {error}",
            hint="a field has at most 131,072 characters",
        ) from error


def _json_rows(text: str, stage: str, path: str | Path) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(io.StringIO(text), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{stage}: line {number} of `{path}` is no JSON: {error}", hint="JSON lines") from error
        if not isinstance(row, dict):
            raise InputError(f"{stage}: line {number} of `{path}` is no JSON object", hint="JSON lines")
        yield number, row
