"""A linear head as a layer that learns, and what fine-tuning of every network goes by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from .encoder import LinearHead


def layer_of(head: LinearHead) -> nn.Linear:
    """A layer that gives the same answers."""
    classes, width = head.weights.shape
    layer = nn.Linear(width, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weights))
        layer.bias.copy_(torch.from_numpy(head.offsets))
    return layer


def head_of(layer: nn.Linear) -> LinearHead:
    return LinearHead(
        weights=layer.weight.detach().numpy().astype(np.float64),
        offsets=layer.bias.detach().numpy().astype(np.float64),
    )


def macro_f1(truth: npt.NDArray[np.int64], answers: npt.NDArray[np.int64], classes: int) -> float:
    """Of class numbers; classes that are neither true nor answered do not count.

    >>> round(macro_f1(np.array([0, 0, 1]), np.array([0, 1, 1]), 3), 3)
    0.667
    """
    hits = np.bincount(truth[truth == answers], minlength=classes)
    both = np.bincount(truth, minlength=classes) + np.bincount(answers, minlength=classes)
    return float((2.0 * hits[both > 0] / both[both > 0]).mean())
