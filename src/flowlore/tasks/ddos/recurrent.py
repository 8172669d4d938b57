"""A GRU over the same windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .attacks import QUIET, UNTOLD
from .detector import Detector, Lesson, drawn_windows, joined, judged_windows
from .signs import SIGNS, Numbers, Signs, Values

WIDTH = 64
WINDOWS, STEPS, ROWS = 4_096, 300, 64
WINDOWS_AT_ONCE = 1_024


class RecurrentDetector(Detector):
    """One GRU of 64 with a linear head for each step."""

    learns = True

    def __init__(self) -> None:
        self._network: Any = None

    def fit(self, lessons: Sequence[Lesson], kinds: Sequence[str], rng: np.random.Generator) -> None:
        import torch
        from torch import nn

        windows = drawn_windows(lessons, WINDOWS, rng)
        inputs = torch.from_numpy(_scaled(windows.values))
        codes = torch.from_numpy(windows.codes.astype(np.int64))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self._network = nn.ModuleDict(
            {"gru": nn.GRU(2 * len(SIGNS), WIDTH, batch_first=True), "out": nn.Linear(WIDTH, 1)}
        )
        with torch.no_grad():
            for weight in self._network.parameters():
                weight.uniform_(-(WIDTH**-0.5), WIDTH**-0.5, generator=generator)
        optimizer = torch.optim.AdamW(self._network.parameters(), lr=3e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, 3e-5)
        for _ in range(STEPS):
            rows = torch.randint(0, len(inputs), (ROWS,), generator=generator)
            told = codes[rows]
            each = nn.functional.binary_cross_entropy_with_logits(
                self._answers(inputs[rows]), (told > QUIET).float(), reduction="none"
            )
            known = told > UNTOLD
            loss: Any = (each * known).sum() / known.sum().clamp(min=1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
            optimizer.step()
            schedule.step()

    def scores(self, signs: Signs, quiet_steps: int) -> Values:
        import torch

        values, hosts, begins = judged_windows(signs)
        parts = []
        with torch.inference_mode():
            for first in range(0, len(values), WINDOWS_AT_ONCE):
                seen = torch.from_numpy(_scaled(values[first : first + WINDOWS_AT_ONCE]))
                parts.append(self._answers(seen).numpy())
        said = joined(np.concatenate(parts), signs, hosts, begins)
        return np.where(np.isnan(signs.packets), np.nan, said)

    def _answers(self, inputs: Any) -> Any:
        states, _ = self._network["gru"](inputs)
        return self._network["out"](states)[..., 0]


def _scaled(values: Numbers) -> Numbers:
    """[windows, steps, 2 x SIGNS]: logarithms, and what is known."""
    known = ~np.isnan(values)
    logs = np.log1p(10 * np.nan_to_num(values)) / 2
    return np.concatenate([logs, known.astype(np.float32)], axis=1).transpose(0, 2, 1).astype(np.float32)
