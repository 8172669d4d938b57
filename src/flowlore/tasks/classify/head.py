"""What every head shares: scikit-learn's conventions, and a state of arrays and JSON instead of a pickle."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from .placing import Placing

State = tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]


class Head(ClassifierMixin, BaseEstimator):
    """A classifier of vectors. `X` holds a vector for each flow, `y` its label.

    Vectors are first brought to scales learnt from `reference`. A subclass says how it learns from them and class
    numbers (`_learn`), what it learnt (`LEARNT`: attributes that are arrays) and how sure it is (`_probabilities`).
    """

    LEARNT: tuple[str, ...] = ()
    sees_numbers: ClassVar[bool] = False  # whether `X` has a flow's plain numbers behind its vector
    classes_: npt.NDArray[Any]
    n_features_in_: int
    placing_: Placing

    def fit(self, X: Any, y: Any, reference: Any = None) -> Self:
        """Learn from vectors and their labels; one class only is allowed, and is then always the answer.

        Args:
            X: A vector for each labelled flow.
            y: Their labels.
            reference: Vectors of flows of the training side, labelled or not, that tell what is common; `X` if absent.
        """
        vectors, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        common = vectors if reference is None else check_array(reference, dtype=np.float64)
        self.placing_ = self._placing(common)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        self._learn(self.placing_.apply(vectors), codes)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """How likely each class is, in the order of `classes_`; a row sums to 1."""
        check_is_fitted(self)
        return self._probabilities(self.placing_.apply(validate_data(self, X, dtype=np.float64, reset=False)))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The likeliest class of each flow, the first in order where several are equal."""
        places = self.predict_proba(X).argmax(axis=1)
        answers: npt.NDArray[Any] = self.classes_[places]
        return answers

    def state(self) -> State:
        """Everything that `from_state` needs: arrays, and plain JSON. Labels are kept as text."""
        check_is_fitted(self)
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in self.LEARNT}
        arrays |= {"middle_": self.placing_.middle, "turn_": np.ascontiguousarray(self.placing_.turn)}
        return arrays, {"settings": self.get_params(), "labels": [str(name) for name in self.classes_]}

    @classmethod
    def from_state(cls, arrays: dict[str, npt.NDArray[Any]], values: dict[str, Any]) -> Self:
        head = cls(**values["settings"])
        head.classes_ = np.array(values["labels"])
        head.placing_ = Placing(middle=arrays["middle_"], turn=arrays["turn_"])
        for name in cls.LEARNT:
            setattr(head, name, arrays[name])
        head.n_features_in_ = len(head.placing_.middle)
        return head

    def _placing(self, common: npt.NDArray[np.float64]) -> Placing:
        return Placing.fit(common)

    @abstractmethod
    def _learn(self, vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> None: ...

    @abstractmethod
    def _probabilities(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows of numbers above 0 that sum to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
