"""Was this flow among those that taught? Half of the groups of the teaching side did, drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...tasks.metrics import roc_auc, true_positives_at
from ..bench import Bench
from ..representations.encoders import rows_that_teach
from ..study import Run
from .classifiers import victim_of, view_of

FALSE_SHARE = 0.01
TREES = 100


def infer_members(run: Run, bench: Bench) -> dict[str, Any]:
    """Area under the curve: .5 is nothing learnt. Flows with a twin on the other side are told apart."""
    material = bench.material(run.data)
    members = rows_that_teach(material, "members", bench.rng_for("part", run.data, seed=run.seed))
    others = np.setdiff1d(material.train, members)
    rng = bench.rng(run)
    if run.values.get("attack") == "vectors":
        rows, is_member, score = _by_vectors(run, bench, members, others, rng)
    else:
        rows, is_member, score = _by_confidence(run, bench, members, others)
    twins = material.twins
    has_twin = np.where(is_member, np.isin(twins[rows], twins[others]), np.isin(twins[rows], twins[members])) & (
        twins[rows] >= 0
    )
    found = {"members": int(is_member.sum()), "others": int((~is_member).sum())}
    return found | {
        "roc_auc": round(roc_auc(is_member, score), 4),
        "found_at_1_percent": round(true_positives_at(is_member, score, false_share=FALSE_SHARE), 4),
        "roc_auc_without_twins": round(roc_auc(is_member[~has_twin], score[~has_twin]), 4),
        "without_twins": int((~has_twin).sum()),
    }


def _by_confidence(
    run: Run, bench: Bench, members: npt.NDArray[np.int64], others: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """The attacker knows a flow's class and asks how sure the classifier is of it."""
    material = bench.material(run.data)
    victim = victim_of(run, bench, members)
    rows = np.concatenate([members, others])
    truth = material.labels[rows]
    found = victim.ask_numbers(victim.numbers_of_all[rows])
    column = np.searchsorted(victim.classes, truth).clip(max=len(victim.classes) - 1)
    sure = np.where(victim.classes[column] == truth, found[np.arange(len(rows)), column], 0.0)
    return rows, np.arange(len(rows)) < len(members), sure


def _by_vectors(
    run: Run,
    bench: Bench,
    members: npt.NDArray[np.int64],
    others: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """The attacker knows of half the groups whether they taught, learns from the vectors, is asked of the rest."""
    from sklearn.ensemble import ExtraTreesClassifier

    material = bench.material(run.data)
    _, numbers = view_of(run, bench, members)
    rows = np.concatenate([members, others])
    is_member = np.arange(len(rows)) < len(members)
    known = np.zeros(len(rows), np.bool_)
    for side in (True, False):
        names = np.unique(material.groups[rows[is_member == side]])
        known |= (is_member == side) & np.isin(material.groups[rows], rng.permutation(names)[: max(len(names) // 2, 1)])
    trees = ExtraTreesClassifier(n_estimators=TREES, min_samples_leaf=3, random_state=int(rng.integers(2**31)))
    trees.fit(numbers[rows[known]], is_member[known])
    asked = ~known
    return rows[asked], is_member[asked], np.asarray(trees.predict_proba(numbers[rows[asked]]))[:, 1]
