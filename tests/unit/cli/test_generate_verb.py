"""`flowlore imitate` and `flowlore generate`: from labels to captures, a report of how faithful, and refusals."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import flowlore
import flowlore.models.generators
from flowlore.cli import run
from flowlore.cli.demo import DEMO, DEMO_CAPTURE
from flowlore.models.generators.settings import TransformerSettings, WganSettings
from flowlore.models.generators.transformer import TransformerGenerator
from flowlore.models.generators.wgan import WganGenerator

OFTEN = "label in ('names', 'web')"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flows") / "labelled.parquet"
    assert run(["annotate", str(DEMO_CAPTURE), str(DEMO / "labels.csv"), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def generator(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "office-generator"
    with pytest.MonkeyPatch.context() as patch:
        small = TransformerSettings(packets=16, width=16, layers=1, heads=2)
        patch.setattr(TransformerGenerator.__init__, "__defaults__", (small,))
        assert run(["imitate", str(labelled), "-o", str(path), "--where", OFTEN, "--epochs", "15"]) == 0
    return path


def test_flows_of_a_class(generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "made.parquet"
    assert run(["generate", str(generator), "--class", "names", "-n", "30", "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flows"] == 30
    flows = flowlore.read(out)
    assert len(flows) == 30 and set(flows["label"].to_pylist()) == {"names"}
    assert run(["generate", str(generator), "--class", "names", "-n", "30", "-o", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_a_capture_that_tshark_reads(generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "made.pcap"
    assert run(["generate", str(generator), "-n", "40", "-o", str(out)]) == 0
    assert "40 flows →" in capsys.readouterr().out
    checks = ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    bad = "ip.checksum.status==0 or tcp.checksum.status==0 or udp.checksum.status==0"
    words = ["tshark", "-r", str(out), *checks, "-Y", bad]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "" and "cut short" not in done.stderr
    rows = flowlore.read(out).to_polars().select("src_ip", "src_port", "dst_ip", "dst_port").rows()
    assert len({frozenset([row[:2], row[2:]]) for row in rows}) == 40  # a long silence cuts a flow in two


def test_how_faithful(generator: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["generate", str(generator), "-n", "5", "-o", str(tmp_path / "made.parquet")]
    assert run([*words, "--against", str(labelled), "--learnt-from", str(labelled), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["fidelity"]
    assert {"mmd", "coverage", "discriminator_auc", "tstr", "trts", "copied", "membership_auc"} <= set(found)
    assert run([*words, "--against", str(labelled), "--overwrite"]) == 0
    printed = capsys.readouterr().out
    assert "Jensen-Shannon" in printed and "discriminator auc" in printed and "copied" not in printed


def test_what_words_alone_tell_is_told_before_the_bundle_is_loaded(
    generator: Path, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("flowlore.tasks.generation.load_imitator", lambda bundle: pytest.fail("the bundle was loaded"))
    out, there = str(tmp_path / "made.parquet"), ["--learnt-from", str(labelled)]
    cases = [
        (["-n", "0", "-o", out], "0 flows were asked for"),
        (
            ["--place", "thick", "-o", out],
            "`thick` is no place to ask for\n\nhint: choose from as-learnt, thin, boundary",
        ),
        (["-o", str(tmp_path / "made.xlsx")], "(known: .parquet, .csv, .jsonl, .ndjson, .pcap, text also"),
        (["-o", str(tmp_path / "made.pcapng")], "-o NAME.pcap"),
        (["-o", str(labelled)], "is already there and is not overwritten unasked"),
        (["-o", str(tmp_path / "no" / "made.pcap")], "its folder does not exist"),
        (["-o", out, *there], "`--learnt-from` is a part of the report on how faithful flows are"),
        (["-o", out, "--against", str(tmp_path / "later.parquet")], "later.parquet` does not exist"),
        (["-o", out, "--against", str(labelled), "--learnt-from", "nowhere"], "`nowhere` does not exist"),
        (["-o", out, "--paths", "3"], "`--paths` is for bundles of rates, and"),
        (["-o", out, "--top", "1"], "`--top` is for bundles of rates, and"),
        (["-o", out, "--after", str(labelled)], "`--after` is for bundles of rates, and"),
    ]
    for words, said in cases:
        assert run(["generate", str(generator), *words]) == 2, words
        assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_who_makes_generators_is_told_where_there_is_none(
    generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["-o", str(tmp_path / "made.parquet")]
    assert run(["generate", str(tmp_path / "none"), *words]) == 2
    assert "`flowlore imitate LABELLED -o BUNDLE` makes one" in capsys.readouterr().err
    shutil.copytree(generator, tmp_path / "damaged")
    (tmp_path / "damaged" / "weights.safetensors").write_bytes(b"")
    assert run(["generate", str(tmp_path / "damaged"), *words]) == 2
    assert "(`flowlore pretrain`, `fit` or `imitate`)" in capsys.readouterr().err


def test_the_training_of_a_generator_is_shown(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    small = WganSettings(packets=8, width=8, blocks=1, noise=8)
    monkeypatch.setattr(WganGenerator.__init__, "__defaults__", (small,))
    usual = replace(WganGenerator.usual_training, least_steps=1)
    monkeypatch.setattr(WganGenerator, "usual_training", usual)
    words = ["imitate", str(labelled), "--where", OFTEN, "--generator", "wgan", "--epochs", "2"]
    log = tmp_path / "steps.jsonl"
    assert run([*words, "-o", str(tmp_path / "a"), "--progress", "--log", str(log)]) == 0
    assert "epoch 2, step 2 of 2 (100 %), loss" in capsys.readouterr().err
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [1, 2]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert run([*words, "-o", str(tmp_path / "b"), "--json"]) == 0
    told = capsys.readouterr()
    assert "step" not in told.err and json.loads(told.out)["steps"] == 2
    assert run([*words, "-o", str(tmp_path / "c")]) == 0
    assert "\r\x1b[2Kepoch 2, step 2 of 2" in capsys.readouterr().err
    monkeypatch.setattr("flowlore.cli.learning.read_flows", lambda *_, **__: pytest.fail("flows were read"))
    assert run([*words, "-o", str(tmp_path / "c")]) == 2
    assert "is already there" in capsys.readouterr().err


def test_mistakes_are_told(generator: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = str(tmp_path / "made.pcap")
    cases = [
        (["generate", str(generator), "--class", "nams", "-o", out], "did you mean `names`?"),
        (
            ["generate", str(generator), "--place", "thin", "-o", out],
            "knows no latent space, so it has no `thin` places",
        ),
        (["imitate", str(labelled), "-o", out, "--where", OFTEN, "--augment", "wrap:2"], "must be from 0 to 1"),
        (["imitate", str(labelled), "-o", out, "--where", OFTEN, "--augment", "warp"], "did you mean `wrap`?"),
        (["imitate", str(labelled), "-o", str(tmp_path / "g")], "`telemetry`, but a generator learns from at least 2"),
        (["imitate", str(DEMO_CAPTURE), "-o", str(tmp_path / "g")], "no flow has a label"),
        (["imitate", str(labelled), "-o", str(tmp_path / "g"), "--generator", "gan"], "no generator is called `gan`"),
        (["predict", str(generator), str(DEMO_CAPTURE)], "makes flows up, and neither embeds nor names any"),
    ]
    for words, said in cases:
        assert run(words) == 2, words
        assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_flows_that_follow_rates(generator: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rates, out = str(tmp_path / "rates.parquet"), tmp_path / "made.parquet"
    assert run(["rates", str(DEMO_CAPTURE), "--by", "host", "--step", "10s", "-o", rates]) == 0
    words = ["generate", str(generator), "--follow", rates, "--draw", "200", "-o", str(out)]
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["closeness"]["out_flows"]["wape"] == 0 and told["closeness"]["in_bytes"]["wape"] < 0.5
    made = flowlore.rates(flowlore.read(out), step="10s")
    assert made.to_polars()["out_flows"].sum() == told["closeness"]["out_flows"]["asked"]
    assert run([*words, "--class", "names", "--overwrite"]) == 0
    assert "in_bytes" in capsys.readouterr().out
    plain = tmp_path / "loads.csv"
    plain.write_text("time,value\n2024-01-01,1\n2024-01-02,2\n")
    cases = [
        (["--follow", str(DEMO_CAPTURE)], "is no"),
        (["--follow", rates, "--set", "nonsense=1"], "nonsense"),
        (["--follow", str(plain)], "no column `step`"),
        (["--follow", rates, "-n", "5"], "`-n` and `--follow` do not go together"),
        (["--follow", rates, "--class", "nams"], "did you mean `names`?"),
        (["--follow", rates, "--path", "1"], "have no paths"),
        (["--path", "1"], "`--path` is for `--follow`"),
    ]
    for more, said in cases:
        assert run(["generate", str(generator), "-o", str(tmp_path / "no.parquet"), *more]) == 2, more
        assert said in capsys.readouterr().err
    assert not (tmp_path / "no.parquet").exists()


def test_a_classifier_that_learnt_with_the_generator(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    small = WganSettings(packets=16, width=16, blocks=1, noise=8)
    monkeypatch.setattr(WganGenerator.__init__, "__defaults__", (small,))
    bundle, answers = tmp_path / "joint", tmp_path / "answers.parquet"
    words = ["imitate", str(labelled), "-o", str(bundle), "--where", OFTEN, "--generator", "wgan", "--epochs", "25"]
    assert run([*words, "--joint"]) == 0
    assert run(["predict", str(bundle), str(labelled), "--where", OFTEN, "-o", str(answers), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(told["labels"]) == {"names", "web"} and told["unknown"] is None
    truth = pl.read_parquet(labelled).select("flow_id", "part", "label").filter(pl.col("label").is_in(["names", "web"]))
    joined = truth.join(pl.read_parquet(answers), on=("flow_id", "part"), suffix="_answer")
    assert (joined["label"] == joined["label_answer"]).mean() > 0.9
    assert joined["confidence"].min() >= 0.5 and joined["novelty"].null_count() == len(joined) == told["flows"]
    assert run(["predict", str(bundle), str(labelled), "--explain", "-o", str(tmp_path / "why.parquet")]) == 2
    assert "gives no reasons" in capsys.readouterr().err


def test_a_classifier_where_none_can_learn(
    generator: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(["imitate", str(labelled), "-o", str(tmp_path / "no"), "--joint"]) == 2
    assert "--generator wgan" in capsys.readouterr().err
    assert run(["predict", str(generator), str(labelled)]) == 2
    told = capsys.readouterr().err
    assert "neither embeds nor names any" in told and "--joint" in told
