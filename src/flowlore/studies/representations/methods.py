"""Everything that learns from labels here, behind one call: rows that are shown, rows that are asked, answers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..study import ALL_LABELS, Scale

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
HEADS = ("probe", "knn", "prototypes")
TREES = ("1-nn", "random-forest", "extra-trees", "lightgbm")


@dataclass(frozen=True, kw_only=True)
class Taught:
    """Probabilities for the asked rows, and what they cost. Times are of the processor, not of the clock."""

    classes: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float64]
    parameters: int | None
    train_s: float
    ask_s: float

    @property
    def answers(self) -> npt.NDArray[Any]:
        given: npt.NDArray[Any] = self.classes[self.probabilities.argmax(axis=1)]
        return given


def shown_rows(train: Rows, labels: npt.NDArray[Any], shots: int, rng: np.random.Generator) -> Rows:
    """`shots` rows of each class, or all that a smaller class has; no class is dropped."""
    if shots == ALL_LABELS:
        return train
    drawn = [rng.permutation(train[labels[train] == one])[:shots] for one in np.unique(labels[train])]
    return np.sort(np.concatenate(drawn))


def teach_on_numbers(
    name: str,
    numbers: Floats,
    labels: npt.NDArray[Any],
    shown: Rows,
    asked: Rows,
    *,
    reference: Rows,
    rng: np.random.Generator,
    scale: Scale,
) -> Taught:
    """A head, a tree method or a perceptron over one row of numbers a flow. `reference` is known without labels."""
    if name in HEADS:
        head = made_method(name, rng, scale)
        return _timed(
            lambda: head.fit(numbers[shown], labels[shown], numbers[reference]),
            lambda: head.predict_proba(numbers[asked]),
            head,
        )
    if name == "mlp":
        from ...tasks.supervised.classifier import SupervisedNetwork

        network = SupervisedNetwork("perceptron", rng, epochs=scale.network_epochs, steps=scale.network_steps)
        return _timed(
            lambda: network.fit({"numbers": numbers[shown]}, labels[shown]),
            lambda: network.predict_proba({"numbers": numbers[asked]}),
            network,
        )
    model = made_method(name, rng, scale)
    return _timed(lambda: model.fit(numbers[shown], labels[shown]), lambda: model.predict_proba(numbers[asked]), model)


def made_method(name: str, rng: np.random.Generator, scale: Scale) -> Any:
    """A head by its registered name, or a tree method, not taught yet."""
    if name in HEADS:
        from ...tasks import HEADS as REGISTRY

        return REGISTRY.load(name)()
    return _MADE[name](rng, scale)


def teach_branches(
    parts: dict[str, Floats],
    labels: npt.NDArray[Any],
    shown: Rows,
    asked: Rows,
    *,
    rng: np.random.Generator,
    scale: Scale,
) -> Taught:
    """The supervised network with a branch for each modality."""
    from ...tasks.supervised.classifier import SupervisedNetwork

    network = SupervisedNetwork("multi-modal", rng, epochs=scale.network_epochs, steps=scale.network_steps)
    return _timed(
        lambda: network.fit({name: one[shown] for name, one in parts.items()}, labels[shown]),
        lambda: network.predict_proba({name: one[asked] for name, one in parts.items()}),
        network,
    )


@contextmanager
def few_of_each_are_meant() -> Iterator[None]:
    """scikit-learn takes one or two flows of each class for a regression, and warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
        yield


def _timed(fit: Callable[[], Any], ask: Callable[[], npt.NDArray[np.float64]], model: Any) -> Taught:
    with few_of_each_are_meant():
        began = time.process_time()
        fit()
        taught = time.process_time()
        probabilities = ask()
    return Taught(
        classes=np.asarray(model.classes_),
        probabilities=probabilities,
        parameters=_parameters(model),
        train_s=taught - began,
        ask_s=time.process_time() - taught,
    )


def _parameters(model: Any) -> int | None:
    """Numbers that were learnt: weights, thresholds and leaves, or the rows that are looked up."""
    if hasattr(model, "parameters"):
        return int(model.parameters())
    if hasattr(model, "booster_"):
        return sum(2 * int(tree["num_leaves"]) - 1 for tree in model.booster_.dump_model()["tree_info"])
    if hasattr(model, "estimators_"):
        return sum(int(tree.tree_.node_count) for tree in model.estimators_)
    learnt = [getattr(model, name) for name in getattr(model, "LEARNT", ()) if hasattr(model, name)]
    return sum(int(np.size(one)) for one in learnt) if learnt else None


def _nearest(rng: np.random.Generator, scale: Scale) -> Any:
    from ...tasks.classify.baselines import nearest_raw

    return nearest_raw(rng)


def _random_forest(rng: np.random.Generator, scale: Scale) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=scale.trees, random_state=int(rng.integers(2**31)))


def _extra_trees(rng: np.random.Generator, scale: Scale) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(n_estimators=scale.trees, random_state=int(rng.integers(2**31)))


def _wide_extra_trees(rng: np.random.Generator, scale: Scale) -> Any:
    """Trees that look at more numbers before each cut."""
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(n_estimators=scale.trees, max_features=0.3, random_state=int(rng.integers(2**31)))


def _lightgbm(rng: np.random.Generator, scale: Scale) -> Any:
    from ...tasks.classify.baselines import boosted_trees

    return boosted_trees(rng)


_MADE: dict[str, Callable[[np.random.Generator, Scale], Any]] = {
    "1-nn": _nearest,
    "random-forest": _random_forest,
    "extra-trees": _extra_trees,
    "wide-extra-trees": _wide_extra_trees,
    "lightgbm": _lightgbm,
}
