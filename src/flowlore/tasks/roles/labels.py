"""What hosts are known to be: a file with a line for each."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from ..told_rows import told_rows

FIELDS = ("host", "label")


def read_labels(path: str | Path) -> dict[str, str]:
    """From `.csv` with host and label, or JSON lines of the same. Two labels for one host are an error."""
    found: dict[str, str] = {}
    for line, row in told_rows(path, "roles", "labels", FIELDS):
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
