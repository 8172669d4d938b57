"""`Encoder`: the promise that every model keeps, and that conformance checks prove (`checks.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from ..features.batch import FeatureBatch

Unit = Literal["flow", "host", "step"]
Floats = npt.NDArray[np.float32]
State = tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearHead:
    """`vectors @ weights.T + offsets` is a number for each class; the largest is the answer."""

    weights: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]


class Encoder(Protocol):
    """Learns from unlabelled batches, then gives each flow (or host, or step) one vector.

    It never touches a disk: `state` is arrays and JSON, and whoever wants them on a disk writes them there.
    """

    unit: ClassVar[Unit]

    @property
    def needs(self) -> tuple[str, ...]:
        """The channels that it can use. A flow may lack any of them; one that has none embeds as zeros."""
        ...

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        ...

    def fit(
        self,
        batches: Sequence[FeatureBatch],
        rng: np.random.Generator,
        *,
        validation: Sequence[FeatureBatch] = (),
    ) -> Any:
        """Learn from these flows; every random choice comes from `rng`. Stops early by `validation`, if given."""
        ...

    def embed(self, batch: FeatureBatch) -> Floats:
        """One row for each flow, float32 [length, width]; no row depends on its neighbours."""
        ...

    def state(self) -> State:
        """All that makes it what it is: arrays by name, and values that JSON can hold."""
        ...

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> Self:
        """The encoder that `state` described. Damaged or foreign state is a `ModelError`."""
        ...
