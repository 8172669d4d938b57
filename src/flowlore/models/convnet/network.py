"""The network of the augmentation study: one convolution, two residual blocks, an average over packets, one layer.

Shape letters: B flows, T packets, C channels, D the latent width, K classes.
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
        self.stem = nn.Sequential(nn.Conv1d(inputs, wide, 3, padding=1, bias=False), nn.BatchNorm1d(wide), nn.ReLU())
        self.same = Residual(wide, wide, 1)
        self.wider = Residual(wide, 2 * wide, 2)
        self.classes = nn.Linear(2 * wide, classes)

    def latent(self, numbers_BTC: Tensor, words_BT: Tensor) -> Tensor:
        """BD, the average over packets."""
        states = numbers_BTC
        if self.words is not None:
            states = torch.cat([states, self.words(words_BT)], 2)
        states_BCT = self.stem(states.transpose(1, 2))
        averaged: Tensor = self.wider(self.same(states_BCT)).mean(2)
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
        self.short_cut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.short_cut = nn.Sequential(
                nn.Conv1d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm1d(outputs)
            )

    def forward(self, states_BCT: Tensor) -> Tensor:
        changed = self.second_norm(self.second(F.relu(self.first_norm(self.first(states_BCT)))))
        return F.relu(changed + self.short_cut(states_BCT))


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
