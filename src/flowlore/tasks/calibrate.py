"""How far an answer may be trusted: calibrated confidence, sets that hold the truth, and "unknown"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .classify.head import Head, softmax
from .classify.placing import Placing
from .metrics import CHUNK_ROWS, normalised

Numbers = npt.NDArray[np.float64]
COOLEST, HOTTEST = 0.05, 20.0
TINY = 1e-12
MOST_ROWS_ASKED = 5000


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was learnt from answers to flows whose truth is known.

    `temperature` divides the logits; `set_floor` is the least probability that a class of an answer set has, chosen so
    that sets hold the truth for a share of `coverage` of the flows like these.
    """

    temperature: float
    coverage: float
    set_floor: float
    flows: int

    @classmethod
    def fit(cls, probabilities: Numbers, codes: npt.NDArray[np.int64], *, coverage: float = 0.9) -> Self:
        """From probabilities that were given without having seen the truth (validation, or `out_of_fold`)."""
        temperature = fit_temperature(probabilities, codes)
        sure = tempered(probabilities, temperature)[np.arange(len(codes)), codes]
        return cls(
            temperature=temperature,
            coverage=coverage,
            set_floor=conformal_floor(sure, coverage),
            flows=len(codes),
        )

    def confidences(self, probabilities: Numbers) -> Numbers:
        return tempered(probabilities, self.temperature)

    def sets(self, probabilities: Numbers) -> npt.NDArray[np.bool_]:
        """Which classes are in the answer set of each flow; the likeliest always is."""
        sure = self.confidences(probabilities)
        chosen = sure >= self.set_floor
        chosen[np.arange(len(sure)), sure.argmax(axis=1)] = True
        return chosen


def fit_temperature(probabilities: Numbers, codes: npt.NDArray[np.int64]) -> float:
    """The temperature with the least log loss, between 0.05 and 20; 1 where there is nothing to learn from."""
    if not len(codes) or probabilities.shape[1] < 2:
        return 1.0

    def loss(log_temperature: float) -> float:
        sure = tempered(probabilities, math.exp(log_temperature))
        return float(-np.log(np.maximum(sure[np.arange(len(codes)), codes], TINY)).mean())

    low, high = math.log(COOLEST), math.log(HOTTEST)
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return math.exp((low + high) / 2)


def tempered(probabilities: Numbers, temperature: float) -> Numbers:
    """Probabilities whose logits are divided by `temperature`: above 1 is less sure. The order of classes stays."""
    return softmax(np.log(np.maximum(probabilities, TINY)) / temperature)


def conformal_floor(sure_of_truth: Numbers, coverage: float) -> float:
    """Split conformal: the floor under which the truth's probability falls for at most 1 - coverage of new flows.

    Too few flows for the coverage give 0: every class is in the set, which is the only honest answer.
    """
    rank = math.ceil((len(sure_of_truth) + 1) * coverage)
    if rank > len(sure_of_truth):
        return 0.0
    return float(np.sort(sure_of_truth)[len(sure_of_truth) - rank])


def out_of_fold(
    head: Head, vectors: Any, labels: npt.NDArray[Any], *, reference: Any = None, folds: int = 5
) -> tuple[Numbers, npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Probabilities for labelled flows by a head that has not seen them, whose they are, and the classes in order.

    Classes are spread over the folds in turn; of many flows one fold is asked only. A class with one flow is never
    known when it is asked: its truth gets 0.
    """
    from sklearn.base import clone

    classes, codes = np.unique(labels, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    rank = np.empty(len(codes), np.int64)
    rank[order] = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    fold = rank % max(2, min(folds, len(codes)))
    found = np.zeros((len(codes), len(classes)))
    turns = int(fold.max()) + 1 if len(codes) <= MOST_ROWS_ASKED else 1
    for turn in range(turns):
        asked = fold == turn
        if asked.all():
            found[asked] = 1.0 / len(classes)
            continue
        taught = clone(head).fit(vectors[~asked], labels[~asked], reference)
        found[np.ix_(asked, np.searchsorted(classes, taught.classes_))] = taught.predict_proba(vectors[asked])
    rows = np.flatnonzero(fold < turns)
    return found[rows], rows, classes


@dataclass(frozen=True, kw_only=True)
class OpenSet:
    """Tells flows that are like nothing labelled. Novelty is 1 - cosine to the nearest labelled flow, from 0 to 2.

    Vectors are compared on scales learnt from `reference`, flows of the training side with labels or without; `known`
    are the labelled ones, so placed.
    """

    placing: Placing
    known: npt.NDArray[np.float32]
    threshold: float

    @classmethod
    def fit(cls, vectors: Any, reference: Any = None, *, false_unknown_share: float = 0.05) -> Self:
        """The threshold calls this share of labelled flows unknown, were each asked without itself."""
        placing = Placing.identity(np.shape(vectors)[1]) if reference is None else Placing.fit(reference)
        unit = normalised(placing.apply(vectors))
        if len(unit) < 2:
            return cls(placing=placing, known=unit, threshold=2.0)
        asked = np.linspace(0, len(unit) - 1, min(len(unit), MOST_ROWS_ASKED)).astype(np.int64)
        distances = _novelty(unit[asked], unit, own=asked)
        return cls(placing=placing, known=unit, threshold=float(np.quantile(distances, 1.0 - false_unknown_share)))

    def novelty(self, vectors: Any) -> Numbers:
        return _novelty(normalised(self.placing.apply(vectors)), self.known)

    def is_unknown(self, vectors: Any) -> npt.NDArray[np.bool_]:
        # Rounding may put a copy of a labelled flow a hair away from it.
        return self.novelty(vectors) > self.threshold + 1e-6


def _novelty(
    unit: npt.NDArray[np.float32], known: npt.NDArray[np.float32], *, own: npt.NDArray[np.int64] | None = None
) -> Numbers:
    """`own` are the places of the asked vectors among the known: none is compared with itself."""
    found = np.empty(len(unit))
    for first in range(0, len(unit), CHUNK_ROWS):
        alike = unit[first : first + CHUNK_ROWS] @ known.T
        if own is not None:
            alike[np.arange(len(alike)), own[first : first + len(alike)]] = -np.inf
        found[first : first + len(alike)] = 1.0 - alike.max(axis=1)
    return np.maximum(found, 0.0)
