"""Exponential smoothing whose form is chosen by itself (ETS): error, trend and season, each added or in proportion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...features.rates.series import Series
from .forecaster import Places, PointForecaster, Values, day_steps, filled
from .smoothing_steps import fitted, followed

LONGEST_SEASON = 24  # steps; a longer one has more states than its few repetitions can tell
FEWEST_SEASONS = 3
MOST_STEPS = 4_096  # the last ones that a form is chosen by
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a series is made of. `relative_error` weighs errors by the level; it changes no step, only the choice."""

    relative_error: bool
    trend: bool
    damped: bool
    season: bool
    relative_season: bool

    @property
    def name(self) -> str:
        """As is usual: error, trend, season; N is none, A is added, M in proportion, d damped."""
        error, trend = "M" if self.relative_error else "A", ("Ad" if self.damped else "A") if self.trend else "N"
        return error + trend + (("M" if self.relative_season else "A") if self.season else "N")


@dataclass(frozen=True, kw_only=True, eq=False)
class Smoothed:
    """A form with its weights (level, trend, season, damping) and the states before the first step."""

    form: Form
    weights: Vector
    level: float
    slope: float
    season: Vector
    criterion: float


class AutoEts(PointForecaster):
    """For each series alone the form with the least AICc, after Hyndman and others (2008).

    Level and slope at the start are fitted with the weights; the first season is the mean of the first ones. Seasons
    are of a day (a week, where a step is a day) and no longer than 24 steps.
    """

    def learn(self, series: Series, until: int, rng: np.random.Generator) -> None:
        self._names, self._begin, self._models = series.names, *_chosen(series, until)

    def points(self, series: Series, origins: Places) -> Values:
        begin, models = self._begin, self._models
        if series.names != self._names:
            begin, models = _chosen(series, int(origins.min()))
        values = filled(series.values)[:, begin:]
        out = np.empty((len(series), len(origins), len(self.horizons)))
        for row, model in enumerate(models):
            out[row] = _ahead(model, values[row], np.maximum(origins - begin - 1, 0), np.asarray(self.horizons))
        return out

    def forms(self) -> dict[str, str]:
        """The form of each series: `AAN` adds error and trend and has no season."""
        return {name: model.form.name for name, model in zip(self._names, self._models, strict=True)}


def choose_form(values: Vector, season: int) -> Smoothed:
    """The form that fits best for its number of parameters; `season` is in steps, 0 for none."""
    candidates = [_fitted(form, values, season) for form in _forms(season > 1, bool((values > 0).all()))]
    return min(candidates, key=lambda one: one.criterion)  # the simplest where none is told apart


def _chosen(series: Series, until: int) -> tuple[int, list[Smoothed]]:
    """The step at which the models begin, and a model for each series."""
    begin, season = max(until - MOST_STEPS, 0), day_steps(series)
    if season > LONGEST_SEASON or until - begin < FEWEST_SEASONS * season:
        season = 0
    values = filled(series.values[:, begin:until])
    return begin, [choose_form(row, season) for row in values]


def _forms(has_season: bool, positive: bool) -> list[Form]:
    """All that are stable: a season in proportion needs an error in proportion, and that values above zero."""
    found = []
    for relative_error in (False, True) if positive else (False,):
        for trend, damped in ((False, False), (True, False), (True, True)):
            for season, relative_season in ((False, False), (True, False), (True, True)):
                if (season and not has_season) or (relative_season and not relative_error):
                    continue
                found.append(
                    Form(
                        relative_error=relative_error,
                        trend=trend,
                        damped=damped,
                        season=season,
                        relative_season=relative_season,
                    )
                )
    return found


def _fitted(form: Form, values: Vector, season: int) -> Smoothed:
    first_season = _first_season(values, season, form.relative_season) if form.season else np.zeros(1)
    held = np.resize(first_season, len(values))
    rest = values if not form.season else values / held if form.relative_season else values - held
    early = rest[: max(10, 2 * season)]
    slope, level = np.polyfit(np.arange(1, len(early) + 1), early, 1) if len(early) > 2 else (0.0, early.mean())
    if not form.trend:
        slope, level = 0.0, early.mean()
    unit = float(np.abs(np.diff(values)).mean()) or 1.0
    weights, level, slope, cost = fitted(
        values, first_season, level, slope, unit,
        form.trend, form.damped, form.season, form.relative_season, form.relative_error,
    )  # fmt: skip
    free = 2 + 2 * form.trend + form.damped + form.season * season + 1  # with the variance
    count = len(values)
    penalty = 2 * free + (2 * free * (free + 1) / (count - free - 1) if count > free + 1 else np.inf)
    return Smoothed(
        form=form,
        weights=weights,
        level=float(level),
        slope=float(slope),
        season=first_season,
        criterion=float(cost + penalty),
    )


def _first_season(values: Vector, season: int, relative: bool) -> Vector:
    """Means of the first four seasons at most, each less (or over) its own mean."""
    cycles = values[: min(len(values) // season, 4) * season].reshape(-1, season)
    means = cycles.mean(axis=1, keepdims=True)
    if relative:
        figure = (cycles / means).mean(axis=0)
        return np.asarray(figure / figure.mean())
    figure = (cycles - means).mean(axis=0)
    return np.asarray(figure - figure.mean())


def _ahead(model: Smoothed, values: Vector, last: Places, horizons: Places) -> Values:
    """[last, horizons]: forecasts after each of these steps."""
    form, length = model.form, len(model.season)
    levels, slopes, seasons = followed(
        values, model.season, model.weights, model.level, model.slope, form.season, form.relative_season
    )
    damping = model.weights[3]
    reach = np.cumsum(damping ** np.arange(1, horizons.max() + 1))[horizons - 1] if form.trend else np.zeros(1)
    found = levels[last][:, None] + reach * slopes[last][:, None]
    if form.season:
        at = last[:, None] + horizons - length * (-(-horizons // length)) + length  # places in `seasons`
        found = found * seasons[at] if form.relative_season else found + seasons[at]
    return np.broadcast_to(found, (len(last), len(horizons)))
