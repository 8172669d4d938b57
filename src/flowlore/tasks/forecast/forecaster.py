"""`Forecaster`: what every method of forecasting promises, and how simple ones get bands from their own errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...features.rates.series import Series

Values = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
MEDIAN = QUANTILES.index(0.5)
DAY_NS = 86_400_000_000_000
MOST_CALIBRATING = 512  # origins whose errors make the bands


class Forecaster(ABC):
    """Learns from the first steps of series, then says what follows any number of steps.

    An origin is how many steps are known: `horizons` of 1 is the first step that is not.
    """

    def __init__(self) -> None:
        self.horizons: tuple[int, ...] = ()

    @abstractmethod
    def fit(self, series: Series, until: int, horizons: Sequence[int], rng: np.random.Generator) -> None:
        """Learn from steps before `until`, and nothing else."""

    @abstractmethod
    def forecast(self, series: Series, origins: Places) -> Values:
        """Quantiles [series, origins, horizons, QUANTILES], each from steps before its origin only; never below 0."""


class PointForecaster(Forecaster):
    """A method that knows one number only: its bands are the quantiles of its own errors before `until`."""

    def fit(self, series: Series, until: int, horizons: Sequence[int], rng: np.random.Generator) -> None:
        self.horizons = tuple(horizons)
        self.learn(series, until, rng)
        self._calibrate(series, until)

    def learn(self, series: Series, until: int, rng: np.random.Generator) -> None:
        """Nothing, where there is nothing to learn."""

    @abstractmethod
    def points(self, series: Series, origins: Places) -> Values:
        """[series, origins, horizons]."""

    def forecast(self, series: Series, origins: Places) -> Values:
        points = self.points(series, origins)
        spread = self._spread(series, origins)
        bands = self._errors[None, None] * spread[:, :, None, None]
        bands[..., MEDIAN] = 0.0  # the point stays what the method says
        bands[..., :MEDIAN] = np.minimum(bands[..., :MEDIAN], 0)
        bands[..., MEDIAN + 1 :] = np.maximum(bands[..., MEDIAN + 1 :], 0)
        return np.maximum(points[..., None] + bands, 0.0)

    def _calibrate(self, series: Series, until: int) -> None:
        """Errors over the last steps before `until`, in units of each series' own recent changes."""
        first = max(until // 2, 2)
        last = until - max(self.horizons)
        origins = np.unique(np.linspace(first, max(last, first), MOST_CALIBRATING).astype(np.int64))
        origins = origins[origins + max(self.horizons) <= until]
        if not len(origins):
            self._errors = np.zeros((len(self.horizons), len(QUANTILES)))
            return
        errors = truth_at(series, origins, self.horizons) - self.points(series, origins)
        errors /= self._spread(series, origins)[:, :, None]
        flat = errors.transpose(2, 0, 1).reshape(len(self.horizons), -1)
        known = [row[np.isfinite(row)] for row in flat]
        self._errors = np.stack([np.quantile(row if len(row) else np.zeros(1), QUANTILES) for row in known])

    def _spread(self, series: Series, origins: Places) -> Values:
        """Mean change from step to step among the last two dozen known ones."""
        changes = np.abs(np.diff(filled(series.values), axis=1, prepend=np.nan))
        changes[:, 0] = 0
        sums = np.concatenate([np.zeros((len(series), 1)), np.cumsum(changes, axis=1)], axis=1)
        begin = np.maximum(origins - 24, 0)
        means = (sums[:, origins] - sums[:, begin]) / np.maximum(origins - begin, 1)
        floor = 1e-3 * np.nanmean(np.where(np.isnan(series.values), 0, np.abs(series.values)), axis=1) + 1e-12
        return np.asarray(np.maximum(means, floor[:, None]))


def truth_at(series: Series, origins: Places, horizons: Sequence[int]) -> Values:
    """What came: [series, origins, horizons], NaN where it is not known."""
    places = origins[:, None] + np.asarray(horizons)[None, :] - 1
    values = series.values[:, np.minimum(places, series.steps - 1)]
    return np.where(places[None] < series.steps, values, np.nan)


def filled(values: Values) -> Values:
    """Unknown steps as the last known one before; 0 before the first."""
    places = np.where(np.isnan(values), 0, np.arange(values.shape[1])[None, :])
    np.maximum.accumulate(places, axis=1, out=places)
    return np.nan_to_num(np.take_along_axis(values, places, axis=1))


def day_steps(series: Series) -> int:
    """Steps of a day; of a week where a step is a day; 0 where neither is whole."""
    for span in (DAY_NS, 7 * DAY_NS):
        if series.step_ns < span and span % series.step_ns == 0:
            return span // series.step_ns
    return 0
