"""Series as they would be after an outage or a change of routes, which are rare and must not fool a forecast."""

from __future__ import annotations

import numpy as np

from .representation import Values

OUTAGES, SHIFTS = 0.5, 0.5  # of disturbed series, how many have the one and the other
SHORTEST, SHIFT_SPREAD = 6, 0.7  # steps; of the logarithm


def disturbed(values: Values, rng: np.random.Generator) -> Values:
    """The same [series, features, steps], each series with an outage, or from some step on at another level."""
    out = values.copy()
    steps = values.shape[2]
    for row in range(len(values)):
        begin = int(rng.integers(0, max(steps - SHORTEST, 1)))
        if rng.random() < OUTAGES:
            length = int(np.exp(rng.uniform(np.log(SHORTEST), np.log(max(steps // 4, SHORTEST + 1)))))
            part = out[row, :, begin : begin + length]
            out[row, :, begin : begin + length] = np.where(np.isnan(part), np.nan, 0.0)
        else:
            out[row, :, begin:] *= np.exp(SHIFT_SPREAD * rng.normal())
    return out
