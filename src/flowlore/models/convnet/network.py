"""The network of the augmentation study: one convolution, two residual blocks, an average over packets, one layer.

Convolutions are products of matrices, with neighbours side by side: on a processor they take three quarters of the
time of `Conv1d.forward`, whose modules give weights and shapes only.

Shape letters: B flows, T packets, C channels, D the latent width, K classes; I and O the channels that a convolution
reads and makes, W its width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...features.words import SIZE_WORDS
from .settings import ConvnetSettings

NUMBERS = 3  # signed size, direction, log of the gap


class Network(nn.Module):
    """`numbers_BTC` and `words_BT` → logits; `latent` stops before the classes."""

    def __init__(self, settings: ConvnetSettings, classes: int) -> None:
        super().__init__()
        wide = settings.width
        self.words = nn.Embedding(SIZE_WORDS, settings.word, padding_idx=0) if settings.sizes == "words" else None
        inputs = NUMBERS + (settings.word if self.words is not None else 0)
        self.stem = nn.Sequential(nn.Conv1d(inputs, wide, 3, padding=1, bias=False), nn.BatchNorm1d(wide))
        self.same = Residual(wide, wide, 1)
        self.wider = Residual(wide, 2 * wide, 2)
        self.classes = nn.Linear(2 * wide, classes)

    def latent(self, numbers_BTC: Tensor, words_BT: Tensor) -> Tensor:
        """BD, the average over packets."""
        states_BTC = numbers_BTC
        if self.words is not None:
            states_BTC = torch.cat([states_BTC, self.words(words_BT)], 2)
        states_BTC = F.relu(convolved(states_BTC, *self.stem))
        averaged: Tensor = self.wider(self.same(states_BTC)).mean(1)
        return averaged

    def forward(self, numbers_BTC: Tensor, words_BT: Tensor) -> Tensor:
        logits: Tensor = self.classes(self.latent(numbers_BTC, words_BT))
        return logits


class Residual(nn.Module):
    """Two convolutions beside a short cut, which is a convolution of width 1 where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm1d(outputs)
        self.second = nn.Conv1d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm1d(outputs)
        self.short_cut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.short_cut.extend([nn.Conv1d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm1d(outputs)])

    def forward(self, states_BTC: Tensor) -> Tensor:
        changed_BTC = F.relu(convolved(states_BTC, self.first, self.first_norm))
        changed_BTC = convolved(changed_BTC, self.second, self.second_norm)
        beside_BTC = convolved(states_BTC, *self.short_cut) if len(self.short_cut) else states_BTC
        return F.relu(changed_BTC + beside_BTC)


def convolved(states_BTC: Tensor, convolution: nn.Conv1d, norm: nn.BatchNorm1d) -> Tensor:
    """What the two modules make of `states_BTC`; they themselves would want channels before packets."""
    weight_OIW = convolution.weight
    wide, stride = weight_OIW.shape[2], convolution.stride[0]
    padded_BTC = F.pad(states_BTC, (0, 0, wide // 2, wide // 2))
    last = padded_BTC.shape[1] - wide + 1
    neighbours = [padded_BTC[:, place : place + last : stride] for place in range(wide)]
    mixed_BTO = F.linear(torch.cat(neighbours, 2), weight_OIW.transpose(1, 2).flatten(1))
    normed_BTO: Tensor = norm(mixed_BTO.flatten(0, 1)).view(mixed_BTO.shape)
    return normed_BTO


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fresh weights from this generator alone."""
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, 0.3, generator=generator)
            with torch.no_grad():
                module.weight[0] = 0
        elif isinstance(module, nn.BatchNorm1d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv1d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
