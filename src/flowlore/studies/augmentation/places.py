"""Flows of a few classes on a plane: shown, changed and asked ones, before and after a network was taught."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.augment.settings import AugmentSettings
from ...tasks.projection import project
from .encoder_network import Learner
from .shown import Flows

CLASSES = 6  # those with the most asked flows
SHOWN, ASKED = 15, 40  # of each class; as many changed flows as shown ones
KINDS = ("shown", "changed", "asked")
SIDE = 1000  # places are whole numbers from 0 to this


def drawn_places(network: Learner, plain: Learner, flows: Flows, settings: AugmentSettings) -> dict[str, Any]:
    """Class and kind of each flow, and where it stands `before` and `after`."""
    rng = np.random.default_rng(0)
    often = np.argsort(-np.bincount(flows.codes[flows.test], minlength=flows.classes), kind="stable")[:CLASSES]
    shown = _some_of_each(flows.shown, flows.codes, often, SHOWN, rng)
    asked = _some_of_each(flows.test, flows.codes, often, ASKED, rng)
    series, codes = flows.series.take(shown), flows.codes[shown]
    groups = [series]
    kinds = [np.zeros(len(shown), np.int64)]
    if settings.transforms:
        groups.append(flows.changed(shown, settings, rng))
        kinds.append(np.full(len(shown), 1))
    groups.append(flows.series.take(asked))
    kinds.append(np.full(len(asked), 2))
    truth = np.concatenate([*([codes] * (len(groups) - 1)), flows.codes[asked]])
    return {
        "codes": np.searchsorted(np.sort(often), truth).tolist(),
        "kinds": np.concatenate(kinds).tolist(),
        **{
            name: _places(np.concatenate([model.embed(one) for one in groups]))
            for name, model in (("before", plain), ("after", network))
        },
    }


def _some_of_each(
    rows: npt.NDArray[np.int64],
    codes: npt.NDArray[np.int64],
    classes: npt.NDArray[np.int64],
    most: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    kept = [rng.permutation(rows[codes[rows] == one])[:most] for one in classes]
    return np.sort(np.concatenate(kept))


def _places(vectors: npt.NDArray[np.float32]) -> list[list[int]]:
    places = project(vectors, rng=np.random.default_rng(0)).places.astype(np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    scaled = (places - low) / max(float((high - low).max()), 1e-9) * SIDE
    return [[round(across), round(down)] for across, down in scaled.tolist()]
