"""A linear probe: logistic regression on vectors that stay as they are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...models.encoder import LinearHead
from .head import Head, softmax
from .placing import Placing

FOLDS = 5
MOST_ROWS_TO_CHOOSE = 3000
TINY = 1e-12
UNTAUGHT = -10.0  # the offset of a class without a labelled flow


class ProbeHead(Head):
    """Logistic regression on vectors brought to one scale, classes weighted to be equal.

    Args:
        strengths: The larger, the closer it follows the labels (the inverse of the penalty, scikit-learn's `C`). Of
            several the one with the least log loss on labelled flows held out in turn is taken.
        most_steps: Of the solver.
    """

    LEARNT = ("weights_", "offsets_")

    def __init__(self, strengths: Sequence[float] = (0.001, 0.01, 0.1, 1.0, 10.0), most_steps: int = 300) -> None:
        self.strengths = strengths
        self.most_steps = most_steps

    def linear(self, classes: npt.NDArray[Any]) -> LinearHead:
        """The same answers from vectors as they come. A class that it was not taught is far from every vector."""
        weights = self.weights_ @ self.placing_.turn.T
        offsets = self.offsets_ - weights @ self.placing_.middle
        places = np.searchsorted(classes, self.classes_)
        all_weights, all_offsets = np.zeros((len(classes), weights.shape[1])), np.full(len(classes), UNTAUGHT)
        all_weights[places], all_offsets[places] = weights, offsets
        return LinearHead(weights=all_weights, offsets=all_offsets)

    @classmethod
    def from_linear(cls, linear: LinearHead, classes: npt.NDArray[Any]) -> Self:
        """A probe that was taught elsewhere."""
        head = cls()
        width = linear.weights.shape[1]
        head.classes_, head.n_features_in_ = classes, width
        head.placing_ = Placing.identity(width)
        head.weights_, head.offsets_ = linear.weights, linear.offsets
        return head

    def _learn(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None:
        if len(self.classes_) == 1:
            self.weights_, self.offsets_ = np.zeros((1, vectors.shape[1])), np.zeros(1)
            self.strength_ = float(self.strengths[0])
            return
        self.strength_ = self._chosen(vectors, codes)
        solver = self._solver(self.strength_)
        _solve(solver, vectors, codes)
        if len(self.classes_) == 2:  # the solver holds the second class only
            self.weights_ = np.vstack([-solver.coef_, solver.coef_]) / 2
            self.offsets_ = np.concatenate([-solver.intercept_, solver.intercept_]) / 2
        else:
            self.weights_, self.offsets_ = solver.coef_, solver.intercept_

    def _chosen(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> float:
        """The strength that does best on flows held out; the middle one where a class has one flow only."""
        strengths = sorted(float(one) for one in self.strengths)
        counts = np.bincount(codes)
        folds = min(FOLDS, int(counts.min()))
        if len(strengths) == 1 or folds < 2:
            return strengths[len(strengths) // 2]
        fold = _folds(codes, folds)
        losses = np.zeros(len(strengths))
        for turn in range(folds):
            asked, shown = _at_most(np.flatnonzero(fold == turn)), _at_most(np.flatnonzero(fold != turn))
            solver = self._solver(strengths[0])
            for place, strength in enumerate(strengths):
                solver.C = strength
                _solve(solver, vectors[shown], codes[shown])
                sure = solver.predict_proba(vectors[asked])
                column = np.searchsorted(solver.classes_, codes[asked])
                known = solver.classes_[np.minimum(column, len(solver.classes_) - 1)] == codes[asked]
                of_truth = sure[np.arange(len(asked)), np.where(known, column, 0)] * known
                losses[place] -= np.log(np.maximum(of_truth, TINY)).sum()
        return strengths[int(losses.argmin())]

    def _solver(self, strength: float) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=strength, max_iter=self.most_steps, class_weight="balanced", warm_start=True)

    def _probabilities(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return softmax(vectors @ self.weights_.T + self.offsets_)


def _solve(solver: Any, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last step is a usable answer
        solver.fit(vectors, codes)


def _folds(codes: npt.NDArray[np.int64], folds: int) -> npt.NDArray[np.int64]:
    """A fold for each flow; the flows of each class are spread over them in turn."""
    order = np.argsort(codes, kind="stable")
    rank = np.empty(len(codes), np.int64)
    rank[order] = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    return rank % folds


def _at_most(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """So many of these that choosing stays quick, evenly spread."""
    if len(rows) <= MOST_ROWS_TO_CHOOSE:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MOST_ROWS_TO_CHOOSE).astype(np.int64)]
