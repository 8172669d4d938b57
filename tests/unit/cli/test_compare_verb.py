"""`flowlore compare` from beginning to end, over the demo."""

import json
from pathlib import Path

import pytest

from flowlore.cli import run
from flowlore.cli.demo import DEMO_CAPTURE


def test_a_capture_beside_itself_cannot_be_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "page.html"
    words = ["compare", str(DEMO_CAPTURE), "--with", str(DEMO_CAPTURE), "--by", "app_protocol", "--html", str(page)]
    assert run([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["first_flows"] == report["second_flows"] == 198
    assert all(one["distance"] == 0 for one in report["differences"])
    assert report["apart"]["auc"] < 0.6
    shown = page.read_text()
    assert "<svg" in shown and "told apart" in shown and "http://" not in shown.replace("http://www.w3.org", "")
    assert run(words) == 2  # the page is there already
    assert "--overwrite" in capsys.readouterr().err


def test_people_see_what_differs_most(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["compare", str(DEMO_CAPTURE), "--with", str(DEMO_CAPTURE)]
    assert run(words) == 0
    out = capsys.readouterr().out
    assert "first and second" in out and "largest distances" in out


def test_mistakes_are_told(capsys: pytest.CaptureFixture) -> None:
    assert run(["compare", str(DEMO_CAPTURE), "--with", str(DEMO_CAPTURE), "--by", "aplication"]) == 2
    assert "no column `aplication`" in capsys.readouterr().err
    assert run(["compare", str(DEMO_CAPTURE), "--with", str(DEMO_CAPTURE), "--where", "dst_port = 1"]) == 2
    assert "40 are needed" in capsys.readouterr().err
