"""`DiffusionGenerator`: packets are covered at random and uncovered again, a few of all places at a time.

This is diffusion over words: the noise that grows is the share of packets that are covered (masked diffusion; Austin et
al. 2021, Sahoo et al. 2024). What a packet is, is told in parts, as the transformer tells it, but seen from both sides.

Shape letters: B flows, T packets, D width, L numbers of a latent vector.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...features.augment.packets import PacketSeries
from ..settings import TrainingSettings
from .attention import Block
from .learnt import LearntGenerator, Parts, check_heads, initialise_weights, with_latents
from .packet_words import END, PacketWords, series_of, words_of
from .settings import DiffusionSettings, GeneratorSettings
from .telling import PARTS, Telling

DEFAULTS = DiffusionSettings()
TRAINING = TrainingSettings(epochs=40, batch_rows=128, learning_rate=2e-3, weight_decay=0.05)
VERDICTS = 4  # shares of covered packets at which a verdict is asked for


class Network(Telling):
    """What is known of every packet, gathered by attention to all that are not covered."""

    def __init__(self, settings: DiffusionSettings, classes: int) -> None:
        super().__init__(settings.width)
        self.classes = nn.Embedding(classes, settings.width)
        self.latent = nn.Linear(settings.latent, settings.width) if settings.latent else None
        self.places = nn.Embedding(settings.packets, settings.width)
        self.covered = nn.Embedding(1, settings.width)
        self.share = nn.Linear(2, settings.width)
        self.blocks = nn.ModuleList(Block(settings.width, settings.heads, causal=False) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.width)

    def asked(self, codes_B: Tensor, latents_BL: Tensor | None, generator: torch.Generator | None) -> Tensor:
        return with_latents(self.classes(codes_B), self.latent, latents_BL, generator)

    def states(self, words: Parts, is_covered_BT: Tensor, asked_BD: Tensor) -> Tensor:
        """What is known of every place: `[B, T, D]`."""
        packets_BTD = torch.where(is_covered_BT[:, :, None], self.covered.weight, self.sum_of(words, PARTS))
        share_B = is_covered_BT.float().mean(1)
        told_BD = asked_BD + self.share(torch.stack([share_B, share_B.sqrt()], 1))
        states = packets_BTD + self.places.weight + told_BD[:, None]
        for block in self.blocks:
            states = block(states)[0]
        normed: Tensor = self.norm(states)
        return normed


class DiffusionGenerator(LearntGenerator[DiffusionSettings]):
    """Learns to tell covered packets from the others; makes flows up by uncovering all places in any order."""

    usual_training: ClassVar[TrainingSettings] = TRAINING
    settings_class: ClassVar[type[GeneratorSettings]] = DiffusionSettings

    def __init__(self, settings: DiffusionSettings = DEFAULTS) -> None:
        check_heads(settings.width, settings.heads)
        super().__init__(settings)

    def fresh_network(self) -> nn.Module:
        return Network(self.settings, self.classes)

    def initialise(self, network: nn.Module, generator: torch.Generator) -> None:
        initialise_weights(network, generator, embedding=0.05)

    def parts_of(self, series: PacketSeries) -> Parts:
        """Every place behind the last packet holds `END`."""
        words = words_of(series, self.settings.packets)
        parts = {name: torch.from_numpy(getattr(words, name)) for name in PARTS}
        parts["size"] = torch.where(parts["size"] > 0, parts["size"], END)
        return parts

    def loss(
        self,
        network: Network,
        parts: Parts,
        codes_B: Tensor,
        latents_BL: Tensor | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Negative log likelihood of a covered place on average, at shares of covered places that are evenly spread."""
        asked_BD = network.asked(codes_B, latents_BL, generator)
        shape = parts["size"].shape
        if generator is None:
            total = asked_BD.new_zeros(())
            for number in range(VERDICTS):
                fixed = torch.Generator(codes_B.device).manual_seed(number)
                share_B = torch.full((shape[0],), (number + 0.5) / VERDICTS, device=codes_B.device)
                chance = torch.rand(shape, generator=fixed, device=codes_B.device)
                total = total + self._told(network, parts, asked_BD, chance < share_B[:, None])
            return total / VERDICTS
        begin = torch.rand((), generator=generator, device=codes_B.device)
        share_B = (begin + torch.arange(shape[0], device=codes_B.device) / shape[0]) % 1.0
        chance = torch.rand(shape, generator=generator, device=codes_B.device)
        return self._told(network, parts, asked_BD, chance < share_B[:, None])

    def draw(
        self,
        network: Network,
        codes_B: Tensor,
        latents_BL: Tensor | None,
        generator: torch.Generator,
        rng: np.random.Generator,
    ) -> PacketSeries:
        """All places begin covered; each step uncovers the next of a random order."""
        packets, flows = self.settings.packets, len(codes_B)
        asked_BD = network.asked(codes_B, latents_BL, None)
        parts = {name: torch.zeros(flows, packets, dtype=torch.long) for name in PARTS}
        is_covered = torch.ones(flows, packets, dtype=torch.bool)
        turn = torch.rand(flows, packets, generator=generator).argsort(1).argsort(1)  # of each place
        steps = min(self.settings.steps, packets)
        places = torch.arange(packets).expand(flows, packets)
        for step in range(steps):
            states = network.states(parts, is_covered, asked_BD)
            now = (turn < packets * (step + 1) // steps) & is_covered
            told = network.drawn(states[now], places[now] > 0, self.settings.temperature, generator)
            for name in PARTS:
                parts[name][now] = told[name] if name == "size" else told[name] * (told["size"] != END)
            is_covered &= ~now
        words = PacketWords(**{name: part.numpy() for name, part in parts.items()})
        return series_of(words, rng, self.large)

    def _told(self, network: Network, parts: Parts, asked_BD: Tensor, is_covered_BT: Tensor) -> Tensor:
        states = network.states(parts, is_covered_BT, asked_BD)
        sizes = parts["size"][is_covered_BT]
        answers = network.logits("size", states[is_covered_BT], {}).float()
        total = F.cross_entropy(answers, sizes, reduction="sum")
        there = is_covered_BT & (parts["size"] != END)
        total = total + network.surprise(states[there], {name: part[there] for name, part in parts.items()})
        return total / is_covered_BT.sum().clamp(min=1)
