"""The weights of an ARIMA model of given orders: a start by regression, then least squares of its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .arima_steps import errors_of

if TYPE_CHECKING:
    from .arima import Orders

Vector = npt.NDArray[np.float64]
Lags = npt.NDArray[np.int64]
Sparse = tuple[Lags, Vector]  # steps ago, and the weight of what was then
MOST_ROUNDS, CLOSE, NUDGE = 20, 1e-5, 1e-5
STABLE, ACCEPTED = 1.001, 1.01  # least absolute root while fitting, and of a model that may be chosen
LONG = 20  # most past values by which the first regression tells errors


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Weights of past values, past errors, and both of seasons; the mean of differences; the sum of squared errors."""

    values: Vector
    errors: Vector
    season_values: Vector
    season_errors: Vector
    mean: float
    squares: float | None  # None where the fit is of no use

    @classmethod
    def of_nothing(cls, mean: float) -> Fit:
        none = np.zeros(0)
        return cls(values=none, errors=none, season_values=none, season_errors=none, mean=mean, squares=None)


def fit_arima(orders: Orders, rest: Vector) -> Fit:
    """To values that are differenced already: Gauss and Newton's way, damped, never beyond what is stable."""
    middle = float(rest.mean()) if orders.constant else 0.0
    spread = float(rest.std()) or 1.0
    at = np.concatenate([_start(orders, rest - middle), [0.0] if orders.constant else []])
    while not _is_stable(orders, at, STABLE):
        at[: orders.free - 1 - orders.constant] *= 0.8
    errors = _errors(orders, at, rest, middle, spread)
    squares, damping = float(errors @ errors), 1e-3
    for _ in range(MOST_ROUNDS if len(at) else 0):
        slopes = np.empty((len(rest), len(at)))
        for place in range(len(at)):
            moved = at.copy()
            moved[place] += NUDGE
            slopes[:, place] = (_errors(orders, moved, rest, middle, spread) - errors) / NUDGE
        square, slope = slopes.T @ slopes, slopes.T @ errors
        if not np.isfinite(square).all():
            break
        gained = False
        for _ in range(8):
            step = np.linalg.solve(square + damping * np.diag(np.diag(square) + 1e-12), -slope)
            then = at + step
            if _is_stable(orders, then, STABLE):
                found = _errors(orders, then, rest, middle, spread)
                now = float(found @ found)
                if np.isfinite(now) and now < squares:
                    gained = squares - now > CLOSE * squares
                    at, errors, squares, damping = then, found, now, max(damping / 5, 1e-9)
                    break
            damping *= 5
        if not gained:
            break
    values, errors_before, season_values, season_errors = _parts(orders, at)
    return Fit(
        values=values,
        errors=errors_before,
        season_values=season_values,
        season_errors=season_errors,
        mean=middle + (float(at[-1]) * spread if orders.constant else 0.0),
        squares=squares if np.isfinite(squares) and _is_stable(orders, at, ACCEPTED) else None,
    )


def recursion(orders: Orders, fit: Fit) -> tuple[Sparse, Sparse, float]:
    """The same as one rule for the values themselves: weights of past values, of past errors, and what is added."""
    season = max(orders.season, 1)
    past = np.convolve(_factor(fit.values, 1, -1), _factor(fit.season_values, season, -1))
    constant = fit.mean * float(past.sum())
    for _ in range(orders.differences):
        past = np.convolve(past, [1.0, -1.0])
    for _ in range(orders.season_differences):
        past = np.convolve(past, np.concatenate([[1.0], np.zeros(season - 1), [-1.0]]))
    errors = np.convolve(_factor(fit.errors, 1, 1), _factor(fit.season_errors, season, 1))
    return _sparse(-past), _sparse(errors), constant


def _errors(orders: Orders, at: Vector, rest: Vector, middle: float, spread: float) -> Vector:
    values, errors, season_values, season_errors = _parts(orders, at)
    season = max(orders.season, 1)
    past = np.convolve(_factor(values, 1, -1), _factor(season_values, season, -1))
    before = np.convolve(_factor(errors, 1, 1), _factor(season_errors, season, 1))
    mean = middle + (float(at[-1]) * spread if orders.constant else 0.0)
    return np.asarray(errors_of(rest - mean, *_sparse(-past), *_sparse(before), 0.0))


def _start(orders: Orders, away: Vector) -> Vector:
    """Regression on past values and on errors of a long regression on past values (Hannan and Rissanen, 1982)."""
    season = max(orders.season, 1)
    count = orders.values + orders.errors + orders.season_values + orders.season_errors
    longest = max(orders.values, orders.errors, season * max(orders.season_values, orders.season_errors))
    length = min(LONG, len(away) // 4)
    if not count or len(away) - longest - length < 2 * count + 2:
        return np.zeros(count)
    lagged = np.stack([_lagged(away, lag) for lag in range(1, length + 1)], axis=1) if length else away[:, None] * 0
    errors = away - lagged @ np.linalg.lstsq(lagged, away, rcond=None)[0]
    columns = [_lagged(away, lag) for lag in range(1, orders.values + 1)]
    columns += [_lagged(errors, lag) for lag in range(1, orders.errors + 1)]
    columns += [_lagged(away, season * lag) for lag in range(1, orders.season_values + 1)]
    columns += [_lagged(errors, season * lag) for lag in range(1, orders.season_errors + 1)]
    skipped = min(longest + length, len(away) // 2)
    table = np.stack(columns, axis=1)[skipped:]
    square = table.T @ table
    return np.asarray(np.linalg.solve(square + (1e-6 * np.trace(square) + 1e-12) * np.eye(count),
                                      table.T @ away[skipped:]))  # fmt: skip


def _lagged(values: Vector, lag: int) -> Vector:
    out = np.zeros_like(values)
    out[lag:] = values[: len(values) - lag]
    return out


def _parts(orders: Orders, at: Vector) -> tuple[Vector, Vector, Vector, Vector]:
    first = orders.values
    second = first + orders.errors
    third = second + orders.season_values
    return at[:first], at[first:second], at[second:third], at[third : third + orders.season_errors]


def _factor(weights: Vector, apart: int, sign: int) -> Vector:
    """1 and the weights, `apart` steps from each other: the polynomial from the present to the past."""
    out = np.zeros(len(weights) * apart + 1)
    out[0] = 1.0
    if len(weights):
        out[apart::apart] = sign * weights
    return out


def _sparse(polynomial: npt.NDArray[Any]) -> Sparse:
    """Of the past only."""
    lags = np.flatnonzero(polynomial[1:]) + 1
    return lags.astype(np.int64), np.ascontiguousarray(polynomial[lags])


def _is_stable(orders: Orders, at: Vector, least: float) -> bool:
    values, errors, season_values, season_errors = _parts(orders, at)
    signed = ((values, 1.0), (errors, -1.0), (season_values, 1.0), (season_errors, -1.0))
    return all(_least_root(sign * weights) > least for weights, sign in signed if len(weights))


def _least_root(weights: Vector) -> float:
    """Of 1 - w1 z - w2 z² …, in absolute value."""
    if not np.isfinite(weights).all():
        return 0.0
    if len(weights) == 1:
        return 1 / max(abs(float(weights[0])), 1e-12)
    largest = np.abs(np.roots(np.concatenate([[1.0], -weights]))).max(initial=0.0)
    return float(1 / max(largest, 1e-12))
