"""`flowlore study`: what it lists, plans and refuses. Runs themselves are tested with the studies."""

import json
from pathlib import Path

import pytest

from flowlore.cli import run


def test_list(capsys: pytest.CaptureFixture) -> None:
    assert run(["study", "--list"]) == 0
    printed = capsys.readouterr().out
    assert "representations" in printed and "audit" in printed and "fgnet" in printed
    assert run(["study", "--list", "--json"]) == 0
    assert {one["name"] for one in json.loads(capsys.readouterr().out)} >= {"representations", "audit"}


def test_one_run_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["study", "representations", "--data", str(tmp_path), "-o", str(tmp_path / "out"), "--scale", "smoke"]
    words += ["--sets", "office,fgnet", "--arm", "1-nn", "--seeds", "1", "--shots", "5"]
    assert run([*words, "--plan"]) == 0
    printed = capsys.readouterr().out
    assert "left out: fgnet" in printed and "1 of 1 runs are to be made" in printed
    assert "arms of labels: 1-nn\n" in printed
    assert not (tmp_path / "out" / "results.json").exists()
    assert run(words) == 0
    printed = capsys.readouterr().out
    assert "[1/1] office, labels, 1-nn, 5 labels, seed 0" in printed and "report.md" in printed
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["waiting"] == 0
    assert run(["study", "representations", "-o", str(tmp_path / "out"), "--report"]) == 0
    assert "report.html" in capsys.readouterr().out
    page = (tmp_path / "out" / "report.md").read_text()
    assert "flowlore study representations --data DATA -o OUT --scale smoke" in page
    kept = page + (tmp_path / "out" / "study.json").read_text() + (tmp_path / "out" / "results.json").read_text()
    assert str(tmp_path) not in kept and "DATA/fgnet/d1.parquet" in kept


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "no study is named"),
        (["representations"], "where the results"),
        (["nosuch", "--plan"], "no study is called `nosuch`"),
        (["representation", "-o", "x"], "did you mean `representations`"),
        (["representations", "-o", "x", "--scale", "smal"], "did you mean `small`"),
        (["representations", "-o", "x", "--shots", "five"], "no numbers of labels"),
        (["representations", "-o", "x", "--sets", "fgnt"], "did you mean `fgnet`"),
        (["representations", "-o", "nowhere", "--report"], "holds no study"),
    ],
)
def test_mistakes(
    words: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["study", *words]) == 2
    assert problem in capsys.readouterr().err
