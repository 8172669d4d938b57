"""The decoder taught to say in each step whether a host is under attack, and by what kind of it.

Shape letters as in `network.py`; L is one answer for "attack" and one for each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as torched
from torch import Tensor, nn

from ...errors import ModelError
from ..settings import TrainingSettings
from ..training import CheckpointPlace, Progress, TrainingReport, device_of, train
from .encoder import FlowgenEncoder, hide
from .inputs import CALENDAR, NUMBERS, Inputs, Window, window
from .network import Cache, Network
from .representation import Values

UNTOLD = -1  # a step that teaches nothing
WARM_STEPS = 3  # of a window: too little is known there to be asked
WINDOWS_AT_ONCE = 256
KIND_WEIGHT = 0.3
TEACHING = TrainingSettings(
    epochs=4, least_steps=240, batch_rows=48, learning_rate=1.5e-3, weight_decay=0.05, warm_up=0.1
)
PROBE_SHARE, GENTLE = 0.5, 0.1  # of the epochs before all weights learn, and of the rate at which they then do
BEGINS_WITH, BEGIN_WEIGHT, BEGIN_BIAS = "deviations", 2.0, -4.0
Codes = npt.NDArray[np.int16]


class Detecting(nn.Module):
    """A decoder with a linear head on its states and on what it sees of the step itself."""

    def __init__(self, network: Network, kinds: int) -> None:
        super().__init__()
        self.network = network
        width = network.norm.normalized_shape[0]
        self.deep = nn.Linear(width, 1 + kinds)
        self.wide = nn.Linear(network.features * NUMBERS + CALENDAR, 1 + kinds, bias=False)
        for weight in (self.deep.weight, self.deep.bias, self.wide.weight):
            nn.init.zeros_(weight)

    def begin_with(self, feature: int) -> None:
        """Begin as a threshold on one feature, that labelled attacks then correct, in place of knowing nothing."""
        with torch.no_grad():
            self.wide.weight[0, feature * NUMBERS] = BEGIN_WEIGHT
            self.deep.bias[0] = BEGIN_BIAS

    def forward(self, seen: Window, generator: torch.Generator | None = None) -> Tensor:
        """BTL."""
        states_BTD = self.network.states(seen, generator=generator)
        answers: Tensor = self.deep(states_BTD) + self.wide(torch.cat([seen.numbers_BTN, seen.calendar_BTC], dim=-1))
        return answers


def teach(
    encoder: FlowgenEncoder,
    values: Values,
    codes: Codes,
    step_ns: int,
    kinds: int,
    rng: np.random.Generator,
    *,
    training: TrainingSettings = TEACHING,
    frozen: bool = False,
    gently: bool = True,
    hidden: float = 0.1,
    place: CheckpointPlace | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[Detecting, TrainingReport]:
    """From windows [windows, features, steps] and codes [windows, steps]: 0 quiet, 1 … a kind, -1 untold.

    With `frozen` the decoder stays as it is and only the head learns. Else the encoder's own weights are trained:
    `gently` first the head only, then all at a fraction of the rate, so that a few attacks do not undo what was
    pre-trained; a decoder of random weights has nothing to lose, and learns at once.
    """
    if encoder.network is None:
        raise ModelError("models: this decoder was not trained yet", hint="`fit` it first")
    network = encoder.network
    module = Detecting(network, kinds)
    if BEGINS_WITH in encoder.features:
        module.begin_with(encoder.features.index(BEGINS_WITH))
    device = device_of(training)
    inputs, truth = window_inputs(encoder, values, step_ns), torch.from_numpy(codes.astype(np.int64))
    horizons, features = encoder.horizons[:1], len(encoder.features)

    def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
        seen = window(inputs, rows, torch.zeros_like(rows), inputs.steps, horizons).to(module.deep.weight.device)
        if hidden:
            seen = hide(seen, hidden, features, network.bins, generator)
        answers = module(seen, generator if network.norm.weight.requires_grad else None)[:, WARM_STEPS:]
        told = truth[rows][:, WARM_STEPS:].to(answers.device)
        known = told > UNTOLD
        each = torched.binary_cross_entropy_with_logits(answers[..., 0], (told > 0).float(), reduction="none")
        total = (each * known).sum() / known.sum().clamp(min=1)
        if kinds > 1:
            wrong = torched.cross_entropy(
                answers[..., 1:].flatten(0, 1), (told - 1).clamp(min=UNTOLD).flatten(), ignore_index=UNTOLD,
                reduction="sum",
            )  # fmt: skip
            total = total + KIND_WEIGHT * wrong / (told > 0).sum().clamp(min=1)
        return total

    module.to(device)
    if frozen or gently:
        network.requires_grad_(False)
        probing = training if frozen else _shorter(training, PROBE_SHARE)
        report = train(module, loss, len(values), probing, rng, place=place if frozen else None, progress=progress)
        network.requires_grad_(True)
    if not frozen:
        tuning = replace(training, learning_rate=GENTLE * training.learning_rate) if gently else training
        report = train(module, loss, len(values), tuning, rng, place=place, progress=progress)
    return module.to("cpu").eval(), report


def answered(encoder: FlowgenEncoder, module: Detecting, values: Values, step_ns: int) -> npt.NDArray[np.float32]:
    """[windows, steps, L] of windows [windows, features, steps]."""
    out = np.empty((len(values), values.shape[2], module.deep.out_features), np.float32)
    with torch.inference_mode():
        for first, last in _portions(len(values)):
            inputs = window_inputs(encoder, values[first:last], step_ns)
            rows = torch.arange(last - first)
            seen = window(inputs, rows, torch.zeros_like(rows), inputs.steps, encoder.horizons[:1])
            out[first:last] = module(seen).numpy()
    return out


def answered_last(
    encoder: FlowgenEncoder, module: Detecting, values: Values, step_ns: int, cache: Cache | None = None
) -> npt.NDArray[np.float32]:
    """[windows, L] of the last step only. A cache holds all steps but that, or none; what it did not hold is added."""
    inputs, rows = window_inputs(encoder, values, step_ns), torch.arange(len(values))
    cache = Cache() if cache is None else cache
    known = cache.steps
    with torch.inference_mode():
        begins = torch.full_like(rows, known)
        seen = window(inputs, rows, begins, inputs.steps - known, encoder.horizons[:1])
        states_BTD = module.network.states(seen, cache)[:, -1]
        told = torch.cat([seen.numbers_BTN[:, -1], seen.calendar_BTC[:, -1]], dim=-1)
        answers: npt.NDArray[np.float32] = (module.deep(states_BTD) + module.wide(told)).numpy()
    return answers


def window_inputs(encoder: FlowgenEncoder, values: Values, step_ns: int) -> Inputs:
    """Windows as series of their own, in units that are known before: their scales are 1."""
    scales = np.ones(values.shape[:2])
    return encoder.inputs(values.astype(np.float64), np.zeros(len(values), np.int64), step_ns, scales)


def heads_state(module: Detecting) -> dict[str, npt.NDArray[Any]]:
    named = {"deep.weight": module.deep.weight, "deep.bias": module.deep.bias, "wide.weight": module.wide.weight}
    return {name: weight.detach().numpy().copy() for name, weight in named.items()}


def from_heads(network: Network, arrays: dict[str, npt.NDArray[Any]]) -> Detecting:
    """A taught decoder from its state; shapes that do not fit are a `ModelError`."""
    try:
        module = Detecting(network, len(arrays["deep.bias"]) - 1)
        with torch.no_grad():
            for name, array in arrays.items():
                module.get_parameter(name).copy_(torch.from_numpy(np.array(array)))
    except (KeyError, AttributeError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"models: the head of this detector is damaged: {str(error).partition(chr(10))[0]}",
            hint="take the bundle from where it came from again, or teach anew",
        ) from error
    return module.eval()


def _shorter(training: TrainingSettings, share: float) -> TrainingSettings:
    return replace(
        training,
        epochs=max(round(training.epochs * share), 1),
        least_steps=max(round(training.least_steps * share), 1),
    )


def _portions(count: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, WINDOWS_AT_ONCE):
        yield first, min(first + WINDOWS_AT_ONCE, count)
