"""`TransformerGenerator`: the next packet from those before it, word by word.

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
from .attention import Cache, Causal
from .learnt import LearntGenerator, Parts, check_heads, initialise_weights, with_latents
from .packet_words import END, PacketWords, series_of, words_of
from .settings import GeneratorSettings, TransformerSettings
from .telling import PARTS, Telling

DEFAULTS = TransformerSettings()
TRAINING = TrainingSettings(epochs=30, batch_rows=128, learning_rate=2e-3, weight_decay=0.05)


class Network(Telling):
    """What is known before each packet is gathered by attention to those before it."""

    def __init__(self, settings: TransformerSettings, classes: int) -> None:
        super().__init__(settings.width)
        self.classes = nn.Embedding(classes, settings.width)
        self.latent = nn.Linear(settings.latent, settings.width) if settings.latent else None
        self.places = nn.Embedding(settings.packets + 1, settings.width)
        self.body = Causal(settings.width, settings.layers, settings.heads)

    def asked(self, codes_B: Tensor, latents_BL: Tensor | None, generator: torch.Generator | None) -> Tensor:
        return with_latents(self.classes(codes_B), self.latent, latents_BL, generator)

    def states(self, words: Parts, asked_BD: Tensor, forgotten_BT: Tensor | None = None) -> Tensor:
        """What is known before each packet, and behind the last: `[B, T + 1, D]`."""
        begin_B1D = asked_BD[:, None]
        packets_BTD = self.sum_of(words, PARTS)
        if forgotten_BT is not None:
            packets_BTD = packets_BTD.masked_fill(forgotten_BT[:, :, None], 0.0)
        told = torch.cat([begin_B1D, packets_BTD], 1)
        states, _ = self.body(told + self.places.weight[: told.shape[1]] + begin_B1D)
        return torch.as_tensor(states)

    def step(self, packet: Parts | None, asked_BD: Tensor, place: int, cache: Cache) -> tuple[Tensor, Cache]:
        """What is known before the packet at `place`, given the one before it: `[B, D]`."""
        begin_B1D = asked_BD[:, None]
        told = begin_B1D if packet is None else self.sum_of({name: one[:, None] for name, one in packet.items()}, PARTS)
        states, cache = self.body(told + self.places.weight[place] + begin_B1D, cache)
        return states[:, 0], cache


class TransformerGenerator(LearntGenerator[TransformerSettings]):
    """Learns to tell the next packet; makes flows up by telling one after the other."""

    usual_training: ClassVar[TrainingSettings] = TRAINING
    settings_class: ClassVar[type[GeneratorSettings]] = TransformerSettings

    def __init__(self, settings: TransformerSettings = DEFAULTS) -> None:
        check_heads(settings.width, settings.heads)
        super().__init__(settings)

    def fresh_network(self) -> nn.Module:
        return Network(self.settings, self.classes)

    def initialise(self, network: nn.Module, generator: torch.Generator) -> None:
        initialise_weights(network, generator, embedding=0.05)

    def parts_of(self, series: PacketSeries) -> Parts:
        words = words_of(series, self.settings.packets)
        return {name: torch.from_numpy(getattr(words, name)) for name in PARTS}

    def loss(
        self,
        network: Network,
        parts: Parts,
        codes_B: Tensor,
        latents_BL: Tensor | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Negative log likelihood of a packet on average: of its size (or of the end), flags, header and gap."""
        forgotten = None
        if generator is not None:
            chance = torch.rand(parts["size"].shape, generator=generator, device=codes_B.device)
            forgotten = chance < self.settings.forgotten
        states = network.states(parts, network.asked(codes_B, latents_BL, generator), forgotten)
        is_packet = parts["size"] > 0
        behind = F.pad(parts["size"], (0, 1))
        lengths = is_packet.sum(1)
        fits = lengths < parts["size"].shape[1]  # a flow that fills all places may have gone on
        behind[fits.nonzero()[:, 0], lengths[fits]] = END
        wanted = behind > 0
        total = F.cross_entropy(network.logits("size", states[wanted], {}).float(), behind[wanted], reduction="sum")
        here = {name: words[is_packet] for name, words in parts.items()}
        total = total + network.surprise(states[:, :-1][is_packet], here)
        return total / is_packet.sum().clamp(min=1)

    def draw(
        self,
        network: Network,
        codes_B: Tensor,
        latents_BL: Tensor | None,
        generator: torch.Generator,
        rng: np.random.Generator,
    ) -> PacketSeries:
        """Words of one flow after the other packet, until all have ended."""
        packets = self.settings.packets
        out = {name: torch.zeros(len(codes_B), packets, dtype=torch.long) for name in PARTS}
        going_on = torch.ones(len(codes_B), dtype=torch.bool)
        asked_BD = network.asked(codes_B, latents_BL, None)
        packet: Parts | None = None
        cache: Cache = []
        for place in range(packets):
            states, cache = network.step(packet, asked_BD, place, cache)
            may_end = torch.full((len(codes_B),), place > 0)  # a flow has at least one packet
            packet = network.drawn(states, may_end, self.settings.temperature, generator)
            going_on = going_on & (packet["size"] != END)
            if not going_on.any():
                break
            for name in PARTS:
                out[name][:, place] = torch.where(going_on, packet[name], 0)
        words = PacketWords(**{name: told.numpy() for name, told in out.items()})
        return series_of(words, rng, self.large)
