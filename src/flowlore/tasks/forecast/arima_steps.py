"""ARIMA step by step: the part that is compiled. Lags are of the past, 1 is the step before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...flows.compiled import compiled

Vector = npt.NDArray[np.float64]
Lags = npt.NDArray[np.int64]


@compiled
def errors_of(
    values: Vector, lags: Lags, weights: Vector, error_lags: Lags, error_weights: Vector, constant: float
) -> Vector:
    """What came less what was expected. Nothing is known before the first step: it was 0, and so were errors."""
    out = np.empty(len(values))
    for step in range(len(values)):
        expected = constant
        for place in range(len(lags)):
            if lags[place] <= step:
                expected += weights[place] * values[step - lags[place]]
        for place in range(len(error_lags)):
            if error_lags[place] <= step:
                expected += error_weights[place] * out[step - error_lags[place]]
        out[step] = values[step] - expected
    return out


@compiled
def ahead(
    values: Vector, errors: Vector, origins: Lags, horizons: Lags,
    lags: Lags, weights: Vector, error_lags: Lags, error_weights: Vector, constant: float,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """[origins, horizons]; errors to come are 0."""
    furthest = np.max(horizons)
    out = np.empty((len(origins), len(horizons)))
    path = np.empty(furthest)
    for row in range(len(origins)):
        origin = min(origins[row], len(values))
        for after in range(furthest):
            expected = constant
            for place in range(len(lags)):
                at = origin + after - lags[place]
                if at >= origin:
                    expected += weights[place] * path[at - origin]
                elif at >= 0:
                    expected += weights[place] * values[at]
            for place in range(len(error_lags)):
                at = origin + after - error_lags[place]
                if 0 <= at < origin:
                    expected += error_weights[place] * errors[at]
            path[after] = expected
        for place in range(len(horizons)):
            out[row, place] = path[horizons[place] - 1]
    return out
