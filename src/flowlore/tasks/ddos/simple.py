"""What operators run: thresholds, fixed or following. None of them learns from attacks."""

from __future__ import annotations

import numpy as np

from .detector import Detector
from .signs import SIGNS, Signs, Values
from .thresholds import CLIPPED, LEAST_VARIANCE

PERCENTILE = 99
LEAST_PACKETS_PER_S = 10.0  # below it a percentile is that of noise


class Static(Detector):
    """Packets a second, whoever receives them."""

    def scores(self, signs: Signs, quiet_steps: int) -> Values:
        return np.asarray(np.log1p(signs.packets / signs.step_s))


class Percentile(Detector):
    """Packets a second in units of the host's own 99th percentile over the quiet time."""

    def scores(self, signs: Signs, quiet_steps: int) -> Values:
        quiet = np.nan_to_num(signs.packets[:, :quiet_steps])
        usual = np.percentile(quiet, PERCENTILE, axis=1) if quiet_steps else np.zeros(len(signs))
        least = LEAST_PACKETS_PER_S * signs.step_s
        return np.asarray(np.log1p(signs.packets / np.maximum(usual, least)[:, None]))


class Ewma(Detector):
    """How far packets or bytes are above their exponentially weighted mean, in the logarithm."""

    def scores(self, signs: Signs, quiet_steps: int) -> Values:
        volume = [SIGNS.index(f"{name} against its mean") for name in ("in_packets", "in_bytes")]
        return np.asarray(np.log(np.maximum(signs.values[:, volume], 1e-6)).max(axis=1), np.float64)


class Deviations(Detector):
    """Standard deviations above the mean of the logarithm, the largest of seven counters: `detect` by itself."""

    def scores(self, signs: Signs, quiet_steps: int) -> Values:
        return signs.scores


class Entropy(Detector):
    """How far the entropy of the sources is from its own mean, either way, in standard deviations.

    It needs signs with an entropy: `with_entropy` gives them one. Of one host alone no more is told by it.
    """

    half_life_steps = 360.0

    def scores(self, signs: Signs, quiet_steps: int) -> Values:
        if signs.entropy is None:
            return np.full((len(signs), signs.steps), np.nan)
        out = np.full(signs.entropy.shape, np.nan)
        weight = 1 - 0.5 ** (1 / self.half_life_steps)
        mean, spread, seen = np.zeros(len(signs)), np.full(len(signs), LEAST_VARIANCE), np.zeros(len(signs))
        for step in range(signs.steps):
            now = signs.entropy[:, step]
            known = ~np.isnan(now)
            away = np.where(known, now - mean, 0.0) / np.sqrt(np.maximum(spread, LEAST_VARIANCE))
            out[known, step] = np.abs(away)[known]
            pace = np.maximum(weight, 1 / (seen + 1))
            moved = np.clip(away, -CLIPPED, CLIPPED) * np.sqrt(np.maximum(spread, LEAST_VARIANCE))
            mean = np.where(known, mean + pace * moved, mean)
            spread = np.where(known, spread + pace * (moved**2 - spread), spread)
            seen = seen + known
        return np.where(np.isnan(out) & ~np.isnan(signs.packets), 0.0, out)  # nobody sent anything: nothing unusual
