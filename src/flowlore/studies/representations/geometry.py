"""How flows of one class lie together, which needs no head: neighbours' purity, silhouette, clusters."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...tasks.metrics import adjusted_rand, purity, silhouette
from ..bench import Bench
from ..study import Run
from .encoders import encoded
from .examination import joined_numbers

CLUSTERINGS = 5  # numbers of clusters from half the classes to twice as many


def measure(run: Run, bench: Bench) -> dict[str, Any]:
    """Over flows of the test side, a sample of them at the smaller scales."""
    from sklearn.cluster import KMeans

    material = bench.material(run.data)
    rng = bench.rng(run)
    if "encoder" in run.values:
        vectors = encoded(bench, run).vectors
    else:
        vectors = joined_numbers(material.batch, list(material.facts.modalities), material)
    rows = material.test[rng.permutation(len(material.test))[: bench.scale.probed_rows]]
    chosen, truth = np.asarray(vectors[rows], np.float64), material.labels[rows]
    classes = len(np.unique(truth))
    counts = np.unique(np.linspace(max(classes // 2, 2), 2 * classes, CLUSTERINGS).round().astype(int))
    clusters = {}
    for count in counts[counts < len(rows)]:
        found = KMeans(int(count), n_init=2, random_state=int(rng.integers(2**31))).fit_predict(chosen)
        clusters[str(count)] = {
            "ari": round(adjusted_rand(truth, found), 4),
            "silhouette": round(silhouette(chosen, found), 4),
        }
    return {
        "flows": len(rows),
        "classes": classes,
        "purity": {str(count): round(share, 4) for count, share in purity(chosen, truth).items()},
        "silhouette": round(silhouette(chosen, truth), 4),
        "clusters": clusters,
    }
