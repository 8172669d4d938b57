"""A GRU over the last steps: the recurrent network that papers compare with."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...features.rates.series import Series
from .forecaster import Places, PointForecaster, Values, filled
from .linear import scales

WIDTH, CONTEXT = 48, 64
STEPS, ROWS = 400, 64


class Recurrent(PointForecaster):
    """One GRU of 48 for all series: absolute error of the change from the last value, over all horizons at once."""

    def __init__(self, steps: int = STEPS) -> None:
        super().__init__()
        self.steps = steps

    def learn(self, series: Series, until: int, rng: np.random.Generator) -> None:
        import torch
        from torch import nn

        torch_seed = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self._scale = scales(series, until)
        values = filled(series.values[:, :until]) / self._scale[:, None]
        self._network: Any = nn.ModuleDict(
            {"gru": nn.GRU(1, WIDTH, batch_first=True), "out": nn.Linear(WIDTH, len(self.horizons))}
        )
        with torch.no_grad():
            for weights in self._network.parameters():
                weights.uniform_(-(WIDTH**-0.5), WIDTH**-0.5, generator=torch_seed)
        optimizer = torch.optim.Adam(self._network.parameters(), lr=3e-3)
        context = min(CONTEXT, max(until - max(self.horizons) - 1, 2))
        size = np.sqrt(self._scale)
        last = until - max(self.horizons)
        for _ in range(self.steps):
            rows = rng.choice(len(series), ROWS, p=size / size.sum())
            ends = rng.integers(context, last + 1, ROWS)
            seen = torch.from_numpy(
                np.stack([values[row, end - context : end] for row, end in zip(rows, ends, strict=True)])
            )
            truth = np.stack([values[rows, ends + horizon - 1] for horizon in self.horizons], axis=1)
            weight = torch.from_numpy((size[rows] / size.mean()).astype(np.float32))
            change = self._change(seen.float()) - (torch.from_numpy(truth).float() - seen[:, -1:].float())
            loss = (change.abs().mean(dim=1) * weight).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self._context = context

    def points(self, series: Series, origins: Places) -> Values:
        import torch

        scale = self._scale if len(self._scale) == len(series) else scales(series, int(origins.min()))
        values = filled(series.values) / scale[:, None]
        padded = np.concatenate([np.repeat(values[:, :1], self._context, axis=1), values], axis=1)
        out = np.empty((len(series), len(origins), len(self.horizons)))
        with torch.inference_mode():
            for place, origin in enumerate(origins.tolist()):
                seen = torch.from_numpy(padded[:, origin : origin + self._context]).float()
                out[:, place] = (seen[:, -1:] + self._change(seen)).numpy() * scale[:, None]
        return out

    def _change(self, seen: Any) -> Any:
        import torch

        logs = torch.log1p(10 * seen.clamp(min=0)) / 2
        states, _ = self._network["gru"](logs[..., None])
        return self._network["out"](states[:, -1])
