"""Quantities on one scale: logarithm, centre, spread, learnt on training flows only. What is missing stays missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError

Numbers = npt.NDArray[np.float32]

FARTHEST = 8.0  # scaled values are cut to ± this, so that one absurd counter cannot drown the rest
SMALLEST_SPREAD = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaling:
    """`(log1p(x) - median) / spread`, the spread being the distance from the 10th to the 90th percentile over 2.56.

    For normal numbers that is the standard deviation. A quantity that training never saw is 0 wherever it appears.
    """

    medians: Numbers
    spreads: Numbers

    @classmethod
    def fit(cls, values: npt.NDArray[Any]) -> Scaling:
        """From training flows, `[flows, quantities]`; NaN is missing."""
        logs = _signed_log(values)
        width = values.shape[1]
        medians, spreads = np.zeros(width, np.float32), np.zeros(width, np.float32)
        for place in range(width):
            known = logs[:, place][~np.isnan(logs[:, place])]
            if not len(known):
                continue
            low, median, high = np.percentile(known, [10, 50, 90])
            spread = (high - low) / 2.56
            medians[place] = median
            spreads[place] = max(spread if spread > SMALLEST_SPREAD else float(known.std()), SMALLEST_SPREAD)
        return cls(medians=medians, spreads=spreads)

    def apply(self, values: npt.NDArray[Any]) -> Numbers:
        """Scaled numbers of about -3 … 3, cut to ±8; NaN stays NaN.

        >>> scaling = Scaling.fit(np.array([[1.0], [2.0], [np.nan], [3.0]]))
        >>> np.isnan(scaling.apply(np.array([[np.nan], [2.0]]))).ravel().tolist()
        [True, False]
        """
        if values.shape[1] != len(self.medians):
            raise ModelError(
                f"features: these flows have {values.shape[1]} quantities, but the scaling was learnt on "
                f"{len(self.medians)}",
                hint="the model was made by another version; train it again",
            )
        known = self.spreads > 0
        scaled = _signed_log(values)
        scaled -= self.medians
        scaled /= np.where(known, self.spreads, np.float32(1))
        if not known.all():
            scaled[:, ~known] = np.where(np.isnan(scaled[:, ~known]), np.nan, 0)
        return np.clip(scaled, -FARTHEST, FARTHEST, out=scaled)

    def state(self) -> dict[str, list[float]]:
        """Values that JSON can hold, and that `from_state` reads back to equal numbers."""
        return {"medians": self.medians.tolist(), "spreads": self.spreads.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Scaling:
        return cls(medians=np.asarray(state["medians"], np.float32), spreads=np.asarray(state["spreads"], np.float32))


def _signed_log(values: npt.NDArray[Any]) -> Numbers:
    """`sign(x) log(1 + |x|)`; infinite counts as missing."""
    numbers = values.astype(np.float32)
    logs = np.abs(numbers)
    np.log1p(logs, out=logs)
    logs[np.isinf(logs)] = np.nan
    return np.copysign(logs, numbers, out=logs)
