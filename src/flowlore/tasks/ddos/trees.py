"""LightGBM on the same windows: the last steps of every sign, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...errors import ModelError
from .attacks import QUIET
from .detector import BUSY_PACKETS_PER_S, BUSY_SHARE, Detector, Lesson, check_lessons
from .signs import Signs, Values

LAGS = (0, 1, 2, 3, 5, 8, 16, 31)
MOST_QUIET = 20_000
HOSTS_AT_ONCE = 16
FEWEST_IN_LEAF = 5  # steps; fewer where one short attack is all that is known


class BoostedDetector(Detector):
    """Boosted trees over all kinds together, attacks as heavy as the quiet."""

    learns = True

    def __init__(self) -> None:
        self._trees: Any = None

    def fit(self, lessons: Sequence[Lesson], kinds: Sequence[str], rng: np.random.Generator) -> None:
        import lightgbm

        check_lessons(lessons)
        inputs, truths = [], []
        for lesson in lessons:
            attacked, quiet = lesson.codes > QUIET, lesson.codes == QUIET
            busy = quiet & (np.nan_to_num(lesson.signs.packets) >= BUSY_PACKETS_PER_S * lesson.signs.step_s)
            most = MOST_QUIET // len(lessons)
            chosen = np.concatenate(
                [
                    _drawn(busy, round(BUSY_SHARE * most), rng),
                    _drawn(quiet & ~busy, round((1 - BUSY_SHARE) * most), rng),
                ]
            )
            at = np.concatenate([np.argwhere(attacked), chosen])
            inputs.append(_lagged(lesson.signs, at[:, 0], at[:, 1]))
            truths.append(np.arange(len(at)) < attacked.sum())
        x, y = np.concatenate(inputs), np.concatenate(truths)
        weight = np.where(y, max(len(y) - y.sum(), 1) / max(y.sum(), 1), 1.0)
        trees = lightgbm.LGBMClassifier(
            n_estimators=200,
            learning_rate=0.05,
            num_leaves=15,
            min_child_samples=min(FEWEST_IN_LEAF, max(int(y.sum()) // 2, 1)),
            colsample_bytree=0.5,
            subsample=0.8,
            subsample_freq=1,
            reg_lambda=1.0,
            random_state=int(rng.integers(2**31)),
            n_jobs=1,
            verbose=-1,
        )
        trees.fit(x, y, sample_weight=weight)
        self._trees = trees.booster_

    def scores(self, signs: Signs, quiet_steps: int) -> Values:
        out = np.full((len(signs), signs.steps), np.nan)
        for first in range(0, len(signs), HOSTS_AT_ONCE):
            hosts, steps = np.nonzero(~np.isnan(signs.packets[first : first + HOSTS_AT_ONCE]))
            if len(hosts):
                said = self._trees.predict(_lagged(signs, first + hosts, steps), raw_score=True)
                out[first + hosts, steps] = np.asarray(said)
        return out

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        text = self._trees.model_to_string().encode()
        return {"trees": np.frombuffer(text, np.uint8).copy()}, {}

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> Self:
        import lightgbm

        made = cls()
        try:
            made._trees = lightgbm.Booster(model_str=bytes(arrays["trees"]).decode())
        except (KeyError, UnicodeDecodeError, lightgbm.basic.LightGBMError) as error:
            raise ModelError("models: the trees of this detector are damaged", hint="teach it again") from error
        return made


def _drawn(wanted: npt.NDArray[np.bool_], most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """At most so many of the hosts and steps that are wanted."""
    found = np.argwhere(wanted)
    return found if len(found) <= most else found[np.sort(rng.choice(len(found), most, replace=False))]


def _lagged(signs: Signs, hosts: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """[rows, SIGNS x LAGS]; what was before the beginning is NaN."""
    parts = []
    for lag in LAGS:
        at = steps - lag
        part = signs.values[hosts, :, np.maximum(at, 0)]
        part[at < 0] = np.nan
        parts.append(part)
    return np.concatenate(parts, axis=1)
