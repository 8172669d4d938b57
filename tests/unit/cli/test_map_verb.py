"""`flowlore map` and `flowlore explain` over a quick encoder: what they write, print, and refuse."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import flowlore.models
from flowlore.cli import run
from flowlore.cli.demo import DEMO, DEMO_CAPTURE
from flowlore.registry import Registry

STUB = Path(__file__).resolve().parent.parent / "tasks"
LABELS = str(DEMO / "labels.csv")


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> Path:
    """A bundle that was taught with the demo."""
    monkeypatch.syspath_prepend(STUB)
    stub = Registry("model", {"stub": "stub_encoder:StubEncoder"}, with_plugins=False)
    monkeypatch.setattr(flowlore.models, "MODELS", stub)
    monkeypatch.setenv("FLOWLORE_CACHE_DIR", str(tmp_path))
    assert run(["pretrain", "stub", str(DEMO_CAPTURE), "-o", str(tmp_path / "plain")]) == 0
    more = [
        "--labels",
        LABELS,
        "--split",
        "time",
        "--drop-small-classes",
        "--shots",
        "2",
        "-o",
        str(tmp_path / "taught"),
    ]
    assert run(["fit", str(tmp_path / "plain"), str(DEMO_CAPTURE), *more]) == 0
    capsys.readouterr()
    return tmp_path / "taught"


def test_a_map_is_written(taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "map.html"
    assert run(["map", str(taught), str(DEMO_CAPTURE), "--labels", LABELS, "-o", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["shown"] == found["flows"] == 198
    assert {"label", "predicted", "application"} <= set(found["colourings"])
    assert 0.5 < found["faith"]["trustworthiness"] <= 1.0
    assert "login-guessing" in page.read_text(encoding="utf-8")
    assert run(["map", str(taught), str(DEMO_CAPTURE), "-o", str(page)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(["map", str(taught), str(DEMO_CAPTURE), "-o", str(page), "--overwrite", "--most", "50"]) == 0
    assert "50 of 198 flows" in capsys.readouterr().out


def test_new_flows_are_placed_on_the_map_of_the_others(
    taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    more = ["--new", str(DEMO_CAPTURE), "--where", "dst_port = 443 or dst_port = 53", "--json"]
    assert run(["map", str(taught), str(DEMO_CAPTURE), "-o", str(tmp_path / "map.html"), *more]) == 0
    assert "new or known" not in json.loads(capsys.readouterr().out)["colourings"]  # they are all known


def test_nothing_is_left_of_a_map_that_failed(taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "map.html"
    assert run(["map", str(taught), str(DEMO_CAPTURE), "--where", "dst_port = 1", "-o", str(page)]) == 2
    assert "no flow to draw" in capsys.readouterr().err
    assert list(tmp_path.glob("*map.html*")) == []


def test_answers_are_explained(taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "why.html"
    command = ["explain", str(taught), str(DEMO_CAPTURE), "--count", "4"]
    assert run([*command, "--json", "--html", str(page)]) == 0
    rows = json.loads(capsys.readouterr().out)["explained"]
    assert len(rows) == 4
    assert all({"label", "confidence", "parts", "neighbours"} <= set(row) for row in rows)
    assert "totals and statistics" in page.read_text(encoding="utf-8")
    wanted = rows[0]["flow_id"]
    assert run(["explain", str(taught), str(DEMO_CAPTURE), "--flow", wanted]) == 0
    printed = capsys.readouterr().out
    assert f"\n{wanted}  " in printed and "nearest labelled flows" in printed
    for pick in ("doubtful", "first"):
        assert run([*command, "--pick", pick]) == 0
    assert run([*command, "--pick", "best"]) == 2
    assert "typical, doubtful, first" in capsys.readouterr().err
    assert run(["explain", str(taught), str(DEMO_CAPTURE), "--flow", "00"]) == 2
    assert "no flow has the id `00`" in capsys.readouterr().err
    assert run(["explain", str(taught), str(DEMO_CAPTURE), "--where", "dst_port = 1"]) == 2
    assert "there is no flow in" in capsys.readouterr().err


def test_doubtful_flows_are_the_least_sure(taught: Path, capsys: pytest.CaptureFixture) -> None:
    sure = {}
    for pick in ("typical", "doubtful"):
        assert run(["explain", str(taught), str(DEMO_CAPTURE), "--count", "3", "--pick", pick, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["explained"]
        sure[pick] = [row["confidence"] for row in rows]
    assert max(sure["doubtful"]) <= min(sure["typical"])


def test_answers_with_reasons(taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "answers.parquet"
    assert run(["predict", str(taught), str(DEMO_CAPTURE), "--explain", "-o", str(output)]) == 0
    table = pq.read_table(output)
    assert table.num_rows == 198
    because, nearest = (table.column(name).to_pylist() for name in ("because", "nearest"))
    assert any(parts and parts[0]["what"] for parts in because)
    assert all(len(near) == 3 for near in nearest)
    capsys.readouterr()
    assert run(["predict", str(taught), str(DEMO_CAPTURE), "--explain"]) == 2
    assert "nowhere to write to" in capsys.readouterr().err
