"""Exponential smoothing step by step, and the search for its weights: the part that is compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...flows.compiled import compiled, kernel

Vector = npt.NDArray[np.float64]
MOST_ROUNDS, CLOSE = 250, 1e-6
LEAST_DAMPING, MOST_DAMPING = 0.8, 0.98
SMALLEST = 1e-10


@compiled
def fitted(
    values: Vector, season: Vector, level: float, slope: float, unit: float,
    trend: bool, damped: bool, has_season: bool, relative: bool, relative_error: bool,
) -> tuple[Vector, float, float, float]:  # fmt: skip
    """Weights (level, trend, season, damping), level and slope before the first step, and -2 log likelihood.

    A simplex search (Nelder and Mead) over logits of the weights and over both first states, in units of `unit`.
    """
    size = 2 + 2 * int(trend) + int(damped) + int(has_season)
    corners, costs = np.zeros((size + 1, size)), np.full(size + 1, np.inf)
    middle, trial, kept = np.zeros(size), np.zeros(size), np.zeros(size)
    weights, held = np.empty(4), np.empty(len(season))
    given = (trend, damped, has_season, relative, relative_error)
    for corner in range(size + 1):
        _begin(corners[corner], trend, damped, has_season)
        if corner:
            corners[corner, corner - 1] += 1.0
        costs[corner] = _cost(corners[corner], values, season, level, slope, unit, *given, weights, held)
    for _ in range(MOST_ROUNDS):
        least, most, next_most = _order(costs)
        if costs[most] - costs[least] < CLOSE * (abs(costs[least]) + 1.0):
            break
        _mean_without(corners, most, middle)
        _towards(middle, corners[most], -1.0, trial)
        found = _cost(trial, values, season, level, slope, unit, *given, weights, held)
        if costs[least] <= found < costs[next_most]:
            _keep(trial, corners[most])
            costs[most] = found
            continue
        _keep(trial, kept)
        _towards(middle, corners[most], -2.0 if found < costs[least] else -0.5 if found < costs[most] else 0.5, trial)
        then = _cost(trial, values, season, level, slope, unit, *given, weights, held)
        if then < min(found, costs[most]):
            _keep(trial, corners[most])
            costs[most] = then
        elif found < costs[least]:
            _keep(kept, corners[most])
            costs[most] = found
        else:
            for corner in range(size + 1):
                if corner != least:
                    _towards(corners[least], corners[corner], 0.5, trial)
                    _keep(trial, corners[corner])
                    costs[corner] = _cost(trial, values, season, level, slope, unit, *given, weights, held)
    least, _, _ = _order(costs)
    level, slope = _meant(corners[least], level, slope, unit, trend, damped, has_season, weights)
    return weights, level, slope, costs[least]


@compiled
def followed(
    values: Vector, season: Vector, weights: Vector, level: float, slope: float, has_season: bool, relative: bool
) -> tuple[Vector, Vector, Vector]:
    """Level and slope after each step; the season of each step behind those of the one before the first."""
    count, length = len(values), len(season)
    levels, slopes, seasons = np.empty(count), np.empty(count), np.empty(count + length)
    seasons[:length] = season
    for step in range(count):
        level, slope, now, _, _ = _step(
            values[step], level, slope, seasons[step], weights[0], weights[1], weights[2], weights[3],
            has_season, relative,
        )  # fmt: skip
        levels[step], slopes[step], seasons[step + length] = level, slope, now
    return levels, slopes, seasons


@kernel
def _step(
    value: float, level: float, slope: float, season: float, alpha: float, beta: float, gamma: float, damping: float,
    has_season: bool, relative: bool,
) -> tuple[float, float, float, float, float]:  # fmt: skip
    """Level, slope and season after a step; what had been expected, and the error."""
    ahead = level + damping * slope
    if not has_season:
        error = value - ahead
        return ahead + alpha * error, damping * slope + beta * error, season, ahead, error
    if not relative:
        error = value - ahead - season
        return ahead + alpha * error, damping * slope + beta * error, season + gamma * error, ahead + season, error
    divisor = season if abs(season) > SMALLEST else SMALLEST
    base = ahead if abs(ahead) > SMALLEST else SMALLEST
    error = value - ahead * season
    return (
        ahead + alpha * error / divisor,
        damping * slope + beta * error / divisor,
        season + gamma * error / base,
        ahead * season,
        error,
    )


@kernel
def _cost(
    corner: Vector, values: Vector, season: Vector, level: float, slope: float, unit: float,
    trend: bool, damped: bool, has_season: bool, relative: bool, relative_error: bool, weights: Vector, held: Vector,
) -> float:  # fmt: skip
    """-2 log likelihood, but for a constant; infinite where something is expected that cannot be.

    `weights` and `held` are room that it may write to.
    """
    level, slope = _meant(corner, level, slope, unit, trend, damped, has_season, weights)
    count, length = len(values), len(season)
    for place in range(length):
        held[place] = season[place]
    squares, logs = 0.0, 0.0
    for step in range(count):
        place = step % length
        level, slope, now, expected, error = _step(
            values[step], level, slope, held[place], weights[0], weights[1], weights[2], weights[3],
            has_season, relative,
        )  # fmt: skip
        held[place] = now
        if relative_error:
            if expected <= SMALLEST:
                return np.inf
            error = error / expected
            logs += np.log(expected)
        squares += error * error
    if not np.isfinite(squares):
        return np.inf
    return float(count * np.log(max(squares, SMALLEST * SMALLEST)) + 2.0 * logs)


@kernel
def _meant(
    corner: Vector,
    level: float,
    slope: float,
    unit: float,
    trend: bool,
    damped: bool,
    has_season: bool,
    weights: Vector,
) -> tuple[float, float]:
    """A place of the search as weights and first states. No trend moves faster than the level, no season beyond it."""
    weights[1], weights[2] = 0.0, 0.0
    weights[0] = _between(corner[0], 1e-4, 0.9999)
    weights[3] = 1.0
    place = 1
    if trend:
        weights[1] = weights[0] * _between(corner[place], 1e-4, 0.9999)
        place += 1
    if damped:
        weights[3] = _between(corner[place], LEAST_DAMPING, MOST_DAMPING)
        place += 1
    if has_season:
        weights[2] = (1.0 - weights[0]) * _between(corner[place], 1e-4, 0.9999)
        place += 1
    level = level + unit * corner[place]
    if trend:
        slope = slope + 0.1 * unit * corner[place + 1]
    return level, slope


@kernel
def _between(number: float, least: float, most: float) -> float:
    return float(least + (most - least) / (1.0 + np.exp(-number)))


@kernel
def _begin(corner: Vector, trend: bool, damped: bool, has_season: bool) -> None:
    """Where the search begins: a level that follows, trend and season that hardly do."""
    corner[0] = -0.5
    place = 1
    if trend:
        corner[place] = -2.0
        place += 1
    if damped:
        corner[place] = 1.5
        place += 1
    if has_season:
        corner[place] = -2.0


@kernel
def _order(costs: Vector) -> tuple[int, int, int]:
    """Places of the least, the most, and the next to the most."""
    least, most = 0, 0
    for place in range(1, len(costs)):
        if costs[place] < costs[least]:
            least = place
        if costs[place] >= costs[most]:
            most = place
    next_most = least
    for place in range(len(costs)):
        if place != most and costs[place] >= costs[next_most]:
            next_most = place
    return least, most, next_most


@kernel
def _mean_without(corners: Vector, left_out: int, middle: Vector) -> None:
    for place in range(len(middle)):
        middle[place] = 0.0
        for corner in range(len(corners)):
            if corner != left_out:
                middle[place] += corners[corner, place] / (len(corners) - 1)


@kernel
def _towards(begin: Vector, end: Vector, share: float, out: Vector) -> None:
    for place in range(len(out)):
        out[place] = begin[place] + share * (end[place] - begin[place])


@kernel
def _keep(numbers: Vector, out: Vector) -> None:
    for place in range(len(out)):
        out[place] = numbers[place]
