"""Where in a latent space more flows are wanted: where a class is thin, or where it comes close to another.

A generator that was told the vector of each flow is asked for flows near vectors that are drawn here, between a shown
flow and one of its nearest of the same class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from ..errors import TaskError
from .metrics import CHUNK_ROWS, nearest, normalised

Where = Literal["as-learnt", "thin", "boundary"]
WHERE = get_args(Where)
NEIGHBOURS = 5
SHARPNESS = 2.0  # a flow twice as far from its neighbours is asked for four times as often
FURTHEST = 2.0  # between vectors of length 1
NO_DISTANCE = 1e-3  # so that flows on top of each other are asked for too
FLOOR = 0.05  # of the mean, which is added to all
Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownVectors:
    """Latent vectors of shown flows, of length √L so that their numbers are of order 1, and the class of each."""

    vectors: Floats
    codes: Codes

    @classmethod
    def of(cls, vectors: npt.NDArray[np.generic], codes: Codes) -> ShownVectors:
        unit = normalised(vectors)
        return cls(vectors=(unit * np.sqrt(unit.shape[1])).astype(np.float32), codes=codes)

    def asked(
        self, classes: npt.NDArray[np.bool_], flows: int, rng: np.random.Generator, where: Where
    ) -> tuple[Floats, Codes]:
        """Vectors and classes to ask for: as often as learnt, or more where a class is thin or another one is near.

        Classes keep their shares; `classes` says which are wanted.
        """
        where = checked_place(where)
        rows = np.flatnonzero(classes[self.codes])
        wanted = weights(self.vectors, self.codes, where)[rows]
        totals = np.bincount(self.codes[rows], weights=wanted, minlength=len(classes))
        counts = np.bincount(self.codes[rows], minlength=len(classes))
        chance = wanted * counts[self.codes[rows]] / totals[self.codes[rows]]
        drawn = rows[rng.choice(len(rows), flows, p=chance / chance.sum())]
        near = _neighbours_of_class(self.vectors, self.codes)[drawn]
        partner = near[np.arange(flows), rng.integers(0, near.shape[1], flows)]
        part = rng.random((flows, 1)).astype(np.float32) * 0.5
        between = (1 - part) * self.vectors[drawn] + part * self.vectors[partner]
        return between.astype(np.float32), self.codes[drawn]


def checked_place(where: str) -> Where:
    if where not in WHERE:
        raise TaskError(f"generate: `{where}` is no place to ask for", hint=f"choose from {', '.join(WHERE)}")
    return cast(Where, where)


def weights(vectors: Floats, codes: Codes, where: Where) -> npt.NDArray[np.float64]:
    """How much each flow's place is wanted."""
    if where == "as-learnt":
        return np.ones(len(vectors))
    unit = normalised(vectors)
    own, other = np.zeros(len(unit)), np.zeros(len(unit))
    for first in range(0, len(unit), CHUNK_ROWS):
        rows = np.arange(first, min(first + CHUNK_ROWS, len(unit)))
        far = np.sqrt(np.maximum(2.0 - 2.0 * (unit[rows] @ unit.T), 0.0)).astype(np.float64)
        same = codes[rows][:, None] == codes[None]
        theirs = np.where(same, np.inf, far)
        far[np.arange(len(rows)), rows] = np.inf
        mine = np.sort(np.where(same, far, np.inf), axis=1)[:, :NEIGHBOURS]
        own[rows] = np.where(np.isfinite(mine), mine, 0.0).sum(axis=1) / np.maximum(np.isfinite(mine).sum(axis=1), 1)
        other[rows] = theirs.min(axis=1)
    other = np.where(np.isfinite(other), other, FURTHEST)
    wanted = own if where == "thin" else (own + NO_DISTANCE) / (other + NO_DISTANCE)
    return np.asarray((wanted + NO_DISTANCE + FLOOR * wanted.mean()) ** SHARPNESS)


def _neighbours_of_class(vectors: Floats, codes: Codes) -> Codes:
    """Up to five nearest others of the class of each flow; a flow that is alone stands for its own."""
    unit = normalised(vectors)
    found = np.tile(np.arange(len(unit))[:, None], (1, NEIGHBOURS)).astype(np.int64)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        if len(rows) < 2:
            continue
        alike = unit[rows] @ unit[rows].T
        np.fill_diagonal(alike, -np.inf)
        near = rows[nearest(alike, min(NEIGHBOURS, len(rows) - 1))]
        found[rows] = near[:, np.arange(NEIGHBOURS) % near.shape[1]]
    return found
