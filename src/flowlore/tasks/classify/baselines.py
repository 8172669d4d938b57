"""The simple methods that stand beside every learned answer, on the raw numbers of flows (`tasks/raw.py`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..raw import PACKETS, filled
from .head import Head
from .neighbours import NeighboursHead
from .placing import Placing

FEW_ROWS = 2000
COUNTERS_WEIGHT, GAPS_WEIGHT = 0.3, 0.1
_FEW = {
    "num_iterations": 100,
    "learning_rate": 0.1,
    "num_leaves": 7,
    "min_data_in_leaf": 2,
    "min_data_in_bin": 1,
    "min_sum_hessian_in_leaf": 0.01,
    "feature_fraction": 0.3,
}
_MANY = {
    "num_iterations": 300,
    "learning_rate": 0.08,
    "num_leaves": 31,
    "min_data_in_leaf": 20,
    "min_sum_hessian_in_leaf": 1.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
}


def nearest_raw(rng: np.random.Generator) -> Head:
    """The nearest labelled flow by Euclid; sizes weigh most."""
    return NearestRaw()


def extra_trees(rng: np.random.Generator) -> Any:
    """300 extremely randomised trees with scikit-learn's defaults, on the numbers that are not the same everywhere."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    trees = ExtraTreesClassifier(n_estimators=300, random_state=int(rng.integers(2**31)))
    return make_pipeline(FunctionTransformer(filled), VarianceThreshold(), trees)


def boosted_trees(rng: np.random.Generator) -> Head:
    """LightGBM that cannot diverge: with its default `min_sum_hessian` many classes do."""
    return BoostedTrees(seed=int(rng.integers(2**31)))


class NearestRaw(NeighboursHead):
    """1-NN on the rows of `raw_matrix`: counters on one scale, sizes in units of 1,500 bytes, gaps as they are."""

    def __init__(self) -> None:
        super().__init__(neighbours=1, metric="euclid")

    def fit(self, X: Any, y: Any, reference: Any = None) -> NearestRaw:
        numbers = filled(X)
        counters = max(numbers.shape[1] - 2 * PACKETS, 0)
        spread = numbers.std(axis=0)
        spread[counters:] = 1.0
        weights = np.full(len(spread), 1.0)
        weights[:counters], weights[counters + PACKETS :] = COUNTERS_WEIGHT, GAPS_WEIGHT
        self.weights_ = np.where(spread > 1e-9, weights / np.maximum(spread, 1e-9), 0.0)
        super().fit(numbers * self.weights_, y)
        self.placing_ = Placing.identity(len(spread))
        self._learn(numbers * self.weights_, np.searchsorted(self.classes_, np.asarray(y)))
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        return super().predict_proba(filled(X) * self.weights_)


class BoostedTrees(Head):
    """LightGBM: 100 rounds of 7 leaves for few rows, 300 of 31 for many. NaN stays missing.

    Leaves of few rows may be as small as the labels are few; of many they may not, or many classes diverge.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, X: Any, y: Any, reference: Any = None) -> BoostedTrees:
        import lightgbm

        self.classes_, codes = np.unique(y, return_inverse=True)
        numbers = np.asarray(X, np.float64)
        self.used_ = np.flatnonzero(filled(numbers).std(axis=0) > 0)
        parameters = {
            "objective": "multiclass",
            "num_class": max(len(self.classes_), 2),
            "lambda_l2": 1.0,
            "seed": self.seed,
            "verbosity": -1,
            "deterministic": True,
            "force_row_wise": True,
            **(_MANY if len(codes) >= FEW_ROWS else _FEW),
        }
        rows = lightgbm.Dataset(numbers[:, self.used_], codes, params=parameters, free_raw_data=True)
        self.booster_ = lightgbm.train(parameters, rows)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        return np.asarray(self.booster_.predict(np.asarray(X, np.float64)[:, self.used_]))[:, : len(self.classes_)]

    def _learn(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None:
        raise NotImplementedError("`fit` learns, as missing numbers stay missing")

    def _probabilities(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return self.predict_proba(vectors)
