"""An encoder that needs no training worth the name: a fixed projection of the numbers of a flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from flowlore.features.batch import FeatureBatch

WIDTH = 16


class StubEncoder:
    """Standardised logs of quantities, projected at random."""

    unit: ClassVar[str] = "flow"
    needs = ("quantities", "series.size")
    width = WIDTH

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def fit(
        self, batches: Sequence[FeatureBatch], rng: np.random.Generator, *, validation: Sequence[FeatureBatch] = ()
    ) -> None:
        numbers = _numbers(FeatureBatch.concat(batches))
        self.arrays = {
            "mean": numbers.mean(axis=0),
            "scale": numbers.std(axis=0) + 1e-3,
            "turn": rng.normal(size=(numbers.shape[1], WIDTH)).astype(np.float32),
        }

    def embed(self, batch: FeatureBatch) -> np.ndarray:
        if "quantities" not in batch.channels:
            return np.zeros((len(batch), WIDTH), np.float32)
        held = self.arrays
        return ((_numbers(batch) - held["mean"]) / held["scale"] @ held["turn"]).astype(np.float32)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return self.arrays, {"width": WIDTH}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> StubEncoder:
        if values["width"] != WIDTH:
            raise ValueError(f"width {values['width']} is not {WIDTH}")
        made = cls()
        made.arrays = dict(arrays)
        return made


def _numbers(batch: FeatureBatch) -> np.ndarray:
    numbers = np.nan_to_num(batch.channels["quantities"], nan=-1.0)
    return (np.sign(numbers) * np.log1p(np.abs(numbers))).astype(np.float32)
