"""Values as bins: bin 0 is exactly zero, the others are quantiles of the logarithm of what the training time held.

A scale for each series comes first, so that a bin means the same for a small host and for a backbone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError

Values = npt.NDArray[np.float64]
SMALLEST = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """`edges` [features, bins - 1] between the bins above zero, `centres` [features, bins] their medians."""

    edges: npt.NDArray[np.float64]
    centres: npt.NDArray[np.float64]

    @property
    def count(self) -> int:
        """Bins with that of zero; one more stands for what is not known."""
        return int(self.centres.shape[1]) + 1

    @classmethod
    def fit(cls, scaled: Values, bins: int) -> Bins:
        """From values [series, features, steps] in units of their scales; NaN is unknown."""
        edges, centres = [], []
        for feature in range(scaled.shape[1]):
            held = scaled[:, feature]
            held = held[np.isfinite(held) & (held > 0)]
            if not len(held):
                held = np.ones(1)
            levels = np.quantile(held, (np.arange(2 * bins - 1) + 1) / (2 * bins))
            edges.append(levels[1::2])
            centres.append(levels[0::2])
        return cls(edges=np.stack(edges), centres=np.stack(centres))

    def tokens(self, scaled: Values) -> npt.NDArray[np.int16]:
        """The bin of each value [series, features, steps]; `count` where it is not known."""
        out = np.empty(scaled.shape, np.int16)
        for feature in range(scaled.shape[1]):
            values = scaled[:, feature]
            found = 1 + np.searchsorted(self.edges[feature], np.nan_to_num(values), side="right")
            out[:, feature] = np.where(np.isnan(values), self.count, np.where(values <= 0, 0, found))
        return out

    def oracle(self, scaled: Values) -> Values:
        """Each value as the middle of its bin: what one who knew every bin would say."""
        out = np.empty_like(scaled)
        for feature in range(scaled.shape[1]):
            middles = np.concatenate([[0.0], self.centres[feature], [np.nan]])
            out[:, feature] = middles[self.tokens(scaled[:, feature : feature + 1])[:, 0]]
        return out

    def drawn(self, tokens: npt.NDArray[np.int64], feature: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Values within bins at random, even in the logarithm; in the outermost ones their middle."""
        low = np.concatenate([[0.0], self.centres[feature][:1], self.edges[feature]])
        high = np.concatenate([[0.0], self.edges[feature], self.centres[feature][-1:]])
        low, high = np.maximum(low[tokens], SMALLEST), np.maximum(high[tokens], SMALLEST)
        values = np.exp(np.log(low) + rng.random(len(tokens)) * (np.log(high) - np.log(low)))
        return np.where(tokens == 0, 0.0, values)

    def state(self) -> dict[str, Any]:
        return {"edges": self.edges.tolist(), "centres": self.centres.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Bins:
        edges, centres = np.asarray(state["edges"], np.float64), np.asarray(state["centres"], np.float64)
        if edges.ndim != 2 or centres.shape != (len(edges), edges.shape[1] + 1):
            raise ModelError("models: the bins of this decoder are damaged", hint="train it again")
        return cls(edges=edges, centres=centres)


def counted_logs(tokens: npt.NDArray[np.integer[Any]], bins: int) -> npt.NDArray[np.float32]:
    """Logarithm of how often a bin follows another: [features, bins + 1, bins] from tokens [series, features, steps].

    Each row counts as one step more, spread as bins are overall; the last row, of an unknown bin, is that alone.
    """
    out = np.empty((tokens.shape[1], bins + 1, bins), np.float32)
    for feature in range(tokens.shape[1]):
        before, after = tokens[:, feature, :-1].ravel().astype(np.int64), tokens[:, feature, 1:].ravel()
        known = (before < bins) & (after < bins)
        pairs = np.zeros((bins + 1, bins))
        np.add.at(pairs, (before[known], after[known]), 1.0)
        overall = (pairs.sum(axis=0) + 1) / (pairs.sum() + bins)
        out[feature] = np.log((pairs + overall) / (pairs.sum(axis=1, keepdims=True) + 1))
    return out


def scales_of(values: Values) -> Values:
    """Mean of each series and feature [series, features] over its known steps; 1 where it has none or only zeros."""
    known = ~np.isnan(values)
    sums = np.where(known, values, 0.0).sum(axis=2)
    means = sums / np.maximum(known.sum(axis=2), 1)
    return np.asarray(np.where(means > 0, means, 1.0))
