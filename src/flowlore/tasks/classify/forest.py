"""Extremely randomised trees over a flow's vector and its plain numbers side by side.

Trees take what is exact (a size, a counter) from the numbers, and from the vector what flows of a kind have in common.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...flows.compiled import compiled
from .head import Head
from .placing import Placing

MOST_NODES = 4_000_000  # in all trees together: of many labelled flows trees stop growing earlier
LEAF = -1
TINY = 1e-12


class ForestHead(Head):
    """Trees that each look at random cuts of random numbers; the answer is the mean of the shares in their leaves.

    Args:
        trees: How many.
        seed: Of every random choice.
    """

    sees_numbers: ClassVar[bool] = True
    LEARNT = ("features_", "cuts_", "children_", "roots_", "leaf_starts_", "leaf_classes_", "leaf_shares_")

    def __init__(self, trees: int = 300, seed: int = 0) -> None:
        self.trees = trees
        self.seed = seed

    def _placing(self, common: npt.NDArray[np.float64]) -> Placing:
        """Numbers stay on the scales they have: trees do not mind."""
        return Placing.identity(common.shape[1])

    def _learn(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None:
        from sklearn.ensemble import ExtraTreesClassifier

        used = np.flatnonzero(vectors.std(axis=0) > 0)
        used = used if len(used) else np.arange(1)
        most_leaves = max(MOST_NODES // (2 * self.trees), 2)
        forest = ExtraTreesClassifier(
            n_estimators=self.trees,
            random_state=self.seed,
            max_leaf_nodes=most_leaves if len(codes) > most_leaves else None,
        ).fit(vectors[:, used].astype(np.float32), codes)
        self._keep([one.tree_ for one in forest.estimators_], used)

    def _keep(self, trees: list[Any], used: npt.NDArray[np.int64]) -> None:
        """All trees' nodes in one list. A leaf's shares are kept for the classes that it has."""
        first = np.cumsum([0, *(tree.node_count for tree in trees)])
        self.roots_ = first[:-1].astype(np.int64)
        children = [np.stack([tree.children_left, tree.children_right], 1) for tree in trees]
        is_leaf = np.concatenate([one[:, 0] == LEAF for one in children])
        moved = np.concatenate([one + start for one, start in zip(children, first, strict=False)])
        self.children_ = np.where(is_leaf[:, None], LEAF, moved).astype(np.int32)
        features = np.concatenate([tree.feature for tree in trees])
        self.features_ = np.where(is_leaf, 0, used[np.where(is_leaf, 0, features)]).astype(np.int32)
        self.cuts_ = np.concatenate([tree.threshold for tree in trees])
        shares = np.concatenate([tree.value[:, 0, :] for tree in trees])
        shares[~is_leaf] = 0.0
        nodes, classes = np.nonzero(shares)
        self.leaf_starts_ = np.searchsorted(nodes, np.arange(len(shares) + 1)).astype(np.int64)
        self.leaf_classes_ = classes.astype(np.int32)
        self.leaf_shares_ = shares[nodes, classes].astype(np.float32)

    def _probabilities(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        found = np.zeros((len(vectors), len(self.classes_)))
        arrays = (self.features_, self.cuts_, self.children_, self.roots_)
        leaves = (self.leaf_starts_, self.leaf_classes_, self.leaf_shares_)
        _ask(np.ascontiguousarray(vectors, np.float32), *arrays, *leaves, found)
        totals = found.sum(axis=1, keepdims=True)
        shares: npt.NDArray[np.float64] = np.where(totals > 0, found / np.maximum(totals, TINY), 1.0 / found.shape[1])
        return shares


@compiled
def _ask(
    numbers: npt.NDArray[np.float32],
    features: npt.NDArray[np.int32],
    cuts: npt.NDArray[np.float64],
    children: npt.NDArray[np.int32],
    roots: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    classes: npt.NDArray[np.int32],
    shares: npt.NDArray[np.float32],
    found: npt.NDArray[np.float64],
) -> None:
    """Every row down every tree. A tree is left after as many steps as there are nodes, whatever a file says."""
    nodes = min(len(features), len(cuts), len(children), len(starts) - 1)
    for row in range(len(numbers)):
        for root in roots:
            node = root
            for _ in range(nodes):
                if node < 0 or node >= nodes or children[node, 0] < 0:
                    break
                feature = features[node]
                if feature < 0 or feature >= numbers.shape[1]:
                    break
                node = np.int64(children[node, 0] if numbers[row, feature] <= cuts[node] else children[node, 1])
            if node < 0 or node >= nodes:
                continue
            for place in range(max(starts[node], 0), min(starts[node + 1], len(classes), len(shares))):
                if 0 <= classes[place] < found.shape[1]:
                    found[row, classes[place]] += shares[place]
