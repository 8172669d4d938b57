"""What one finished process used, and that results tell nothing of where a machine keeps its files."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import contenders
from benchmarks.machine import machine_class, version_of, without_folders
from benchmarks.measure import run_once, summarise


def test_a_run_is_measured() -> None:
    run = run_once([sys.executable, "-c", "bytearray(30_000_000).count(1); print('first'); print('last')"])
    assert (run.exit_code, run.last_line, run.error) == (0, "last", "")
    assert run.peak_rss_mb > 30 and run.wall_s > 0 and run.cpu_s > 0


def test_what_cannot_start_says_so() -> None:
    run = run_once(["/no/such/folder/program"])
    assert (run.exit_code, run.error) == (127, "…/program: No such file or directory")


def test_a_run_that_takes_too_long_is_ended() -> None:
    run = run_once(["sleep", "60"], timeout_s=0.5)
    assert run.exit_code != 0 and run.error.startswith("longer than")
    assert summarise([run])["failed"] == run.error


def test_figures_are_of_runs_that_ended_well(tmp_path: Path) -> None:
    good, bad = run_once(["true"]), run_once([sys.executable, "-c", f"open({str(tmp_path / 'absent.pcap')!r})"])
    figures = summarise([good, bad])
    assert figures["runs"] == 1
    assert figures["wall_s"] == {"min": good.wall_s, "median": good.wall_s, "max": good.wall_s}
    failed = summarise([bad])
    assert failed["runs"] == 0 and failed["failed"].endswith("…/absent.pcap'")
    assert str(tmp_path) not in json.dumps([figures, failed])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("cannot open /home/someone/x.pcap", "cannot open …/x.pcap"),
        ("'/a/b/c.py': no", "'…/c.py': no"),
        ("see https://example.org/a/b, 5/6 of src/flowlore", "see https://example.org/a/b, 5/6 of src/flowlore"),
        ("-S /dev", "-S /dev"),
        ("", ""),
    ],
)
def test_folders_are_left_out(text: str, kept: str) -> None:
    assert without_folders(text) == kept


def test_recorded_results_hold_no_folder_of_ours(repository: Path) -> None:
    for path in sorted((repository / "benchmarks" / "results").glob("*.json")):
        text = path.read_text()
        assert [place for place in (str(repository), str(Path.home()), "/tmp/") if place in text] == [], path.name


def test_commands_are_shown_without_anybodys_paths(tmp_path: Path) -> None:
    names = [each.name for each in contenders()]
    assert len(names) == len(set(names))
    for each in contenders():
        assert "CAPTURE" in each.command and str(tmp_path) not in each.shown()
        words = each.words(tmp_path / "in.pcap", tmp_path)
        assert str(tmp_path / "in.pcap") in words and not {"CAPTURE", "BENCH", "CIC", "FLOWLORE"} & set(words)
        assert not any(word.startswith("OUT") for word in words)


def test_the_machine_has_no_name() -> None:
    assert set(machine_class()) == {"cpu", "cores", "memory_gib", "system", "python"}
    assert version_of(["/no/such/program"]) == "?"
    assert version_of([sys.executable, "-c", "print('tool 1.22.333-x')"]) == "1.22.333"
