"""How far a host's rates are above what they were: adaptive thresholds as operators run them, calibrated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import TaskError
from .settings import DetectionSettings

Values = npt.NDArray[np.float64]
FEATURES = (
    *("in_packets", "in_bytes", "in_active_flows", "in_peers", "in_new_peers", "in_syn_packets", "in_half_open_flows"),
)
NOISE_PER_S = (10.0, 10_000.0, 1.0, 1.0, 1.0, 1.0, 1.0)  # of each feature: so little says nothing about a host
LEAST_VARIANCE = 0.09  # of the logarithm
DAY_S = 86_400.0
TAIL = 0.01  # share of the largest quiet scores from which rarer ones are extrapolated
FEWEST_SCORES = 100
CLIPPED = 3.0  # what is further away moves the baseline no more than this, so that an attack does not become normal


def usual_scores(values: Values, step_s: float, settings: DetectionSettings) -> Values:
    """Standard deviations above the exponentially weighted mean of the logarithm, the largest over features.

    `values` [features, hosts, steps]; NaN is a gap, and gives no score. What is usual is known from earlier steps only.
    """
    noise = step_s * np.asarray(NOISE_PER_S)[: len(values)]
    logs = np.log1p(values / noise[:, None, None])
    weight = 1 - 0.5 ** (step_s / settings.half_life_s)
    features, hosts, steps = values.shape
    mean, spread, seen = np.zeros((features, hosts)), np.full((features, hosts), LEAST_VARIANCE), np.zeros(hosts)
    out = np.full((hosts, steps), np.nan)
    for step in range(steps):
        now = logs[:, :, step]
        known = ~np.isnan(now)
        away = np.where(known, now - mean, 0.0) / np.sqrt(np.maximum(spread, LEAST_VARIANCE))
        judged = known.any(axis=0) & (seen >= settings.warm_up_steps)
        out[judged, step] = np.maximum(away.max(axis=0), 0.0)[judged]
        first = known & (seen == 0)
        moved = np.clip(away, -CLIPPED, CLIPPED) * np.sqrt(np.maximum(spread, LEAST_VARIANCE))
        pace = np.maximum(weight, 1 / (seen + 1))  # a plain mean while little is known
        spread = np.where(known & ~first, spread + pace * (moved**2 - spread), spread)
        mean = np.where(first, now, np.where(known, mean + pace * moved, mean))
        seen += known.any(axis=0)
    return out


def threshold_for(
    quiet: Values, step_s: float, settings: DetectionSettings, *, counts: npt.NDArray[np.bool_] | None = None
) -> float:
    """The score that quiet traffic [hosts, steps] exceeds as often as the settings allow, all hosts together.

    Only scores that `counts` admits, such as those of hosts with traffic enough, unless they are too few.

    Beyond what the quiet time has shown, the tail is taken to fall off exponentially.
    """
    scores = quiet[np.isfinite(quiet)]
    if counts is not None and (counts & np.isfinite(quiet)).sum() >= FEWEST_SCORES:
        scores = quiet[counts & np.isfinite(quiet)]
    if len(scores) < FEWEST_SCORES:
        raise TaskError(
            f"detect: {len(scores):,} quiet steps are too few to tell what is usual (at least {FEWEST_SCORES})",
            hint="a longer record, a finer `--step`, or `--learn` a larger part of it",
        )
    days = quiet.shape[1] * step_s / DAY_S
    share = settings.false_alarms_a_day * days / len(scores)
    if share >= TAIL:
        return float(np.quantile(scores, max(1 - share, 0.0)))
    start = float(np.quantile(scores, 1 - TAIL))
    beyond = scores[scores > start] - start
    return start + float(beyond.mean() if len(beyond) else 0.1) * float(np.log(TAIL / share))
