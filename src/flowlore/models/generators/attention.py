"""A transformer, causal or not; a causal one can go on from what it computed before.

Shape letters: B flows, T packets, H heads, W width of a head, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Cache = list[tuple[Tensor, Tensor]]


class Block(nn.Module):
    """Attention (to what came before, if causal), then two layers, each behind a norm and beside a short cut."""

    def __init__(self, width: int, heads: int, *, causal: bool = True) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.before = nn.LayerNorm(width)
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.between = nn.LayerNorm(width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(
        self, states_BTD: Tensor, held: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The new states, and keys and values to hold. With `held`, the states follow those that it was made of."""
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.into(self.before(states_BTD)).chunk(3, 2)
        )
        if held is not None:
            key, value = torch.cat([held[0], key], 2), torch.cat([held[1], value], 2)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal and held is None)
        states_BTD = states_BTD + self.out(seen.transpose(1, 2).flatten(2))
        return states_BTD + self.layers(self.between(states_BTD)), (key, value)


class Causal(nn.Module):
    """Blocks one behind the other, with a norm at the end."""

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, states_BTD: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """An empty cache or None begins; the cache that comes back lets the next packet be asked alone."""
        held: Cache = []
        for place, block in enumerate(self.blocks):
            states_BTD, kept = block(states_BTD, cache[place] if cache else None)
            held.append(kept)
        return self.norm(states_BTD), held
