"""`flowlore forecast` and `flowlore pretrain flowgen` on tables of numbers and on traffic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import flowlore
from flowlore.cli import run
from flowlore.cli.seriesinputs import steps_of
from ratesmade import MINUTE, Flow, batch_of, host


@pytest.fixture
def loads(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    hours = np.datetime64("2026-05-01T00:00", "s") + np.arange(240) * np.timedelta64(3600, "s")
    turn = 1 + 0.8 * np.sin(2 * np.pi * np.arange(240) / 24)
    columns = {name: size * turn * np.exp(0.1 * rng.normal(size=240)) for name, size in (("a>b", 5.0), ("b>a", 90.0))}
    pq.write_table(pa.table({"time": hours} | columns), tmp_path / "loads.parquet")
    return str(tmp_path / "loads.parquet")


def test_a_forecast_as_table_page_and_json(loads: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out, page = tmp_path / "next.csv", tmp_path / "next.html"
    words = ["forecast", loads, "--horizon", "1d", "--capacity", "b>a=100", "-o", str(out), "--html", str(page)]
    assert run(words) == 0
    printed = capsys.readouterr().out
    assert "told are steps 1, 2, 3, 6, 9, 12, 24 ahead" in printed
    assert "over capacity" in printed and "capacity-missing" in printed and "2026-05-11 00:00:00" in printed
    assert len(out.read_text().splitlines()) == 1 + 2 * 7
    html = page.read_text()
    assert html.count("<svg") == 2 and html.count("<polygon") == 6 and "<script" not in html and "b&gt;a" in html
    assert run(["forecast", loads, "--horizon", "6", "--top", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert run(["forecast", loads, "--horizon", "6", "--top", "1", "--every-step", "--json"]) == 0
    assert [row["horizon"] for row in json.loads(capsys.readouterr().out)["rows"]] == [1, 2, 3, 4, 5, 6]
    assert found["horizons"] == [1, 2, 3, 6] and {row["entity"] for row in found["rows"]} == {"b>a"}
    assert all(row["low"] <= row["median"] <= row["high"] for row in found["rows"])


def test_methods_are_compared_on_the_last_part(loads: str, capsys: pytest.CaptureFixture) -> None:
    words = ["forecast", loads, "--horizon", "6h", "--backtest", "3d", "--method", "persistence", "--method", "linear"]
    assert run(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "the last 72 steps" in lines[0]
    assert [line.split()[0] for line in lines[2:]] == ["linear", "persistence"]


def test_a_decoder_is_trained_on_traffic_and_forecasts_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    flows = [
        Flow(start=minute * MINUTE, src=host(1 + minute % 3), dst="192.0.2.1", bytes=(500 + minute, 9_000))
        for minute in range(90)
    ]
    flowlore.Flows(batch_of(flows)).write(tmp_path / "flows.parquet")
    rates, bundle = str(tmp_path / "rates.parquet"), str(tmp_path / "dynamics")
    assert run(["rates", str(tmp_path / "flows.parquet"), "-o", rates]) == 0
    small = ["--set", "flowgen.least_windows=32", "--set", "flowgen.size=small"]
    assert run(["pretrain", "flowgen", rates, "-o", bundle, "--json", *small]) == 0
    made = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert made["model"] == "flowgen" and made["series"] == 4 and "in_bytes" in made["features"]
    assert run(["forecast", rates, "--bundle", bundle, "--horizon", "10m", "--feature", "out_bytes", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == 4 * 6 and all(np.isfinite(row["median"]) for row in rows)
    assert run(["bundles", "--json"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--horizon", "soon"], "`soon` is no length of time"),
        (["--horizon", "90m"], "no whole number of steps of 1h"),
        (["--horizon", "30d"], "too short for a horizon"),
        (["--method", "lineal"], "did you mean `linear`"),
        (["--capacity", "a>b=fast"], "`fast` is no number"),
        (["--capacity", "nobody=3"], "is no series"),
        (["--capacity", "nan"], "a capacity of nan is none"),
        (["--bundle", "no-such"], "there is no folder and no bundle"),
        (["--time", "when"], "the table has no column `when`"),
        (["--backtest", "1d", "-o", "out.csv"], "`-o` does not go with `--backtest`"),
        (["--backtest", "1d", "--html", "out.html"], "`--html` does not go with `--backtest`"),
        (["--backtest", "1d", "--capacity", "nonsense"], "`--capacity` does not go with `--backtest`"),
        (["--method", "linear", "--method", "ewma"], "`--method` more than once is for `--backtest`"),
        (["--method", "linear", "--bundle", "no-such"], "`--method` does not go with `--bundle`"),
    ],
)
def test_mistakes_are_told(loads: str, words: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    assert run(["forecast", loads, *words]) == 2
    assert message in capsys.readouterr().err


def test_lengths_of_time() -> None:
    assert steps_of("1d", 300_000_000_000) == 288


def test_what_is_odd_about_a_table_is_named_with_the_forecast(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [*range(60), *range(50, 120)]  # the clock was set back by 50 minutes
    rows = [f"2026-05-01T{step // 12:02}:{step % 12 * 5:02}:00Z,{-3 if step == 20 else step % 7}" for step in steps]
    (tmp_path / "loads.csv").write_text("\n".join(["time,a", *rows]))
    words = ["forecast", str(tmp_path / "loads.csv"), "--horizon", "5m"]
    assert run(words) == 0
    printed = capsys.readouterr().out
    assert "1 clock-steps" in printed and "1 negative-values" in printed and "negative-1" in printed
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"]["clock-steps"] == 1
    assert run([*words, "--backtest", "1h"]) == 0
    assert "1 clock-steps" in capsys.readouterr().out
    for verb in (words, ["rates", words[1], "-o", str(tmp_path / "out.parquet")]):
        assert run([*verb, "--by", "planet"]) == 2
        assert "no kind of entity is called `planet`" in capsys.readouterr().err
