"""Methods that learn nothing: what an operator would do without any model."""

from __future__ import annotations

import numpy as np

from ...features.rates.series import Series
from .forecaster import Places, PointForecaster, Values, day_steps, filled


class Persistence(PointForecaster):
    """The last known value stays."""

    def points(self, series: Series, origins: Places) -> Values:
        return _last_known(filled(series.values), origins, len(self.horizons))


class SeasonalNaive(PointForecaster):
    """What was a day before at the same time (a week, where a step is a day); else the last known value."""

    def points(self, series: Series, origins: Places) -> Values:
        season, values = day_steps(series), filled(series.values)
        out = _last_known(values, origins, len(self.horizons))
        if not season:
            return out
        for place, horizon in enumerate(self.horizons):
            at = origins + horizon - 1 - season * (-(-horizon // season))
            known = at >= 0
            out[:, known, place] = values[:, at[known]]
        return out


class Ewma(PointForecaster):
    """An exponentially weighted mean, half of it the last step."""

    weight = 0.5

    def points(self, series: Series, origins: Places) -> Values:
        levels = smoothed(filled(series.values), self.weight)[:, np.maximum(origins - 1, 0)]
        return np.repeat(levels[:, :, None], len(self.horizons), axis=2)


def smoothed(values: Values, weight: float) -> Values:
    """Exponentially weighted means, each of the steps up to its own."""
    out = np.empty_like(values)
    level = values[:, 0].copy() if values.shape[1] else np.zeros(len(values))
    for step in range(values.shape[1]):
        level += weight * (values[:, step] - level)
        out[:, step] = level
    return out


def _last_known(values: Values, origins: Places, horizons: int) -> Values:
    return np.repeat(values[:, np.maximum(origins - 1, 0)][:, :, None], horizons, axis=2)
