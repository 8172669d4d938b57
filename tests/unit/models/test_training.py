"""The training loop: early stopping, determinism, and the same weights after kill -9 as without it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from flowlore.errors import ModelError
from flowlore.models.settings import TrainingSettings
from flowlore.models.training import Progress, gains_by_bf16, train

BRIEF = {"batch_rows": 8, "least_steps": 1, "least_steps_a_round": 1}
SETTINGS = TrainingSettings(epochs=4, checkpoint_every_steps=3, learning_rate=0.05, **BRIEF)


class Folder:
    """A checkpoint in one file, replaced in one move."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, arrays: dict[str, Any], values: dict[str, Any]) -> None:
        with self.path.with_suffix(".new").open("wb") as file:
            np.savez(file, values=np.array(json.dumps(values)), **arrays)
        self.path.with_suffix(".new").replace(self.path)

    def load(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        if not self.path.exists():
            return None
        with np.load(self.path) as held:
            arrays = {name: held[name] for name in held.files if name != "values"}
            return arrays, json.loads(str(held["values"]))


def run(
    place: Folder | None = None,
    settings: TrainingSettings = SETTINGS,
    die_at: int = 0,
    seen: list[Progress] | None = None,
    **more: Any,
) -> tuple[dict[str, torch.Tensor], Any]:
    data = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32))
    module = nn.Linear(5, 1)
    with torch.no_grad():
        module.weight.fill_(0.1)
        module.bias.fill_(0)

    def loss(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        noise = torch.randn((len(rows), 5), generator=generator)
        return ((module(data[rows] + 0.1 * noise)[:, 0] - data[rows].sum(1)) ** 2).mean()

    def progress(step: Progress) -> None:
        if seen is not None:
            seen.append(step)
        if step.step == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    report = train(module, loss, 50, settings, np.random.default_rng(7), place=place, progress=progress, **more)
    return module.state_dict(), report


@pytest.mark.parametrize("averaged", [0.0, 0.9])
def test_killed_and_resumed_gives_identical_weights(averaged: float, tmp_path: Path) -> None:
    whole, _ = run(averaged=averaged)
    place = tmp_path / "checkpoint.npz"
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += (
        "from pathlib import Path; from test_training import Folder, run; "
        f"run(Folder(Path({str(place)!r})), die_at=17, averaged={averaged})"
    )
    died = subprocess.run([sys.executable, "-c", code], timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL
    seen: list[Progress] = []
    resumed, report = run(Folder(place), seen=seen, averaged=averaged)
    assert 3 < seen[0].step <= 17 and report.steps == 28
    for name, weight in whole.items():
        assert torch.equal(weight, resumed[name])


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    run(Folder(tmp_path / "checkpoint.npz"))
    with pytest.raises(ModelError, match="of another training"):
        run(Folder(tmp_path / "checkpoint.npz"), TrainingSettings(epochs=5, **BRIEF))


def test_early_stopping_keeps_the_best_epoch() -> None:
    losses = iter([3.0, 1.0, 2.0, 2.0, 2.0])
    settings = TrainingSettings(epochs=10, patience=2, **BRIEF)
    stopped, report = run(settings=settings, validate=lambda: next(losses))
    assert report.stopped_early and report.epochs == 4 and report.validation_loss == 1.0
    two_epochs, _ = run(settings=settings, validate=iter([3.0, 1.0, 2.0, 2.0]).__next__)
    assert all(torch.equal(stopped[name], two_epochs[name]) for name in stopped)


@pytest.mark.parametrize("is_validated", [False, True])
def test_a_running_mean_of_the_weights_is_validated_and_kept(is_validated: bool) -> None:
    module = nn.Linear(3, 1)
    mean, validated = module.weight.detach().clone(), []

    def follow(step: Progress) -> None:
        kept = min(0.8, step.step / (10 + step.step))
        mean.lerp_(module.weight.detach(), 1 - kept)

    def validate() -> float:
        validated.append(module.weight.detach().clone())
        return -float(len(validated))  # the last is the best

    train(
        module,
        lambda rows, generator: ((module(torch.ones(len(rows), 3)) - 5) ** 2).mean(),
        24,
        SETTINGS,
        np.random.default_rng(0),
        validate=validate if is_validated else None,
        progress=follow,
        averaged=0.8,
    )
    torch.testing.assert_close(module.weight.detach(), mean)
    if is_validated:
        assert torch.equal(module.weight.detach(), validated[-1]) and len(validated) == 4


def test_loss_falls_and_each_step_is_a_line() -> None:
    seen: list[Progress] = []
    run(seen=seen, settings=TrainingSettings(epochs=20, learning_rate=0.05, **BRIEF))
    assert seen[-1].loss < seen[0].loss / 4
    assert len(seen) == 20 * 7
    assert json.loads(seen[-1].as_json_line())["step"] == 140
    rates = [step.learning_rate for step in seen]
    assert max(rates) <= 0.05 and rates[0] < max(rates) and rates[-1] < 0.01


def test_nothing_to_train_on_and_a_loss_that_is_no_number() -> None:
    def loss(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return module.weight.sum() * float("nan")

    module = nn.Linear(2, 1)
    with pytest.raises(ModelError, match="nothing to train on"):
        train(module, loss, 0, SETTINGS, np.random.default_rng(0))
    with pytest.raises(ModelError, match="the loss of step 1 is nan"):
        train(module, loss, 9, SETTINGS, np.random.default_rng(0))


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    module = nn.Linear(2, 1)
    after_module = torch.get_rng_state()
    train(module, lambda rows, generator: module.weight.square().sum(), 9, SETTINGS, np.random.default_rng(0))
    assert torch.equal(after_module, torch.get_rng_state()) and not torch.equal(before, after_module)


def test_few_rows_are_seen_more_often() -> None:
    settings = TrainingSettings(epochs=1, batch_rows=25, least_steps=9, least_steps_a_round=4)
    asked = iter([3.0, 2.0, 1.0])
    seen: list[Progress] = []
    _, report = run(settings=settings, seen=seen, validate=lambda: next(asked))
    assert report.steps == 10 and report.epochs == 5
    assert [step.step for step in seen if step.validation_loss is not None] == [4, 8, 10]


def test_a_part_learns_at_a_rate_of_its_own() -> None:
    """At no rate it stays; the rest learns as without it."""
    rows, wanted = torch.randn((32, 3), generator=torch.Generator().manual_seed(0)), torch.ones(32, 1)
    found = {}
    for rate in (0.0, 0.1, 1.0):
        module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
        with torch.no_grad():
            for weight in module.parameters():
                weight.fill_(0.1)

        def loss(chosen: torch.Tensor, _: torch.Generator, module: nn.Module = module) -> torch.Tensor:
            return (module(rows[chosen]) - wanted[chosen]).square().mean()

        train(module, loss, 32, SETTINGS, np.random.default_rng(0), rates={"0": rate})
        found[rate] = [float((weight.detach() - 0.1).abs().max()) for weight in (module[0].weight, module[1].weight)]
    assert found[0.0][0] == pytest.approx(0, abs=1e-6) and found[0.0][1] > 0.05
    assert 0.001 < found[0.1][0] < 0.5 * found[1.0][0]


@pytest.mark.parametrize(
    ("known", "gains"), [({"avx2": True}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)]
)
def test_bfloat16_is_for_processors_that_know_it(
    known: dict[str, bool], gains: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert gains_by_bf16("cpu") is gains
