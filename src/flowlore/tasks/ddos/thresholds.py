"""How far a host's rates are above what they were: adaptive thresholds as operators run them, calibrated."""

from __future__ import annotations

from dataclasses import dataclass

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
TAIL, MOST_OF_TAIL = 0.01, 20  # share or number of the largest quiet scores from which rarer ones are extrapolated
USUAL_EXCESS = 0.1  # by which scores exceed the start of the tail, where none did
FEWEST_SCORES = 100
CLIPPED = 3.0  # what is further away moves the baseline no more than this, so that an attack does not become normal
PATIENCE_S = 60.0  # what is further away for longer, widens what is usual no more


def usual_scores(values: Values, step_s: float, settings: DetectionSettings) -> Values:
    """Standard deviations above the exponentially weighted mean of the logarithm, the largest over features.

    `values` [features, hosts, steps]; NaN is a gap, and gives no score. What is usual is known from earlier steps only.
    """
    noise = step_s * np.asarray(NOISE_PER_S)[: len(values)]
    return followed(values, noise, step_s, settings)[1]


def followed(
    values: Values, noise: Values, step_s: float, settings: DetectionSettings, *, judged_by: int | None = None
) -> tuple[npt.NDArray[np.float32], Values]:
    """How far the logarithm is above its own mean [features, hosts, steps], and scores [hosts, steps] in standard
    deviations, the largest over the first `judged_by` features (all of them where none is said)."""
    usual = Usual.of_nothing(*values.shape[:2])
    rises = np.full(values.shape, np.nan, np.float32)
    out = np.full(values.shape[1:], np.nan)
    for step in range(values.shape[2]):
        rises[:, :, step], out[:, step] = usual.take(values[:, :, step], noise, step_s, settings, judged_by=judged_by)
    return rises, out


@dataclass
class Usual:
    """What the logarithm of each feature of each host usually is, as of the steps so far: [features, hosts]."""

    mean: Values
    spread: Values
    seen: Values  # [hosts], steps
    far: Values  # steps in a row that were further away than `CLIPPED`

    @classmethod
    def of_nothing(cls, features: int, hosts: int) -> Usual:
        return cls(
            mean=np.zeros((features, hosts)),
            spread=np.full((features, hosts), LEAST_VARIANCE),
            seen=np.zeros(hosts),
            far=np.zeros((features, hosts)),
        )

    def take(
        self, counts: Values, noise: Values, step_s: float, settings: DetectionSettings, *, judged_by: int | None = None
    ) -> tuple[npt.NDArray[np.float32], Values]:
        """One more step [features, hosts]: what `followed` says of it."""
        now = np.log1p(counts / noise[:, None])
        rises = (now - self.mean).astype(np.float32)
        away = self._away(now)
        judged = ~np.isnan(now).all(axis=0) & (self.seen >= settings.warm_up_steps)
        scores = np.where(judged, np.maximum(away[:judged_by].max(axis=0), 0.0), np.nan)
        self._follow(now, away, step_s, settings)
        return rises, scores

    def _away(self, now: Values) -> Values:
        """Standard deviations above the mean; 0 where nothing is known."""
        return np.where(np.isnan(now), 0.0, now - self.mean) / np.sqrt(np.maximum(self.spread, LEAST_VARIANCE))

    def _follow(self, now: Values, away: Values, step_s: float, settings: DetectionSettings) -> None:
        """Take a step in. One that is far away moves the mean no more than one that is `CLIPPED` away, and widens the
        spread only while such steps are few: bursts are usual of a host, a flood that lasts is not."""
        known = ~np.isnan(now)
        is_far = known & (np.abs(away) > CLIPPED) & (self.seen >= settings.warm_up_steps)
        self.far = np.where(is_far, self.far + 1, np.where(known, 0.0, self.far))
        widens = known & (self.far * step_s <= max(PATIENCE_S, step_s))
        first = known & (self.seen == 0)
        moved = np.clip(away, -CLIPPED, CLIPPED) * np.sqrt(np.maximum(self.spread, LEAST_VARIANCE))
        weight = 1 - 0.5 ** (step_s / settings.half_life_s)
        pace = np.maximum(weight, 1 / (self.seen + 1))  # a plain mean while little is known
        self.spread = np.where(widens & ~first, self.spread + pace * (moved**2 - self.spread), self.spread)
        self.mean = np.where(first, now, np.where(known, self.mean + pace * moved, self.mean))
        self.seen = self.seen + known.any(axis=0)


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
    tail = min(TAIL, MOST_OF_TAIL / len(scores))
    if share >= tail:
        return float(np.quantile(scores, max(1 - share, 0.0)))
    start = float(np.quantile(scores, 1 - tail))
    beyond = scores[scores > start] - start
    return start + float(beyond.mean() if len(beyond) else USUAL_EXCESS) * float(np.log(tail / share))
