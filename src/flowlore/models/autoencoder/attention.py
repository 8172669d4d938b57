"""Layers in which the packets of a flow look at each other: what an encoder grows when many labels teach it.

Shape letters: B flows, T packets and the place before them, H heads, W width of a head, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...features.words import ALL_WORDS, SMOOTH, smooth_numbers

PACKETS = 20  # from the first of a flow on: later ones cost much and tell little
HEADS = 4
WIDER = 3  # times the width, between the two layers of a block
FEWEST_TOGETHER = 64  # flows in a group of nearly equal length
MOST_GROUPS = 4
UNSEEN = -1e4
SPREAD = 0.15  # of fresh words and places


class PacketAttention(nn.Module):
    """Words of the packets, and before them a place that begins as `beside` and gathers what they say."""

    smooth: Tensor

    def __init__(self, width: int, layers: int, beside: int, packets: int) -> None:
        super().__init__()
        self.width = width
        self.packets = min(PACKETS, packets)
        self.words = nn.Embedding(ALL_WORDS, width)
        self.register_buffer("smooth", torch.zeros(ALL_WORDS, SMOOTH), persistent=False)
        self.numbers = nn.Linear(SMOOTH, width, bias=False)
        self.places = nn.Embedding(self.packets + 1, width)
        self.begin = nn.Linear(beside, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, words: Tensor, is_packet: Tensor, beside: Tensor) -> Tensor:
        """`[B, D]`; `beside` is what else is known of a flow.

        Flows of nearly equal length are computed together, so that little is computed for nothing.
        """
        words, is_packet = words[:, : self.packets].int(), is_packet[:, : self.packets]
        table = self.words.weight + self.numbers(self.smooth)
        states_BTD = F.embedding_bag(words.flatten(0, 1), table, mode="sum").reshape(*words.shape[:2], -1)
        first_BD = self.begin(beside).to(states_BTD.dtype)
        states_BTD = torch.cat([first_BD[:, None], states_BTD], 1) + self.places.weight
        lengths = (is_packet > 0).sum(1)
        order = lengths.argsort(stable=True)
        groups = order.tensor_split(max(1, min(MOST_GROUPS, len(order) // FEWEST_TOGETHER)))
        found = [self._gathered(states_BTD[rows], lengths[rows]) for rows in groups]
        return torch.cat(found)[order.argsort()]

    def fill(self, generator: torch.Generator) -> None:
        """Fresh weights, small enough that blocks begin nearly as short cuts."""
        self.fill_buffers()
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, 0.0, SPREAD, generator=generator)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)

    def fill_buffers(self) -> None:
        """What is not learnt."""
        self.smooth = torch.from_numpy(smooth_numbers())

    def _gathered(self, states_BTD: Tensor, lengths: Tensor) -> Tensor:
        longest = int(lengths.max()) if len(lengths) else 0
        states_BTD = states_BTD[:, : 1 + longest]
        unseen = torch.arange(longest + 1, device=lengths.device) > lengths[:, None]
        mask = torch.zeros(unseen.shape, device=lengths.device).masked_fill(unseen, UNSEEN)[:, None, None]
        for place, block in enumerate(self.blocks):
            states_BTD = block(states_BTD, mask, only_first=place == len(self.blocks) - 1)
        gathered: Tensor = self.norm(states_BTD[:, 0])
        return gathered


class Block(nn.Module):
    """Attention, then two layers, each behind a norm and beside a short cut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.asking = nn.Linear(width, width)
        self.asked = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.between = nn.LayerNorm(width)
        self.wide = nn.Linear(width, WIDER * width)
        self.narrow = nn.Linear(WIDER * width, width)

    def forward(self, states_BTD: Tensor, mask: Tensor, *, only_first: bool) -> Tensor:
        """`mask` is added to what is asked. The last block is needed of the first place only, and computes no other."""
        placed = self.before(states_BTD)
        if only_first:
            states_BTD = states_BTD[:, :1]
        query = self.asking(placed[:, : states_BTD.shape[1]]).unflatten(2, (HEADS, -1)).transpose(1, 2)
        key, value = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in self.asked(placed).chunk(2, 2))
        # written out: the fused kernels are slower on a processor for so few places
        looks = (query * query.shape[3] ** -0.5) @ key.transpose(2, 3)
        seen = (looks.float() + mask).softmax(3).to(value.dtype) @ value
        states_BTD = states_BTD + self.out(seen.transpose(1, 2).flatten(2))
        out: Tensor = states_BTD + self.narrow(F.relu(self.wide(self.between(states_BTD))))
        return out
