"""Vectors on scales of their own: no direction is louder than another only because its numbers are larger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

FAINTEST = 0.1  # of the mean variance: what is added to each direction, so that noise is not made loud
ROWS_A_NUMBER = 10  # vectors for each number in them before directions that lean on each other are told apart
MOST_ROWS = 50_000


@dataclass(frozen=True, kw_only=True)
class Placing:
    """`(x - middle) @ turn`: the middle and the spread of vectors in every direction, learnt without any label."""

    middle: Numbers
    turn: Numbers

    @classmethod
    def identity(cls, width: int) -> Self:
        """Vectors stay as they are."""
        return cls(middle=np.zeros(width), turn=np.eye(width))

    @classmethod
    def fit(cls, vectors: Any) -> Self:
        """From unlabelled vectors. Of few the spread of each number alone is taken, and the less of it the fewer."""
        seen = np.asarray(vectors, np.float64)
        seen = seen[:: max(1, len(seen) // MOST_ROWS)]
        rows, width = seen.shape
        middle = seen.mean(axis=0)
        centred = seen - middle
        variances = centred.var(axis=0)
        mean = float(variances.mean())
        if mean <= 1e-24:
            return cls(middle=middle, turn=np.eye(width))
        if rows < ROWS_A_NUMBER * width:
            shrunk = (rows * variances + width * mean) / (rows + width)
            return cls(middle=middle, turn=np.diag((shrunk + FAINTEST * mean) ** -0.5))
        values, turns = np.linalg.eigh(centred.T @ centred / rows)
        scale = (np.maximum(values, 0.0) + FAINTEST * mean) ** -0.5
        return cls(middle=middle, turn=turns * scale @ turns.T)

    def apply(self, vectors: Any) -> Numbers:
        placed: Numbers = (np.asarray(vectors, np.float64) - self.middle) @ self.turn
        return placed
