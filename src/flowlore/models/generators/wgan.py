"""`WganGenerator`: a maker and a critic, which is kept smooth by a penalty on its gradient (WGAN-GP; Gulrajani 2017).

Packets are numbers near -1 and 1 here, the bits of their words, so that the critic's gradient reaches the maker. With
`joint` a classifier learns with both: from real and made-up flows, and what it cannot name teaches the maker.

Shape letters: B flows, T packets, C channels of a packet, W width, L numbers of a latent vector.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ...errors import ModelError
from ...features.augment.packets import PacketSeries
from ..settings import TrainingSettings
from .learnt import LATENT_UNKNOWN, ROWS_AT_ONCE, LearntGenerator, Parts, initialise_weights
from .packet_bits import BITS, CHANNELS, bits_of, series_of_bits
from .settings import GeneratorSettings, WganSettings

DEFAULTS = WganSettings()
TRAINING = TrainingSettings(epochs=200, batch_rows=128, learning_rate=1e-3, weight_decay=0.0, largest_gradient=100.0)
SHARPNESS = 2.0  # of bits that are made
LEAK = 0.2  # of what is below 0, so that gradients go on


class Residual(nn.Module):
    """Two convolutions over packets beside a short cut."""

    def __init__(self, width: int, *, normed: bool) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv1d(width, width, 3, padding=1) for _ in range(2))
        self.norm: nn.Module = nn.GroupNorm(1, width) if normed else nn.Identity()

    def forward(self, states_BWT: Tensor) -> Tensor:
        changed: Tensor = self.second(F.leaky_relu(self.first(F.leaky_relu(self.norm(states_BWT), LEAK)), LEAK))
        return states_BWT + changed


class Meant(nn.Module):
    """What is asked for: the class, and where it is given which flow of it; a vector of zeros says nothing."""

    def __init__(self, classes: int, latent: int, width: int) -> None:
        super().__init__()
        self.classes = nn.Embedding(classes, width)
        self.latent = nn.Linear(latent, width, bias=False) if latent else None

    def forward(self, codes_B: Tensor, latents_BL: Tensor | None) -> Tensor:
        asked_BW: Tensor = self.classes(codes_B)
        return asked_BW if self.latent is None or latents_BL is None else asked_BW + self.latent(latents_BL)


class Maker(nn.Module):
    """Noise and what is asked for → packets as numbers, `[B, T, C]`."""

    def __init__(self, settings: WganSettings, classes: int) -> None:
        super().__init__()
        wide = settings.width
        self.packets = settings.packets
        self.meant = Meant(classes, settings.latent, wide)
        self.into = nn.Linear(settings.noise + wide, wide)
        self.spread = nn.Linear(wide, wide * settings.packets)
        self.blocks = nn.ModuleList(Residual(wide, normed=True) for _ in range(settings.blocks))
        self.out = nn.Conv1d(wide, CHANNELS, 1)

    def forward(self, noise_BN: Tensor, codes_B: Tensor, latents_BL: Tensor | None) -> Tensor:
        asked_BW = self.meant(codes_B, latents_BL)
        states = F.leaky_relu(self.into(torch.cat([noise_BN, asked_BW], 1)), LEAK)
        states_BWT = self.spread(states).unflatten(1, (-1, self.packets))
        for block in self.blocks:
            states_BWT = block(states_BWT)
        answers = self.out(F.leaky_relu(states_BWT, LEAK)).transpose(1, 2)
        bits = torch.tanh(SHARPNESS * answers[..., :BITS])
        waits = (bits[..., 2:3] + 1) / 2  # a packet that does not wait has a gap of 0, as real ones have
        made: Tensor = torch.cat([bits, waits * answers[..., BITS:]], 2)
        return made


class Reader(nn.Module):
    """Packets as numbers → some answers of each flow: one for each class."""

    def __init__(self, settings: WganSettings, classes: int) -> None:
        super().__init__()
        wide = settings.width
        self.into = nn.Conv1d(CHANNELS, wide, 3, padding=1)
        self.blocks = nn.ModuleList(Residual(wide, normed=False) for _ in range(settings.blocks))
        self.gathered = nn.Linear(wide * settings.packets, wide)
        self.out = nn.Linear(wide, classes)

    def forward(self, packets_BTC: Tensor) -> Tensor:
        answers: Tensor = self.out(self.latent(packets_BTC))
        return answers

    def latent(self, packets_BTC: Tensor) -> Tensor:
        states_BWT = self.into(packets_BTC.transpose(1, 2))
        for block in self.blocks:
            states_BWT = block(states_BWT)
        gathered: Tensor = F.leaky_relu(self.gathered(F.leaky_relu(states_BWT, LEAK).flatten(1)), LEAK)
        return gathered


class Critic(nn.Module):
    """How real flows look for what was asked: the higher, the more so (projection; Miyato 2018)."""

    def __init__(self, settings: WganSettings, classes: int) -> None:
        super().__init__()
        self.reader = Reader(settings, 1)
        self.meant = Meant(classes, settings.latent, settings.width)

    def forward(self, packets_BTC: Tensor, codes_B: Tensor, latents_BL: Tensor | None) -> Tensor:
        states_BW = self.reader.latent(packets_BTC)
        score: Tensor = self.reader.out(states_BW)[:, 0] + (states_BW * self.meant(codes_B, latents_BL)).mean(1)
        return score


class Network(nn.Module):
    def __init__(self, settings: WganSettings, classes: int) -> None:
        super().__init__()
        self.maker, self.critic = Maker(settings, classes), Critic(settings, classes)
        self.reader = Reader(settings, classes) if settings.joint else None


class WganGenerator(LearntGenerator[WganSettings]):
    """Learns to make what a critic takes for real; makes flows up from noise at once."""

    usual_training: ClassVar[TrainingSettings] = TRAINING
    settings_class: ClassVar[type[GeneratorSettings]] = WganSettings
    can_stop_early: ClassVar[bool] = False

    def __init__(self, settings: WganSettings = DEFAULTS) -> None:
        super().__init__(settings)

    def fresh_network(self) -> nn.Module:
        return Network(self.settings, self.classes)

    def initialise(self, network: nn.Module, generator: torch.Generator) -> None:
        initialise_weights(network, generator, embedding=0.5)
        for module in network.modules():
            if isinstance(module, nn.GroupNorm):
                module.reset_parameters()

    def parts_of(self, series: PacketSeries) -> Parts:
        return {"packets": torch.from_numpy(bits_of(series, self.settings.packets))}

    def loss(
        self,
        network: Network,
        parts: Parts,
        codes_B: Tensor,
        latents_BL: Tensor | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Of the critic, and in some steps of the maker; each leaves the other's weights as they are."""
        real, device = parts["packets"], codes_B.device
        noise = torch.randn(len(real), self.settings.noise, generator=generator, device=device)
        if latents_BL is not None:
            told = torch.rand(len(real), 1, generator=generator, device=device) >= LATENT_UNKNOWN
            latents_BL = latents_BL * told
        made = network.maker(noise, codes_B, latents_BL)
        shown = made.detach()
        mixed = torch.lerp(shown, real, torch.rand(len(real), 1, 1, generator=generator, device=device))
        mixed.requires_grad_()
        (slope,) = torch.autograd.grad(network.critic(mixed, codes_B, latents_BL).sum(), mixed, create_graph=True)
        penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        total = (network.critic(shown, codes_B, latents_BL) - network.critic(real, codes_B, latents_BL)).mean()
        total = total + self.settings.penalty * penalty
        if network.reader is not None:
            heard = F.cross_entropy(network.reader(real), codes_B)
            heard = heard + self.settings.joint_made * F.cross_entropy(network.reader(shown), codes_B)
            total = total + heard
        if float(torch.rand((), generator=generator, device=device)) * self.settings.turns < 1:
            total = total - _standing_still(network.critic, made, codes_B, latents_BL).mean()
            if network.reader is not None:
                missed = F.cross_entropy(_standing_still(network.reader, made), codes_B)
                total = total + self.settings.joint * missed
        return torch.as_tensor(total)

    def draw(
        self,
        network: Network,
        codes_B: Tensor,
        latents_BL: Tensor | None,
        generator: torch.Generator,
        rng: np.random.Generator,
    ) -> PacketSeries:
        noise = torch.randn(len(codes_B), self.settings.noise, generator=generator)
        return series_of_bits(network.maker(noise, codes_B, latents_BL).numpy(), rng, self.large)

    def classify(self, series: PacketSeries) -> npt.NDArray[np.float32]:
        """How likely each class is, by the classifier that learnt with the maker (`joint`)."""
        network: Any = self._made()
        if network.reader is None:
            raise ModelError("models: this generator was trained without a classifier", hint="set `joint` above 0")
        found = [np.zeros((0, self.classes), np.float32)]
        for first in range(0, len(series), ROWS_AT_ONCE):
            piece = series.take(np.arange(first, min(first + ROWS_AT_ONCE, len(series))))
            with torch.inference_mode():
                found.append(network.reader(self.parts_of(piece)["packets"]).softmax(1).numpy())
        return np.concatenate(found)


def _standing_still(module: nn.Module, *inputs: Tensor | None) -> Tensor:
    """What the module answers, with gradients for its inputs and none for its weights."""
    weights = {name: weight.detach() for name, weight in module.named_parameters()}
    answer: Tensor = functional_call(module, weights, inputs)
    return answer
