"""A linear layer and the nearest labelled flows, each with a share of the answer.

They err in different places: neighbours know flows that were seen before, the layer what is common to a class.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...models.encoder import LinearHead
from .head import Head, softmax
from .neighbours import NeighboursHead
from .placing import Placing
from .probe import ProbeHead

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # of the neighbours: what held-out flows choose from


class JoinedHead(Head):
    """The mean of a linear layer's and of the neighbours' probabilities.

    Args:
        share: Of the neighbours.
        columns: How many numbers of a vector, from the first, say how near a flow is; 0 are all.
        neighbours: How many have a vote.
        temperature: Of the votes: at a difference of this much in likeness a vote is worth 1/e.
    """

    LEARNT = ("weights_", "offsets_", "vectors_", "codes_")
    weights_: npt.NDArray[Any]

    def __init__(self, share: float = 0.5, columns: int = 0, neighbours: int = 5, temperature: float = 0.1) -> None:
        self.share = share
        self.columns = columns
        self.neighbours = neighbours
        self.temperature = temperature

    @classmethod
    def from_linear(
        cls,
        linear: LinearHead,
        classes: npt.NDArray[Any],
        vectors: npt.NDArray[np.float32],
        codes: npt.NDArray[np.int64],
        *,
        reference: npt.NDArray[np.float32],
        columns: int,
    ) -> Self:
        """A layer that was taught elsewhere, beside the flows that taught it. `reference` tells what is common."""
        head = cls(columns=columns)
        width = vectors.shape[1]
        seen = Placing.fit(reference[:, :columns])
        middle, turn = np.zeros(width), np.eye(width)
        middle[:columns], turn[:columns, :columns] = seen.middle, seen.turn
        head.classes_, head.n_features_in_, head.placing_ = classes, width, Placing(middle=middle, turn=turn)
        head.weights_ = np.linalg.solve(turn, linear.weights.T).T
        head.offsets_ = linear.offsets + linear.weights @ middle
        head._remember(head.placing_.apply(vectors), codes)
        return head

    def choose_share(self, vectors: npt.NDArray[np.float32], codes: npt.NDArray[np.int64]) -> None:
        """The share with the best macro F1 on labelled flows that it has not learnt from; the least of equal ones."""
        from ...models.linear import macro_f1

        layer, near = self._both(self.placing_.apply(vectors))
        found = [
            macro_f1(codes, ((1 - share) * layer + share * near).argmax(axis=1), len(self.classes_)) for share in SHARES
        ]
        self.share = SHARES[int(np.argmax(found))]

    def _learn(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None:
        probe = ProbeHead()
        probe.classes_ = self.classes_
        probe._learn(vectors, codes)
        self.weights_, self.offsets_ = probe.weights_, probe.offsets_
        self._remember(vectors, codes)

    def _remember(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None:
        near = self._near()
        near._learn(vectors[:, : self.columns or None], codes)
        self.vectors_, self.codes_ = near.vectors_.astype(np.float32), codes

    def _probabilities(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        layer, near = self._both(vectors)
        return (1 - self.share) * layer + self.share * near

    def _both(self, vectors: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        near = self._near()
        near.classes_, near.vectors_, near.codes_ = self.classes_, self.vectors_, self.codes_
        layer = softmax(vectors @ self.weights_.T + self.offsets_)
        return layer, near._probabilities(vectors[:, : self.columns or None])

    def _near(self) -> NeighboursHead:
        return NeighboursHead(neighbours=self.neighbours, temperature=self.temperature)
