"""The autoencoder's encoder as a network of the campaign: weights as drawn, a linear layer on its embedding, labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...features.augment.packets import PacketSeries
from ...features.augment.settings import AugmentSettings
from ...features.batch import FeatureBatch
from ...models.augmented import Codes, train_augmented
from ...models.autoencoder.inputs import network_inputs
from ...models.autoencoder.network import Inputs, Network, fill_buffers, initialise
from ...models.autoencoder.settings import WIDTHS, AutoencoderSettings
from ...models.convnet import ConvnetClassifier, ConvnetSettings
from ...models.settings import TrainingSettings

ROWS_AT_ONCE = 4096
NS_PER_US = 1000
MOST_US = np.iinfo(np.int32).max


class EncoderClassifier:
    """Sizes, directions and gaps in, class numbers out, augmentation in the loop, as `ConvnetClassifier` has it."""

    def __init__(self, classes: int, packets: int) -> None:
        self.classes, self.packets = classes, packets
        self.network = Answering(classes, packets).eval()

    def fit(
        self,
        series: PacketSeries,
        codes: Codes,
        rng: np.random.Generator,
        *,
        augmentation: AugmentSettings,
        training: TrainingSettings,
    ) -> Self:
        """A step has `batch_rows` flows before augmentation; an epoch sees as many flows as there are."""
        network = self.network

        def initialise_network(generator: torch.Generator) -> None:
            initialise(network, generator)
            fill_buffers(network.encoder)

        train_augmented(
            network,
            initialise_network,
            lambda step: network(self._inputs(step, training.device)),
            series,
            codes,
            rng,
            augmentation=augmentation,
            training=training,
            label_smoothing=ConvnetSettings().label_smoothing,
        )
        return self

    def predict_proba(self, series: PacketSeries) -> npt.NDArray[np.float32]:
        """How likely each class is; a row sums to 1."""
        shares: npt.NDArray[np.float32] = self._through(series, self.network).softmax(1).numpy()
        return shares

    def predict(self, series: PacketSeries) -> Codes:
        return self._through(series, self.network).argmax(1).numpy().astype(np.int64)

    def embed(self, series: PacketSeries) -> npt.NDArray[np.float32]:
        return self._through(series, self.network.encoder.embed).numpy()

    def parameters(self) -> int:
        """What makes an answer: the encoder's layers and tables, and the classes."""
        return sum(self.network.encoder.encoder_parameters()) + sum(
            weight.numel() for weight in self.network.classes.parameters()
        )

    def _through(self, series: PacketSeries, part: Callable[[Inputs], Tensor]) -> Tensor:
        out = []
        with torch.no_grad():
            for first in range(0, len(series), ROWS_AT_ONCE):
                piece = series.take(np.arange(first, min(first + ROWS_AT_ONCE, len(series))))
                out.append(part(self._inputs(piece, "cpu")).float())
        return torch.cat(out)

    def _inputs(self, series: PacketSeries, device: str) -> Inputs:
        made = network_inputs(seen_by_encoder(series), self.network.encoder.modalities, None, self.packets, 0)
        return {name: tensor.to(device) for name, tensor in made.items()}


Learner = ConvnetClassifier | EncoderClassifier


class Answering(nn.Module):
    """The encoder of the default size, for packet series alone, and a layer for the classes."""

    def __init__(self, classes: int, packets: int) -> None:
        super().__init__()
        settings = AutoencoderSettings(packets=packets)
        self.encoder = Network(settings, WIDTHS[settings.size], 0, 0)
        self.classes = nn.Linear(settings.width, classes)

    def forward(self, inputs: Inputs) -> Tensor:
        answers: Tensor = self.classes(self.encoder.embed(inputs))
        return answers


def seen_by_encoder(series: PacketSeries) -> FeatureBatch:
    """Sizes with a sign, and the gaps before them; a hidden packet leaves a hole in its place."""
    shown = series.is_packet & ~series.hidden
    direction = np.where(shown, series.direction, 0)
    has = np.asarray(shown.any(axis=1))
    return FeatureBatch(
        length=len(series),
        channels={
            "series.size": (direction * series.size).astype(np.int32),
            "series.gap_us": np.where(shown, series.gap_ns // NS_PER_US, 0).clip(0, MOST_US).astype(np.int32),
            "series.direction": direction.astype(np.int32),
            "series.is_packet": shown,
        },
        present={name: has for name in ("series", "series.size", "series.gap_us")},
    )
