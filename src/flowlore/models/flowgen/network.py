"""The decoder: causal attention over steps, a head a feature for the next step's bin, and quantiles of later steps.

Shape letters: B series, T steps, F features, N numbers, C calendar, D width, H horizons, K candidates, Q quantiles,
V bins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as torched
from torch import Tensor, nn

from .inputs import CALENDAR, CANDIDATES, NUMBERS, Window
from .settings import SHAPES, FlowgenSettings

QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
MIDDLE = len(QUANTILES) // 2


@dataclass
class Cache:
    """Keys and values of the steps seen so far, a pair for each layer."""

    held: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return int(self.held[0][0].shape[2]) if self.held else 0


class Network(nn.Module):
    """What of each step is told to the later ones; nothing of a step reaches an earlier one."""

    def __init__(self, settings: FlowgenSettings, features: int, bins: int) -> None:
        super().__init__()
        shape = SHAPES[settings.size]
        self.features, self.bins, self.horizons = features, bins, len(settings.horizons)
        width = shape.width
        self.numbers = nn.Linear(features * NUMBERS + CALENDAR, width)
        self.tokens = nn.Embedding(features * (bins + 1), width)
        self.positions = nn.Embedding(settings.context, width)
        self.identities = nn.Embedding(1 + settings.identities, width) if settings.identities else None
        self.blocks = nn.ModuleList(_Block(width, shape.heads, settings.dropout) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, features * self.horizons * CANDIDATES)
        self.quantiles = nn.Linear(width, features * self.horizons * (len(QUANTILES) + 1))
        self.next_bin = nn.Linear(width, features * bins)
        self.stay = nn.Parameter(torch.zeros(features, 2 * bins + 1))  # by how far the next bin is from the last
        self.follows: Tensor  # logarithms of how often a bin followed another one, the last row of an unknown one
        self.register_buffer("follows", torch.zeros(features, bins + 1, bins))
        self.offsets: Tensor
        self.register_buffer("offsets", torch.arange(features) * (bins + 1), persistent=False)

    def states(self, seen: Window, cache: Cache | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """BTD. With a cache the steps follow those that it holds, and are added to it; a generator drops numbers."""
        first = 0 if cache is None else cache.steps
        inputs = torch.cat([seen.numbers_BTN, seen.calendar_BTC], dim=-1)
        places = torch.arange(first, first + inputs.shape[1], device=inputs.device)
        states_BTD = self.numbers(inputs) + self.positions(places)
        states_BTD = states_BTD + self.tokens(seen.tokens_BTF + self.offsets).sum(dim=2)
        if self.identities is not None:
            states_BTD = states_BTD + self.identities(seen.identity_B)[:, None]
        for layer, block in enumerate(self.blocks):
            states_BTD = block(states_BTD, cache, layer, generator)
        normed: Tensor = self.norm(states_BTD)
        return normed

    def forecasts(self, states_BTD: Tensor, seen: Window) -> Tensor:
        """BTFHQ, rising along Q, in units of the scales: a weighing of the candidates, moved, with bands around it."""
        lead = states_BTD.shape[:2]
        weights = torch.softmax(self.gate(states_BTD).view(*lead, self.features, self.horizons, CANDIDATES), dim=-1)
        middle = (weights * seen.candidates_BTFHK).sum(dim=-1)
        moves = self.quantiles(states_BTD).view(*lead, self.features, self.horizons, len(QUANTILES) + 1)
        spread = seen.spread_BTF[..., None]
        middle = (middle + moves[..., 0] * spread)[..., None]
        apart = torched.softplus(moves[..., 1:] - 1.0) * spread[..., None]
        below = apart[..., :MIDDLE].flip(-1).cumsum(-1).flip(-1)
        above = apart[..., MIDDLE + 1 :].cumsum(-1)
        return torch.cat([middle - below, middle, middle + above], dim=-1).clamp(min=0.0)

    def next_logits(self, states_BTD: Tensor, tokens_BTF: Tensor) -> Tensor:
        """BTFV: of the bin of the next step; what followed the last bin, and by how far, is where learning starts."""
        logits = self.next_bin(states_BTD).view(*states_BTD.shape[:2], self.features, self.bins)
        by_start = self.stay.unfold(1, self.bins, 1)  # a row of V for each place where the last bin may be
        starts = self.bins - tokens_BTF.clamp(max=self.bins - 1)
        places = starts + by_start.shape[1] * torch.arange(self.features, device=logits.device)
        # An embedding: gradients of indexing add up in the order in which threads come, which no seed repeats.
        stays = torched.embedding(places, by_start.flatten(0, 1))
        is_known = (tokens_BTF < self.bins)[..., None]
        biased: Tensor = logits + torch.where(is_known, stays, torch.zeros_like(stays))
        return biased + self.follows[torch.arange(self.features, device=logits.device), tokens_BTF]


def initialise(network: Network, generator: torch.Generator) -> None:
    """Small random weights; heads begin at nothing, so that an untrained network says the mean of its candidates."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1 and not name.startswith(("gate", "quantiles", "next_bin", "stay")):
                is_table = name.startswith(("tokens", "positions", "identities"))
                weight.normal_(0.0, 0.02 if is_table else weight.shape[1] ** -0.5, generator=generator)
            elif "norm" in name and name.endswith("weight"):
                weight.fill_(1.0)
            else:
                weight.zero_()
        network.offsets.copy_(torch.arange(network.features) * (network.bins + 1))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = dropout

    def forward(self, states_BTD: Tensor, cache: Cache | None, layer: int, generator: torch.Generator | None) -> Tensor:
        batch, steps, width = states_BTD.shape
        parts = self.into(self.attention_norm(states_BTD)).view(batch, steps, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        is_causal = True
        if cache is not None:
            if layer < len(cache.held):
                earlier_key, earlier_value = cache.held[layer]
                key, value = torch.cat([earlier_key, key], dim=2), torch.cat([earlier_value, value], dim=2)
                cache.held[layer] = (key, value)
                is_causal = False  # one step at a time follows what is held
            else:
                cache.held.append((key, value))
        mixed = torched.scaled_dot_product_attention(query, key, value, is_causal=is_causal and steps > 1)
        mixed = self.out(mixed.transpose(1, 2).reshape(batch, steps, width))
        states_BTD = states_BTD + self._dropped(mixed, generator)
        inner = self.narrow(torched.gelu(self.wide(self.norm(states_BTD))))
        return states_BTD + self._dropped(inner, generator)

    def _dropped(self, numbers: Tensor, generator: torch.Generator | None) -> Tensor:
        """Some numbers as zero, the others larger by as much; all as they are without a generator."""
        if generator is None or not self.dropout:
            return numbers
        kept = torch.rand(numbers.shape, generator=generator, device=numbers.device) >= self.dropout
        return numbers * kept / (1 - self.dropout)
