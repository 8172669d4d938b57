"""How little the network expected a flow: its ends told from its numbers, and its numbers told from the rest.

No label has a part in it. Each flow is asked about while what is asked for is hidden, as in training. A part of the
surprise is 1 where one in ten training flows surprised more, 2 where one in a hundred did, and so on.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .inputs import GraphTensors
from .links import Hidden, without
from .losses import SURPRISE_SHAPE, Pupil
from .network import Memory

PARTS = ("source", "target", "numbers")
ROUNDS = (
    4  # in each, a quarter of the flows is asked for its source, another for its target, both for half their numbers
)
CANDIDATES = 16
LEVELS = 1 - np.logspace(0, -4, SURPRISE_SHAPE[1])  # shares of training flows whose surprise is kept
Parts = npt.NDArray[np.float32]


def surprise_parts(pupil: Pupil, graph: GraphTensors, memory: Memory | None = None) -> Parts:
    """[flows, PARTS]: losses of the answers, 0 where there was nothing to ask. The larger, the stranger."""
    found = torch.zeros((graph.flows, len(PARTS)))
    if not graph.flows:
        return found.numpy()
    turn = torch.arange(graph.flows) % ROUNDS
    column = torch.arange(graph.numbers.shape[1])
    counts = torch.zeros(graph.flows)
    with torch.inference_mode():
        for number in range(ROUNDS):
            asked = (turn == number, (turn + ROUNDS // 2) % ROUNDS == number)
            hidden = _hidden(graph, *asked)
            seen = without(graph, hidden)
            is_hidden_number = (asked[0][:, None] & (column % 2 == 0)) | (asked[1][:, None] & (column % 2 == 1))
            is_hidden_number &= ~torch.isnan(graph.numbers)
            seen = replace(seen, numbers=graph.numbers.masked_fill(is_hidden_number, torch.nan))
            flows, hosts, _ = pupil.network(seen, memory)
            for part, side, mask in ((0, graph.source, hidden.source), (1, graph.target, hidden.target)):
                rows = mask.nonzero()[:, 0]
                if len(rows):
                    found[rows, part] = _unexpected_host(pupil, graph, rows, side, flows, hosts, 2 * part)
            rows = is_hidden_number.any(1).nonzero()[:, 0]
            if len(rows):
                told = pupil.network.numbers_out(flows[rows])
                wrong = F.smooth_l1_loss(told, torch.nan_to_num(graph.numbers[rows]), reduction="none", beta=0.5)
                wrong = (wrong * is_hidden_number[rows]).sum(1)
                found[rows, 2] += wrong
                counts[rows] += is_hidden_number[rows].sum(1)
    found[:, 2] /= counts.clamp(min=1)
    return found.numpy()


def levels_of(parts: Parts) -> Tensor:
    """[PARTS, LEVELS]: how much training flows surprised, to which others are compared."""
    if not len(parts):
        return torch.zeros((len(PARTS), len(LEVELS)))
    return torch.from_numpy(np.quantile(parts, LEVELS, axis=0).T.astype(np.float32).copy())


def on_one_scale(parts: Parts, levels: npt.NDArray[np.float32]) -> Parts:
    """-log10 of the share of training flows that surprised as much; beyond the last it grows with the loss."""
    scale = -np.log10(1 - LEVELS)
    found = np.empty_like(parts)
    for place in range(len(PARTS)):
        known = levels[place]
        found[:, place] = np.interp(parts[:, place], known, scale)
        spread = max(float(known[-1] - known[len(known) // 2]), 1e-6)
        found[:, place] += np.log1p(np.maximum(parts[:, place] - known[-1], 0) / spread)
    return found


def _hidden(graph: GraphTensors, source: Tensor, target: Tensor) -> Hidden:
    hosts = len(graph.hosts)
    return Hidden(
        source=source & (graph.source < hosts),
        target=target & (graph.target < hosts),
        copy=source | target,
        host=torch.zeros(hosts, dtype=torch.bool),
    )


def _unexpected_host(
    pupil: Pupil, graph: GraphTensors, rows: Tensor, side: Tensor, flows: Tensor, hosts: Tensor, relation: int
) -> Tensor:
    """-log of the share that the true host has among itself and hosts of the window, evenly drawn."""
    window = graph.flow_window[rows]
    first = torch.searchsorted(graph.host_window, window)
    count = torch.searchsorted(graph.host_window, window, right=True) - first
    steps = torch.arange(CANDIDATES)
    others = first[:, None] + (steps * count[:, None] // CANDIDATES + rows[:, None] * 7) % count[:, None]
    true = pupil.links(relation, flows[rows], hosts[side[rows]])
    wrong = pupil.links(relation, flows[rows], hosts[others])
    wrong = wrong.masked_fill(others == side[rows][:, None], -torch.inf)
    answers = torch.cat([true[:, None], wrong], 1)
    return -F.log_softmax(answers, 1)[:, 0]
