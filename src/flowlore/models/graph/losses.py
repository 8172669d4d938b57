"""What the graph network is taught by: hidden edges, hidden numbers of flows, and which flows are of one service. No
label has a part in it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .inputs import GraphTensors
from .links import LinkDecoder, hide_links, link_loss
from .network import Network
from .settings import GraphEncoderSettings
from .surprise import Usual, no_usual

CONTRAST_WIDTH = 64
TEMPERATURE = 0.1
MOST_TOLD_APART = 2048  # flows at a time: time and memory grow with the square of their number


class Pupil(nn.Module):
    """The network and what it answers questions with while it learns."""

    def __init__(self, settings: GraphEncoderSettings, numbers: int) -> None:
        super().__init__()
        self.settings = settings
        self.network = Network(settings, numbers)
        self.links = LinkDecoder(settings.width)
        self.own_side = nn.Linear(settings.width, CONTRAST_WIDTH)
        self.state_side = nn.Linear(settings.width, CONTRAST_WIDTH)
        self.yardstick: Tensor
        self.levels: Tensor
        yardstick, levels = no_usual(numbers)
        self.register_buffer("yardstick", yardstick)
        self.register_buffer("levels", levels)

    def loss(self, graph: GraphTensors, generator: torch.Generator) -> Tensor:
        """Of one graph. A weight of 0 leaves a question out, and what it hides."""
        settings = self.settings
        if settings.hidden_sources:
            graph = hide_sources(graph, settings, generator)
        if not (settings.link_weight or settings.mask_weight or settings.company_weight):
            own = self.network.own_states(graph)
            return settings.contrast_weight * contrast_loss(self.own_side(own), graph.belongs, generator=generator)
        asks_links = settings.link_weight > 0 and len(graph.hosts) > 0
        seen, hidden = hide_links(graph, settings.held_out, generator) if asks_links else (graph, None)
        seen, masked = mask_numbers(seen, settings, generator) if settings.mask_weight else (seen, None)
        flows, hosts, states = self.network(seen)
        total: Tensor = flows.sum() * 0.0
        if hidden is not None:
            total = total + settings.link_weight * link_loss(self.links, graph, hidden, flows, hosts, generator)
        if masked is not None:
            total = total + settings.mask_weight * masked_loss(self.network, flows, graph.numbers, masked)
        if settings.contrast_weight:
            told = contrast_loss(self.own_side(states[0][0]), graph.belongs, generator=generator)
            total = total + settings.contrast_weight * told
        if settings.company_weight:
            told = contrast_loss(self.state_side(flows), graph.belongs, graph.flow_window, generator=generator)
            total = total + settings.company_weight * told
        return total

    @property
    def usual(self) -> Usual:
        return Usual(yardstick=self.yardstick.numpy(), levels=self.levels.numpy())

    def learn_usual(self, graphs: list[GraphTensors]) -> None:
        """What these flows do is usual from now on."""
        if graphs:
            found = Usual.learn(graphs)
            self.yardstick.copy_(torch.from_numpy(found.yardstick))
            self.levels.copy_(torch.from_numpy(found.levels))


def contrast_loss(
    sides: Tensor, belongs: Tensor, windows: Tensor | None = None, *, generator: torch.Generator | None = None
) -> Tensor:
    """How badly flows that belong together (equal numbers, 0 is unknown) are told from the others of the graph.

    With `windows`, flows of one window are not asked for each other: their common host would give the answer away. Of
    more than `MOST_TOLD_APART` flows so many, drawn, are told apart at a time.
    """
    rows = len(sides)
    if rows <= MOST_TOLD_APART:
        total, asked = _told_apart(sides, belongs, windows)
    else:
        parts = torch.randperm(rows, generator=generator, device=sides.device).chunk(-(-rows // MOST_TOLD_APART))
        told = [
            _told_apart(sides.index_select(0, part), belongs[part], None if windows is None else windows[part])
            for part in parts
        ]
        total, asked = torch.stack([one for one, _ in told]).sum(), sum(count for _, count in told)
    return total / max(asked, 1)


def _told_apart(sides: Tensor, belongs: Tensor, windows: Tensor | None) -> tuple[Tensor, int]:
    """The losses of flows that are asked, added up, and how many are."""
    with torch.autocast(sides.device.type, enabled=False):
        sides = F.normalize(sides.float(), dim=1)
        known = belongs != 0
        count, sums = _sums_of_groups(sides, belongs)
        if windows is None:
            count_beside, sums_beside = known.float(), sides  # itself
        else:
            places = torch.unique(torch.stack([belongs, windows], 1), dim=0, return_inverse=True)[1]
            count_beside, sums_beside = _sums_of_groups(sides, places)
        asked = (count - count_beside).masked_fill(~known, 0.0)  # flows that each is asked for
        rows = (asked > 0).nonzero()[:, 0]
        if not len(rows):
            return sides.sum() * 0.0, 0
        alike = sides @ (sides.T / TEMPERATURE)  # 1 / TEMPERATURE at most, so that no exponential is too large
        if windows is None:
            alike.fill_diagonal_(-torch.inf)
        else:
            beside = (places[:, None] == places[None]) & known[:, None]
            alike.masked_fill_(beside.fill_diagonal_(True), -torch.inf)
        others = alike.exp_().sum(1)[rows].log()
        right = (sides * (sums - sums_beside)).sum(1)[rows] / TEMPERATURE / asked[rows]
        return (others - right).sum(), len(rows)


def _sums_of_groups(sides: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """For each flow, how many flows are of its group, and the sum of their rows."""
    found, numbers, counts = torch.unique(groups, return_inverse=True, return_counts=True)
    sums = sides.new_zeros((len(found), sides.shape[1])).index_add(0, numbers, sides)
    return counts[numbers].float(), sums.index_select(0, numbers)


def hide_sources(graph: GraphTensors, settings: GraphEncoderSettings, generator: torch.Generator) -> GraphTensors:
    """The graph, or the graph without some of the numbers of all its flows: half of them, drawn, on the average."""
    device = graph.numbers.device
    if float(torch.rand((), generator=generator, device=device)) >= settings.hidden_sources:
        return graph
    hidden = torch.rand(graph.numbers.shape[1], generator=generator, device=device)
    share = torch.rand((), generator=generator, device=device)
    return replace(graph, numbers=graph.numbers.masked_fill((hidden < share)[None], torch.nan))


def mask_numbers(
    graph: GraphTensors, settings: GraphEncoderSettings, generator: torch.Generator
) -> tuple[GraphTensors, Tensor]:
    """The graph with numbers of some flows missing, and which were there."""
    device = graph.numbers.device
    chosen = torch.rand((graph.flows, 1), generator=generator, device=device) < settings.masked
    masked = torch.rand(graph.numbers.shape, generator=generator, device=device) < settings.masked_numbers
    masked = masked & chosen & ~torch.isnan(graph.numbers)
    return replace(graph, numbers=graph.numbers.masked_fill(masked, torch.nan)), masked


def masked_loss(network: Network, flows: Tensor, numbers: Tensor, masked: Tensor) -> Tensor:
    """How far told numbers are from those that were hidden."""
    rows = masked.any(1).nonzero()[:, 0]
    if not len(rows):
        return flows.sum() * 0.0
    told = network.numbers_out(flows[rows]).float()
    hidden = masked[rows]
    distance = F.smooth_l1_loss(told, torch.nan_to_num(numbers[rows]), reduction="none", beta=0.5)
    return (distance * hidden).sum() / hidden.sum().clamp(min=1)
