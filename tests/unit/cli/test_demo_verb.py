"""`flowlore demo`: from the labelled capture that ships to a report, with the bundle that ships, without a network."""

import json
from pathlib import Path

import pytest

from flowlore.cli import run
from flowlore.cli.demo import BUNDLE
from flowlore.tasks import extra


def test_it_learns_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("FLOWLORE_CACHE_DIR", str(tmp_path / "cache"))
    assert run(["demo", "-o", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    learning = found["learning"]
    assert found["packets"] == found["packets_in_flows"] + sum(found["skipped"].values())
    assert learning["shown"] == 5 * learning["classes"]
    assert learning["classes"] >= 10
    assert learning["scores"]["probe"]["natural"]["macro_f1"] > 0.5
    assert learning["map"]["bundle"] == BUNDLE
    assert len(learning["explained"]) == 8
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"flows.parquet", "inspect.html", "report.html"}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for words in (
        "What was taken for what",
        "Confidence",
        "How this map was made",
        "nearest labelled flows",
        "LightGBM",
    ):
        assert words in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_without_the_extra_it_meters(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(extra, "missing_packages", lambda: ["torch"])
    assert run(["demo"]) == 0
    printed = capsys.readouterr().out
    assert "pip install 'flowlore[learn]'" in printed
    assert "www.news.example" in printed
