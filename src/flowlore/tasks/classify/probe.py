"""A linear probe: logistic regression on vectors that stay as they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .head import Head, softmax, spread


class ProbeHead(Head):
    """Logistic regression on numbers brought to one scale, classes weighted to be equal.

    Args:
        strength: The larger, the closer it follows the labels (the inverse of the penalty, scikit-learn's `C`).
        most_steps: Of the solver.
    """

    LEARNT = ("weights_", "offsets_", "mean_", "scale_")

    def __init__(self, strength: float = 1.0, most_steps: int = 500) -> None:
        self.strength = strength
        self.most_steps = most_steps

    def _learn(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None:
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        self.mean_, self.scale_ = spread(vectors)
        if len(self.classes_) == 1:
            self.weights_, self.offsets_ = np.zeros((1, vectors.shape[1])), np.zeros(1)
            return
        solver = LogisticRegression(C=self.strength, max_iter=self.most_steps, class_weight="balanced")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last step is a usable answer
            solver.fit((vectors - self.mean_) / self.scale_, codes)
        if len(self.classes_) == 2:  # the solver holds the second class only
            self.weights_ = np.vstack([-solver.coef_, solver.coef_]) / 2
            self.offsets_ = np.concatenate([-solver.intercept_, solver.intercept_]) / 2
        else:
            self.weights_, self.offsets_ = solver.coef_, solver.intercept_

    def _probabilities(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return softmax((vectors - self.mean_) / self.scale_ @ self.weights_.T + self.offsets_)
