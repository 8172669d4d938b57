"""A GRU that says the likelihood of the next step's bins: what the decoder's bits stand beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH, CONTEXT = 48, 64
STEPS, ROWS = 400, 64
Tokens = npt.NDArray[np.int64]


class RecurrentLikelihood:
    """Sees the bins of all features of a step, and has a head for each of the next step's."""

    def __init__(self, features: int, bins: int, rng: np.random.Generator) -> None:
        import torch
        from torch import nn

        self.features, self.bins = features, bins
        seed = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self.network: Any = nn.ModuleDict(
            {
                "tokens": nn.Embedding(features * (bins + 1), WIDTH),
                "gru": nn.GRU(WIDTH, WIDTH, batch_first=True),
                "out": nn.Linear(WIDTH, features * bins),
            }
        )
        with torch.no_grad():
            for weights in self.network.parameters():
                weights.uniform_(-(WIDTH**-0.5), WIDTH**-0.5, generator=seed)
        self._offsets = torch.arange(features) * (bins + 1)

    def fit(self, tokens: Tokens, rng: np.random.Generator, *, steps: int, known_from: Tokens | None = None) -> None:
        """Learn from tokens [series, features, steps], of which `bins` stands for what is not known.

        Where it is said from which step on each series is known, no window begins before.
        """
        import torch
        from torch.nn import functional as torched

        optimizer = torch.optim.Adam(self.network.parameters(), lr=3e-3)
        held = torch.from_numpy(tokens).transpose(1, 2)
        length = min(CONTEXT, tokens.shape[2] - 1)
        last = tokens.shape[2] - length
        first = np.zeros(len(tokens), np.int64) if known_from is None else np.minimum(known_from, last - 1)
        for _ in range(steps):
            chosen = rng.integers(0, len(tokens), ROWS)
            rows, begins = torch.from_numpy(chosen), torch.from_numpy(rng.integers(first[chosen], last))
            window = held[rows[:, None], begins[:, None] + torch.arange(length + 1)]
            logits, came = self._logits(window[:, :-1]).flatten(0, 2), window[:, 1:].flatten()
            loss = torched.cross_entropy(logits, came, ignore_index=self.bins, reduction="sum")
            loss = loss / (came < self.bins).sum().clamp(min=1)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch gives this method no types
            optimizer.step()

    def bits(self, tokens: Tokens) -> npt.NDArray[np.float64]:
        """Of each step's bins after those before it: as `tokens`; NaN for the first and where it is not known."""
        import torch
        from torch.nn import functional as torched

        out = np.full(tokens.shape, np.nan)
        held = torch.from_numpy(tokens).transpose(1, 2)
        with torch.inference_mode():
            for row in range(len(tokens)):
                came = held[row, 1:]
                logits = self._logits(held[row : row + 1, :-1])[0]
                costs = torched.cross_entropy(
                    logits.flatten(0, 1), came.clamp(max=self.bins - 1).flatten(), reduction="none"
                ).view(came.shape)
                out[row, :, 1:] = torch.where(came < self.bins, costs / np.log(2), torch.nan).T.double().numpy()
        return out

    def _logits(self, seen: Any) -> Any:
        """[rows, steps, features, bins]."""
        states = self.network["gru"](self.network["tokens"](seen + self._offsets).sum(dim=2))[0]
        return self.network["out"](states).view(*seen.shape, self.bins)


def recurrent_bits(tokens: Tokens, until: int, bins: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Bits of each step's bin after those before it: [series, steps]; NaN for the first and where it is not known.

    Bins are those of the decoder, `bins` stands for what is not known. Only steps before `until` teach.
    """
    made = RecurrentLikelihood(1, bins, rng)
    made.fit(tokens[:, None, :until], rng, steps=STEPS)
    return made.bits(tokens[:, None])[:, 0]
