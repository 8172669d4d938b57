"""Vectors → places on a plane where flows that are alike stand close, and how far that picture may be believed.

The method is that of UMAP (McInnes, Healy, Melville 2018) with a Cauchy curve: each vector is tied to its nearest
neighbours by cosine, ties pull, everything else pushes. It begins from the two main components and runs on one core, so
that the same vectors and seed give the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import TaskError
from .metrics import normalised

Places = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

NEIGHBOURS = 15
SPREAD = 10.0  # half the width of the first picture, that of the main components
EPOCHS_OF_FEW, EPOCHS_OF_MANY, MANY_ROWS = 400, 200, 10_000
EPOCHS_OF_NEW = 60
CHUNK_ROWS = 256
SAME = 1.0 - 1e-6  # cosine from which two vectors count as one
ROUNDING = 2e4  # vectors equal to a 20,000th of their length stand at one place
COPY_STEP, COPIES_REACH = 0.02, 0.35  # copies lie around their place like seeds of a sunflower
MEASURED_ROWS, MEASURED_AT_ONCE = 1000, 64


@dataclass(frozen=True, kw_only=True)
class Faith:
    """How true a picture is, from 0.5 (as good as chance) to 1.

    `trustworthiness`: flows that stand close are alike. `continuity`: flows that are alike stand close.
    """

    trustworthiness: float
    continuity: float
    neighbours: int
    rows: int  # distinct vectors that were asked

    def as_json(self) -> dict[str, Any]:
        return {
            "trustworthiness": round(self.trustworthiness, 4),
            "continuity": round(self.continuity, 4),
            "neighbours": self.neighbours,
            "rows": self.rows,
        }


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A picture of some vectors. `places` holds a row for each; `known` and `known_places` those that differ."""

    places: Places
    known: npt.NDArray[np.float32]
    known_places: Places
    faith: Faith
    faith_of_components: Faith  # the same of the two main components, the simplest picture
    seed: int

    def place(self, vectors: Any) -> Places:
        """Where further vectors stand, each by itself; a copy of a known one stands at the place of that one."""
        from .projection_kernels import settle_new

        unit = normalised(vectors)
        if not len(self.known) or not len(unit):
            return np.zeros((len(unit), 2), np.float32)
        rows, alike = nearest_rows(unit, self.known, min(NEIGHBOURS, len(self.known)))
        ties = _ties(alike)
        places = np.einsum("nk,nkd->nd", ties / ties.sum(axis=1, keepdims=True), self.known_places[rows])
        placed = np.ascontiguousarray(places, np.float32)
        if len(self.known) > NEIGHBOURS:
            settle_new(placed, self.known_places, rows, ties, EPOCHS_OF_NEW, self.seed)
        is_copy = alike[:, 0] >= SAME
        placed[is_copy] = self.known_places[rows[is_copy, 0]]
        return placed


def project(vectors: Any, *, rng: np.random.Generator, neighbours: int = NEIGHBOURS) -> Projection:
    """Place vectors on a plane."""
    unit = normalised(vectors)
    if not np.isfinite(unit).all():
        raise TaskError("tasks: vectors with NaN or infinities have no place on a map", hint="train the bundle again")
    known, inverse = _distinct(unit)
    seed = int(rng.integers(2**62))
    components = _main_components(known)
    places = _settled(known, components, neighbours, seed)
    places -= (places.min(axis=0) + places.max(axis=0)) / 2 if len(places) else np.float32(0)
    return Projection(
        places=_spread_copies(places, inverse),
        known=known,
        known_places=places,
        faith=faith(known, places, rng=np.random.default_rng(seed)),
        faith_of_components=faith(known, components, rng=np.random.default_rng(seed)),
        seed=seed,
    )


def faith(
    vectors: Any, places: Any, *, rng: np.random.Generator, neighbours: int = NEIGHBOURS, most_rows: int = MEASURED_ROWS
) -> Faith:
    """Trustworthiness and continuity (Venna and Kaski 2001) of `places`; of many rows, some are asked about all."""
    from .projection_kernels import ranks_beyond

    rows, count = len(vectors), min(neighbours, (len(vectors) - 1) // 2)
    if count < 1:
        return Faith(trustworthiness=1.0, continuity=1.0, neighbours=0, rows=rows)
    asked = np.sort(rng.permutation(rows)[:most_rows])
    far, seen_as = np.asarray(vectors, np.float64), np.asarray(places, np.float64)
    beyond = np.zeros(2)
    for first in range(0, len(asked), MEASURED_AT_ONCE):
        own = asked[first : first + MEASURED_AT_ONCE]
        truth, picture = squared_distances(far, own), squared_distances(seen_as, own)
        beyond += ranks_beyond(truth, picture, own, count), ranks_beyond(picture, truth, own, count)
    kept = 1.0 - 2.0 * beyond / (len(asked) * count * (2.0 * rows - 3.0 * count - 1.0))
    return Faith(trustworthiness=float(kept[0]), continuity=float(kept[1]), neighbours=count, rows=len(asked))


def squared_distances(vectors: npt.NDArray[np.float64], rows: Rows) -> npt.NDArray[np.float64]:
    """From these rows to every vector."""
    lengths = (vectors**2).sum(axis=1)
    found: npt.NDArray[np.float64] = lengths[rows, None] + lengths - 2.0 * (vectors[rows] @ vectors.T)
    return np.maximum(found, 0.0, out=found)


def nearest_rows(
    unit: npt.NDArray[np.float32], known: npt.NDArray[np.float32], count: int, *, is_self: bool = False
) -> tuple[Rows, npt.NDArray[np.float32]]:
    """For each vector of length 1 the rows of the most alike, exactly, and their cosines; with `is_self` not itself."""
    from .projection_kernels import keep_largest

    rows = np.empty((len(unit), count), np.int64)
    alike = np.empty((len(unit), count), np.float32)
    for first in range(0, len(unit), CHUNK_ROWS):
        part = unit[first : first + CHUNK_ROWS] @ known.T
        own = np.arange(first, first + len(part)) if is_self else np.full(len(part), -1)
        keep_largest(part, own, rows[first : first + len(part)], alike[first : first + len(part)])
    return rows, alike


def _distinct(unit: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], Rows]:
    """Vectors that differ, in the order of their first row, and which of them each row is."""
    if not len(unit):
        return unit, np.zeros(0, np.int64)
    rounded = np.ascontiguousarray(np.rint(unit * ROUNDING).astype(np.int16))
    keys = rounded.view(np.dtype((np.void, rounded.dtype.itemsize * rounded.shape[1]))).ravel()
    _, firsts, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return np.ascontiguousarray(unit[firsts[order]]), rank[inverse.ravel()]


def _main_components(unit: npt.NDArray[np.float32]) -> Places:
    """The two directions in which vectors differ most, scaled; the sign is that of the largest weight."""
    found = np.zeros((len(unit), 2), np.float32)
    if len(unit) < 2 or unit.shape[1] < 2:
        return found
    centred = unit.astype(np.float64) - unit.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    chosen = directions[:, ::-1][:, :2]
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), [0, 1]])
    places = centred @ chosen
    found[:] = places * (SPREAD / max(float(np.abs(places).max()), 1e-12))
    return found


def _settled(unit: npt.NDArray[np.float32], components: Places, neighbours: int, seed: int) -> Places:
    """Places after ties have pulled and the rest has pushed. Too few vectors stay where their components are."""
    from .projection_kernels import settle

    places = components.copy()
    count = min(neighbours, len(unit) - 1)
    if count < 3:
        return places
    rows, alike = nearest_rows(unit, unit, count, is_self=True)
    heads, tails, weights = _graph(rows, _ties(alike))
    places += np.random.default_rng(seed).normal(0, 1e-4, places.shape).astype(np.float32)
    epochs = EPOCHS_OF_FEW if len(unit) <= MANY_ROWS else EPOCHS_OF_MANY
    strong = weights >= weights.max() / epochs  # weaker ties would never be drawn
    settle(places, heads[strong], tails[strong], weights.max() / weights[strong], epochs, seed)
    return places


def _ties(alike: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How strongly each is tied to its neighbours: 1 to the nearest, all together log2 of how many they are."""
    from .projection_kernels import widths_of_ties

    distances = np.sqrt(np.maximum(2.0 - 2.0 * alike, 0.0)).astype(np.float32)
    nearest = distances[:, :1]
    width = widths_of_ties(distances, float(np.log2(max(alike.shape[1], 2))))
    ties: npt.NDArray[np.float32] = np.exp(-(distances - nearest) / width[:, None]).astype(np.float32)
    np.maximum(ties, np.float32(1e-6), out=ties)
    return ties


def _graph(rows: Rows, ties: npt.NDArray[np.float32]) -> tuple[Rows, Rows, npt.NDArray[np.float32]]:
    """Ties in both directions, a + b - ab strong where one side has a and the other b."""
    from scipy.sparse import csr_array

    count, each = rows.shape
    one_way = csr_array((ties.ravel(), rows.ravel(), np.arange(0, count * each + 1, each)), shape=(count, count))
    other_way = one_way.T.tocsr()
    both = (one_way + other_way - one_way * other_way).tocoo()
    return both.row.astype(np.int64), both.col.astype(np.int64), both.data.astype(np.float32)


def _spread_copies(places: Places, inverse: Rows) -> Places:
    """A place for every row: the first copy at the place itself, the others around it."""
    if not len(inverse):
        return places
    copies = np.bincount(inverse, minlength=len(places))
    order = np.argsort(inverse, kind="stable")
    rank = np.empty(len(inverse), np.int64)
    rank[order] = np.arange(len(inverse)) - np.searchsorted(inverse[order], inverse[order])
    step = np.minimum(COPY_STEP, COPIES_REACH / np.sqrt(copies))[inverse]
    radius, angle = step * np.sqrt(rank), rank * np.pi * (3.0 - np.sqrt(5.0))
    around = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    found: Places = (places[inverse] + around).astype(np.float32)
    return found
