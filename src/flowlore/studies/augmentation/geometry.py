"""What can be measured of a latent space and of changed flows in it without the label of any flow that is asked.

Shown flows have labels, which may be used; flows of the validation side stand for traffic that nobody has labelled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.augment.settings import AugmentSettings
from ...tasks.latent import landing, latent_measures
from ...tasks.metrics import CHUNK_ROWS, normalised, rounded
from .encoder_network import Learner
from .shown import Flows

# Short name → what it is. `after` is the network that was taught with the arm, `before` one taught without.
MEASURES = {
    "after.silhouette": "silhouette of shown flows, after",
    "after.davies_bouldin": "Davies-Bouldin of shown flows, after",
    "after.alignment": "alignment of shown flows, after",
    "after.uniformity": "uniformity of shown flows, after",
    "after.intra": "distance within classes of shown flows, after",
    "after.inter": "distance between classes of shown flows, after",
    "after.ratio": "within over between, of shown flows, after",
    "after.purity": "purity of shown flows, after",
    "unlabelled.confidence": "mean confidence on unlabelled flows, after",
    "unlabelled.distance": "distance of unlabelled flows to the nearest shown, after",
    "unlabelled.uniformity": "uniformity of unlabelled flows, after",
    "copies.alignment_after": "distance of a changed flow to its own, after",
    "copies.alignment": "distance of a changed flow to its own, before",
    "copies.kept": "changed flows whose nearest shown flow is of their class, before",
    "copies.to_train": "distance of changed flows to the nearest shown of their class, before",
    "copies.reach": "unlabelled flows with a changed flow nearer than any shown, before",
    "copies.confidence": "mean confidence on changed flows, before",
}
# Not free of labels: what the arms were chosen by, and what only the truth tells.
WITH_LABELS = {
    "validation.macro_f1": "macro F1 on labelled validation flows",
    "truth.silhouette": "silhouette of asked flows by their true classes, after",
    "truth.davies_bouldin": "Davies-Bouldin of asked flows by their true classes, after",
    "truth.purity": "purity of asked flows by their true classes, after",
    "truth.toward_test": "changed flows nearer to an asked flow of their class than to a shown, before",
    "truth.reach": "asked flows with a changed flow of their class nearer than any shown, before",
}
Floats = npt.NDArray[np.float32]


def label_free_measures(
    network: Learner, plain: Learner, flows: Flows, settings: AugmentSettings, most: int
) -> dict[str, Any]:
    """Groups of measures over at most so many flows of each kind; those under `truth` look at test labels."""
    rng = np.random.default_rng(0)
    shown, unlabelled, asked = (_some(rows, most, rng) for rows in (flows.shown, flows.validation, flows.test))
    codes, truth = flows.codes[shown], flows.codes[asked]
    series = flows.series.take(shown)
    after = network.embed(series)
    others = flows.series.take(unlabelled)
    strange = network.embed(others)
    found: dict[str, Any] = {"after": latent_measures(after, codes)}
    found["unlabelled"] = {
        "confidence": _confidence(network, others),
        "distance": _mean(_nearest(strange, after)),
        "uniformity": _uniformity(strange),
    }
    theirs = network.embed(flows.series.take(asked))
    measured = latent_measures(theirs, truth)
    found["truth"] = {name: measured[name] for name in ("silhouette", "davies_bouldin", "purity")}
    if settings.transforms:
        changed = flows.changed(shown, settings, rng)
        old, new = plain.embed(series), plain.embed(changed)
        plain_strange, plain_theirs = plain.embed(others), plain.embed(flows.series.take(asked))
        lands = landing(new, codes, old, codes, plain_theirs, truth)
        found["copies"] = {
            "alignment_after": _apart(network.embed(changed), after),
            "alignment": _apart(new, old),
            "kept": lands["kept"],
            "to_train": lands["to_train"],
            "reach": _mean(_nearest(plain_strange, new) < _nearest(plain_strange, old)),
            "confidence": _confidence(plain, changed),
        }
        found["truth"] |= {name: lands[name] for name in ("toward_test", "reach")}
    return {name: rounded(values) for name, values in found.items()}


def _some(rows: npt.NDArray[np.int64], most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


def _confidence(network: Learner, series: Any) -> float:
    return float(network.predict_proba(series).max(axis=1).mean()) if len(series) else float("nan")


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _apart(left: Floats, right: Floats) -> float:
    """Mean squared distance of each to its own."""
    return float(((normalised(left) - normalised(right)) ** 2).sum(axis=1).mean())


def _nearest(left: Floats, right: Floats) -> npt.NDArray[np.float64]:
    """Distance of each on the left to the nearest on the right."""
    one, other = normalised(left), normalised(right)
    found = [
        np.sqrt(np.maximum(2.0 - 2.0 * (one[first : first + CHUNK_ROWS] @ other.T).max(axis=1), 0.0))
        for first in range(0, len(one), CHUNK_ROWS)
    ]
    return np.concatenate(found).astype(np.float64) if found else np.zeros(0)


def _uniformity(vectors: Floats) -> float:
    unit = normalised(vectors)
    if len(unit) < 2:
        return float("nan")
    squares = np.maximum(2.0 - 2.0 * unit @ unit.T, 0.0)
    each = np.exp(-2.0 * squares)
    np.fill_diagonal(each, 0.0)
    return float(np.log(max(each.sum() / (len(unit) * (len(unit) - 1)), 1e-300)))
