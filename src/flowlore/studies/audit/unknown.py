"""Classes that nobody was taught: can it be told that a flow is of none that is known?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...tasks.calibrate import OpenSet
from ...tasks.metrics import pr_auc, roc_auc, true_positives_at
from ..bench import Bench
from ..representations.encoders import rows_that_teach, unknown_classes
from ..study import Run
from .classifiers import victim_of, view_of

FALSE_UNKNOWN = 0.05


def find_unknown(run: Run, bench: Bench) -> dict[str, Any]:
    """A fifth of the classes is never shown, neither to encoder nor head; the test side holds them as ever."""
    material = bench.material(run.data)
    hidden = unknown_classes(material, bench.rng_for("part", run.data, seed=run.seed))
    shown = rows_that_teach(material, "known classes", bench.rng_for("part", run.data, seed=run.seed))
    is_unknown = np.isin(material.labels[material.test], hidden)
    if not len(hidden) or not is_unknown.any() or is_unknown.all():
        return {"flows": len(is_unknown), "hidden": hidden.tolist(), "roc_auc": None}
    strangeness = _strangeness(run, bench, shown)
    return {
        "flows": len(is_unknown),
        "unknown": int(is_unknown.sum()),
        "hidden": hidden.tolist(),
        "roc_auc": round(roc_auc(is_unknown, strangeness), 4),
        "pr_auc": round(pr_auc(is_unknown, strangeness), 4),
        "found_at_5_percent": round(true_positives_at(is_unknown, strangeness, false_share=FALSE_UNKNOWN), 4),
    }


def _strangeness(run: Run, bench: Bench, shown: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """A number for each test flow: the larger, the less it is like what is known."""
    material, judge = bench.material(run.data), run.values["judge"]
    if judge == "confidence":
        victim = victim_of(run, bench, shown)
        doubt: npt.NDArray[np.float64] = 1.0 - victim.ask_numbers(victim.numbers_of_all[material.test]).max(axis=1)
        return doubt
    _, numbers = view_of(run, bench, shown)
    if judge == "isolation":
        from sklearn.ensemble import IsolationForest

        seed = int(bench.rng(run).integers(2**31))
        forest = IsolationForest(n_estimators=bench.scale.trees, random_state=seed).fit(numbers[shown])
        return -np.asarray(forest.score_samples(numbers[material.test]), np.float64)
    return OpenSet.fit(numbers[shown]).novelty(numbers[material.test])
