"""What is asked of a network's flows, and which of them are shown with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.batch import FeatureBatch
from ...features.graphs.aggregates import window_aggregates
from ...features.scaling import Scaling
from ...tasks.metrics import NS_PER_DAY, false_positives_a_day, pr_auc, rounded, scores
from ..bench import Bench
from ..material import Material
from ..materials.networks import ATTACK
from ..study import Run
from .arms import ATTACKS

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
ATTACK_WORD, OTHER_WORD = "attack", "other"
FEWEST_SHOWN = 2  # of each class, where a share of the labels is shown
RECALL = 0.9
LONGEST_SILENCE_NS = 600 * 10**9  # between flows; what is longer is no time that anybody watched
DAYS_AT_LEAST = 1e-6


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Answers of all rows, and which rows teach and are asked."""

    truth: npt.NDArray[Any]
    train: Rows
    test: Rows


def asked_of(material: Material, truth: str) -> Asked:
    """Attack or not; or the class of every flow that is no attack."""
    labels = material.labels
    is_attack = np.char.startswith(labels, ATTACK)
    if truth == ATTACKS:
        return Asked(truth=np.where(is_attack, ATTACK_WORD, OTHER_WORD), train=material.train, test=material.test)
    train = material.train[~is_attack[material.train]]
    test = material.test[~is_attack[material.test]]
    known = np.intersect1d(labels[train], labels[test])
    return Asked(truth=labels, train=train[np.isin(labels[train], known)], test=test[np.isin(labels[test], known)])


def shown_rows(asked: Asked, run: Run, bench: Bench) -> Rows:
    """So many of each class, or a share of all that teach, but `FEWEST_SHOWN` of each class at least."""
    rng = bench.rng_for("shown", run.data, run.values["task"], seed=run.seed)
    truth = asked.truth[asked.train]
    drawn = [rng.permutation(asked.train[truth == one]) for one in np.unique(truth)]
    if run.shots is not None:
        return np.sort(np.concatenate([rows[: run.shots] for rows in drawn]))
    wanted = rng.permutation(asked.train)[: round(run.values["share"] * len(asked.train))]
    least = np.concatenate([rows[:FEWEST_SHOWN] for rows in drawn])
    return np.unique(np.concatenate([wanted, least]))


def numbers_of(batch: FeatureBatch, train: Rows, *, windows: bool) -> Floats:
    """A row of numbers a flow for methods that know no graph: the same numbers of flows, scaled, and of windows."""
    values = batch.channels["quantities"]
    scaled = Scaling.fit(values[train]).apply(values)
    known = ~np.isnan(values[train]).all(axis=0)
    missing = np.isnan(scaled)
    protocol = batch.channels["graph.protocol"][:, None] == np.arange(1, 5)
    parts = [np.nan_to_num(scaled)[:, known], missing[:, known], protocol]
    if windows:
        with np.errstate(invalid="ignore"):
            parts.append(np.nan_to_num(np.log1p(window_aggregates(batch)), nan=-1.0))
    return np.concatenate(parts, axis=1).astype(np.float32)


def scored(
    material: Material,
    asked: Asked,
    classes: npt.NDArray[Any],
    sure: npt.NDArray[np.float64],
    *,
    rows: Rows | None = None,
) -> dict[str, Any]:
    """Scores of the probabilities of rows (all that are asked), over all of them and over those without a twin."""
    rows = asked.test if rows is None else rows
    truth, answers = asked.truth[rows], classes[sure.argmax(axis=1)]
    taught = material.twins[material.train]
    is_novel = ~np.isin(material.twins[rows], taught[taught >= 0])
    found: dict[str, Any] = {
        "natural": rounded(scores(truth, answers).as_json()),
        "novel": rounded(scores(truth[is_novel], answers[is_novel]).as_json()) if is_novel.any() else None,
        "asked": len(rows),
    }
    if ATTACK_WORD in classes.tolist():
        attack = sure[:, classes.tolist().index(ATTACK_WORD)]
        found |= detected(material, truth == ATTACK_WORD, attack, rows)
        labels = material.labels[rows]
        found["found_by_kind"] = {
            str(kind).removeprefix(ATTACK): [
                int((answers[labels == kind] == ATTACK_WORD).sum()),
                int((labels == kind).sum()),
            ]
            for kind in np.unique(labels[truth == ATTACK_WORD])
        }
    return found


def detected(
    material: Material, is_attack: npt.NDArray[np.bool_], score: npt.NDArray[np.float64], rows: Rows
) -> dict[str, Any]:
    """How well a score puts attacks first; false alarms are those of the time that was watched."""
    times = np.sort(material.batch.channels["graph.times_ns"][rows, 1])
    watched_ns = int(np.minimum(np.diff(times), LONGEST_SILENCE_NS).sum()) if len(times) > 1 else 0
    watched_ns = max(watched_ns, int(DAYS_AT_LEAST * NS_PER_DAY))
    false = false_positives_a_day(is_attack, score, recall=RECALL, duration_ns=watched_ns)
    return {
        "pr_auc": round(pr_auc(is_attack, score), 4),
        "false_a_day": round(false, 1),
        "attack_share": round(float(is_attack.mean()), 4),
        "watched_days": round(watched_ns / NS_PER_DAY, 4),
    }
