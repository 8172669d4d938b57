"""`Generator`: the promise of everything that makes packet series up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from ...features.augment.packets import PacketSeries
from ..settings import TrainingSettings
from ..training import CheckpointPlace, Progress, TrainingReport

Codes = npt.NDArray[np.int64]
Latents = npt.NDArray[np.float32]
State = tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]


class Generator(Protocol):
    """Learns packet series of classes that are numbers from 0, then makes up series of any of them.

    It never touches a disk, and it is given the flows that the classifier may see, and no others.
    """

    usual_training: ClassVar[TrainingSettings]
    settings: Any

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
        """`latents`, a vector for each flow, are given only where the settings say so: their `latent` is above 0."""
        ...

    def sample(self, codes: Codes, rng: np.random.Generator, *, latents: Latents | None = None) -> PacketSeries:
        """One flow for each class number: at least one packet, the first from who speaks first."""
        ...

    def parameters(self) -> int:
        """Numbers that were learnt."""
        ...

    def state(self) -> State: ...

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> Self: ...
