"""Ridge regression on lags, one for each horizon and all series."""

from __future__ import annotations

import numpy as np

from ...features.rates.series import Series
from .forecaster import Places, PointForecaster, Values, truth_at
from .lags import CALENDAR, lag_features

MOST_ROWS = 150_000
RIDGE = 1e-3


class LinearLags(PointForecaster):
    """The change from the last value as a linear function of lags, means and what was a day before."""

    def learn(self, series: Series, until: int, rng: np.random.Generator) -> None:
        self._weights = []
        scale = scales(series, until)
        for horizon in self.horizons:
            origins = np.arange(2, until - horizon + 1)
            rows = min(len(origins), max(MOST_ROWS // max(len(series), 1), 50))
            origins = np.sort(rng.choice(origins, rows, replace=False)) if rows else origins
            inputs, last = _inputs(series, origins, horizon)
            change = truth_at(series, origins, (horizon,))[..., 0] - last
            x = (inputs / scale[:, None, None]).reshape(-1, inputs.shape[2])
            y = (change / scale[:, None]).ravel()
            weight = np.sqrt(np.repeat(scale / scale.mean(), len(origins)))  # so that large series count for more
            kept = np.isfinite(y)
            x, y, weight = x[kept], y[kept], weight[kept]
            x = np.concatenate([x, np.ones((len(x), 1))], axis=1) * weight[:, None]
            penalty = RIDGE * len(x) * np.eye(x.shape[1])
            self._weights.append(np.linalg.solve(x.T @ x + penalty, x.T @ (y * weight)))
        self._scale = scale

    def points(self, series: Series, origins: Places) -> Values:
        out = np.empty((len(series), len(origins), len(self.horizons)))
        for place, horizon in enumerate(self.horizons):
            inputs, last = _inputs(series, origins, horizon)
            weights = self._weights[place]
            scale = self._scale if len(self._scale) == len(series) else scales(series, int(origins.min()))
            out[:, :, place] = last + inputs @ weights[:-1] + weights[-1] * scale[:, None]
        return out


def scales(series: Series, until: int) -> Values:
    """Mean of each series over its known steps before `until`; 1 where that is nothing."""
    known = series.values[:, : max(until, 1)]
    sums, counts = np.nansum(known, axis=1), (~np.isnan(known)).sum(axis=1)
    means = sums / np.maximum(counts, 1)
    return np.asarray(np.where(means > 0, means, 1.0))


def _inputs(series: Series, origins: Places, horizon: int) -> tuple[Values, Values]:
    amounts = lag_features(series, origins, horizon)[..., :-CALENDAR]
    last = amounts[..., 0]
    away = np.where(np.isnan(amounts), 0.0, amounts - last[..., None])
    return away[..., 1:], last
