"""How classes lie in a latent space, and where augmented flows land in it. Vectors are compared by direction.

`alignment` and `uniformity` are those of Wang and Isola (2020), over pairs of one class in place of augmented pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import TaskError
from .metrics import CHUNK_ROWS, Labels, Vectors, normalised, purity, silhouette

Floats = npt.NDArray[np.float32]
TEMPERATURE = 2.0
NEIGHBOURS = 10


def latent_measures(vectors: Vectors, truth: Labels) -> dict[str, float]:
    """Of labelled vectors. Classes that lie apart have a high silhouette and purity, the others low.

    `intra` and `inter` are mean distances within a class and between classes; `ratio` is the first over the second.
    """
    unit = normalised(vectors)
    classes, codes = np.unique(truth, return_inverse=True)
    if len(classes) < 2:
        raise TaskError(
            f"tasks: a latent space is measured by its classes, but there is {len(classes)}",
            hint="give labelled flows of two classes or more",
        )
    intra, inter, aligned, spread = _pairs(unit, codes)
    return {
        "silhouette": silhouette(unit, truth),
        "davies_bouldin": davies_bouldin(unit, codes),
        "alignment": aligned,
        "uniformity": spread,
        "intra": intra,
        "inter": inter,
        "ratio": intra / inter if inter > 0 else float("nan"),
        "purity": purity(unit, truth, neighbours=(NEIGHBOURS,))[NEIGHBOURS],
    }


def davies_bouldin(vectors: Vectors, codes: npt.NDArray[np.int64]) -> float:
    """How wide classes are against how far apart their means lie, each with its worst neighbour; 0 is best."""
    wide = np.asarray(vectors, np.float64)
    means = np.stack([wide[codes == one].mean(axis=0) for one in range(int(codes.max()) + 1)])
    widths = np.array([np.linalg.norm(wide[codes == one] - mean, axis=1).mean() for one, mean in enumerate(means)])
    apart = np.linalg.norm(means[:, None] - means[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    ratio = (widths[:, None] + widths[None]) / np.maximum(apart, 1e-300)
    return float(ratio.max(axis=1).mean())


def landing(
    augmented: Vectors, classes: Labels, train: Vectors, train_classes: Labels, test: Vectors, test_classes: Labels
) -> dict[str, float]:
    """Where augmented flows land: by the nearest training and test flow of their class, and by the nearest of others.

    `kept` is the share whose nearest training flow is of their class, `to_train` and `to_test` mean distances to the
    nearest of their class, and `toward_test` the share that is nearer to a test flow of its class than to a training
    flow. `reach` is the share of test flows that have an augmented flow of their class nearer than any training flow.
    """
    new, old, asked = normalised(augmented), normalised(train), normalised(test)
    own_train, other_train = _nearest_by_class(new, classes, old, train_classes)
    own_test, _ = _nearest_by_class(new, classes, asked, test_classes)
    from_train, _ = _nearest_by_class(asked, test_classes, old, train_classes)
    from_new, _ = _nearest_by_class(asked, test_classes, new, classes)
    return {
        "kept": float((own_train < other_train).mean()),
        "to_train": _finite_mean(own_train),
        "to_test": _finite_mean(own_test),
        "toward_test": float((own_test < own_train).mean()),
        "reach": float((from_new < from_train).mean()),
    }


def _nearest_by_class(left: Floats, left_classes: Labels, right: Floats, right_classes: Labels) -> tuple[Any, Any]:
    """For each vector on the left the distance to the nearest on the right of its class, and of any other class."""
    own, other = np.full(len(left), np.inf), np.full(len(left), np.inf)
    for first in range(0, len(left), CHUNK_ROWS):
        rows = slice(first, first + CHUNK_ROWS)
        far = _distances(left[rows], right)
        same = left_classes[rows][:, None] == right_classes[None]
        own[rows] = np.where(same, far, np.inf).min(axis=1, initial=np.inf)
        other[rows] = np.where(same, np.inf, far).min(axis=1, initial=np.inf)
    return own, other


def _pairs(unit: Floats, codes: npt.NDArray[np.int64]) -> tuple[float, float, float, float]:
    """Mean distance within and between classes, mean squared distance within, log mean of exp(-2 distance²)."""
    within = between = squared = scattered = 0.0
    pairs = strangers = every = 0
    for first in range(0, len(unit), CHUNK_ROWS):
        rows = np.arange(first, min(first + CHUNK_ROWS, len(unit)))
        far = _distances(unit[rows], unit)
        same = codes[rows][:, None] == codes[None]
        itself = np.zeros_like(same)
        itself[np.arange(len(rows)), rows] = True
        own = same & ~itself
        within += float(far[own].sum())
        squared += float((far[own] ** 2).sum())
        between += float(far[~same].sum())
        scattered += float(np.exp(-TEMPERATURE * far[~itself] ** 2).sum())
        pairs, strangers, every = pairs + int(own.sum()), strangers + int((~same).sum()), every + far.size - len(rows)
    return (
        within / pairs if pairs else float("nan"),
        between / strangers,
        squared / pairs if pairs else float("nan"),
        float(np.log(scattered / every)),
    )


def _distances(left: Floats, right: Floats) -> npt.NDArray[np.float64]:
    """Euclid between vectors of length 1 (or 0)."""
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2.0 * left @ right.T
    found: npt.NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0).astype(np.float64))
    return found


def _finite_mean(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
