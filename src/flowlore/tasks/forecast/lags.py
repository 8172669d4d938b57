"""Lags and means of a series at any origin: what linear and boosted methods look at."""

from __future__ import annotations

import numpy as np

from ...features.rates.series import Series
from .forecaster import Places, Values, day_steps, filled

LAGS = 12
MEANS = (6, 12, 36, 144)
HOUR_NS = 3_600_000_000_000


def lag_features(series: Series, origins: Places, horizon: int) -> Values:
    """[series, origins, features], in the series' own unit but for the last four, which are of the calendar.

    Lags before the first step are the first value; those around a day before the target are NaN where there was none.
    """
    values = filled(series.values)
    sums = np.concatenate([np.zeros((len(series), 1)), np.cumsum(values, axis=1)], axis=1)
    columns = [values[:, np.maximum(origins - 1 - lag, 0)] for lag in range(LAGS)]
    for width in MEANS:
        begin = np.maximum(origins - width, 0)
        columns.append((sums[:, origins] - sums[:, begin]) / np.maximum(origins - begin, 1))
    season = day_steps(series)
    for days in (1, 2):
        for shift in (-1, 0, 1):
            at = origins + horizon - 1 - days * season + shift
            known = (at >= 0) & (at < origins) & (season > 0)
            columns.append(np.where(known, values[:, np.where(known, at, 0)], np.nan))
        then = origins - 1 - days * season
        known = (then >= 0) & (season > 0)
        columns.append(np.where(known, values[:, np.where(known, then, 0)], np.nan))
    times = series.start_ns + (origins + horizon - 1) * series.step_ns
    hours = (times / HOUR_NS) % 24
    weekday = (times // (24 * HOUR_NS) + 3) % 7
    for column in (np.sin(hours * np.pi / 12), np.cos(hours * np.pi / 12), hours, weekday.astype(np.float64)):
        columns.append(np.broadcast_to(column, columns[0].shape))
    return np.stack(columns, axis=2)


CALENDAR = 4  # columns at the end that are no amounts
