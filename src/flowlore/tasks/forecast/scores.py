"""How good forecasts are: errors against the size of the traffic and against the naive, bands against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...features.rates.series import Series
from .forecaster import MEDIAN, QUANTILES, Places, Values, truth_at

BAND = (QUANTILES.index(0.1), QUANTILES.index(0.9))


def scored(quantiles: Values, series: Series, origins: Places, horizons: Sequence[int], until: int) -> dict[str, Any]:
    """WAPE, MASE, weighted quantile loss and coverage of the 80 % band, by horizon and as the mean of horizons.

    Only steps that are known count. MASE is against the one-step naive error of each series before `until`.
    """
    truth = truth_at(series, origins, horizons)
    return mean_of(
        [scores_at(quantiles[:, :, place], truth[:, :, place], series, until) for place in range(len(horizons))],
        horizons,
    )


def scores_at(quantiles: Values, truth: Values, series: Series, until: int) -> dict[str, float]:
    """The same for one horizon: quantiles [series, origins, QUANTILES], truth [series, origins]."""
    known = np.isfinite(truth)
    actual = np.where(known, truth, 0.0)
    error = np.where(known, np.abs(quantiles[..., MEDIAN] - actual), 0.0)
    total = max(float(actual.sum()), 1e-12)
    away = actual[..., None] - quantiles
    levels = np.asarray(QUANTILES)
    pinball = np.where(known[..., None], np.maximum(levels * away, (levels - 1) * away), 0.0)
    inside = (actual >= quantiles[..., BAND[0]]) & (actual <= quantiles[..., BAND[1]])
    naive = np.nanmean(np.abs(np.diff(series.values[:, :until], axis=1)), axis=1) if until > 1 else np.zeros(len(truth))
    scalable = (naive > 0) & known.any(axis=1)
    each = error.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return {
        "wape": float(error.sum()) / total,
        "mase": float((each[scalable] / naive[scalable]).mean()) if scalable.any() else float("nan"),
        "wql": float(2 * pinball.sum() / len(QUANTILES)) / total,
        "coverage_80": float(inside[known].mean()) if known.any() else float("nan"),
    }


def mean_of(each: Sequence[dict[str, float]], horizons: Sequence[int]) -> dict[str, Any]:
    names = list(each[0]) if each else []
    means: dict[str, Any] = {name: float(np.mean([one[name] for one in each])) for name in names}
    return means | {"by_horizon": {str(horizon): one for horizon, one in zip(horizons, each, strict=True)}}
