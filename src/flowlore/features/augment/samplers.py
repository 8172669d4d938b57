"""Which training flows a step sees when classes differ in number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]


def class_weights(codes: Codes, exponent: float) -> npt.NDArray[np.float64]:
    """The chance of each flow, summing to 1: the number of flows of its class to the power of minus `exponent`.

    0 draws flows as they are, 1 every class alike, one half lies between.

    >>> class_weights(np.array([0, 0, 0, 1]), 1.0).round(3).tolist()
    [0.167, 0.167, 0.167, 0.5]
    """
    if not len(codes):
        return np.zeros(0)
    counts = np.bincount(codes)
    weights = counts[codes].astype(np.float64) ** -exponent
    return np.asarray(weights / weights.sum())


def draw_rows(codes: Codes, count: int, exponent: float, rng: np.random.Generator) -> Codes:
    """So many rows: each flow once in any order and again from the start where `exponent` is 0, else by weight."""
    if exponent == 0.0:
        rounds = [rng.permutation(len(codes)) for _ in range(-(-count // max(len(codes), 1)))]
        return np.concatenate(rounds)[:count].astype(np.int64) if rounds else np.zeros(0, np.int64)
    return rng.choice(len(codes), count, p=class_weights(codes, exponent)).astype(np.int64)
