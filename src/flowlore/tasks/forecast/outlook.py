"""One forecast from the end of a series: quantiles of what comes, and how likely a capacity is exceeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...errors import SettingError, TaskError
from ...features.rates.series import Series, longest_run
from . import FORECASTERS
from .backtest import check_history
from .forecaster import MEDIAN, QUANTILES, Forecaster, Values

GRID = (1, 2, 3, 6, 9, 12, 24, 48, 96, 144, 288)
INSTANT = pa.timestamp("ns", tz="UTC")
LOW, HIGH = QUANTILES.index(0.1), QUANTILES.index(0.9)
CONTEXT = 256  # steps; a gap that is longer leaves a series without any history that counts


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlook:
    """`quantiles` [series, horizons, QUANTILES] of the steps `horizons` ahead of the last known one."""

    series: Series
    horizons: tuple[int, ...]
    quantiles: Values
    method: str
    capacities: Mapping[str, float] = field(default_factory=dict)
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def times_ns(self) -> npt.NDArray[np.int64]:
        """When the steps of the horizons begin."""
        end_ns = self.series.start_ns + self.series.steps * self.series.step_ns
        return end_ns + (np.asarray(self.horizons, np.int64) - 1) * self.series.step_ns

    def over_capacity(self) -> Values:
        """Probability [series, horizons] that the capacity is exceeded; NaN where none is known."""
        out = np.full(self.quantiles.shape[:2], np.nan)
        for place, name in enumerate(self.series.names):
            capacity = self.capacities.get(name, self.capacities.get("", np.nan))
            if np.isfinite(capacity):
                out[place] = [1 - _share_below(row, capacity) for row in self.quantiles[place]]
        return out

    def table(self) -> pa.Table:
        """A row for each series and horizon: entity, step, median, 10 % and 90 % quantile, capacity, flags."""
        count, ahead = len(self.series), len(self.horizons)
        over = self.over_capacity().ravel()
        names = pa.array(np.repeat(np.asarray(self.series.names, object), ahead).tolist(), pa.string())
        flags = [", ".join(self.flags.get(name, ())) or None for name in self.series.names for _ in range(ahead)]
        return pa.table(
            {
                "entity": names,
                "step": pa.array(np.tile(self.times_ns(), count)).cast(INSTANT),
                "horizon": pa.array(np.tile(np.asarray(self.horizons), count), pa.int32()),
                "low": pa.array(self.quantiles[:, :, LOW].ravel()),
                "median": pa.array(self.quantiles[:, :, MEDIAN].ravel()),
                "high": pa.array(self.quantiles[:, :, HIGH].ravel()),
                "over_capacity": pa.array(over, mask=np.isnan(over)),
                "flags": pa.array(flags, pa.string()),
            }
        )


def outlook(
    series: Series,
    steps: int,
    *,
    method: str | Forecaster = "linear",
    rng: np.random.Generator,
    capacities: Mapping[str, float] | None = None,
    every_step: bool = False,
) -> Outlook:
    """Learn from all of the series and forecast up to `steps` ahead, at each of them or at those of `GRID`.

    What makes a forecast doubtful is flagged.
    """
    if steps < 1:
        raise SettingError("forecast: a horizon is at least one step", hint="for example `--horizon 1h`")
    capacities = dict(capacities or {})
    _check_capacities(capacities, series)
    check_history(series, series.steps, steps)
    horizons = tuple(range(1, steps + 1)) if every_step else horizons_until(steps)
    forecaster: Forecaster = FORECASTERS.load(method)() if isinstance(method, str) else method
    forecaster.fit(series, series.steps, horizons, rng)
    quantiles = forecaster.forecast(series, np.array([series.steps]))[:, 0]
    return Outlook(
        series=series,
        horizons=horizons,
        quantiles=np.sort(quantiles, axis=-1),
        method=method if isinstance(method, str) else "flowgen",
        capacities=capacities,
        flags=_flags(series, capacities),
    )


def horizons_until(steps: int) -> tuple[int, ...]:
    """The steps ahead that are told where not every one is: close at first, then further apart, and the last one."""
    return tuple(dict.fromkeys([*(one for one in GRID if one < steps), steps]))


def _check_capacities(capacities: Mapping[str, float], series: Series) -> None:
    unknown = [name for name in capacities if name and name not in series.names]
    if unknown:
        raise TaskError(
            f"forecast: a capacity is given for `{unknown[0]}`, which is no series",
            hint=f"series are called like `{series.names[0]}`",
        )
    for name, capacity in capacities.items():
        if not 0 < capacity < np.inf:
            of = f" of `{name}`" if name else ""
            raise SettingError(f"forecast: a capacity{of} of {capacity:g} is none", hint="a number above 0")


def _flags(series: Series, capacities: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    flags: dict[str, tuple[str, ...]] = {}
    for name, row in zip(series.names, series.values, strict=True):
        found: Sequence[str] = series.flags.get(name, ())
        if longest_run(np.isnan(row)) > CONTEXT:
            found = (*found, "gap-longer-than-context")
        if np.isnan(row[-CONTEXT:]).all():
            found = (*found, "nothing-known-of-late")
        if capacities and "" not in capacities and name not in capacities:
            found = (*found, "capacity-missing")
        if found:
            flags[name] = tuple(found)
    return flags


def _share_below(quantiles: Values, value: float) -> float:
    """The level of the quantile at a value; beyond the outermost ones it falls off as they do."""
    levels = np.asarray(QUANTILES)
    if value >= quantiles[-1]:
        apart = max(quantiles[-1] - quantiles[MEDIAN], 1e-12)
        return float(1 - (1 - levels[-1]) * np.exp(-3 * (value - quantiles[-1]) / apart))
    if value <= quantiles[0]:
        apart = max(quantiles[MEDIAN] - quantiles[0], 1e-12)
        return float(levels[0] * np.exp(-3 * (quantiles[0] - value) / apart))
    return float(np.interp(value, quantiles, levels))
