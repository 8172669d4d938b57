"""Two networks that know nothing before they are taught: a perceptron, and one with a branch for each modality.

Shape letters: B flows, T packets, C numbers of a packet, P payload bytes, Q other numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Inputs = dict[str, Tensor]
SHARED = "all"  # the name of the answer that every branch gives together


class Perceptron(nn.Module):
    """Two layers of 512 and 256 with dropout over one matrix, as the autoencoder's paper has it."""

    def __init__(self, shapes: dict[str, tuple[int, ...]], classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(shapes["numbers"][0], 512)
        self.second = nn.Linear(512, 256)
        self.out = nn.Linear(256, classes)

    def forward(self, inputs: Inputs, generator: torch.Generator | None) -> dict[str, Tensor]:
        states = dropped(F.relu(self.first(inputs["numbers"])), 0.3, generator)
        states = dropped(F.relu(self.second(states)), 0.3, generator)
        return {SHARED: self.out(states)}


class MultiModal(nn.Module):
    """After the published descriptions of MIMETIC (Computer Networks 165, 2019) and DISTILLER (JNCA 183, 2021).

    A branch for the payload (two convolutions of 16 and 32 filters of 25 bytes, each with pooling by 3, a layer of
    256), one for the packet fields (a bidirectional GRU of 64, a layer of 256), a shared layer of 128, dropout of .2.
    Each branch is first taught alone with an answer of its own. Counters and names, which the papers do not use, get a
    branch of two layers, so that it sees whatever its rivals see.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]], classes: int) -> None:
        super().__init__()
        self.names = sorted(shapes)
        branches: dict[str, nn.Module] = {}
        for name, shape in shapes.items():
            if name == "payload":
                branches[name] = Payload(shape[0])
            elif name == "series":
                branches[name] = Packets(shape[1])
            else:
                branches[name] = nn.Sequential(nn.Linear(shape[0], 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
        self.branches = nn.ModuleDict(branches)
        self.alone = nn.ModuleDict({name: nn.Linear(256, classes) for name in self.names})
        self.shared = nn.Linear(256 * len(self.names), 128)
        self.out = nn.Linear(128, classes)

    def forward(self, inputs: Inputs, generator: torch.Generator | None) -> dict[str, Tensor]:
        states = {name: dropped(self.branches[name](inputs[name]), 0.2, generator) for name in self.names}
        shared = F.relu(self.shared(torch.cat([states[name] for name in self.names], 1)))
        answers = {name: self.alone[name](states[name]) for name in self.names}
        return {**answers, SHARED: self.out(dropped(shared, 0.2, generator))}


class Payload(nn.Module):
    """[B, P] bytes from 0 to 1 (-1 where there is none) → [B, 256]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 16, 25, padding=12)
        self.second = nn.Conv1d(16, 32, 25, padding=12)
        self.out = nn.Linear(32 * max((width // 3) // 3, 1), 256)

    def forward(self, octets_BP: Tensor) -> Tensor:
        states = F.max_pool1d(F.relu(self.first(octets_BP[:, None])), 3)
        states = F.max_pool1d(F.relu(self.second(states)), 3)
        return F.relu(self.out(states.flatten(1)))


class Packets(nn.Module):
    """[B, T, C] → [B, 256]."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.reader = nn.GRU(numbers, 64, batch_first=True, bidirectional=True)
        self.out = nn.Linear(128, 256)

    def forward(self, packets_BTC: Tensor) -> Tensor:
        _, last = self.reader(packets_BTC)
        return F.relu(self.out(torch.cat([last[0], last[1]], 1)))


def dropped(states: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Dropout whose choices come from the step's generator; without one, nothing is dropped."""
    if generator is None:
        return states
    keep = torch.rand(states.shape, generator=generator, device=states.device) >= share
    return states * keep / (1.0 - share)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fresh weights from this generator alone: each by the number of its inputs, biases of 0."""
    for weight in network.parameters():
        if weight.ndim > 1:
            nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
            if weight.shape[0] == 3 * 64:  # gates of the GRU
                with torch.no_grad():
                    weight.mul_(0.5)
        else:
            nn.init.zeros_(weight)
