"""A rolling examination: every method learns from the first part of the series and forecasts each step of the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import TaskError
from ...features.rates.series import Series, duration_words
from . import FORECASTERS
from .forecaster import Forecaster, Values, truth_at
from .scores import mean_of, scores_at

ORIGINS_AT_ONCE = 288
FEWEST_STEPS = 32


def backtest(
    series: Series,
    until: int,
    horizons: Sequence[int],
    *,
    methods: Sequence[str | Forecaster],
    rng: np.random.Generator,
    end: int | None = None,
    said: Callable[[str, dict[str, Any]], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Scores of each method over the steps from `until` to `end`; the same target steps for every horizon.

    Each is forecast from all that came before its origin; only steps before `until` are learnt from.
    """
    end = series.steps if end is None else end
    check_history(series, until, max(horizons))
    if end <= until:
        raise TaskError(
            f"forecast: there is no step to examine after the {until:,} that are learnt from",
            hint="a shorter training part, or a longer series",
        )
    found: dict[str, dict[str, Any]] = {}
    for method in methods:
        name = method if isinstance(method, str) else type(method).__name__
        forecaster: Forecaster = FORECASTERS.load(method)() if isinstance(method, str) else method
        began = time.perf_counter()
        forecaster.fit(series, until, horizons, rng)
        fitted = time.perf_counter()
        each = rolling_scores(forecaster, series, until, end, horizons)
        found[name] = mean_of(each, horizons) | {
            "fit_s": round(fitted - began, 2),
            "forecast_s": round(time.perf_counter() - fitted, 2),
        }
        if said is not None:
            said(name, found[name])
    return found


def check_history(series: Series, until: int, furthest: int) -> None:
    """Enough steps to learn from, and series that are there."""
    if not len(series):
        raise TaskError("forecast: there is no series", hint="`flowlore rates` shows which entities there are")
    if until < max(FEWEST_STEPS, 2 * furthest):
        has = duration_words(until * series.step_ns)
        needed = duration_words(max(FEWEST_STEPS, 2 * furthest) * series.step_ns)
        raise TaskError(
            f"forecast: a history of {until:,} steps ({has}) is too short for a horizon of {furthest:,} steps",
            hint=f"at least {needed} are needed: more data, a shorter `--horizon`, or a finer `--step`",
        )


def rolling_scores(
    forecaster: Forecaster, series: Series, until: int, end: int, horizons: Sequence[int]
) -> list[dict[str, float]]:
    """Forecasts from every origin that any horizon needs, then for each horizon those that hit the examined steps."""
    first = until - max(horizons) + 1
    origins = np.arange(first, end - min(horizons) + 1)
    parts = [
        forecaster.forecast(series, origins[begin : begin + ORIGINS_AT_ONCE]).astype(np.float32)
        for begin in range(0, len(origins), ORIGINS_AT_ONCE)
    ]
    quantiles = np.concatenate(parts, axis=1)
    out = []
    for place, horizon in enumerate(horizons):
        chosen = np.arange(until - horizon + 1, end - horizon + 1)
        held: Values = quantiles[:, chosen - first, place].astype(np.float64)
        out.append(scores_at(held, truth_at(series, chosen, (horizon,))[..., 0], series, until))
    return out
