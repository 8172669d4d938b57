"""The one training loop: every family hands it a module and a loss, and is resumed to identical weights when killed.

All randomness comes from one number, drawn from the caller's generator: each epoch's order and each step's noise are
derived from it and the step, so a run that goes on from a checkpoint draws what it would have drawn.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, inf, isfinite, pi
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..settings import settings_hash
from .freed_memory import freed_memory_kept
from .settings import TrainingSettings

AT_FIRST = 10  # steps after which a running mean keeps half of itself: it forgets fresh weights soon
Arrays = dict[str, npt.NDArray[Any]]
Loss = Callable[[Tensor, torch.Generator], Tensor]


class CheckpointPlace(Protocol):
    """Where checkpoints go. The loop knows no disk; `save` must leave either the old checkpoint or the new one."""

    def save(self, arrays: Arrays, values: dict[str, Any]) -> None: ...

    def load(self) -> tuple[Arrays, dict[str, Any]] | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One step, as progress bars and logs see it."""

    step: int
    steps: int
    epoch: int
    loss: float
    learning_rate: float
    seconds_left: float
    validation_loss: float | None = None

    def as_json_line(self) -> str:
        shown = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(
            {name: round(value, 6) if isinstance(value, float) else value for name, value in shown.items()}
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingReport:
    """How training went. `seconds` counts this call only, not what came before a resume."""

    steps: int
    epochs: int
    loss: float
    validation_loss: float | None
    stopped_early: bool
    seconds: float


@freed_memory_kept()
def train(
    module: nn.Module,
    loss: Loss,
    rows: int,
    settings: TrainingSettings,
    rng: np.random.Generator,
    *,
    validate: Callable[[], float] | None = None,
    place: CheckpointPlace | None = None,
    progress: Callable[[Progress], None] | None = None,
    averaged: float = 0.0,
    rates: Mapping[str, float] | None = None,
) -> TrainingReport:
    """Train `module` in place on rows 0 … `rows` - 1; `loss` is given the rows of a step and the step's generator.

    With `validate`, which is called after each round of epochs, the best round's weights are kept. A checkpoint at
    `place` is taken up if it is of the same settings and number of rows. With `averaged`, above 0 and below 1, what is
    validated and kept is a running mean of the weights, which keeps this share of itself in each step. `rates` are
    multiples of the learning rate for parts of the module, by the first words of their names.
    """
    if rows < 1:
        raise ModelError("models: there is nothing to train on", hint="give at least one flow that has a modality")
    run = _Run(module, rows, settings, int(rng.integers(2**62)), averaged, rates or {})
    resumed = run.resume(place)
    began, first_step, stopped_early = time.monotonic(), run.step, resumed and run.waited >= settings.patience
    while run.step < run.steps and not stopped_early:
        module.train()
        value = run.take_step(loss)
        if not isfinite(value):
            raise ModelError(
                f"models: the loss of step {run.step} is {value}", hint="a lower `learning_rate`, or `bf16 = false`"
            )
        ends_round = run.step % run.steps_a_round == 0 or run.step == run.steps
        validation_loss = None
        if ends_round and validate is not None:
            module.eval()
            with run.averages(), torch.no_grad():
                validation_loss = validate()
                stopped_early = run.judge(validation_loss) >= settings.patience
        if place is not None and (run.step % settings.checkpoint_every_steps == 0 or ends_round):
            place.save(*run.checkpoint())
        if progress is not None:
            pace = (time.monotonic() - began) / (run.step - first_step)
            progress(
                Progress(
                    step=run.step,
                    steps=run.steps,
                    epoch=(run.step - 1) // run.steps_an_epoch,
                    loss=value,
                    learning_rate=run.rate(),
                    seconds_left=pace * (run.steps - run.step),
                    validation_loss=validation_loss,
                )
            )
    run.take_best()
    module.eval()
    return TrainingReport(
        steps=run.step,
        epochs=-(-run.step // run.steps_an_epoch),
        loss=run.last_loss,
        validation_loss=run.best if validate is not None else None,
        stopped_early=stopped_early,
        seconds=time.monotonic() - began,
    )


def device_of(settings: TrainingSettings) -> str:
    """Where the settings want to train; a device that is not here is an error that says so."""
    try:
        torch.ones(1, device=settings.device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(
            f"models: `{settings.device}` is no device that can train here: {str(error).partition(chr(10))[0]}",
            hint='`device = "cpu"` trains anywhere',
        ) from error
    return settings.device


def fastest_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def gains_by_bf16(device: str) -> bool:
    """Whether bfloat16 is faster there than float32. A processor that does not know it needs ten times as long."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


class _Run:
    """What changes from step to step, and what a checkpoint therefore holds."""

    def __init__(
        self,
        module: nn.Module,
        rows: int,
        settings: TrainingSettings,
        seed: int,
        averaged: float,
        rates: Mapping[str, float],
    ) -> None:
        self.module, self.rows, self.settings, self.seed, self.averaged = module, rows, settings, seed, averaged
        self.steps_an_epoch = -(-rows // settings.batch_rows)
        self.steps = self.steps_an_epoch * max(settings.epochs, -(-settings.least_steps // self.steps_an_epoch))
        self.steps_a_round = self.steps_an_epoch * -(-settings.least_steps_a_round // self.steps_an_epoch)
        self.step, self.waited, self.best, self.last_loss = 0, 0, inf, inf
        self.best_weights: dict[str, Tensor] = {}
        self.mean_weights = [weight.detach().clone() for weight in module.parameters()] if averaged else []
        self.optimizer = torch.optim.AdamW(
            _groups(module, settings, rates),
            lr=settings.learning_rate,
            fused=True,
        )
        self._order: tuple[int, npt.NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def rate(self) -> float:
        """Rises in a line, then falls along a half cosine to a hundredth of the highest."""
        rising = max(1, int(self.settings.warm_up * self.steps))
        if self.step < rising:
            return self.settings.learning_rate * (self.step + 1) / rising
        done = min(1.0, (self.step - rising) / max(1, self.steps - rising))
        return self.settings.learning_rate * (0.01 + 0.99 * (1 + cos(pi * done)) / 2)

    def take_step(self, loss: Loss) -> float:
        device = self.settings.device
        generator = torch.Generator(device).manual_seed((self.seed + 7919 * self.step) % 2**62)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate() * group["times"]
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=self.settings.bf16):
            value = loss(torch.from_numpy(self._rows()), generator)
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]  # torch gives this method no types
        nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.largest_gradient)
        self.optimizer.step()
        self.step += 1
        if self.averaged:
            kept = min(self.averaged, self.step / (AT_FIRST + self.step))
            with torch.no_grad():
                torch._foreach_lerp_(self.mean_weights, list(self.module.parameters()), 1.0 - kept)
        self.last_loss = float(value.detach())
        return self.last_loss

    def _rows(self) -> npt.NDArray[np.int64]:
        epoch, place = divmod(self.step, self.steps_an_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, np.random.default_rng([self.seed, epoch]).permutation(self.rows))
        chosen = self._order[1][place * self.settings.batch_rows : (place + 1) * self.settings.batch_rows]
        return chosen.astype(np.int64, copy=True)

    @contextmanager
    def averages(self) -> Iterator[None]:
        """The module with the running mean for its weights, where one is kept."""
        own = [weight.detach().clone() for weight in self.module.parameters()] if self.averaged else []
        self._take(self.mean_weights)
        yield
        self._take(own)

    def _take(self, weights: list[Tensor]) -> None:
        with torch.no_grad():
            for held, new in zip(self.module.parameters(), weights, strict=bool(weights)):
                held.copy_(new)

    def judge(self, validation_loss: float) -> int:
        """Keep the weights if they are the best so far; how many rounds none was better."""
        if validation_loss < self.best:
            self.best, self.waited = validation_loss, 0
            self.best_weights = {name: weight.detach().clone() for name, weight in self.module.state_dict().items()}
        else:
            self.waited += 1
        return self.waited

    def take_best(self) -> None:
        if self.best_weights:
            self.module.load_state_dict(self.best_weights)
        else:
            self._take(self.mean_weights)

    def checkpoint(self) -> tuple[Arrays, dict[str, Any]]:
        arrays = {f"weight.{name}": _array(weight) for name, weight in self.module.state_dict().items()}
        arrays |= {f"best.{name}": _array(weight) for name, weight in self.best_weights.items()}
        arrays |= {f"mean.{place}": _array(weight) for place, weight in enumerate(self.mean_weights)}
        for place, state in self.optimizer.state_dict()["state"].items():
            arrays |= {f"optimizer.{place}.{name}": _array(value) for name, value in state.items()}
        return arrays, {
            "step": self.step,
            "seed": self.seed,
            "waited": self.waited,
            "best": None if self.best == inf else self.best,
            "last_loss": self.last_loss,
            "rows": self.rows,
            "settings": settings_hash(self.settings),
        }

    def resume(self, place: CheckpointPlace | None) -> bool:
        """Go on from the checkpoint at `place`; False where there is none."""
        found = place.load() if place is not None else None
        if found is None:
            return False
        arrays, values = found
        if (values.get("rows"), values.get("settings")) != (self.rows, settings_hash(self.settings)):
            raise ModelError(
                "models: the checkpoint is of another training: its settings or its number of rows differ",
                hint="give another place for checkpoints, or the settings and flows that it began with",
            )
        self.module.load_state_dict(_group(arrays, "weight."))
        self.best_weights = _group(arrays, "best.")
        if self.averaged:
            means = _group(arrays, "mean.")
            self.mean_weights = [means[str(place)].to(held.device) for place, held in enumerate(self.mean_weights)]
        optimizer = self.optimizer.state_dict()
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in _group(arrays, "optimizer.").items():
            number, _, part = name.partition(".")
            states.setdefault(int(number), {})[part] = value
        optimizer["state"] = states
        self.optimizer.load_state_dict(optimizer)
        self.step, self.seed, self.waited = values["step"], values["seed"], values["waited"]
        self.best = inf if values["best"] is None else values["best"]
        self.last_loss = values["last_loss"]
        return True


def _groups(module: nn.Module, settings: TrainingSettings, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Parameters that learn alike. Biases do not decay."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, weight in module.named_parameters():
        times = next((times for part, times in rates.items() if name.startswith(f"{part}.")), 1.0)
        groups.setdefault((times, weight.ndim > 1), []).append(weight)
    for decays in (True, False):
        groups.setdefault((1.0, decays), [])
    return [
        {"params": weights, "weight_decay": settings.weight_decay if decays else 0.0, "times": times}
        for (times, decays), weights in sorted(groups.items(), key=lambda one: (-one[0][0], not one[0][1]))
    ]


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    copied: npt.NDArray[Any] = tensor.detach().cpu().numpy().copy()
    return copied


def _group(arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith(prefix)
    }
