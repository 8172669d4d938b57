"""Flows told by their hosts' other flows, and reconstructed among each other: GraphIDS (arXiv 2509.16625) re-stated.

One layer of E-GraphSAGE gives each host the mean of what its flows are, and each flow its hosts and its own numbers. A
transformer with some attention hidden sees flows in a row and gives them back. Its paper trains on benign traffic; here
no label is known, so it trains on all. The flow's own numbers are a part of what is to be given back, so that states of
hosts cannot shrink to nothing that is easily given back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...features.batch import FeatureBatch
from ...features.scaling import Scaling
from ...models.settings import TrainingSettings
from ...models.training import train

WIDTH, HEADS, HIDDEN_ATTENTION = 64, 4, 0.15
ROW_FLOWS = 512  # flows that the transformer sees at once
GRAPH_ROWS = 4  # rows of them that make a graph
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """Flows in order of time that make one graph. Numbers of hosts count from 0 in each."""

    rows: npt.NDArray[np.int64]
    numbers: Tensor
    source: Tensor
    target: Tensor
    hosts: int


class ReconstructedGraph:
    """`fit` on unlabelled flows with ends; `score` is the error of each flow, the larger the stranger."""

    def __init__(self, rng: np.random.Generator, *, epochs: int = 10, steps: int = 150) -> None:
        self.rng, self.epochs, self.steps = rng, epochs, steps

    def fit(self, flows: FeatureBatch) -> Self:
        self.scaling = Scaling.fit(flows.channels["quantities"])
        parts = self._parts(flows)
        self.network = _Network(len(self.scaling.medians))
        self.network.draw(torch.Generator().manual_seed(int(self.rng.integers(2**62))))
        settings = TrainingSettings(epochs=self.epochs, least_steps=self.steps, batch_rows=1, learning_rate=1e-3)

        def loss(chosen: Tensor, generator: torch.Generator) -> Tensor:
            return torch.stack([self.network(parts[row], generator).mean() for row in chosen.tolist()]).mean()

        train(self.network, loss, len(parts), settings, self.rng)
        self.network.eval()
        return self

    def score(self, flows: FeatureBatch) -> Floats:
        """NaN for a flow without ends or times."""
        found = np.full(len(flows), np.nan)
        with torch.inference_mode():
            for part in self._parts(flows):
                found[part.rows] = self.network(part, None).double().numpy()
        return found

    def parameters(self) -> int:
        return sum(weight.numel() for weight in self.network.parameters())

    def _parts(self, flows: FeatureBatch) -> list[_Part]:
        placed = np.flatnonzero(flows.has("graph"))
        order = placed[np.argsort(flows.channels["graph.times_ns"][placed, 1], kind="stable")]
        found = []
        for first in range(0, len(order), ROW_FLOWS * GRAPH_ROWS):
            rows = order[first : first + ROW_FLOWS * GRAPH_ROWS]
            keys, codes = np.unique(flows.channels["graph.ends"][rows], return_inverse=True)
            codes = codes.reshape(-1, 2).astype(np.int64)
            numbers = np.nan_to_num(self.scaling.apply(flows.channels["quantities"][rows]))
            found.append(
                _Part(
                    rows=rows,
                    numbers=torch.from_numpy(numbers),
                    source=torch.from_numpy(codes[:, 0].copy()),
                    target=torch.from_numpy(codes[:, 1].copy()),
                    hosts=len(keys),
                )
            )
        return found


class _Network(nn.Module):
    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.to_host = nn.Linear(numbers + 1, WIDTH)
        self.host = nn.Linear(WIDTH + 1, WIDTH)
        self.inwards = nn.Linear(2 * WIDTH + numbers, WIDTH)
        self.encoder = _attending()
        self.decoder = _attending()
        self.outwards = nn.Linear(WIDTH, 2 * WIDTH + numbers)

    def draw(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            for weight in self.parameters():
                if weight.ndim > 1:
                    nn.init.xavier_uniform_(weight, generator=generator)

    def forward(self, part: _Part, generator: torch.Generator | None) -> Tensor:
        """The error of each flow."""
        flows = self._flows(part)
        rows = -(-len(flows) // ROW_FLOWS)
        told = torch.cat([self._told(one, generator) for one in flows.chunk(rows)])
        return ((told - flows) ** 2).mean(1)

    def _flows(self, part: _Part) -> Tensor:
        """Hosts are 1 at first, as nobody's identity is known; each takes the mean of its flows, at either end."""
        message = torch.relu(self.to_host(torch.cat([part.numbers, torch.ones((len(part.numbers), 1))], 1)))
        ends = torch.cat([part.source, part.target])
        total = torch.zeros((part.hosts, WIDTH)).index_add(0, ends, torch.cat([message, message]))
        count = torch.zeros(part.hosts).index_add(0, ends, torch.ones(len(ends))).clamp(min=1)
        hosts = torch.relu(self.host(torch.cat([total / count[:, None], torch.ones((part.hosts, 1))], 1)))
        return torch.cat([hosts[part.source], hosts[part.target], part.numbers], 1)

    def _told(self, flows: Tensor, generator: torch.Generator | None) -> Tensor:
        mask = None
        if generator is not None:
            mask = torch.rand((len(flows), len(flows)), generator=generator) < HIDDEN_ATTENTION
            mask.fill_diagonal_(False)
        states = self.encoder(self.inwards(flows)[None], src_mask=mask)
        told: Tensor = self.outwards(self.decoder(states, src_mask=mask))[0]
        return told


def _attending() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, dropout=0.0, batch_first=True)
