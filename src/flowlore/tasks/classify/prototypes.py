"""One vector for each class: the mean of its labelled flows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..metrics import normalised
from .head import Head, softmax


class PrototypesHead(Head):
    """The class whose mean vector points the same way. The steadiest with one or two labels a class.

    Args:
        temperature: Of the probabilities: at a difference of this much in cosine a class is 1/e as likely.
    """

    LEARNT = ("prototypes_",)

    def __init__(self, temperature: float = 0.1) -> None:
        self.temperature = temperature

    def _learn(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None:
        unit = normalised(vectors).astype(np.float64)
        means = np.array([unit[codes == code].mean(axis=0) for code in range(len(self.classes_))])
        self.prototypes_ = normalised(means).astype(np.float64)

    def _probabilities(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        unit = normalised(vectors).astype(np.float64)
        return softmax(unit @ self.prototypes_.T / self.temperature)
