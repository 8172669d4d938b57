"""The simple methods that stand beside every learned answer, on the raw numbers of flows (`tasks/raw.py`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..raw import filled
from .head import Head
from .neighbours import NeighboursHead

FEW_ROWS = 2000


def nearest_raw(rng: np.random.Generator) -> Head:
    """The nearest labelled flow by Euclid, numbers brought to one scale and missing ones set to -1."""
    return NearestRaw()


def extra_trees(rng: np.random.Generator) -> Any:
    """300 extremely randomised trees with scikit-learn's defaults."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    trees = ExtraTreesClassifier(n_estimators=300, random_state=int(rng.integers(2**31)))
    return make_pipeline(FunctionTransformer(filled), trees)


def boosted_trees(rng: np.random.Generator) -> Head:
    """LightGBM that cannot diverge: with its default `min_sum_hessian` many classes do."""
    return BoostedTrees(seed=int(rng.integers(2**31)))


class NearestRaw(NeighboursHead):
    """1-NN on raw numbers."""

    def __init__(self) -> None:
        super().__init__(neighbours=1, metric="euclid")

    def fit(self, X: Any, y: Any) -> NearestRaw:
        super().fit(filled(X), y)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        return super().predict_proba(filled(X))


class BoostedTrees(Head):
    """LightGBM: 40 rounds of 15 leaves for few rows, 300 of 31 for many. NaN stays missing."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, X: Any, y: Any) -> BoostedTrees:
        import lightgbm

        self.classes_, codes = np.unique(y, return_inverse=True)
        few = len(codes) < FEW_ROWS
        parameters = {
            "objective": "multiclass",
            "num_class": max(len(self.classes_), 2),
            "learning_rate": 0.1 if few else 0.08,
            "num_leaves": 15 if few else 31,
            "min_data_in_leaf": max(1, int(np.bincount(codes).min()) // 5),
            "min_sum_hessian_in_leaf": 1.0,
            "lambda_l2": 1.0,
            "seed": self.seed,
            "verbosity": -1,
            "deterministic": True,
            "force_row_wise": True,
        }
        rows = lightgbm.Dataset(np.asarray(X, np.float64), codes, free_raw_data=True)
        self.booster_ = lightgbm.train(parameters, rows, num_boost_round=40 if few else 300)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        return np.asarray(self.booster_.predict(np.asarray(X, np.float64)))[:, : len(self.classes_)]

    def _learn(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None:
        raise NotImplementedError("`fit` learns, as missing numbers stay missing")

    def _probabilities(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return self.predict_proba(vectors)
