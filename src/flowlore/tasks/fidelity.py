"""How faithful made-up flows are: alike in numbers, useful for teaching, varied, and no copies.

Everything is measured on the first packets of flows. `real` are flows that the generator has not seen, `seen` those
that it learnt from; what needs `seen` is left out without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import TaskError
from ..features.augment.packets import PacketSeries
from ..features.augment.tables import series_of_table
from .classify.episodes import labelled
from .metrics import CHUNK_ROWS, scores
from .raw import texts

Numbers = npt.NDArray[np.float64]
Sample = tuple[PacketSeries, npt.NDArray[Any]]
PACKETS = 20
COMPARED = 2000  # flows of each side where every pair is compared
BINS = 50
FEWEST_IN_A_BIN = 5
NEIGHBOURS = 5
FOLDS = 5
BYTES_OF_A_GAP = 100.0  # a gap e times as long is as far away as so many bytes
TREES = 200


def fidelity(made: Any, real: Any, seen: Any = None, *, rng: np.random.Generator) -> dict[str, Any]:
    """Measures as plain values.

    `features` hold Jensen-Shannon (bits, 0 to 1) and Wasserstein distances (in spreads of the real values). `tstr`
    teaches trees on made-up flows and asks real ones, `trts` the other way, `trtr` real both times, all macro F1. A
    `discriminator_auc` of 0.5 cannot tell them apart. `copied` is the share of made-up flows with the packet sizes of a
    seen flow, and `copied_by_chance` that of real flows. A `membership_auc` of 0.5 does not tell who was seen.
    """
    return fidelity_of_series(
        _labelled_series(made, "made-up"),
        _labelled_series(real, "real"),
        None if seen is None else _labelled_series(seen, "seen"),
        rng=rng,
    )


def fidelity_of_series(
    made: Sample, real: Sample, seen: Sample | None = None, *, rng: np.random.Generator
) -> dict[str, Any]:
    """The same of packet series, each with the labels of its flows."""
    sides = {"made": _Side(*made), "real": _Side(*real)} | ({} if seen is None else {"seen": _Side(*seen)})
    fake, true = sides["made"], sides["real"]
    scale = _scale(true.vectors)
    report: dict[str, Any] = {
        "made": len(fake.labels),
        "real": len(true.labels),
        "features": {
            name: {
                "jsd": round(jensen_shannon(fake.features[name], values), 4),
                "wasserstein": round(wasserstein(fake.features[name], values), 4),
            }
            for name, values in true.features.items()
        },
    }
    some_fake, some_true = (_drawn(one.vectors / scale, COMPARED, rng) for one in (fake, true))
    report["mmd"] = round(mmd(some_fake, some_true), 4)
    report |= {name: round(value, 4) for name, value in coverage(some_fake, some_true).items()}
    report["discriminator_auc"] = round(_told_apart(some_fake, some_true, rng), 4)
    report["tstr"] = round(_taught(fake, true, rng), 4)
    if "seen" in sides:
        known = sides["seen"]
        report["trtr"] = round(_taught(known, true, rng), 4)
        report["trts"] = round(_taught(known, fake, rng), 4)
        report["copied"] = round(_copied(fake.signed, known.signed), 4)
        report["copied_by_chance"] = round(_copied(true.signed, known.signed), 4)
        some_seen = _drawn(known.vectors / scale, COMPARED, rng)
        report["membership_auc"] = round(_membership(some_seen, some_true, some_fake), 4)
    return report


class _Side:
    """What is compared of flows: numbers of each, and their labels."""

    def __init__(self, series: PacketSeries, labels: npt.NDArray[Any]) -> None:
        first = series.seen().cut(PACKETS)
        self.labels = labels
        self.signed = first.direction * first.size
        gaps = np.log1p(first.gap_ns / 1000.0)
        self.vectors = np.hstack([self.signed, BYTES_OF_A_GAP * gaps]).astype(np.float64)
        here, later = first.is_packet, first.is_packet.copy()
        later[:, 0] = False
        self.features: Mapping[str, Numbers] = {
            "signed size": self.signed[here].astype(np.float64),
            "log gap": gaps[later],
            "packets": first.lengths.astype(np.float64),
            "log bytes": np.log1p(first.size.sum(axis=1).astype(np.float64)),
            "log duration": np.log1p(first.gap_ns.sum(axis=1) / 1000.0),
            "share answered": (first.direction < 0).sum(axis=1) / np.maximum(first.lengths, 1),
        }


def jensen_shannon(left: Numbers, right: Numbers) -> float:
    """In bits, over bins that hold equal shares of `right`; each edge of a bin is a bin of its own.

    Of few values that hardly repeat there are fewer bins, and edges are none: else two samples of one kind would share
    no bin.
    """
    if not len(left) or not len(right):
        return float("nan")
    exact = np.unique(right)
    repeats = 2 * len(exact) <= len(right)
    is_sparse = not repeats and len(right) < FEWEST_IN_A_BIN * BINS
    if is_sparse:
        shares_of_bins = np.linspace(0, 1, max(2, len(right) // FEWEST_IN_A_BIN) + 1)
        edges = np.unique(np.quantile(right, shares_of_bins[1:-1]))
    else:
        edges = exact if len(exact) <= BINS else np.unique(np.quantile(right, np.linspace(0, 1, BINS + 1)))
    shares = []
    for values in (left, right):
        above = np.searchsorted(edges, values, side="right")
        places = 2 * above if is_sparse else above + np.searchsorted(edges, values)
        counts = np.bincount(places, minlength=2 * len(edges) + 1)
        shares.append(counts / counts.sum())
    middle = (shares[0] + shares[1]) / 2
    found = 0.0
    for share in shares:
        some = share > 0
        found += 0.5 * float((share[some] * np.log2(share[some] / middle[some])).sum())
    return max(found, 0.0)


def wasserstein(left: Numbers, right: Numbers) -> float:
    """Of order 1, in standard deviations of `right`."""
    from scipy.stats import wasserstein_distance

    if not len(left) or not len(right):
        return float("nan")
    return float(wasserstein_distance(left, right) / max(float(right.std()), 1e-9))


def mmd(left: Numbers, right: Numbers) -> float:
    """Maximum mean discrepancy (squared, unbiased) by a Gaussian as wide as the median distance; 0 is alike."""
    if min(len(left), len(right)) < 2:
        return float("nan")
    across = _squares(left, right)
    width = max(float(np.median(across)), 1e-12)
    total = -2.0 * float(np.exp(-across / width).mean())
    for values in (left, right):
        kernel = np.exp(-_squares(values, values) / width)
        np.fill_diagonal(kernel, 0.0)
        total += float(kernel.sum()) / (len(values) * (len(values) - 1))
    return total


def coverage(made: Numbers, real: Numbers) -> dict[str, float]:
    """Share of real flows with a made-up one as near as their fifth real neighbour, and how many there are."""
    if len(real) <= NEIGHBOURS or not len(made):
        return {"coverage": float("nan"), "density": float("nan")}
    among = _squares(real, real)
    radius = np.sort(among, axis=1)[:, NEIGHBOURS]
    inside = _squares(real, made) <= radius[:, None] + 1e-12
    return {"coverage": float(inside.any(axis=1).mean()), "density": float(inside.sum() / (NEIGHBOURS * len(made)))}


def _labelled_series(flows: Any, what: str) -> Sample:
    table = flows.to_arrow()
    series = series_of_table(table, PACKETS)
    labels = texts(flows, "label")
    usable = np.flatnonzero(labelled(labels) & (series.lengths > 0))
    if not len(usable):
        raise TaskError(
            f"fidelity: none of the {what} flows has a label and a packet series",
            hint="give labelled flows of captures",
        )
    return series.take(usable), labels[usable].astype(str)


def _taught(teaching: _Side, asked: _Side, rng: np.random.Generator) -> float:
    """Macro F1 of trees over classes that were taught."""
    from sklearn.ensemble import ExtraTreesClassifier

    known = np.isin(asked.labels, np.unique(teaching.labels))
    if not known.any():
        return float("nan")
    trees = ExtraTreesClassifier(n_estimators=TREES, random_state=int(rng.integers(2**31)))
    trees.fit(teaching.vectors, teaching.labels)
    return scores(asked.labels[known], trees.predict(asked.vectors[known])).macro_f1


def _told_apart(made: Numbers, real: Numbers, rng: np.random.Generator) -> float:
    """Area under the curve of trees that tell made-up from real, each asked about flows that it has not seen."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    count = min(len(made), len(real))
    if count < 2 * FOLDS:
        return float("nan")
    rows = np.concatenate([made[:count], real[:count]])
    truth = np.repeat([0, 1], count)
    seed = int(rng.integers(2**31))
    trees = ExtraTreesClassifier(n_estimators=TREES, min_samples_leaf=2, random_state=seed)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return float(roc_auc_score(truth, cross_val_predict(trees, rows, truth, cv=folds, method="predict_proba")[:, 1]))


def _copied(left: npt.NDArray[np.int32], right: npt.NDArray[np.int32]) -> float:
    """Share of rows on the left that stand on the right too."""
    keys = np.unique(np.concatenate([left, right]), axis=0, return_inverse=True)[1].reshape(-1)
    return float(np.isin(keys[: len(left)], keys[len(left) :]).mean())


def _membership(seen: Numbers, real: Numbers, made: Numbers) -> float:
    """Whether seen flows lie nearer to made-up ones than other real flows do, as an area under the curve."""
    from sklearn.metrics import roc_auc_score

    near = [-_nearest(values, made) for values in (seen, real)]
    return float(roc_auc_score(np.repeat([1, 0], [len(seen), len(real)]), np.concatenate(near)))


def _nearest(left: Numbers, right: Numbers) -> Numbers:
    found = [_squares(left[first : first + CHUNK_ROWS], right).min(axis=1) for first in range(0, len(left), CHUNK_ROWS)]
    return np.concatenate(found)


def _squares(left: Numbers, right: Numbers) -> Numbers:
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2.0 * left @ right.T
    return np.asarray(np.maximum(squares, 0.0))


def _scale(vectors: Numbers) -> Numbers:
    deviation = vectors.std(axis=0)
    return np.where(deviation > 1e-9, deviation, 1.0)


def _drawn(vectors: Numbers, most: int, rng: np.random.Generator) -> Numbers:
    if len(vectors) <= most:
        return vectors
    return vectors[np.sort(rng.choice(len(vectors), most, replace=False))]
