"""The page of benchmarks from made-up results: every part, whatever was measured and whatever failed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import OURS, SAME_TIMEOUTS, TWO_CORES, TWO_CORES_SAME_TIMEOUTS, page

CIRCUMSTANCES = {
    "machine": {"cpu": "Abacus", "cores": 2, "memory_gib": 4, "system": "Linux 6.1", "python": "3.11.9"},
    "versions": {"flowlore": "0.1"},
    "config_hash": "c0ffee",
    "date": "2026-01-02",
    "load_before": 0.5,
}


def figure(value: float) -> dict[str, float]:
    return {"min": value / 2, "median": value, "max": value * 2}


def process_row(contender: str, wall_s: float, **other: object) -> dict:
    row = {"contender": contender, "ours": contender.startswith("flowlore"), "gives": "flows", "command": "run"}
    row |= {"version": "1.0", "capture": "short", "packets": 1000, "extract": 0, "flows_out": 7}
    row |= {"wall_s": figure(wall_s), "cpu_s": figure(wall_s), "peak_rss_mb": figure(99.0)}
    return row | {"packets_per_s": 1000 / wall_s} | other


def written(folder: Path, name: str, result: dict) -> str:
    (folder / f"{name}.json").write_text(json.dumps(CIRCUMSTANCES | result))
    return page(folder)


def process(*rows: dict) -> dict:
    return {"captures": [{"name": "short", "packets": 1000, "flows": 10, "megabytes": 3}], "rows": list(rows)}


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert text.count("Not measured yet.") == 5
    assert text.startswith("# Benchmarks\n") and text.endswith("\n")


def test_ratios_are_those_of_the_medians(tmp_path: Path) -> None:
    rows = [
        *(process_row(OURS, 0.1), process_row(TWO_CORES, 0.05), process_row(SAME_TIMEOUTS, 0.125)),
        *(process_row(TWO_CORES_SAME_TIMEOUTS, 0.0625), process_row("NFStream without DPI", 1.0)),
        process_row("softflowd", 0.02),
    ]
    text = written(tmp_path, "process", process(*rows))
    assert "| NFStream without DPI | 8.00 | 12 | 16.00 | 20 |" in text
    assert "| softflowd | 0.20 | 0.35 | 0.40 | 0.7 |" in text
    assert "| softflowd | flows | 0.02 [0.01-0.04] | 0.02 | 99 | 50.0 k | 7 | 0.20 |" in text
    assert "Abacus, 2 cores, 4 GiB" in text and "settings c0ffee" in text


def test_what_did_not_run_is_in_the_table(tmp_path: Path) -> None:
    broken = {"contender": "softflowd", "gives": "a|b", "extract": 0, "failed": "no such | device", "ours": False}
    broken |= {"capture": "short", "version": "", "command": "softflowd"}
    text = written(tmp_path, "process", process(process_row(OURS, 0.1), broken))
    assert r"| softflowd | a\|b | did not run: no such \| device |" in text
    assert "| softflowd | not measured | 0.35 | not measured | 0.7 |" in text


def test_each_feature_group_has_its_cost(tmp_path: Path) -> None:
    def rows(scale: float) -> list[dict]:
        return [
            {"name": name, "packets": 1_000_000, "wall_s": figure(wall_s), "packets_per_s": 1e6 / wall_s}
            for name, wall_s in (("counters", 0.1 * scale), ("names", 0.3 * scale))
        ]

    measured = [{"capture": "short", "cores": cores, "rows": rows(1 / cores)} for cores in (1, 2)]
    text = written(tmp_path, "engine", {"measured": measured})
    assert "| counters | 10.00 M | +100 | 20.00 M | 2.00 |" in text
    assert "| names | 3.33 M | +200 | 6.67 M | 2.00 |" in text
    measured[1] = {"capture": "short", "cores": 2, "failed": "killed"}
    assert "2 cores: did not run: killed" in written(tmp_path, "engine", {"measured": measured})


def test_memory_is_above_that_of_an_empty_capture(tmp_path: Path) -> None:
    def row(capture: str, megabytes: float) -> dict:
        figures = {"peak_rss_mb": figure(megabytes), "peak_private_mb": figure(megabytes - 50)}
        return {"capture": capture, "cores": 1, "packets": 5, "flows": 1} | figures

    failed = {"capture": "tenfold", "cores": 1, "packets": 50, "flows": 10, "failed": "no space left"}
    text = written(tmp_path, "memory", {"command": "run", "rows": [row("empty", 100), row("short", 160), failed]})
    assert "| short | 1 | 5 | 1 | 160 | 60 | 60 |" in text
    assert "| tenfold | 1 | 50 | 10 | did not run: no space left |  |  |" in text


def test_first_use_and_records(tmp_path: Path) -> None:
    text = written(tmp_path, "cold", {"rows": [{"name": "--help", "cores": 2, "wall_s": figure(0.2)}]})
    assert "| --help | 2 | 0.20 [0.10-0.40] |" in text
    assert "Did not run: gone." in written(tmp_path, "records", {"failed": "gone"})
    measured = {"decode_records_per_s": {"v9": {"flowlore": 6_000_000, "other": 1000}}}
    measured |= {"ratio_to_best_other": {"v9": 6000.0}}
    nfcapd = [{"version": 9, "records_sent": 10, "records_kept": 9, "records_per_cpu_s": None}]
    text = written(tmp_path, "records", {"measured": measured, "nfcapd": nfcapd, "command": "decode"})
    assert "| v9 | 6,000,000 | 1,000 | 6000.0 |" in text and "| v9 | 10 | 9 |  |" in text


def test_check_writes_nothing(tmp_path: Path, repository: Path) -> None:
    output = tmp_path / "page.md"
    words = [sys.executable, "-m", "benchmarks.report", "--results", str(tmp_path), "--output", str(output)]

    def report(*more: str) -> int:
        return subprocess.run([*words, *more], cwd=repository, check=False, timeout=60).returncode

    assert report("--check") == 1 and not output.exists()
    assert report() == 0 and report("--check") == 0
    output.write_text("something else")
    assert report("--check") == 1 and output.read_text() == "something else"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--parts", "proces"], "invalid choice: 'proces'"),
        (["--captures", "huge"], "invalid choice: 'huge'"),
        (["--runs", "0"], "0 is less than 1"),
        (["--runs", "many"], "invalid"),
    ],
)
def test_wrong_requests_of_a_run(arguments: list[str], words: str, repository: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.run", *arguments]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and words in done.stderr
