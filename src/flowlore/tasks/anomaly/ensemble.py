"""Small autoencoders over groups of numbers that vary together, and one over their errors, after Kitsune (NDSS 2018).

Kitsune learns packet by packet from damped statistics of packets. Here a row is a flow with what its window knows, and
learning goes over all rows several times; mapping of features, sizes, scaling and score are its own.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...models.settings import TrainingSettings
from ...models.training import train

Numbers = npt.NDArray[np.float64]
MOST_TOGETHER = 10  # numbers that one autoencoder sees
HIDDEN = 0.75  # share of its inputs that its hidden layer has
ROWS_AT_ONCE = 8192
ROWS_FOR_GROUPS = 5000


class AutoencoderEnsemble:
    """`fit` on rows of unlabelled numbers, NaN being unknown; `score` is larger the stranger a row is."""

    def __init__(self, rng: np.random.Generator, *, epochs: int = 10, steps: int = 300) -> None:
        self.rng, self.epochs, self.steps = rng, epochs, steps

    def fit(self, numbers: npt.NDArray[Any]) -> Self:
        known = np.nan_to_num(np.asarray(numbers, np.float64), nan=-1.0)
        self.low_, spread = known.min(axis=0), np.ptp(known, axis=0)
        self.used_ = np.flatnonzero(spread > 0)
        self.spread_ = spread[self.used_]
        rows = torch.from_numpy(self._scaled(numbers))
        self.groups_ = groups_that_vary_together(known[:, self.used_], MOST_TOGETHER)
        self._bank = _Bank(self.groups_)
        self._teach(self._bank, rows)
        errors = self._errors(rows)
        self._error_low, self._error_spread = errors.min(0).values, (errors.max(0).values - errors.min(0).values)
        self._last = _Bank([list(range(len(self.groups_)))])
        self._teach(self._last, self._placed(errors))
        return self

    def score(self, numbers: npt.NDArray[Any]) -> Numbers:
        with torch.inference_mode():
            errors = self._errors(torch.from_numpy(self._scaled(numbers)))
            found: Numbers = self._last.errors(self._placed(errors))[:, 0].double().numpy()
        return found

    def parameters(self) -> int:
        return sum(weight.numel() for bank in (self._bank, self._last) for weight in bank.parameters())

    def _scaled(self, numbers: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """From 0 to 1 over what was seen in training; what is beyond stays beyond, which makes it strange."""
        known = np.nan_to_num(np.asarray(numbers, np.float64), nan=-1.0)[:, self.used_]
        return np.asarray((known - self.low_[self.used_]) / self.spread_, np.float32)

    def _placed(self, errors: Tensor) -> Tensor:
        return (errors - self._error_low) / self._error_spread.clamp(min=1e-6)

    def _errors(self, rows: Tensor) -> Tensor:
        with torch.no_grad():
            parts = [
                self._bank.errors(rows[first : first + ROWS_AT_ONCE]) for first in range(0, len(rows), ROWS_AT_ONCE)
            ]
        return torch.cat(parts) if parts else torch.zeros((0, len(self.groups_)))

    def _teach(self, bank: _Bank, rows: Tensor) -> None:
        bank.draw(torch.Generator().manual_seed(int(self.rng.integers(2**62))))
        settings = TrainingSettings(epochs=self.epochs, least_steps=self.steps, batch_rows=256, learning_rate=1e-2)
        train(bank, lambda chosen, _: bank.errors(rows[chosen]).square().mean(), len(rows), settings, self.rng)
        bank.eval()


class _Bank(nn.Module):
    """Autoencoders with one hidden layer and tied weights, all at once: groups are padded to the largest."""

    def __init__(self, groups: list[list[int]]) -> None:
        super().__init__()
        width = max(map(len, groups))
        hidden = max(1, int(np.ceil(HIDDEN * width)))
        places = torch.zeros((len(groups), width), dtype=torch.int64)
        mask = torch.zeros((len(groups), width))
        for row, group in enumerate(groups):
            places[row, : len(group)] = torch.tensor(group)
            mask[row, : len(group)] = 1.0
        self.places: Tensor
        self.mask: Tensor
        self.narrow: Tensor
        self.register_buffer("places", places)
        self.register_buffer("mask", mask)
        narrow = (torch.arange(hidden) < torch.ceil(HIDDEN * mask.sum(1, keepdim=True))).float()
        self.register_buffer("narrow", narrow)
        self.weights = nn.Parameter(torch.zeros((len(groups), width, hidden)))
        self.hidden_offsets = nn.Parameter(torch.zeros((len(groups), hidden)))
        self.offsets = nn.Parameter(torch.zeros((len(groups), width)))

    def draw(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            self.weights.uniform_(-1.0 / self.mask.shape[1], 1.0 / self.mask.shape[1], generator=generator)

    def errors(self, rows: Tensor) -> Tensor:
        """Root of the mean squared error of each group, [rows, groups]."""
        shown = rows[:, self.places] * self.mask
        hidden = torch.sigmoid(torch.einsum("ngi,gih->ngh", shown, self.weights) + self.hidden_offsets) * self.narrow
        told = torch.sigmoid(torch.einsum("ngh,gih->ngi", hidden, self.weights) + self.offsets)
        squares = ((told - shown) ** 2 * self.mask).sum(2) / self.mask.sum(1)
        return torch.sqrt(squares + 1e-12)


def groups_that_vary_together(numbers: Numbers, most: int) -> list[list[int]]:
    """Columns in groups of at most so many: the tree of their correlations, cut where branches are small enough.

    >>> one = np.arange(6.0)
    >>> groups_that_vary_together(np.stack([one, one % 2, 2 * one, 1 - one % 2], axis=1), 2)
    [[0, 2], [1], [3]]
    """
    from scipy.cluster.hierarchy import linkage, to_tree
    from scipy.spatial.distance import squareform

    width = numbers.shape[1]
    if width <= most:
        return [list(range(width))]
    seen = numbers[:: max(1, len(numbers) // ROWS_FOR_GROUPS)]
    spread = seen.std(axis=0)
    centred = (seen - seen.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    distance = 1.0 - centred.T @ centred / len(seen)
    np.fill_diagonal(distance, 0.0)
    tree = to_tree(linkage(squareform(np.maximum((distance + distance.T) / 2, 0.0), checks=False), "average"))
    found: list[list[int]] = []
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if node.count <= most:
            found.append(sorted(node.pre_order()))
        else:
            waiting += [node.get_left(), node.get_right()]
    return sorted(found)
