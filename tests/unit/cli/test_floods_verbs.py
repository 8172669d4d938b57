"""`fit --task ddos`, `detect --bundle` and `pretrain flowgen --task ddos`, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import flowlore
from floodsmade import attacked
from flowlore.cli import run
from ratesmade import batch_of

FEW = ["--set", "training.epochs=1", "--set", "training.least_steps=30", "--set", "training.batch_rows=32"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    flows, attacks = attacked(steps=320)
    flowlore.Flows(batch_of(flows)).write(folder / "flows.parquet")
    lines = [
        json.dumps({"victim": one.victim, "from": one.begin_ns, "to": one.end_ns, "kind": one.kind}) for one in attacks
    ]
    (folder / "attacks.jsonl").write_text("\n".join(lines))
    assert run(["rates", str(folder / "flows.parquet"), "--step", "10s", "-o", str(folder / "rates.parquet")]) == 0
    return folder


@pytest.fixture(scope="module")
def watch(town: Path) -> Path:
    words = ["pretrain", "flowgen", str(town / "rates.parquet"), "--task", "ddos", "-o", str(town / "watch")]
    assert run([*words, *FEW, "--set", "flowgen.size=small"]) == 0
    return town / "watch"


def test_taught_from_a_pretrained_one_then_asked(town: Path, watch: Path, capsys: pytest.CaptureFixture) -> None:
    new = str(town / "floods")
    words = [str(town / "rates.parquet"), "--task", "ddos", "--attacks", str(town / "attacks.jsonl"), "-o", new]
    capsys.readouterr()
    assert run(["fit", str(watch), *words, *FEW]) == 0
    printed = capsys.readouterr().out
    assert "4 attacks taught, 4 later ones asked" in printed
    assert all(name in printed for name in ("flowgen", "lightgbm", "gru", "z-score", "percentile"))
    assert run(["fit", str(watch), *words]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(["detect", str(town / "flows.parquet"), "--bundle", new, "--false-alarms", "2000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {alarm["learnt_kind"] for alarm in found["alarms"]} <= {"syn-flood", "udp-flood"}
    assert found["alarms"] and all(0 <= alarm["probability"] <= 1 for alarm in found["alarms"])
    assert run(["detect", new, str(town / "rates.parquet"), "--learn", "0", "--false-alarms", "2000"]) == 0
    assert "probability" in capsys.readouterr().out
    assert run(["detect", new, str(town / "flows.parquet"), "--stream", "--false-alarms", "2000", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "stopped" and events[-1]["alarms"] == len(events) // 2 > 0
    assert {one["learnt_kind"] for one in events[:-1]} <= {"syn-flood", "udp-flood"}
    assert run(["detect", new, str(town / "flows.parquet"), "--stream", "--step", "1m"]) == 2
    assert "was taught steps of 10s" in capsys.readouterr().err
    for words in (["--stream"], ["--learn", "0"]):
        assert run(["detect", new, str(town / "rates.parquet"), *words, "--set", "detection.quiet_steps=9"]) == 2
        assert "was taught with `detection.quiet_steps` 3, and 9 was asked for" in capsys.readouterr().err
    assert run(["detect", new, str(town / "rates.parquet"), "--by", "prefix"]) == 2
    assert "a taught detector knows hosts, and nothing else" in capsys.readouterr().err
    assert run(["predict", new, str(town / "flows.parquet")]) == 2
    assert "knows rates of hosts" in capsys.readouterr().err
    assert run(["forecast", str(town / "rates.parquet"), "--bundle", new, "--horizon", "2"]) == 2
    assert "knows signs of floods, and forecasts nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "none", "RATES", "--task", "ddoss", "-o", "NEW"], "did you mean `ddos`"),
        (["fit", "none", "RATES", "--task", "ddos", "-o", "NEW"], "no file of them is given"),
        (["fit", "none", "RATES", "--attacks", "ATTACKS", "-o", "NEW"], "add `--task ddos`"),
        (["fit", "none", "RATES", "--task", "ddos", "--attacks", "RATES", "-o", "NEW"], "cannot be read"),
        (
            ["fit", "none", "RATES", "--task", "ddos", "--attacks", "ATTACKS", "--test-share", "0.06", "-o", "NEW"],
            "both are needed",
        ),
        (["fit", "WATCH", "FLOWS", "--task", "ddos", "--attacks", "ATTACKS", "--step", "30s", "-o", "NEW"], "`--step`"),
        (["detect", "RATES", "--bundle", "WATCH"], "was taught no attacks"),
        (["detect", "RATES", "--learn", "0"], "nothing says what is usual"),
        (["pretrain", "flowgen", "RATES", "--task", "dos", "-o", "NEW"], "no task is called `dos`"),
        (["pretrain", "autoencoder", "FLOWS", "--task", "ddos", "-o", "NEW"], "is of flowgen"),
        (["pretrain", "flowgen", "RATES", "--augment", "drop-packets", "-o", "NEW"], "learns from rates"),
    ],
)
def test_mistakes_are_told(
    words: list[str], message: str, town: Path, watch: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    places = {
        "RATES": town / "rates.parquet", "FLOWS": town / "flows.parquet", "ATTACKS": town / "attacks.jsonl",
        "WATCH": watch, "NEW": tmp_path / "new",
    }  # fmt: skip
    capsys.readouterr()
    assert run([str(places.get(word, word)) for word in words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
