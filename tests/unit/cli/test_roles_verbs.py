"""`fit --task roles`, `hosts` and `generate` with bundles of rates, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from floodsmade import attacked, rates_of
from flowlore.cli import run
from ratesmade import host

FEW = [
    *("--set", "training.epochs=1", "--set", "training.least_steps=20", "--set", "training.batch_rows=32"),
    *("--set", "flowgen.size=small", "--set", "flowgen.least_windows=64", "--set", "flowgen.context=64"),
]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    flows, _ = attacked(steps=240)
    rates_of(flows).write(folder / "rates.parquet")
    hosts = [(host(one), "server") for one in range(6)] + [(host(100 + one), "client") for one in range(30)]
    (folder / "hosts.csv").write_text("host,label\n" + "\n".join(",".join(one) for one in hosts))
    words = ["pretrain", "flowgen", str(folder / "rates.parquet"), "-o", str(folder / "dynamics"), *FEW]
    assert run([*words, "--set", "flowgen.farthest=6"]) == 0
    return folder


def test_hosts_are_taught_and_told(town: Path, capsys: pytest.CaptureFixture) -> None:
    words = [str(town / "rates.parquet"), "--task", "roles", "--labels", str(town / "hosts.csv")]
    capsys.readouterr()
    assert run(["fit", str(town / "dynamics"), *words, "-o", str(town / "roles")]) == 0
    printed = capsys.readouterr().out
    assert "18 hosts of 2 classes taught, 18 asked (split by host)" in printed
    assert all(name in printed for name in ("flowgen", "lightgbm", "extra-trees", "commonest"))
    assert run(["fit", "none", *words, "-o", str(town / "fresh"), "--head", "probe", *FEW, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["flowgen"]["host_macro_f1"] > 0.9
    out = town / "told.parquet"
    assert run(["hosts", str(town / "roles"), str(town / "rates.parquet"), "-o", str(out), "--host", host(3)]) == 0
    assert "server" in capsys.readouterr().out
    assert pq.read_table(out).num_rows > 36
    assert run(["hosts", str(town / "roles"), str(town / "rates.parquet"), "--host", "10.99.0.1"]) == 2
    assert "no rates are of `10.99.0.1`" in capsys.readouterr().err
    assert run(["hosts", str(town / "roles"), str(town / "rates.parquet"), "--surprise", str(town / "no.parquet")]) == 2
    assert "tells no surprise" in capsys.readouterr().err
    assert run(["generate", str(town / "roles"), "-o", str(town / "no.parquet")]) == 2
    assert "makes up no rates" in capsys.readouterr().err
    assert run(["fit", "none", *words[:3], "-o", str(town / "no")]) == 2
    assert "no file of them is given" in capsys.readouterr().err


def test_hosts_without_labels_are_told_by_their_oddest_step(town: Path, capsys: pytest.CaptureFixture) -> None:
    steps = town / "steps.parquet"
    words = ["hosts", str(town / "dynamics"), str(town / "rates.parquet"), "--surprise", str(steps), "--json"]
    capsys.readouterr()
    assert run([*words, "--top", "4"]) == 0
    found = json.loads(capsys.readouterr().out)
    above = [row["bits_above_mean"] for row in found["verdicts"]]
    assert len(above) == 4 and above == sorted(above, reverse=True) and above[0] > 0
    first, told = found["verdicts"][0], pq.read_table(steps).to_pylist()
    own = [row for row in told if row["entity"] == first["entity"]]
    oddest = max(own, key=lambda row: row["bits"])
    assert f"{oddest['step']:%Y-%m-%d %H:%M:%S}" in first["oddest_step"] and oddest["oddest"] == first["oddest"]


def test_rates_that_may_follow(town: Path, capsys: pytest.CaptureFixture) -> None:
    out = town / "made.parquet"
    words = ["generate", str(town / "dynamics"), "-n", "12", "--paths", "3", "--top", "5", "-o", str(out)]
    capsys.readouterr()
    assert run(words) == 2
    assert "--after rates.parquet" in capsys.readouterr().err
    for more, said in (
        (["-n", "0"], "0 steps were asked for"),
        (["--class", "web"], "`--class` is for generators of flows, and"),
        (["--place", "thin"], "`--place` is for generators of flows, and"),
        (["--after", str(town / "nothing.parquet")], "nothing.parquet` does not exist"),
        (["-o", str(town / "hosts.csv"), "--after", str(town / "rates.parquet")], "is already there"),
        (["-o", str(town / "made.pcap"), "--after", str(town / "rates.parquet")], "what to write is not known"),
    ):
        assert run([*words, *more]) == 2
        assert said in capsys.readouterr().err
    assert run([*words, "--after", str(town / "rates.parquet")]) == 0
    assert "5 hosts, 3 paths of 12 steps" in capsys.readouterr().out
    made, given = pq.read_table(out), pq.read_table(town / "rates.parquet")
    assert made.num_rows == 5 * 3 * 12 and min(made["step"].to_pylist()) > max(given["step"].to_pylist())
    assert all(number >= 0 for number in made["in_packets"].to_pylist()) and len({*made["in_packets"].to_pylist()}) > 20
