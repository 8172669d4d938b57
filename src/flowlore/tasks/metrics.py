"""How good an answer is: plain functions of NumPy arrays, checked against scikit-learn and by hand.

Truth and answers are arrays of labels of one kind (text or whole numbers), one for each flow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import TaskError

Labels = npt.NDArray[Any]
Vectors = npt.NDArray[Any]
PURITY_NEIGHBOURS = tuple(range(1, 20))
CHUNK_ROWS = 1024
NS_PER_DAY = 86_400 * 10**9


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a classification is worth. Macro F1 is the mean over classes that the truth or the answers hold."""

    flows: int
    accuracy: float
    macro_f1: float
    weighted_f1: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def scores(truth: Labels, answers: Labels) -> Scores:
    """Accuracy, macro and weighted F1. No flows give NaN."""
    _require_pairs(truth, answers)
    if not len(truth):
        return Scores(flows=0, accuracy=float("nan"), macro_f1=float("nan"), weighted_f1=float("nan"))
    each, support = f1_by_class(truth, answers)
    values = np.array(list(each.values()))
    weights = np.array([support[name] for name in each], np.float64)
    return Scores(
        flows=len(truth),
        accuracy=float(np.mean(truth == answers)),
        macro_f1=float(values.mean()),
        weighted_f1=float((values * weights).sum() / weights.sum()),
    )


def f1_by_class(truth: Labels, answers: Labels) -> tuple[dict[Any, float], dict[Any, int]]:
    """F1 of every class of truth or answers (0 where never right), and how many flows truly are of it."""
    _require_pairs(truth, answers)
    classes, codes = np.unique(np.concatenate([truth, answers]), return_inverse=True)
    true, answered = codes[: len(truth)], codes[len(truth) :]
    hits = np.bincount(true[true == answered], minlength=len(classes))
    actual, given = (np.bincount(side, minlength=len(classes)) for side in (true, answered))
    values = 2.0 * hits / np.maximum(actual + given, 1)
    names = classes.tolist()
    return dict(zip(names, values.tolist(), strict=True)), dict(zip(names, actual.tolist(), strict=True))


def confusion(truth: Labels, answers: Labels) -> tuple[Labels, npt.NDArray[np.int64]]:
    """The classes, and how often each (row) was called each (column)."""
    _require_pairs(truth, answers)
    classes, codes = np.unique(np.concatenate([truth, answers]), return_inverse=True)
    pairs = codes[: len(truth)] * len(classes) + codes[len(truth) :]
    return classes, np.bincount(pairs, minlength=len(classes) ** 2).reshape(len(classes), len(classes))


def pr_auc(is_positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> float:
    """Average precision: area below precision over recall, by steps. NaN where nothing is positive."""
    precision, recall, _ = _precision_recall(is_positive, score)
    return float("nan") if not len(recall) else float(np.sum(np.diff(recall, prepend=0.0) * precision))


def roc_auc(is_positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> float:
    """How often a positive scores above a negative; a tie counts half. NaN where one of the two is absent."""
    _require_pairs(is_positive, score)
    _require_numbers(score)
    positives = int(is_positive.sum())
    negatives = len(is_positive) - positives
    if not positives or not negatives:
        return float("nan")
    _, codes, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[codes.reshape(-1)]
    return float((ranks[is_positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def true_positives_at(
    is_positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64], *, false_share: float
) -> float:
    """Share of positives found at the lowest threshold that calls at most this share of negatives positive."""
    negatives = np.sort(score[~is_positive])[::-1]
    if not len(negatives) or not is_positive.any():
        return float("nan")
    allowed = int(false_share * len(negatives))
    floor = negatives[allowed] if allowed < len(negatives) else -np.inf
    return float(np.mean(score[is_positive] > floor))


def false_positives_a_day(
    is_positive: npt.NDArray[np.bool_],
    score: npt.NDArray[np.float64],
    *,
    recall: float,
    duration_ns: int,
) -> float:
    """False alarms a day at the highest threshold that still finds this share of the positives."""
    if not 0 < recall <= 1:
        raise TaskError(f"tasks: {recall} is no share of the positives that can be found", hint="for example 0.9")
    _, recalls, false = _precision_recall(is_positive, score)
    if not len(recalls) or duration_ns <= 0:
        return float("nan")
    place = int(np.searchsorted(recalls, recall - 1e-12, side="left"))
    return float(false[min(place, len(false) - 1)] * NS_PER_DAY / duration_ns)


def calibration_error(is_right: npt.NDArray[np.bool_], confidence: npt.NDArray[np.float64], *, bins: int = 15) -> float:
    """Mean distance between confidence and share right, over bins of equal width weighted by their flows (ECE)."""
    if not len(is_right):
        return float("nan")
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    right = np.bincount(places, weights=is_right, minlength=bins)
    sure = np.bincount(places, weights=confidence, minlength=bins)
    return float(np.abs(right - sure).sum() / counts.sum())


def purity(vectors: Vectors, truth: Labels, *, neighbours: tuple[int, ...] = PURITY_NEIGHBOURS) -> dict[int, float]:
    """Mean share of the k nearest other flows (by cosine) that are of the same class, for each k. Needs no training."""
    most = min(max(neighbours), len(vectors) - 1)
    if most < 1:
        return {count: float("nan") for count in neighbours}
    unit = normalised(vectors)
    same = np.zeros((len(unit), most), np.bool_)
    for first in range(0, len(unit), CHUNK_ROWS):
        rows = np.arange(first, min(first + CHUNK_ROWS, len(unit)))
        alike = unit[rows] @ unit.T
        alike[np.arange(len(rows)), rows] = -np.inf
        same[rows] = truth[nearest(alike, most)] == truth[rows][:, None]
    return {count: float(same[:, : min(count, most)].mean()) for count in neighbours}


def silhouette(vectors: Vectors, truth: Labels) -> float:
    """Mean silhouette (Euclid) over flows; those alone in their class count 0. NaN with fewer than two classes."""
    classes, codes = np.unique(truth, return_inverse=True)
    counts = np.bincount(codes)
    if not 2 <= len(classes) < len(truth):
        return float("nan")
    wide = np.asarray(vectors, np.float64)
    squares = (wide**2).sum(axis=1)
    member = np.eye(len(classes))[codes]
    total = 0.0
    for first in range(0, len(wide), CHUNK_ROWS):
        rows = slice(first, first + CHUNK_ROWS)
        far = np.sqrt(np.maximum(squares[rows, None] + squares[None] - 2.0 * wide[rows] @ wide.T, 0.0))
        own = codes[rows]
        here = np.arange(len(own))
        far[here, here + first] = 0.0
        sums = far @ member
        inside = sums[here, own] / np.maximum(counts[own] - 1, 1)
        means = sums / counts
        means[here, own] = np.inf
        outside = means.min(axis=1)
        value = (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-300)
        total += float(np.where(counts[own] > 1, value, 0.0).sum())
    return total / len(wide)


def adjusted_rand(truth: Labels, clusters: Labels) -> float:
    """Agreement of two groupings beyond chance: 1 is the same grouping, 0 is chance."""
    true, found = (np.unique(side, return_inverse=True)[1] for side in (truth, clusters))
    if not len(true):
        return float("nan")
    width = int(found.max()) + 1
    table = np.bincount(true * width + found).astype(np.float64)
    pairs = (table * (table - 1) / 2).sum()
    rows, columns = (np.bincount(side).astype(np.float64) for side in (true, found))
    by_truth, by_found = (rows * (rows - 1) / 2).sum(), (columns * (columns - 1) / 2).sum()
    every = len(true) * (len(true) - 1) / 2
    expected = by_truth * by_found / every if every else 0.0
    most = (by_truth + by_found) / 2
    return 1.0 if most == expected else float((pairs - expected) / (most - expected))


def interval(
    measure: Callable[[npt.NDArray[np.int64]], float],
    rows: int,
    *,
    rng: np.random.Generator,
    groups: Labels | None = None,
    draws: int = 200,
    coverage: float = 0.95,
) -> tuple[float, float]:
    """Bootstrap interval of `measure`, which is given row numbers. With `groups` (captures, hosts) whole groups are
    drawn, as flows of one capture are not independent.
    """
    if groups is None:
        members = [np.array([row]) for row in range(rows)] if rows < CHUNK_ROWS else None
    else:
        codes = np.unique(groups, return_inverse=True)[1]
        order = np.argsort(codes, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    found = []
    for _ in range(draws):
        if members is None:
            chosen = rng.integers(0, rows, rows)
        else:
            drawn = rng.integers(0, len(members), len(members))
            chosen = np.concatenate([members[place] for place in drawn])
        found.append(measure(chosen))
    tail = (1.0 - coverage) / 2
    low, high = np.nanquantile(found, [tail, 1.0 - tail])
    return float(low), float(high)


def rounded(values: Mapping[str, Any], digits: int = 4) -> dict[str, Any]:
    """The same with its numbers rounded, for people and for JSON that is kept."""
    return {key: round(value, digits) if isinstance(value, float) else value for key, value in values.items()}


def normalised(vectors: Vectors) -> npt.NDArray[np.float32]:
    """Vectors of length 1; a zero vector stays zero."""
    wide = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = (wide / np.where(lengths > 0, lengths, 1.0)).astype(np.float32, copy=False)
    return unit


def nearest(alike: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """Places of the `count` largest values of each row, the largest first, the lower place first where equal."""
    count = min(count, alike.shape[1])
    if count < alike.shape[1]:
        places = np.sort(np.argpartition(-alike, count - 1, axis=1)[:, :count], axis=1)
    else:
        places = np.broadcast_to(np.arange(count), alike.shape)
    order = np.argsort(-np.take_along_axis(alike, places, axis=1), axis=1, kind="stable")
    chosen: npt.NDArray[np.int64] = np.take_along_axis(places, order, axis=1)
    return chosen


def checked_vectors(vectors: Any) -> Vectors:
    """Vectors, or what holds some (`Embedding`), as an array of rows; what is no number is an error."""
    found = np.asarray(getattr(vectors, "vectors", vectors))
    if found.ndim != 2:
        raise TaskError(
            f"tasks: vectors are rows of numbers, and this has {found.ndim} dimension{'' if found.ndim == 1 else 's'}",
            hint="one vector is `vectors[:1]`, not `vectors[0]`",
        )
    _require_numbers(found)
    return found


def _require_pairs(truth: Any, answers: Any) -> None:
    if len(truth) != len(answers):
        raise TaskError(
            f"tasks: {len(answers):,} answers cannot be measured by {len(truth):,} truths", hint="one for each flow"
        )


def _require_numbers(values: Any) -> None:
    if not np.isfinite(values).all():
        raise TaskError("tasks: NaN or infinities cannot be compared", hint="leave such rows out, and say how many")


def _precision_recall(
    is_positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Precision, recall and false positives at every distinct score, from the highest down."""
    _require_pairs(is_positive, score)
    _require_numbers(score)
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=np.nan) != 0)
    hits = np.cumsum(is_positive[order])[ends]
    if not len(hits) or hits[-1] == 0:
        empty = np.zeros(0)
        return empty, empty, np.zeros(0, np.int64)
    return hits / (ends + 1), hits / hits[-1], ends + 1 - hits
