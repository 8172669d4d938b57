"""Writes docs/robustness.md from the summaries of recorded runs: `scripts/fuzz --report`."""

import json
from pathlib import Path
from typing import Any

from .seeds import REPOSITORY

RECORDED = REPOSITORY / "benchmarks" / "results"
PAGE = REPOSITORY / "docs" / "robustness.md"
READS = {
    "captures": "whole captures: containers, link layers, headers, the meter, names",
    "frames": "frames of any link type, and payloads: headers, the meter, names",
    "exports": "NetFlow, IPFIX and sFlow datagrams, and captures of them",
    "logs": "logs and tables of sensors",
}

HEAD = """# Robustness

No bytes from the wire or from a file may raise an error, read outside of a buffer or be lost without a count. Three
things watch over that:

- **Properties** (`tests/properties`): any bytes, cut and changed inputs, canaries around buffers.
- **Bounds checks**: kernels guard every read themselves; the tests and the fuzzing below run them again with
  `NUMBA_BOUNDSCHECK=1` and a fresh cache of kernels, so that a missing guard is an error and not a silent read.
- **Fuzzing** (`scripts/fuzz`): seeds are the hostile and odd captures, exports and logs of other analysers' tests;
  inputs are cut, spliced and changed. With `--coverage`, atheris guides what is mostly Python.

## Recorded runs

Written by `scripts/fuzz --report` from `benchmarks/results/fuzz-*.json`.
"""


def record() -> None:
    """Keep the last runs' summaries in the repository, and write the page."""
    for how in ("mutation", "coverage"):
        summary = REPOSITORY / "build" / "fuzz" / f"summary-{how}.json"
        if summary.exists():
            (RECORDED / f"fuzz-{how}.json").write_text(summary.read_text())
    PAGE.write_text(page(RECORDED))


def page(folder: Path) -> str:
    """The whole page, from the recorded runs in a folder."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("fuzz-*.json"))]
    return "\n".join([HEAD, *map(_section, runs), FOUND])


def _section(summary: dict[str, Any]) -> str:
    how = "guided by coverage" if summary["how"] == "coverage" else "mutation"
    lines = [
        f"### {summary['date']}, {how}, {summary['seconds'] / 60:.0f} minutes, bounds checks on",
        "",
        "| target | what it reads | minutes | inputs | MB | packets and records | failures | crashes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, target in summary["targets"].items():
        units = target["packets"] + target["records"]
        lines.append(
            f"| {name} | {READS.get(name, name)} | {target['seconds'] / 60:.1f} | {target['executions']:,} | "
            f"{target['bytes'] / 1e6:,.0f} | {units:,} | {target['failures']} | {target['crashes']} |"
        )
    return "\n".join([*lines, ""])


FOUND = """## What fuzzing and properties found

Each has a test of its own now.

- An element of time with a length that no number has (eleven bytes) broke the conversion of uptimes in NetFlow v9.
- A boot time beyond all clocks in an IPFIX options record (found by the run of mutations above) overflowed.
- Two columns of one name in a CSV or log made its reader stop.
- An unknown pcapng block with a wrong trailing length was read differently for different buffer sizes.
- Whether a SYN began a new connection was asked of the present slice, so that window slices did not add up to the flow.
- A packet late by more than the linger of a closed connection ended it or not, depending on when the table was swept.
"""
