"""A tiny scenario from end to end: every flow of its capture has a label, and nothing is left on the machine."""

import json
import subprocess
from pathlib import Path

import pytest
from tiny_laboratory import SCENARIO, namespaces_are_missing, spaces

from flowlore.cli import run as flowlore
from flowlore.lab.machine import FORGET_LOGINS, missing_programs


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    reason = namespaces_are_missing()
    if reason is not None:
        pytest.skip(reason)
    path = tmp_path / "tiny.toml"
    path.write_text(SCENARIO)
    return path


@pytest.mark.needs_root
def test_every_flow_has_a_label(scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "out"
    assert flowlore(["lab", "run", str(scenario), "-o", str(out), "--json"]) == 0, capsys.readouterr().err
    report = json.loads(capsys.readouterr().out)
    assert set(report["by_label"]) >= {"dns", "port-scan"}
    assert report["dropped"] == {"lan": 0, "outside": 0}
    assert report["unheard"] == {}
    for point in ("lan", "outside"):
        flows = str(tmp_path / f"{point}.parquet")
        assert flowlore(["flows", str(out / "capture" / f"{point}.pcapng"), "-o", flows]) == 0
        capsys.readouterr()
        labelled = str(tmp_path / f"{point}-labelled.parquet")
        assert flowlore(["annotate", flows, str(out / "labels.csv"), "-o", labelled, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["flows"] > 4
        assert said["unlabelled"] == 0
        assert said["labelled"] == said["flows"]
        assert "dns" in said["by_label"]
    described = json.loads((out / "run.json").read_text())
    assert described["scenario"]["seed"] == 5
    assert spaces() == set()
    assert [path.name for path in tmp_path.iterdir() if "flowlore-lab" in path.name] == []


@pytest.mark.needs_root
def test_an_output_that_exists_stays(scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "out").mkdir()
    assert flowlore(["lab", "run", str(scenario), "-o", str(tmp_path / "out")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert flowlore(["lab", "run", str(scenario), "-o", str(tmp_path / "out"), "--overwrite"]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err


def test_scenarios_are_listed(capsys: pytest.CaptureFixture) -> None:
    assert flowlore(["lab", "scenarios", "--json"]) == 0
    assert "quick" in {one["name"] for one in json.loads(capsys.readouterr().out)}


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert flowlore(["lab", "run", "quick", "-o", "nowhere"]) == 2
    assert "can be made by root only" in capsys.readouterr().err


def test_missing_programs_are_found() -> None:
    from flowlore.lab.activity import Program

    absent = Program(name="no-such-program", package="nothing")
    assert missing_programs([absent, Program(name="sh", package="dash")]) == [absent]


@pytest.mark.needs_root
def test_logins_of_a_run_are_not_the_machines(tmp_path: Path) -> None:
    """What a server writes of log-ins where these are forgotten is nowhere on the machine."""
    reason = namespaces_are_missing()
    if reason is not None:
        pytest.skip(reason)
    book = tmp_path / "wtmp"
    book.write_text("before")
    forget = FORGET_LOGINS.replace("/var/log/wtmp", str(book))
    assert forget != FORGET_LOGINS
    script = f"{forget}; echo somebody logged in >> {book}"
    subprocess.run(["unshare", "--mount", "sh", "-c", script], check=True, timeout=20)
    assert book.read_text() == "before"
