"""`flowlore compare` from beginning to end, over the demo."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

import flowlore
from flowlore.cli import run
from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.flows.table import Flows


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


def test_names_on_the_wire_steer_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    flows = flowlore.read(DEMO_CAPTURE).to_arrow()
    names = pa.array(["a\x1b[31mb", "c\x1b[2Jd"] * len(flows))[: len(flows)]
    strange = flows.set_column(flows.schema.get_field_index("server_name"), "server_name", names)
    Flows(strange).write(tmp_path / "flows.parquet")
    path = str(tmp_path / "flows.parquet")
    assert run(["compare", path, "--with", path, "--by", "server_name"]) == 0
    out = capsys.readouterr().out
    assert "a\\x1b[31mb" in out and "\x1b" not in out


def test_mistakes_are_told(capsys: pytest.CaptureFixture) -> None:
    assert run(["compare", str(DEMO_CAPTURE), "--with", str(DEMO_CAPTURE), "--by", "aplication"]) == 2
    assert "no column `aplication`" in capsys.readouterr().err
    assert run(["compare", str(DEMO_CAPTURE), "--with", str(DEMO_CAPTURE), "--where", "dst_port = 1"]) == 2
    assert "there is no flow in" in capsys.readouterr().err
    assert run(["compare", str(DEMO_CAPTURE), "--with", str(DEMO_CAPTURE), "--where", "dst_port = 22"]) == 2
    assert "has 8 flows, and 40 are needed" in capsys.readouterr().err
