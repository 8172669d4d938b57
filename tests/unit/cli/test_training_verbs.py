"""Training from the command line: settings, progress, checkpoints, fine-tuning, and what is refused before the work."""

import json
from pathlib import Path

import pytest

from flowlore.cli import run
from flowlore.cli.demo import DEMO, DEMO_CAPTURE
from flowlore.cli.training import training_line
from flowlore.models.training import Progress
from flowlore.tasks.bundle import load_bundle

QUICK = [
    *("--set", "autoencoder.size=small", "--set", "autoencoder.packets=8"),
    *("--set", "training.epochs=1", "--set", "training.least_steps=6", "--set", "training.checkpoint_every_steps=2"),
]


def pretrain(output: Path, *more: str) -> int:
    return run(["pretrain", "autoencoder", str(DEMO_CAPTURE), "-o", str(output), *QUICK, *more])


def fit(bundle: Path, output: Path, *more: str) -> int:
    shown = ["--labels", str(DEMO / "labels.csv"), "--split", "time", "--drop-small-classes"]
    return run(["fit", str(bundle), str(DEMO_CAPTURE), *shown, "-o", str(output), *more])


def test_settings_reach_the_bundle(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert pretrain(tmp_path / "a", "--set", "features.use_names=false", "--hold-out", "0.5", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["shortcuts"] == "addresses off, ports off, names off"
    assert report["flows"] < 198 * 0.55 and report["held_out_share"] == 0.5
    bundle = load_bundle(tmp_path / "a")
    assert bundle.states["encoder"]["settings"]["packets"] == 8
    assert not bundle.config["features"]["use_names"]


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    log = tmp_path / "steps.jsonl"
    places = ["--checkpoints", str(tmp_path / "place"), "--log", str(log)]
    assert pretrain(tmp_path / "a", *places, "--progress") == 0
    assert "step 6 of 6 (100 %), loss" in capsys.readouterr().err
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["step"] for one in steps] == [1, 2, 3, 4, 5, 6]
    assert all(one["loss"] > 0 and one["seconds_left"] >= 0 for one in steps)
    assert pretrain(tmp_path / "b", *places) == 0
    assert len(log.read_text().splitlines()) == 6, "it was at its end already"
    first, second = (load_bundle(tmp_path / name).arrays["encoder"] for name in "ab")
    assert all((first[name] == second[name]).all() for name in first)
    assert pretrain(tmp_path / "c", *places, "--set", "training.learning_rate=0.1") == 2
    assert "of another training" in capsys.readouterr().err


def test_fine_tuning_tells_what_came_of_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert pretrain(tmp_path / "a") == 0
    capsys.readouterr()
    few = ["--set", "fine_tuning.epochs=1", "--set", "fine_tuning.least_steps=4", "--fine-tune"]
    assert fit(tmp_path / "a", tmp_path / "b", "--all-labels", "--test-share", "0.3", *few) == 0
    printed = capsys.readouterr().out
    assert "fine-tuned for" in printed and "of the probe" in printed and "all " in printed
    assert fit(tmp_path / "a", tmp_path / "c", "--shots", "5", *few, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    tuning = report["fine_tuning"]
    assert (tuning["kept"] == "tuned") == (tuning["tuned_macro_f1"] > tuning["probe_macro_f1"])


def test_what_cannot_be_is_refused_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert pretrain(tmp_path / "a") == 0
    assert pretrain(tmp_path / "a") == 2
    assert "already there" in capsys.readouterr().err
    assert pretrain(tmp_path / "b", "--set", "training.epoch=3") == 2
    assert "did you mean `training.epochs`" in capsys.readouterr().err
    assert fit(tmp_path / "a", tmp_path / "c", "--all-labels", "--shots", "3") == 2
    assert "exclude each other" in capsys.readouterr().err
    assert fit(tmp_path / "a", tmp_path / "c", "--fine-tune", "--head", "knn") == 2
    assert "begins with the probe" in capsys.readouterr().err
    assert pretrain(tmp_path / "c", "--log", str(tmp_path / "no" / "log")) == 2
    assert "its folder does not exist" in capsys.readouterr().err
    absent = str(tmp_path / "no.pcap")
    for verb in (["pretrain", "autoencoder"], ["fit", str(tmp_path / "a")], ["imitate"], ["entities", "learn"]):
        assert run([*verb, absent, "-o", str(tmp_path / "no" / "bundle")]) == 2
        assert "its folder does not exist" in capsys.readouterr().err, verb  # and not that the capture is not there
    assert run(["pretrain", "autoencoder", absent, "-o", str(tmp_path), "--overwrite"]) == 2
    assert "is not a bundle, so it is not replaced" in capsys.readouterr().err
    assert run(["pretrain", "autoencoder", absent, "-o", str(tmp_path / "c"), "--step", "1m"]) == 2
    assert "are of flowgen" in capsys.readouterr().err
    for device in ("abacus", "meta"):
        assert pretrain(tmp_path / "c", "--set", f"training.device={device}") == 2
        assert f"`{device}` is no device that can train here" in capsys.readouterr().err


def test_the_line_of_a_training() -> None:
    step = Progress(step=1200, steps=4040, epoch=2, loss=3.214, learning_rate=1e-3, seconds_left=120.4)
    assert training_line(step).startswith("epoch 3, step 1,200 of 4,040 (30 %), loss 3.214, ")
    judged = Progress(step=1, steps=2, epoch=0, loss=1.0, learning_rate=1e-3, seconds_left=1, validation_loss=2.5)
    assert ", validation 2.500, " in training_line(judged)
