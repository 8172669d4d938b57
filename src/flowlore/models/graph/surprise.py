"""How unusual a flow is: its numbers, and what its source and its target do in the same window.

No label has a part in it, nor what the network learnt: link prediction and reconstruction tell strange flows worse. The
strangest tenth of training is not what is usual, as some of it may be attacks. A surprise is 1 where one in ten flows
of training surprised more, 2 where one in a hundred did, and so on.

Shape letters: F flows, C columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...features.graphs.ends import PROTOCOL_CLASSES
from ...features.graphs.graph import HOST_NUMBERS
from .inputs import GraphTensors

PARTS = ("flow", "source", "target", "numbers")
SIDES = PARTS[1:]
FLOW_TIMES = 3  # of a flow's numbers of the window: times since flows of the same hosts, and flows of the pair
LEVELS = 1 - np.logspace(0, -4, 81)  # shares of training flows whose surprise is kept
LEVELS_SHAPE = (len(PARTS) + 1, len(LEVELS))  # of the sides, of the flow alone, of the flow among its source's flows
USUAL_ROWS = 4
USUAL = 0.9  # share of training that is usual
FARTHEST = 8.0
SMALLEST_SPREAD = 0.05
CONSTANT = 1e-6
Parts = npt.NDArray[np.float32]


def usual_width(numbers: int) -> int:
    """Columns that are looked at, of flows with so many numbers."""
    return 2 * numbers + PROTOCOL_CLASSES + FLOW_TIMES + 2 * len(HOST_NUMBERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Usual:
    """Where most of training lies in each column, and how much flows of training surprise."""

    yardstick: Parts  # [USUAL_ROWS, C]: mean and spread of all, then of those that are usual, on the scale of the first
    levels: Parts  # [LEVELS_SHAPE]

    @classmethod
    def learn(cls, graphs: list[GraphTensors]) -> Self:
        columns = np.concatenate([_columns(graph) for graph in graphs])
        middle, spread = columns.mean(axis=0), columns.std(axis=0)
        spread[spread < CONSTANT] = 0.0
        scaled = _scaled(columns, middle, spread)
        distance = (scaled**2).sum(axis=1)
        usual = scaled[distance <= np.quantile(distance, USUAL)]
        yardstick = np.stack([middle, spread, usual.mean(axis=0), np.maximum(usual.std(axis=0), SMALLEST_SPREAD)])
        made = cls(yardstick=yardstick.astype(np.float32), levels=np.zeros(LEVELS_SHAPE, np.float32))
        sides = made._sides(columns)
        made.levels[: len(SIDES)] = np.quantile(sides, LEVELS, axis=0).T
        alone = _together(on_one_scale(sides, made.levels[: len(SIDES)]))
        made.levels[-2] = np.quantile(alone, LEVELS)
        alone = on_one_scale(alone[:, None], made.levels[-2:-1])[:, 0]
        first, among = 0, []
        for graph in graphs:
            among.append(_among_flows_of_source(alone[first : first + graph.flows], graph))
            first += graph.flows
        made.levels[-1] = np.quantile(np.concatenate(among), LEVELS)
        return made

    def surprise(self, graph: GraphTensors) -> Parts:
        """[F, PARTS]. The graph holds whole windows."""
        if not graph.flows:
            return np.zeros((0, len(PARTS)), np.float32)
        sides = on_one_scale(self._sides(_columns(graph)), self.levels[: len(SIDES)])
        alone = on_one_scale(_together(sides)[:, None], self.levels[-2:-1])[:, 0]
        among = on_one_scale(_among_flows_of_source(alone, graph)[:, None], self.levels[-1:])
        return np.concatenate([among, sides], axis=1).astype(np.float32)

    def _sides(self, columns: Parts) -> Parts:
        """[F, SIDES]: squared distances from what is usual, added up."""
        middle, spread, usual, usual_spread = self.yardstick
        far = np.clip((_scaled(columns, middle, spread) - usual) / usual_spread, -FARTHEST, FARTHEST) ** 2
        far[:, spread == 0] = 0.0
        hosts = 2 * len(HOST_NUMBERS)
        numbers, source, target = np.split(far, [far.shape[1] - hosts, far.shape[1] - hosts // 2], axis=1)
        return np.stack([source.sum(axis=1), target.sum(axis=1), numbers.sum(axis=1)], axis=1)


def on_one_scale(parts: Parts, levels: Parts) -> Parts:
    """-log10 of the share of training flows that surprised as much; beyond the last it grows with the surprise.

    `levels` has a row for each column of `parts`.
    """
    scale = -np.log10(1 - LEVELS)
    found = np.empty(parts.shape, np.float32)
    for place, known in enumerate(levels):
        found[:, place] = np.interp(parts[:, place], known, scale)
        spread = max(float(known[-1] - known[len(known) // 2]), 1e-6)
        found[:, place] += np.log1p(np.maximum(parts[:, place] - known[-1], 0) / spread)
    return found


def _together(sides: Parts) -> Parts:
    """The most surprising side decides, and the others have a say."""
    found: Parts = sides.max(axis=1) + sides.mean(axis=1)
    return found


def _among_flows_of_source(surprise: Parts, graph: GraphTensors) -> Parts:
    """The mean of a flow's surprise and that of all flows of its source in the window."""
    source, hosts = graph.source.numpy(), len(graph.hosts)
    counts = np.bincount(source, minlength=hosts + 1)
    means = np.bincount(source, surprise, minlength=hosts + 1) / np.maximum(counts, 1)
    known = source < hosts
    found: Parts = np.where(known, (surprise + means[source]) / 2, surprise).astype(np.float32)
    return found


def _columns(graph: GraphTensors) -> Parts:
    """[F, C]: the flow's numbers, which are missing, protocol, times since its hosts' flows; source; target."""
    numbers = graph.numbers.numpy()
    missing = np.isnan(numbers)
    protocol = graph.protocol.numpy()[:, None] == np.arange(PROTOCOL_CLASSES)
    none = np.full((1, len(HOST_NUMBERS)), -1.0, np.float32)
    hosts = np.concatenate([_log(graph.hosts.numpy()), none])
    times = _log(graph.window_numbers.numpy()[:, :FLOW_TIMES])
    parts = [np.nan_to_num(numbers), missing, protocol, times, hosts[graph.source.numpy()], hosts[graph.target.numpy()]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _scaled(columns: Parts, middle: Parts, spread: Parts) -> Parts:
    found: Parts = np.clip((columns - middle) / np.where(spread > 0, spread, 1.0), -FARTHEST, FARTHEST)
    return found


def _log(numbers: Parts) -> Parts:
    """-1 stands for what is not known, before and after."""
    return np.where(numbers < 0, -1.0, np.log1p(np.maximum(numbers, 0))).astype(np.float32)


def no_usual(numbers: int) -> tuple[Tensor, Tensor]:
    """Yardstick and levels of a network that has seen nothing: nothing surprises it."""
    return torch.zeros((USUAL_ROWS, usual_width(numbers))), torch.zeros(LEVELS_SHAPE)
