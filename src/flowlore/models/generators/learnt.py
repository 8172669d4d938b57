"""What generators that are networks have in common: learning, being kept, and being asked for flows of a class.

Shape letters: B flows, D width, L numbers of a latent vector.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...errors import ModelError
from ...features.augment.packets import PacketSeries, concat_series, empty_series
from ...settings import settings_from, settings_values
from ..kept_state import arrays_of, reading_state, weights_of
from ..settings import TrainingSettings
from ..training import CheckpointPlace, Progress, TrainingReport, device_of, train
from ..unfilled import unfilled
from .generator import Codes, Latents, State
from .packet_words import large_sizes
from .settings import GeneratorSettings

FORMAT = 1
ROWS_AT_ONCE = 2048
LATENT_UNKNOWN = 0.2  # share of flows that are learnt without their latent vector, so that it need not be given
Parts = dict[str, Tensor]
S = TypeVar("S", bound=GeneratorSettings)


class LearntGenerator(ABC, Generic[S]):
    """A subclass says what its network is, what it is shown of packets, what its loss is, and how packets come out."""

    usual_training: ClassVar[TrainingSettings]
    settings_class: ClassVar[type[GeneratorSettings]]
    can_stop_early: ClassVar[bool] = True  # whether its loss says how good it is

    def __init__(self, settings: S) -> None:
        self.settings = settings
        self.classes = 0
        self.network: nn.Module | None = None
        self.large = large_sizes(empty_series(0, 1))

    @abstractmethod
    def fresh_network(self) -> nn.Module:
        """Not initialised yet."""

    @abstractmethod
    def initialise(self, network: nn.Module, generator: torch.Generator) -> None:
        """Fresh weights from this generator alone."""

    @abstractmethod
    def parts_of(self, series: PacketSeries) -> Parts:
        """What the network is shown, by name, a row for each flow."""

    @abstractmethod
    def loss(
        self, network: Any, parts: Parts, codes_B: Tensor, latents_BL: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """To be made small. Without a generator it is asked for a verdict, and draws nothing."""

    @abstractmethod
    def draw(
        self,
        network: Any,
        codes_B: Tensor,
        latents_BL: Tensor | None,
        generator: torch.Generator,
        rng: np.random.Generator,
    ) -> PacketSeries:
        """A flow for each class number."""

    def fit(
        self,
        series: PacketSeries,
        codes: Codes,
        classes: int,
        rng: np.random.Generator,
        *,
        training: TrainingSettings | None = None,
        validation: tuple[PacketSeries, Codes] | None = None,
        latents: Latents | None = None,
        place: CheckpointPlace | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> TrainingReport:
        """`latents` has a row for each flow, where the settings say that the generator takes such vectors."""
        training = training or self.usual_training
        has = series.lengths > 0
        vectors = self._checked(latents, len(series))
        series, codes = series.take(has), codes[has]
        vectors = None if vectors is None else vectors[torch.from_numpy(has)]
        self.classes, self.large = classes, large_sizes(series)
        self.network = self._empty_network()
        self.initialise(self.network, torch.Generator().manual_seed(int(rng.integers(2**62))))
        network, device = self.network.to(device_of(training)), training.device
        held, numbers = self.parts_of(series), torch.from_numpy(codes)

        def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
            told = {name: part[rows].to(device) for name, part in held.items()}
            theirs = None if vectors is None else vectors[rows].to(device)
            return self.loss(network, told, numbers[rows].to(device), theirs, generator)

        validate = None
        if self.can_stop_early and validation is not None and (validation[0].lengths > 0).any():
            asked = validation[0].lengths > 0
            kept, truth = self.parts_of(validation[0].take(asked)), torch.from_numpy(validation[1][asked])

            def validate() -> float:
                found = 0.0
                for first in range(0, len(truth), ROWS_AT_ONCE):
                    some = truth[first : first + ROWS_AT_ONCE].to(device)
                    part = {name: one[first : first + ROWS_AT_ONCE].to(device) for name, one in kept.items()}
                    found += float(self.loss(network, part, some, None, None)) * len(some)
                return found / len(truth)

        report = train(network, loss, len(series), training, rng, validate=validate, place=place, progress=progress)
        network.to("cpu").eval()
        return report

    def sample(self, codes: Codes, rng: np.random.Generator, *, latents: Latents | None = None) -> PacketSeries:
        """One flow for each class number; where latent vectors are given, one near each of them."""
        network = self._made()
        if len(codes) and not 0 <= codes.min() <= codes.max() < self.classes:
            raise ModelError(f"models: this generator knows classes 0 to {self.classes - 1}")
        vectors = self._checked(latents, len(codes))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        parts = [empty_series(0, self.settings.packets)]
        for first in range(0, len(codes), ROWS_AT_ONCE):
            some = torch.from_numpy(np.ascontiguousarray(codes[first : first + ROWS_AT_ONCE]))
            theirs = None if vectors is None else vectors[first : first + ROWS_AT_ONCE]
            with torch.inference_mode():
                parts.append(self.draw(network, some, theirs, generator, rng))
        return concat_series(parts)

    def parameters(self) -> int:
        return sum(weight.numel() for weight in self._made().parameters())

    def state(self) -> State:
        arrays = arrays_of(self._made())
        values = {"format": FORMAT, "classes": self.classes, "settings": settings_values(self.settings)}
        return arrays | {"large_sizes": self.large}, values

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> Self:
        with reading_state("generator", values, FORMAT):
            settings: Any = settings_from(cls.settings_class, values["settings"])
            made = cls(settings)
            made.classes = int(values["classes"])
            weights = weights_of(arrays)
            made.large = weights.pop("large_sizes").numpy()
            made.network = made._empty_network()
            made.network.load_state_dict(weights)
        made.network.eval()
        return made

    def _checked(self, latents: Latents | None, flows: int) -> Tensor | None:
        if latents is None:
            return None
        if latents.shape != (flows, self.settings.latent):
            raise ModelError(
                f"models: latent vectors of shape {latents.shape} were given for {flows} flows, but this generator "
                f"takes {self.settings.latent} numbers of each",
                hint="set `latent` to the width of the vectors before it is trained",
            )
        return torch.from_numpy(np.ascontiguousarray(latents, np.float32))

    def _made(self) -> nn.Module:
        if self.network is None:
            raise ModelError("models: this generator was not trained yet", hint="`fit` it first")
        return self.network

    def _empty_network(self) -> nn.Module:
        with unfilled():
            network = self.fresh_network()
        return network.to_empty(device="cpu")


def with_latents(
    asked_BD: Tensor, latent: nn.Linear | None, latents_BL: Tensor | None, generator: torch.Generator | None
) -> Tensor:
    """The vector of what is asked for, with that of the flow that is meant. With a generator some are left out."""
    if latent is None or latents_BL is None:
        return asked_BD
    theirs_BD: Tensor = latent(latents_BL)
    if generator is not None:
        known = torch.rand(len(asked_BD), 1, generator=generator, device=asked_BD.device) >= LATENT_UNKNOWN
        theirs_BD = theirs_BD * known
    return asked_BD + theirs_BD


def check_heads(width: int, heads: int) -> None:
    if width % heads:
        raise ModelError(
            f"models: a width of {width} cannot be divided among {heads} heads",
            hint="choose a width that is a multiple of the heads",
        )


def initialise_weights(network: nn.Module, generator: torch.Generator, *, embedding: float) -> None:
    """Vectors of words with this deviation, layers after Xavier, biases of 0."""
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, embedding, generator=generator)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, nn.Linear | nn.Conv1d):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.ParameterDict):
            for bias in module.values():
                nn.init.zeros_(bias)
