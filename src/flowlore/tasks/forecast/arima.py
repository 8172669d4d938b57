"""ARIMA whose orders are chosen by itself: differences by tests, the rest by a stepwise search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...features.rates.series import Series
from .arima_fitting import Fit, Vector, fit_arima, recursion
from .arima_steps import ahead, errors_of
from .forecaster import Places, PointForecaster, Values, day_steps, filled

LONGEST_SEASON = 24  # steps; a longer one costs hours
FEWEST_SEASONS = 3
MOST_STEPS = 4_096  # the last ones that orders are chosen by
MOST_ORDER, MOST_SEASONAL_ORDER, MOST_DIFFERENCES = 5, 2, 2
STRONG_SEASON = 0.64  # share of what is left beside the trend; from here a season is differenced
KPSS_AT_5_PERCENT = 0.463
MOST_MODELS = 60


@dataclass(frozen=True, kw_only=True)
class Orders:
    """How many past values and errors count, step by step and by seasons; differences; and whether there is a mean."""

    values: int = 0
    differences: int = 0
    errors: int = 0
    season_values: int = 0
    season_differences: int = 0
    season_errors: int = 0
    season: int = 0
    constant: bool = False

    @property
    def name(self) -> str:
        name = f"({self.values},{self.differences},{self.errors})"
        if self.season:
            name += f"({self.season_values},{self.season_differences},{self.season_errors})[{self.season}]"
        return name + ("+c" if self.constant else "")

    @property
    def free(self) -> int:
        """Parameters, with the variance."""
        return self.values + self.errors + self.season_values + self.season_errors + self.constant + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """Chosen orders, what was fitted, and the size of the series: values are divided by it first."""

    orders: Orders
    fit: Fit
    unit: float


class AutoArima(PointForecaster):
    """For each series alone the orders with the least AICc, after Hyndman and Khandakar (2008).

    How often to difference is said by KPSS tests and by how strong the season is; orders up to five (two of seasons)
    are searched stepwise from four usual ones; weights have the least squares of errors, those before the first step
    being nothing. Seasons are of a day (a week, where a step is a day) and no longer than 24 steps.
    """

    def learn(self, series: Series, until: int, rng: np.random.Generator) -> None:
        self._names, self._begin, self._models = series.names, *_chosen(series, until)

    def points(self, series: Series, origins: Places) -> Values:
        begin, models = self._begin, self._models
        if series.names != self._names:
            begin, models = _chosen(series, int(origins.min()))
        values = filled(series.values)[:, begin:]
        out = np.empty((len(series), len(origins), len(self.horizons)))
        wanted = np.asarray(self.horizons)
        for row, model in enumerate(models):
            past, errors, constant = recursion(model.orders, model.fit)
            held = values[row] / model.unit
            known = errors_of(held, *past, *errors, constant)
            out[row] = ahead(held, known, np.maximum(origins - begin, 1), wanted, *past, *errors, constant)
            out[row] *= model.unit
        return out

    def orders(self) -> dict[str, str]:
        """The orders of each series."""
        return {name: model.orders.name for name, model in zip(self._names, self._models, strict=True)}


def choose_orders(values: Vector, season: int) -> Model:
    """`season` is in steps, 0 for none."""
    unit = float(np.abs(values).mean()) or 1.0
    scaled = values / unit
    season = season if season > 1 else 0
    seasonal = int(bool(season) and _strength(scaled, season) > STRONG_SEASON)
    rest = scaled[season:] - scaled[:-season] if seasonal else scaled
    times = _differences(rest)
    rest = np.diff(rest, times)
    begin = Orders(differences=times, season_differences=seasonal, season=season, constant=times + seasonal < 2)
    if len(rest) < 8 or not np.ptp(rest) > 0:
        simple = replace(begin, constant=len(rest) > 0 and begin.constant)
        return Model(orders=simple, fit=Fit.of_nothing(float(rest.mean()) if simple.constant else 0.0), unit=unit)
    tried: dict[Orders, tuple[float, Fit]] = {}
    most = max(min(MOST_ORDER, len(rest) // 3), 0)
    for orders in _usual(begin, most):
        tried[orders] = _criterion(orders, rest)
    best = min(tried, key=lambda one: tried[one][0])
    while len(tried) < MOST_MODELS:
        for orders in _neighbours(best, most, may_have_constant=begin.constant):
            if orders not in tried:
                tried[orders] = _criterion(orders, rest)
                if tried[orders][0] < tried[best][0]:
                    best = orders
                    break
        else:
            break
    return Model(orders=best, fit=tried[best][1], unit=unit)


def _chosen(series: Series, until: int) -> tuple[int, list[Model]]:
    """The step at which the models begin, and a model for each series."""
    begin, season = max(until - MOST_STEPS, 0), day_steps(series)
    if season > LONGEST_SEASON or until - begin < FEWEST_SEASONS * season:
        season = 0
    return begin, [choose_orders(row, season) for row in filled(series.values[:, begin:until])]


def _criterion(orders: Orders, rest: Vector) -> tuple[float, Fit]:
    """AICc, infinite where weights are next to the edge of what is stable."""
    fit = fit_arima(orders, rest)
    spare = len(rest) - orders.free - 1
    if spare <= 0 or fit.squares is None:
        return np.inf, fit
    penalty = 2 * orders.free + 2 * orders.free * (orders.free + 1) / spare
    return len(rest) * float(np.log(max(fit.squares / len(rest), 1e-20))) + penalty, fit


def _usual(begin: Orders, most: int) -> Iterator[Orders]:
    """Where the search begins."""
    seasonal = int(begin.season > 0)
    for values, errors, season_values, season_errors in ((2, 2, 1, 1), (0, 0, 0, 0), (1, 0, 1, 0), (0, 1, 0, 1)):
        yield replace(
            begin,
            values=min(values, most),
            errors=min(errors, most),
            season_values=season_values * seasonal,
            season_errors=season_errors * seasonal,
        )


def _neighbours(orders: Orders, most: int, *, may_have_constant: bool) -> Iterator[Orders]:
    """One order more or less, or one of both kinds; with and without a mean."""
    moves = [("values",), ("errors",), ("values", "errors")]
    if orders.season:
        moves = [("season_values",), ("season_errors",), ("season_values", "season_errors"), *moves]
    for names in moves:
        for by in (-1, 1):
            moved = {name: getattr(orders, name) + by for name in names}
            limits = [MOST_SEASONAL_ORDER if name.startswith("season") else most for name in names]
            if all(0 <= number <= limit for number, limit in zip(moved.values(), limits, strict=True)):
                yield replace(orders, **moved)
    if may_have_constant:
        yield replace(orders, constant=not orders.constant)


def _differences(values: Vector) -> int:
    """How often to difference until a KPSS test finds no wandering level."""
    for times in range(MOST_DIFFERENCES):
        left = np.diff(values, times)
        if len(left) < 8 or not np.ptp(left) > 0 or _kpss(left) < KPSS_AT_5_PERCENT:
            return times
    return MOST_DIFFERENCES


def _kpss(values: Vector) -> float:
    """The statistic of a test of a level that stays."""
    away = values - values.mean()
    count = len(away)
    lags = int(3 * np.sqrt(count) / 13)
    variance = float(away @ away) / count
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(away[lag:] @ away[:-lag]) / count
    return float((np.cumsum(away) ** 2).sum()) / (count**2 * max(variance, 1e-20))


def _strength(values: Vector, season: int) -> float:
    """Of what is left beside a moving mean of a season: the share that the season's own mean explains."""
    window = np.ones(season + 1)
    window[[0, -1]] = 0.5
    trend = np.convolve(values, window / season, "valid")
    half = season // 2
    left = values[half : half + len(trend)] - trend if season % 2 == 0 else _odd(values, season)
    phases = np.arange(len(left)) % season
    means = np.bincount(phases, left, season) / np.maximum(np.bincount(phases, minlength=season), 1)
    rest = left - means[phases]
    return float(max(0.0, 1 - rest.var() / max(left.var(), 1e-20)))


def _odd(values: Vector, season: int) -> npt.NDArray[np.float64]:
    trend = np.convolve(values, np.ones(season) / season, "valid")
    half = season // 2
    return np.asarray(values[half : half + len(trend)] - trend)
