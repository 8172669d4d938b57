"""k nearest labelled flows, each with a vote."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..metrics import CHUNK_ROWS, nearest, normalised
from .head import Head, softmax

Metric = Literal["cosine", "euclid"]


class NeighboursHead(Head):
    """The classes of the nearest labelled flows, nearer ones counting more.

    Args:
        neighbours: How many have a vote; fewer where fewer are labelled.
        metric: `cosine` or `euclid`, between vectors brought to one scale.
        temperature: Of the votes: at a difference of this much in likeness a vote is worth 1/e.
    """

    LEARNT = ("vectors_", "codes_")
    vectors_: npt.NDArray[Any]

    def __init__(self, neighbours: int = 5, metric: Metric = "cosine", temperature: float = 0.1) -> None:
        self.neighbours = neighbours
        self.metric = metric
        self.temperature = temperature

    def _learn(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None:
        self.vectors_ = self._compared(vectors)
        self.codes_ = codes

    def nearest(self, vectors: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Places of the nearest labelled flows, and how alike they are (the more the nearer)."""
        placed = self._compared(vectors)
        count = min(self.neighbours, len(self.vectors_))
        places = np.empty((len(placed), count), np.int64)
        likeness = np.empty((len(placed), count))
        own = (self.vectors_**2).sum(axis=1)
        for first in range(0, len(placed), CHUNK_ROWS):
            part = placed[first : first + CHUNK_ROWS].astype(self.vectors_.dtype, copy=False)
            alike = part @ self.vectors_.T
            if self.metric == "euclid":
                alike = -np.sqrt(np.maximum((part**2).sum(axis=1)[:, None] + own - 2.0 * alike, 0.0))
            places[first : first + len(part)] = nearest(alike, count)
            likeness[first : first + len(part)] = np.take_along_axis(alike, places[first : first + len(part)], axis=1)
        return places, likeness

    def _probabilities(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        places, likeness = self.nearest(vectors)
        votes = softmax(likeness / self.temperature) if len(likeness) else likeness
        shares = np.zeros((len(vectors), len(self.classes_)))
        rows = np.repeat(np.arange(len(vectors)), places.shape[1])
        np.add.at(shares, (rows, self.codes_[places].ravel()), votes.ravel())
        return shares

    def _compared(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return vectors if self.metric == "euclid" else normalised(vectors).astype(np.float64)
