"""How good a detector is on episodes that are known to the second: by rate, with delays, and false alarms a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.rates.settings import NS_PER_S
from .alarms import runs_of
from .attacks import QUIET, Attack, codes_of, steps_of
from .overlay import STRATA, stratum_of
from .settings import DetectionSettings
from .signs import Signs, Values
from .thresholds import DAY_S, threshold_for

RESAMPLES = 100
ALL = "all"
FALSE_ALARMS_A_DAY = (1.0, 10.0)


def examined(
    scores: Values,
    signs: Signs,
    attacks: Sequence[Attack],
    quiet: Values,
    rng: np.random.Generator,
    *,
    settings: DetectionSettings,
    asked_from: int = 0,
    kind_places: npt.NDArray[np.int64] | None = None,
    kinds: Sequence[str] = (),
    allowed_a_day: Sequence[float] = FALSE_ALARMS_A_DAY,
) -> dict[str, Any]:
    """Scores [hosts, steps] against attacks that begin after the first `asked_from` steps. `quiet` are scores of hosts
    and steps without attacks at another time, NaN elsewhere: they set the thresholds.

    The PR AUC is over steps of hosts, with an interval from resampled source captures. A delay is from the first packet
    of an attack to the end of the first step over the threshold, when it can be known; one that is missed counts as
    endless in medians.
    """
    codes = codes_of(signs, attacks, sorted({one.kind for one in attacks}))
    asked = np.isfinite(scores)
    asked[:, :asked_from] = False
    is_quiet = asked & (codes == QUIET)
    quiet_scores = np.sort(scores[is_quiet])
    days = (signs.steps - asked_from) * signs.step_s / DAY_S
    result: dict[str, Any] = {
        "hosts": len(signs),
        "background_days": round(days, 3),
        "quiet_steps": int(is_quiet.sum()),
        "strata": {},
        "at": {},
    }
    thresholds = {
        allowed: threshold_for(quiet, signs.step_s, replace(settings, false_alarms_a_day=allowed))
        for allowed in allowed_a_day
    }
    for allowed, threshold in thresholds.items():
        over = is_quiet & (np.nan_to_num(scores, nan=-np.inf) > threshold)
        runs = sum(len(runs_of(np.flatnonzero(row).tolist(), settings.quiet_steps)) for row in over if row.any())
        result["at"][f"{allowed:g}"] = {
            "threshold": threshold,
            "false_alarms": runs,
            "false_alarms_a_day": runs / max(days, 1e-9),
        }
    for name in (ALL, *STRATA):
        chosen = [one for one in attacks if name in (ALL, stratum_of(one.times_usual))]
        if chosen:
            found = _of_attacks(scores, signs, chosen, quiet_scores, thresholds, rng)
            result["strata"][name] = found
    if kind_places is not None:
        result["kind_right"] = _kind_right(signs, attacks, kind_places, kinds)
    return rounded_deep(result)


def _of_attacks(
    scores: Values,
    signs: Signs,
    attacks: Sequence[Attack],
    quiet_scores: Values,
    thresholds: dict[float, float],
    rng: np.random.Generator,
) -> dict[str, Any]:
    places = {name: place for place, name in enumerate(signs.names)}
    steps, sources = [], []
    delays: dict[float, list[float]] = {allowed: [] for allowed in thresholds}
    for attack in attacks:
        host = places.get(attack.victim)
        if host is None:
            continue
        codes = codes_of(signs, [attack], [attack.kind])[host]
        first, last, _ = steps_of(signs, attack)
        covered = first + np.flatnonzero((codes[first:last] > QUIET) & np.isfinite(scores[host, first:last]))
        steps.append(scores[host, covered])
        sources.append(attack.source)
        for allowed, threshold in thresholds.items():
            over = covered[scores[host, covered] > threshold]
            end_ns = signs.start_ns + (int(over[0]) + 1) * signs.step_ns if len(over) else None
            delays[allowed].append(np.inf if end_ns is None else (end_ns - attack.begin_ns) / NS_PER_S)
    positives = np.concatenate(steps) if steps else np.zeros(0)
    if not len(positives):
        return {"attacks": len(attacks)}
    low, high = _interval(steps, sources, quiet_scores, rng)
    return {
        "attacks": len(steps),
        "steps": len(positives),
        "prevalence": len(positives) / (len(positives) + len(quiet_scores)),
        "pr_auc": average_precision(positives, np.ones(len(positives)), quiet_scores),
        "pr_auc_low": low,
        "pr_auc_high": high,
        "at": {
            f"{allowed:g}": {
                "found": float(np.isfinite(found).mean()),
                "median_delay_s": float(np.median(found)),
            }
            for allowed, found in delays.items()
        },
    }


def average_precision(positives: Values, weights: Values, quiet_sorted: Values) -> float:
    """The area under precision and recall, of scores of attacks with weights and of quiet ones in ascending order.

    >>> average_precision(np.array([3.0, 2.0]), np.ones(2), np.array([0.0, 1.0]))
    1.0
    """
    levels, places = np.unique(positives, return_inverse=True)
    mass = np.bincount(places, weights=weights)[::-1]
    above_true = np.cumsum(mass)
    above_false = len(quiet_sorted) - np.searchsorted(quiet_sorted, levels[::-1], side="left")
    return float((mass * above_true / np.maximum(above_true + above_false, 1e-12)).sum() / max(mass.sum(), 1e-12))


def _interval(
    steps: Sequence[Values], sources: Sequence[str], quiet_sorted: Values, rng: np.random.Generator
) -> tuple[float, float]:
    """95 % of the areas when source captures, and episodes within them, are drawn anew."""
    names = sorted(set(sources))
    of_source = [np.flatnonzero(np.array(sources) == name) for name in names]
    lengths = np.array([len(one) for one in steps])
    positives = np.concatenate(steps)
    found = []
    for _ in range(RESAMPLES):
        counts = np.zeros(len(steps))
        for place in rng.integers(0, len(names), len(names)):
            own = of_source[place]
            np.add.at(counts, own[rng.integers(0, len(own), len(own))], 1)
        found.append(average_precision(positives, np.repeat(counts, lengths), quiet_sorted))
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def _kind_right(
    signs: Signs, attacks: Sequence[Attack], kind_places: npt.NDArray[np.int64], kinds: Sequence[str]
) -> float:
    """Share of the steps of attacks of known kinds that are given the right one."""
    codes = codes_of(signs, attacks, kinds)
    attacked = codes > QUIET
    return float((kind_places[attacked] == codes[attacked] - 1).mean()) if attacked.any() else float("nan")


def rounded_deep(values: dict[str, Any]) -> dict[str, Any]:
    """Numbers with five digits, and what JSON cannot hold as null."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            made[name] = rounded_deep(value)
        elif isinstance(value, float):
            made[name] = round(value, 5) if np.isfinite(value) else None
        else:
            made[name] = value
    return made
