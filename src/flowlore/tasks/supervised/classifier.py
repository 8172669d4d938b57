"""A supervised network as a classifier of named arrays."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import TaskError
from ...models.settings import TrainingSettings
from ...models.training import train
from .networks import SHARED, MultiModal, Perceptron, initialise

Arrays = dict[str, npt.NDArray[np.float32]]
Kind = Literal["perceptron", "multi-modal"]
NETWORKS: dict[str, type[nn.Module]] = {"perceptron": Perceptron, "multi-modal": MultiModal}
ROWS_AT_ONCE = 2048
BATCH_ROWS = 128
EPOCHS, LEAST_STEPS = 15, 300


class SupervisedNetwork:
    """`fit` and `predict` over arrays by name: `numbers` for a perceptron, one for each modality for the other.

    Few rows are seen often: at least `steps` steps are taken. A network with branches is taught twice as long: first
    each branch alone, then all together, as its authors did.
    """

    def __init__(self, kind: Kind, rng: np.random.Generator, *, epochs: int = EPOCHS, steps: int = LEAST_STEPS) -> None:
        self.kind, self.rng, self.epochs, self.steps = kind, rng, epochs, steps
        self.network: Any = None

    def fit(self, arrays: Arrays, labels: npt.NDArray[Any]) -> SupervisedNetwork:
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise TaskError("tasks: a network needs two classes at least", hint="give flows of more classes")
        self._learn_scale(arrays)
        inputs = self._inputs(arrays)
        self.network = NETWORKS[self.kind](
            {name: tuple(one.shape[1:]) for name, one in inputs.items()}, len(self.classes_)
        )
        initialise(self.network, torch.Generator().manual_seed(int(self.rng.integers(2**62))))
        truth = torch.from_numpy(codes.astype(np.int64))
        stages = ["alone", SHARED] if self.kind == "multi-modal" else [SHARED]
        for stage in stages:
            self._teach(inputs, truth, stage)
        return self

    def predict_proba(self, arrays: Arrays) -> npt.NDArray[np.float64]:
        rows = len(next(iter(arrays.values())))
        found = np.zeros((rows, len(self.classes_)))
        with torch.inference_mode():
            for first in range(0, rows, ROWS_AT_ONCE):
                part = {name: one[first : first + ROWS_AT_ONCE] for name, one in arrays.items()}
                logits = self.network(self._inputs(part), None)[SHARED]
                found[first : first + len(logits)] = torch.softmax(logits, 1).numpy()
        return found

    def predict(self, arrays: Arrays) -> npt.NDArray[Any]:
        answers: npt.NDArray[Any] = self.classes_[self.predict_proba(arrays).argmax(axis=1)]
        return answers

    def parameters(self) -> int:
        """Numbers that are learnt and used in an answer."""
        unused = sum(one.numel() for one in getattr(self.network, "alone", nn.Module()).parameters())
        return int(sum(weight.numel() for weight in self.network.parameters())) - unused

    def _teach(self, inputs: dict[str, Tensor], truth: Tensor, stage: str) -> None:
        network = self.network

        def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
            answers = network({name: one[rows] for name, one in inputs.items()}, generator)
            chosen = [answers[SHARED]] if stage == SHARED else [one for name, one in answers.items() if name != SHARED]
            total = torch.stack([F.cross_entropy(one, truth[rows]) for one in chosen]).sum()
            return total

        batches = -(-len(truth) // BATCH_ROWS)
        epochs = max(self.epochs, -(-self.steps // batches))
        settings = TrainingSettings(epochs=epochs, least_steps=1, batch_rows=BATCH_ROWS, learning_rate=1e-3)
        train(network, loss, len(truth), settings, self.rng)

    def _learn_scale(self, arrays: Arrays) -> None:
        self.scale_ = {}
        for name, one in arrays.items():
            axes = tuple(range(one.ndim - 1))
            deviation = one.std(axis=axes)
            self.scale_[name] = (one.mean(axis=axes), np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32))

    def _inputs(self, arrays: Arrays) -> dict[str, Tensor]:
        found = {}
        for name, one in arrays.items():
            mean, deviation = self.scale_[name]
            scaled = one if name == "payload" else (one - mean) / deviation
            found[name] = torch.from_numpy(np.ascontiguousarray(scaled, np.float32))
        return found
