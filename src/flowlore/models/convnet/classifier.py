"""`ConvnetClassifier`: packet series with class numbers in, classes out, augmentation in the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import ModelError
from ...features.augment.packets import PacketSeries
from ...features.augment.settings import AugmentSettings
from ...features.words import size_words
from ...settings import settings_from, settings_values
from ..augmented import Codes, train_augmented
from ..kept_state import arrays_of, reading_state, weights_of
from ..settings import TrainingSettings
from ..training import CheckpointPlace, Progress, TrainingReport
from ..unfilled import unfilled
from .network import NUMBERS, Network, initialise
from .settings import ConvnetSettings

FORMAT = 1
ROWS_AT_ONCE = 4096
SIZE_SCALE_BYTES = 1500.0
GAP_SCALE = 16.0
NS_PER_US = 1000.0
DEFAULTS = ConvnetSettings()
NO_AUGMENTATION = AugmentSettings()
TRAINING = TrainingSettings(epochs=60, batch_rows=128, learning_rate=4e-3, weight_decay=0.05)


class ConvnetClassifier:
    """Learns classes from scratch. Labels come as numbers from 0, so it never learns what a class is called."""

    def __init__(self, classes: int, settings: ConvnetSettings = DEFAULTS) -> None:
        self.classes, self.settings = classes, settings
        self.network: Network | None = None

    def fit(
        self,
        series: PacketSeries,
        codes: Codes,
        rng: np.random.Generator,
        *,
        augmentation: AugmentSettings = NO_AUGMENTATION,
        training: TrainingSettings = TRAINING,
        validation: tuple[PacketSeries, Codes] | None = None,
        place: CheckpointPlace | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> TrainingReport:
        """Learn from these flows, augmented as the settings say. Flows for validation are looked at as they are.

        A step has `batch_rows` flows before augmentation; an epoch sees as many flows as there are.
        """
        if len(series) != len(codes) or (len(codes) and not 0 <= codes.min() <= codes.max() < self.classes):
            raise ValueError(f"{len(series)} flows, {len(codes)} class numbers of {self.classes} classes")
        network = self._empty_network()

        def begin(generator: torch.Generator) -> None:
            initialise(network, generator)
            self.network = network

        validate = None
        if validation is not None and len(validation[1]):
            known, truth = validation

            def validate() -> float:
                right: float = F.cross_entropy(self._logits(known), torch.from_numpy(truth)).item()
                return right

        return train_augmented(
            network,
            begin,
            lambda step: network(*self._inputs(step, training.device)),
            series,
            codes,
            rng,
            augmentation=augmentation,
            training=training,
            label_smoothing=self.settings.label_smoothing,
            validate=validate,
            place=place,
            progress=progress,
        )

    def predict_proba(self, series: PacketSeries) -> npt.NDArray[np.float32]:
        """How likely each class is; a row sums to 1."""
        shares: npt.NDArray[np.float32] = self._logits(series).softmax(1).numpy()
        return shares

    def predict(self, series: PacketSeries) -> Codes:
        return self._logits(series).argmax(1).numpy().astype(np.int64)

    def embed(self, series: PacketSeries) -> npt.NDArray[np.float32]:
        """The latent vector of each flow, before the classes."""
        return self._through(series, self._made().latent).numpy()

    def parameters(self) -> int:
        return sum(weight.numel() for weight in self._made().parameters())

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """All that makes it what it is: arrays by name, and values that JSON can hold."""
        arrays = arrays_of(self._made())
        return arrays, {"format": FORMAT, "classes": self.classes, "settings": settings_values(self.settings)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> Self:
        with reading_state("network", values, FORMAT):
            made = cls(int(values["classes"]), settings_from(ConvnetSettings, values["settings"]))
            made.network = made._empty_network()
            made.network.load_state_dict(weights_of(arrays))
        made.network.eval()
        return made

    def _inputs(self, series: PacketSeries, device: str) -> tuple[Tensor, Tensor]:
        """Numbers and words of the first packets; what is hidden is 0."""
        packets = self.settings.packets
        shown = (series.is_packet & ~series.hidden)[:, :packets]
        direction = np.where(shown, series.direction[:, :packets], 0)
        signed = direction * series.size[:, :packets]
        numbers = np.zeros((len(series), packets, NUMBERS), np.float32)
        width = direction.shape[1]
        numbers[:, :width, 0] = np.clip(signed, -SIZE_SCALE_BYTES, SIZE_SCALE_BYTES) / SIZE_SCALE_BYTES
        numbers[:, :width, 1] = direction
        gaps_us = np.where(shown, series.gap_ns[:, :packets], 0) / NS_PER_US
        numbers[:, :width, 2] = np.log1p(gaps_us) / GAP_SCALE
        words = np.zeros((len(series), packets), np.int32)
        if self.settings.sizes == "words":
            flat = size_words(signed.astype(np.int32).ravel(), direction.astype(np.int32).ravel())
            words[:, :width] = flat.reshape(signed.shape)
        return torch.from_numpy(numbers).to(device), torch.from_numpy(words).to(device)

    def _logits(self, series: PacketSeries) -> Tensor:
        return self._through(series, self._made())

    def _through(self, series: PacketSeries, part: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        network = self._made()
        was_training = network.training
        network.eval()
        device = str(next(network.parameters()).device)
        out = []
        with torch.no_grad():
            for first in range(0, max(len(series), 1), ROWS_AT_ONCE):
                piece = series.take(np.arange(first, min(first + ROWS_AT_ONCE, len(series))))
                out.append(part(*self._inputs(piece, device)).float().cpu())
        network.train(was_training)
        return torch.cat(out)

    def _made(self) -> Network:
        if self.network is None:
            raise ModelError("models: this network was not trained yet", hint="`fit` it first")
        return self.network

    def _empty_network(self) -> Network:
        with unfilled():
            network = Network(self.settings, self.classes)
        return network.to_empty(device="cpu")
