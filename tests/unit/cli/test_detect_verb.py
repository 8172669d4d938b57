"""`flowlore detect` on rates and on traffic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import flowlore
from flowlore.cli import run
from ratesmade import Flow, S, batch_of, host


@pytest.fixture
def flows(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    usual = [
        Flow(
            start=step * 10 * S, src=host(9 + int(rng.integers(5))), dst=host(1), packets=(int(rng.integers(30, 60)), 9)
        )
        for step in range(200)
    ]
    attack = [
        Flow(start=1_800 * S + one, src=host(500 + one), dst=host(1), packets=(900, 0), flags=(2, 0))
        for one in range(9)
    ]
    flowlore.Flows(batch_of(usual + attack)).write(tmp_path / "flows.parquet")
    return str(tmp_path / "flows.parquet")


def test_alarms_of_traffic_and_of_its_rates_are_the_same(
    flows: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(["detect", flows, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (alarm,) = found["alarms"]
    assert (alarm["host"], alarm["kind"]) == (host(1), "syn-flood") and found["false_alarms_a_day"] == 1.0
    rates = str(tmp_path / "rates.parquet")
    assert run(["rates", flows, "--step", "10s", "-o", rates]) == 0
    capsys.readouterr()
    assert run(["detect", rates, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert run(["detect", rates, "--false-alarms", "0.5"]) == 0
    printed = capsys.readouterr().out
    assert "0.5 false alarms a day" in printed and "syn-flood" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--step", "1h"], "quiet steps are too few"),
        (["--by", "hosts"], "did you mean `host`"),
        (["--set", "detection.half_life_s=0"], "half_life_s"),
    ],
)
def test_mistakes_are_told(flows: str, words: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    assert run(["detect", flows, *words]) == 2
    assert message in capsys.readouterr().err


def test_a_plain_table_is_no_traffic(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "loads.csv").write_text("time,load\n2026-05-01 12:00:00,3\n2026-05-01 12:05:00,4\n")
    assert run(["detect", str(tmp_path / "loads.csv")]) == 2
    assert "rates of hosts are needed" in capsys.readouterr().err
