"""`flowlore rates` from captures, exports, tables of flows and tables of numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

import flowlore
from flowlore.cli import run
from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.features.rates.rates import Rates
from flowlore.sources.plainseries import read_plain_table
from ratesmade import MINUTE, Flow, batch_of


def test_a_capture_becomes_rates(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "rates.parquet"
    assert run(["rates", str(DEMO_CAPTURE), "-o", str(out), "--by", "host", "--step", "10s", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    made = Rates.from_table(read_plain_table(out))
    assert report["rows"] == len(made) > 0 and made.by == "host" and report["config_hash"]
    flows = flowlore.read(DEMO_CAPTURE)
    sent = sum(flows["bytes_fwd"].to_pylist()) + sum(flows["bytes_rev"].to_pylist())
    assert sum(made.table["in_bytes"].to_pylist()) == sum(made.table["out_bytes"].to_pylist()) == sent
    assert made.table.equals(flowlore.rates(flows, by="host", step="10s").table)


def test_rates_as_text_go_to_standard_output(tmp_path: Path, capsysbinary: pytest.CaptureFixture) -> None:
    flowlore.Flows(batch_of([Flow(), Flow(start=30 * MINUTE)])).write(tmp_path / "flows.parquet")
    assert run(["rates", str(tmp_path / "flows.parquet"), "-o", "-", "--by", "application"]) == 0
    printed = capsysbinary.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["entity"] for row in rows] == ["tcp/443"] * 2
    assert b"gap: no flow from" in printed.err and b"2 rows by application" in printed.err


def test_rates_are_not_made_of_rates(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    flowlore.Flows(batch_of([Flow(), Flow(start=30 * MINUTE)])).write(tmp_path / "flows.parquet")
    for name, told in (
        ("rates.parquet", "holds rates by host already, in steps of 1m"),
        ("rates.csv", "looks like rates"),
    ):
        made = str(tmp_path / name)
        assert run(["rates", str(tmp_path / "flows.parquet"), "-o", made]) == 0
        before = Path(made).read_bytes()
        assert run(["rates", made, "-o", made, "--overwrite"]) == 2
        assert told in capsys.readouterr().err
        assert Path(made).read_bytes() == before
    loads = tmp_path / "loads.csv"
    loads.write_text("time,a\n2026-01-01T00:00:00,1\n2026-01-01T00:05:00,2\n2026-01-01T00:10:00,3\n")
    assert run(["rates", str(loads), "-o", str(loads), "--overwrite"]) == 2
    assert "is what is read" in capsys.readouterr().err


def test_what_could_not_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    whole = DEMO_CAPTURE.read_bytes()
    cut = tmp_path / f"cut{DEMO_CAPTURE.suffix}"
    cut.write_bytes(whole[: len(whole) // 2])
    assert run(["rates", str(cut), "-o", str(tmp_path / "rates.parquet")]) == 0
    assert "skipped: 1 cut-off-file" in capsys.readouterr().out


def test_a_matrix_is_brought_into_the_same_form(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    lines = "\n".join(f"2026-05-01 12:{minute:02d}:00,{minute},{4_294_967_290 + minute}" for minute in range(5))
    (tmp_path / "loads.csv").write_text(f"time,index,port1\n{lines}\n")
    out = tmp_path / "loads.parquet"
    assert run(["rates", str(tmp_path / "loads.csv"), "-o", str(out), "--counters", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["step_ns"] == MINUTE and report["entities"] == 1  # `index` only numbers the rows
    table = read_plain_table(out)
    assert table["value"].to_pylist() == [None, 1.0, 1.0, 1.0, 1.0]
    assert pa.types.is_timestamp(table["step"].type)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "output: where the rates should go was not said"),
        (["-o", "x.parquet", "--by", "hots"], "did you mean `host`"),
        (["-o", "x.parquet", "--step", "7m"], "`7m` is not a step that divides a day"),
        (["-o", "x.exe"], "what to write is not known from the name"),
        (["-o", "x.parquet", "--set", "rates.most_cels=9"], "did you mean"),
        (["-o", "no/folder/x.parquet"], "its folder does not exist"),
    ],
)
def test_mistakes_are_told(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["rates", str(DEMO_CAPTURE), *words]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
