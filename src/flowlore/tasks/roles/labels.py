"""What hosts are known to be: a file with a line for each."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import InputError

FIELDS = ("host", "label")


def read_labels(path: str | Path) -> dict[str, str]:
    """From `.csv` with host and label, or JSON lines of the same. Two labels for one host are an error."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"roles: the labels in `{path}` cannot be read: {error}", hint="a .csv or .jsonl file"
        ) from error
    found: dict[str, str] = {}
    for line, row in _csv_rows(text, path) if file.suffix == ".csv" else _json_rows(text, path):
        host, label = (str(row.get(name) or "").strip() for name in FIELDS)
        if not host or not label:
            raise InputError(f"roles: line {line} of `{path}` names no host or no label", hint="`10.0.0.7,printer`")
        if found.setdefault(host, label) != label:
            raise InputError(
                f"roles: line {line} of `{path}` calls `{host}` `{label}`, and an earlier one `{found[host]}`",
                hint="one label for a host; leave out those that changed",
            )
    if not found:
        raise InputError(f"roles: `{path}` names no host", hint=f"a line for each, with {' and '.join(FIELDS)}")
    return found


def _csv_rows(text: str, path: str | Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in FIELDS if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(
            f"roles: `{path}` has no column `{missing[0]}`", hint=f"its first line must name {' and '.join(FIELDS)}"
        )
    for row in reader:
        yield reader.line_num, row


def _json_rows(text: str, path: str | Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"roles: line {number} of `{path}` is no JSON: {error}", hint="JSON lines") from error
            if not isinstance(row, dict):
                raise InputError(f"roles: line {number} of `{path}` is no JSON object", hint="JSON lines")
            yield number, row
