"""Writes docs/benchmarks.md from the JSON files in benchmarks/results: `python -m benchmarks.report [--check]`."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .captures import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results"
PAGE = REPOSITORY / "docs" / "benchmarks.md"
OURS = "flowlore"
SAME_TIMEOUTS = "flowlore, NFStream's timeouts"
TWO_CORES = "flowlore, two cores"
TWO_CORES_SAME_TIMEOUTS = "flowlore, two cores, NFStream's timeouts"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.report")
    parser.add_argument("--check", action="store_true", help="fail where the page is not what would be written")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    text = page(arguments.results)
    if arguments.check:
        sys.exit(0 if arguments.output.exists() and arguments.output.read_text() == text else 1)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(text)


def page(folder: Path) -> str:
    """The whole page; a part that was not measured says so."""
    parts = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    writers = {"process": _process, "engine": _engine, "memory": _memory, "cold": _cold, "records": _records}
    for path in folder.glob("*-rivals.json"):  # until a run has measured everyone together
        parts.setdefault(path.stem.removesuffix("-rivals"), parts[path.stem])
    blocks = [INTRODUCTION]
    for name, write in writers.items():
        blocks.append(
            "\n".join(write(parts[name])) if name in parts else f"## {name.capitalize()}\n\nNot measured yet."
        )
    return "\n\n".join(blocks) + "\n"


INTRODUCTION = """# Benchmarks

Written by `python -m benchmarks.report` from `benchmarks/results/*.json`; `make bench` measures everything again.

Figures are medians, with the least and the most in brackets. All contenders of a table ran in one run, in turn: each
once, then each again; the first turn only warms the page cache and is thrown away. Read the ratios: absolute figures
are of the machine that each table names. Ours is pinned to the cores stated. Rivals are not pinned unless a row says
so: each runs in its single-worker setting, but may use the second core for what it does beside (NFStream has two
processes even then, so that it is shown on one core too)."""


def _process(result: dict[str, Any]) -> list[str]:
    lines = ["## Capture files to flows, whole process", "", _circumstances(result), ""]
    lines += _table(
        ("capture", "packets", "flows (5-tuples)", "packets per flow", "MB"),
        (
            (
                each["name"],
                f"{each['packets']:,}",
                f"{each['flows']:,}",
                f"{each['packets'] / each['flows']:.0f}",
                f"{each['megabytes']:,}",
            )
            for each in result["captures"]
        ),
    )
    lines += ["", "They are made from real captures by replication (`benchmarks/captures.py`), not a backbone's mix."]
    for capture in result["captures"]:
        rows = [row for row in result["rows"] if row["capture"] == capture["name"]]
        by_name = {row["contender"]: row for row in rows}
        lines += ["", f"### {capture['name'].capitalize()} flows", ""]
        lines += _table(
            ("contender", "gives", "wall s", "CPU s", "peak MB", "packets/s", "flows out", "times as fast is ours"),
            (_process_row(row, by_name) for row in rows),
        )
        lines += ["", *_targets(capture["name"], by_name)]
    lines += [
        "",
        "Times as fast is ours: `flowlore` (one core, everything on) against the row, by packets per second; rows of",
    ]
    lines += [
        "NFStream against the run of ours with NFStream's timeouts. Rows with *n* packets got an extract of so many.",
        "",
    ]
    lines += ["### Commands", ""]
    first = result["captures"][0]["name"]
    rows = [row for row in result["rows"] if row["capture"] == first]
    lines += [f"- {row['contender']} {row['version']}: `{row['command']}`" for row in rows]
    return lines


def _process_row(row: dict[str, Any], by_name: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    name = row["contender"] + (f" ({row['extract']:,} packets)" if row["extract"] else "")
    if "failed" in row:
        return (name, row["gives"], f"did not run: {row['failed']}", "", "", "", "", "")
    return (
        name,
        row["gives"],
        _spread(row["wall_s"]),
        f"{row['cpu_s']['median']:.2f}",
        f"{row['peak_rss_mb']['median']:,.0f}",
        _rate(row["packets_per_s"]),
        f"{row['flows_out']:,}" if row["flows_out"] else "",
        "" if row["ours"] else _ratio(row, by_name),
    )


def _ratio(row: dict[str, Any], by_name: dict[str, dict[str, Any]]) -> str:
    ours = by_name.get(SAME_TIMEOUTS if row["contender"].startswith("NFStream") else OURS, {})
    return f"{ours['packets_per_s'] / row['packets_per_s']:.2f}" if "packets_per_s" in ours else ""


def _targets(capture: str, by_name: dict[str, dict[str, Any]]) -> list[str]:
    """What was set out to be reached, beside what was."""
    wanted = {
        "short": [
            ("NFStream without DPI, one core", SAME_TIMEOUTS, TWO_CORES_SAME_TIMEOUTS, 12.0, 20.0),
            ("NFStream without DPI", SAME_TIMEOUTS, TWO_CORES_SAME_TIMEOUTS, 12.0, 20.0),
            ("softflowd", OURS, TWO_CORES, 0.35, 0.7),
        ],
        "long": [
            ("NFStream without DPI, one core", SAME_TIMEOUTS, TWO_CORES_SAME_TIMEOUTS, 4.0, 6.0),
            ("NFStream without DPI", SAME_TIMEOUTS, TWO_CORES_SAME_TIMEOUTS, 4.0, 6.0),
        ],
    }[capture]
    rows = []
    for rival, one, two, least, goal in wanted:
        ratios = [
            f"{by_name[ours]['packets_per_s'] / by_name[rival]['packets_per_s']:.2f}"
            if all("packets_per_s" in by_name.get(name, {}) for name in (ours, rival))
            else "not measured"
            for ours in (one, two)
        ]
        rows.append((rival, ratios[0], f"{least:g}", ratios[1], f"{goal:g}"))
    return _table(("times the rate of", "one core", "target", "two cores", "goal"), rows)


def _engine(result: dict[str, Any]) -> list[str]:
    lines = ["## The warm engine", "", _circumstances(result), ""]
    lines += [
        "In one process, kernels loaded, capture in the page cache, until Arrow batches are made; nothing is written."
    ]
    lines += ["Each row adds to the one above it."]
    for capture in dict.fromkeys(each["capture"] for each in result["measured"]):
        of = {each["cores"]: each for each in result["measured"] if each["capture"] == capture}
        lines += ["", f"### {capture.capitalize()} flows", ""]
        failed = [f"{cores} cores: did not run: {each['failed']}" for cores, each in of.items() if "failed" in each]
        if failed:
            lines += failed
            continue
        rows, before = [], 0.0
        for one, two in zip(of[1]["rows"], of[2]["rows"], strict=True):
            wall_s, packets = one["wall_s"]["median"], one["packets"]
            rows.append(
                (
                    one["name"],
                    _rate(one["packets_per_s"]),
                    f"{(wall_s - before) / packets * 1e9:+.0f}",
                    _rate(two["packets_per_s"]),
                    f"{two['packets_per_s'] / one['packets_per_s']:.2f}",
                    f"{one['batches_s'] / wall_s:.0%}" if "batches_s" in one else "",
                )
            )
            before = wall_s
        columns = ("what", "one core, packets/s", "cost, ns a packet", "two cores, packets/s", "times one core")
        lines += _table((*columns, "share spent on making Arrow"), rows)
    return lines


def _memory(result: dict[str, Any]) -> list[str]:
    lines = ["## Memory", "", _circumstances(result), "", f"`{result['command']}`: peak of the whole process.", ""]
    empty = {row["cores"]: row for row in result["rows"] if row["capture"] == "empty"}

    def above(row: dict[str, Any], figure: str) -> str:
        if figure not in row or figure not in empty[row["cores"]]:
            return ""
        return f"{row[figure]['median'] - empty[row['cores']][figure]['median']:,.0f}"

    rows = (
        (
            row["capture"],
            str(row["cores"]),
            f"{row['packets']:,}",
            f"{row['flows']:,}",
            f"{row['peak_rss_mb']['median']:,.0f}" if "peak_rss_mb" in row else f"did not run: {row['failed']}",
            above(row, "peak_rss_mb"),
            above(row, "peak_private_mb"),
        )
        for row in result["rows"]
    )
    columns = ("capture", "cores", "packets", "flows", "peak MB", "above empty, MB", "of it private, MB")
    lines += _table(columns, rows)
    return [*lines, "", "`concurrent` has all its flows open at once; `tenfold` is `short` ten times over."]


def _cold(result: dict[str, Any]) -> list[str]:
    lines = ["## First use", "", _circumstances(result), ""]
    rows = (
        (row["name"], str(row["cores"]), _spread(row["wall_s"]) if "wall_s" in row else f"did not run: {row['failed']}")
        for row in result["rows"]
    )
    return lines + _table(("what", "cores", "wall s"), rows)


def _records(result: dict[str, Any]) -> list[str]:
    lines = ["## Exported records", "", _circumstances(result), ""]
    if "failed" in result:
        return [*lines, f"Did not run: {result['failed']}."]
    measured = result["measured"]
    names = sorted({name for rates in measured["decode_records_per_s"].values() for name in rates})
    lines += [f"`{result['command']}`: datagrams in memory → columns, records/s, median of the repeats.", ""]
    lines += _table(
        ("format", *names, "times the best other"),
        (
            (
                version,
                *(f"{rates[name]:,}" if name in rates else "" for name in names),
                f"{measured['ratio_to_best_other'].get(version, '')}",
            )
            for version, rates in measured["decode_records_per_s"].items()
        ),
    )
    if "udp_to_parquet" in measured:
        lines += ["", "From a UDP socket to Parquet, unidirectional records paired into flows:", ""]
        lines += _table(
            ("format", "records", "lost datagrams", "records/s", "records per CPU second"),
            (
                (
                    row["version"],
                    f"{row['records']:,}",
                    f"{row['lost_datagrams']:,}",
                    f"{row['records_per_s']:,}",
                    f"{row['records_per_cpu_s']:,}",
                )
                for row in measured["udp_to_parquet"]
            ),
        )
    if result.get("nfcapd"):
        lines += ["", "nfcapd (C) on the same streams, to its own file format:", ""]
        lines += _table(
            ("format", "records sent", "kept", "records per CPU second"),
            (
                (
                    {5: "v5", 9: "v9", 10: "ipfix"}[row["version"]],
                    f"{row['records_sent']:,}",
                    f"{row['records_kept']:,}",
                    f"{row['records_per_cpu_s']:,}" if row["records_per_cpu_s"] else "",
                )
                for row in result["nfcapd"]
            ),
        )
    return lines


def _circumstances(result: dict[str, Any]) -> str:
    machine, versions = result["machine"], result["versions"]
    words = [f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}"]
    words += [f"Python {machine['python']}", *(f"{name} {version}" for name, version in versions.items())]
    words += [f"settings {result['config_hash']}", f"measured {result['date']}, load before {result['load_before']}"]
    return ", ".join(words) + "."


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return head + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def _spread(figure: dict[str, float]) -> str:
    return f"{figure['median']:.2f} [{figure['min']:.2f}-{figure['max']:.2f}]"


def _rate(per_s: float) -> str:
    return f"{per_s / 1e6:.2f} M" if per_s >= 1e6 else f"{per_s / 1e3:,.1f} k"


if __name__ == "__main__":
    main()
