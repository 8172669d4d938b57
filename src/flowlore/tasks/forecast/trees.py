"""LightGBM on lags: the baseline that wins more often than not."""

from __future__ import annotations

import numpy as np

from ...features.rates.series import Series
from .forecaster import Places, PointForecaster, Values, truth_at
from .lags import CALENDAR, lag_features
from .linear import scales

MOST_ROWS = 150_000


class BoostedLags(PointForecaster):
    """One LightGBM a horizon for all series: absolute error of the change from the last value, large series heavier."""

    def learn(self, series: Series, until: int, rng: np.random.Generator) -> None:
        import lightgbm

        self._trees = []
        self._scale = scales(series, until)
        for horizon in self.horizons:
            origins = np.arange(2, until - horizon + 1)
            rows = min(len(origins), max(MOST_ROWS // max(len(series), 1), 50))
            origins = np.sort(rng.choice(origins, rows, replace=False)) if rows else origins
            inputs, last = _inputs(series, origins, horizon, self._scale)
            change = truth_at(series, origins, (horizon,))[..., 0] / self._scale[:, None] - last
            weight = np.repeat(self._scale / self._scale.mean(), len(origins))
            x, y = inputs.reshape(-1, inputs.shape[2]), change.ravel()
            kept = np.isfinite(y)
            trees = lightgbm.LGBMRegressor(
                objective="l1",
                n_estimators=200,
                learning_rate=0.05,
                num_leaves=31,
                min_child_samples=50,
                subsample=0.7,
                subsample_freq=1,
                colsample_bytree=0.7,
                random_state=int(rng.integers(2**31)),
                n_jobs=1,
                verbose=-1,
            )
            trees.fit(x[kept], y[kept], sample_weight=weight[kept])
            self._trees.append(trees.booster_)

    def points(self, series: Series, origins: Places) -> Values:
        scale = self._scale if len(self._scale) == len(series) else scales(series, int(origins.min()))
        out = np.empty((len(series), len(origins), len(self.horizons)))
        for place, horizon in enumerate(self.horizons):
            inputs, last = _inputs(series, origins, horizon, scale)
            change = np.asarray(self._trees[place].predict(inputs.reshape(-1, inputs.shape[2]))).reshape(last.shape)
            out[:, :, place] = (last + change) * scale[:, None]
        return out


def _inputs(series: Series, origins: Places, horizon: int, scale: Values) -> tuple[Values, Values]:
    inputs = lag_features(series, origins, horizon)
    inputs[..., :-CALENDAR] /= scale[:, None, None]
    size = np.broadcast_to(np.log(scale)[:, None, None], (*inputs.shape[:2], 1))
    return np.concatenate([inputs, size], axis=2).astype(np.float32), inputs[..., 0]
