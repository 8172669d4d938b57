"""A GRU that says the likelihood of the next step's bin: what the decoder's bits stand beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH, CONTEXT = 48, 64
STEPS, ROWS = 400, 64
Tokens = npt.NDArray[np.int64]


def recurrent_bits(tokens: Tokens, until: int, bins: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Bits of each step's bin after those before it: [series, steps]; NaN for the first and where it is not known.

    Bins are those of the decoder, `bins` stands for what is not known. Only steps before `until` teach.
    """
    import torch
    from torch import nn
    from torch.nn import functional as torched

    seed = torch.Generator().manual_seed(int(rng.integers(2**62)))
    network: Any = nn.ModuleDict(
        {
            "tokens": nn.Embedding(bins + 1, WIDTH),
            "gru": nn.GRU(WIDTH, WIDTH, batch_first=True),
            "out": nn.Linear(WIDTH, bins),
        }
    )
    with torch.no_grad():
        for weights in network.parameters():
            weights.uniform_(-(WIDTH**-0.5), WIDTH**-0.5, generator=seed)

    def logits(seen: Any) -> Any:
        return network["out"](network["gru"](network["tokens"](seen))[0])

    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    held = torch.from_numpy(tokens)
    length = min(CONTEXT, until - 1)
    for _ in range(STEPS):
        rows = torch.from_numpy(rng.integers(0, len(tokens), ROWS))
        begins = torch.from_numpy(rng.integers(0, until - length, ROWS))
        window = held[rows[:, None], begins[:, None] + torch.arange(length + 1)]
        loss = torched.cross_entropy(logits(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten(), ignore_index=bins)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives this method no types
        optimizer.step()
    out = np.full(tokens.shape, np.nan)
    with torch.inference_mode():
        for row in range(len(tokens)):
            came = held[row, 1:]
            costs = torched.cross_entropy(
                logits(held[row : row + 1, :-1])[0], came.clamp(max=bins - 1), reduction="none"
            )
            out[row, 1:] = torch.where(came < bins, costs / np.log(2), torch.nan).double().numpy()
    return out
