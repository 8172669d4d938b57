"""What the graph network is taught by: hidden edges, and hidden numbers of flows. No label has a part in it."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .inputs import GraphTensors
from .links import LinkDecoder, hide_links, link_loss
from .network import Network
from .settings import GraphEncoderSettings

SURPRISE_SHAPE = (3, 81)  # parts of the surprise, levels of each


class Pupil(nn.Module):
    """The network and what it answers questions with while it learns."""

    def __init__(self, settings: GraphEncoderSettings, numbers: int) -> None:
        super().__init__()
        self.settings = settings
        self.network = Network(settings, numbers)
        self.links = LinkDecoder(settings.width)
        self.levels: Tensor
        self.register_buffer("levels", torch.zeros(SURPRISE_SHAPE))  # how much training flows surprised

    def loss(self, graph: GraphTensors, generator: torch.Generator) -> Tensor:
        """Of one graph. A weight of 0 leaves a question out, and what it hides."""
        settings = self.settings
        if settings.hidden_sources:
            graph = hide_sources(graph, settings, generator)
        asks_links = settings.link_weight > 0 and len(graph.hosts) > 0
        seen, hidden = hide_links(graph, settings.held_out, generator) if asks_links else (graph, None)
        seen, masked = mask_numbers(seen, settings, generator) if settings.mask_weight else (seen, None)
        flows, hosts, _ = self.network(seen)
        total: Tensor = flows.sum() * 0.0
        if hidden is not None:
            total = total + settings.link_weight * link_loss(self.links, graph, hidden, flows, hosts, generator)
        if masked is not None:
            total = total + settings.mask_weight * masked_loss(self.network, flows, graph.numbers, masked)
        return total


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
