"""Link prediction: edges are hidden from the network, in both directions, and it must tell them from others.

Whatever else would give a hidden edge away is hidden with it: a flow whose source is asked for is on no chain of flows
of that source, and its times since that source are not known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .inputs import GraphTensors

RELATIONS = (
    "host sends flow",
    "flow sent by host",
    "flow arrives at host",
    "host receives flow",
    "flow before flow of same source",
    "flow before flow of same target",
    "flow before its next slice",
    "host before itself",
)
DECODER_WIDTH = 64
REACH = 256  # flows before a flow that wrong answers for "which flow came before" are drawn from


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Hidden:
    """Which nodes have an edge hidden: masks over flows, and over hosts for the last."""

    source: Tensor
    target: Tensor
    copy: Tensor
    host: Tensor


class LinkDecoder(nn.Module):
    """For each type of edge, how likely it is between two states: a product of two projections."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.ModuleList(nn.Linear(width, DECODER_WIDTH, bias=False) for _ in RELATIONS)
        self.other = nn.ModuleList(nn.Linear(width, DECODER_WIDTH) for _ in RELATIONS)
        self.bias = nn.Parameter(torch.zeros(len(RELATIONS)))

    def forward(self, relation: int, one: Tensor, other: Tensor) -> Tensor:
        """A logit for each pair of rows; `other` may hold several candidates for each: [rows, candidates, width]."""
        left, right = self.one[relation](one), self.other[relation](other)
        if right.ndim == 3:
            left = left[:, None]
        logits: Tensor = (left * right).sum(-1) / DECODER_WIDTH**0.5 * 4 + self.bias[relation]
        return logits


def hide_links(graph: GraphTensors, share: float, generator: torch.Generator) -> tuple[GraphTensors, Hidden]:
    """The graph without a share of its edges, and whose they were. A flow loses its source or its target, not both."""
    device = graph.numbers.device
    drawn = torch.rand(graph.flows, generator=generator, device=device)
    hidden = Hidden(
        source=(drawn < share) & (graph.source < len(graph.hosts)),
        target=(drawn > 1 - share) & (drawn >= share) & (graph.target < len(graph.hosts)),
        copy=(torch.rand(graph.flows, generator=generator, device=device) < share) & (graph.before_copy >= 0),
        host=torch.rand(len(graph.hosts), generator=generator, device=device) < share,
    )
    return without(graph, hidden), hidden


def without(graph: GraphTensors, hidden: Hidden) -> GraphTensors:
    """The graph as if the hidden edges were not there, nor what gives them away."""
    hosts = len(graph.hosts)
    no_host = torch.zeros(hosts, dtype=torch.bool, device=graph.source.device)
    earlier = torch.zeros(graph.context_flows, dtype=torch.bool, device=graph.source.device)
    no_earlier = torch.zeros(graph.context_hosts + hosts, dtype=torch.bool, device=graph.source.device)
    numbers = graph.window_numbers.clone()
    numbers[hidden.source, 0] = -1
    numbers[hidden.target, 1] = -1
    numbers[hidden.source | hidden.target, 2] = -1
    return replace(
        graph,
        window_numbers=numbers,
        source=graph.source.masked_fill(hidden.source, hosts),
        target=graph.target.masked_fill(hidden.target, hosts),
        sent=graph.sent.without(no_host, hidden.source),
        received=graph.received.without(no_host, hidden.target),
        before_source=graph.before_source.without(hidden.source, torch.cat([earlier, hidden.source])),
        before_target=graph.before_target.without(hidden.target, torch.cat([earlier, hidden.target])),
        before_copy=graph.before_copy.masked_fill(hidden.copy, -1),
        before_host=graph.before_host.without(hidden.host, no_earlier),
    )


def link_loss(
    decoder: LinkDecoder, graph: GraphTensors, hidden: Hidden, flows: Tensor, hosts: Tensor, generator: torch.Generator
) -> Tensor:
    """How badly hidden edges are told from as many wrong ones; the mean over types of edge that have any.

    Wrong hosts are of the same window: half are any host of it, half one that another flow of it has on that side.
    """
    losses: list[Tensor] = []
    flow, host = partial(flows.index_select, 0), partial(hosts.index_select, 0)

    def judge(relation: int, one: Tensor, right: Tensor, wrong: Tensor, is_wrong: Tensor) -> None:
        if len(one):
            yes, no = decoder(relation, one, right), decoder(relation, one[is_wrong], wrong[is_wrong])
            losses.append((F.softplus(-yes).sum() + F.softplus(no).sum()) / (len(yes) + len(no)))

    for place, (asked, side) in enumerate(((hidden.source, graph.source), (hidden.target, graph.target))):
        rows = asked.nonzero()[:, 0]
        wrong = wrong_hosts(graph, rows, side, generator)
        differs = wrong != side[rows]
        mine, right, other = flow(rows), host(side[rows]), host(wrong)
        judge(2 * place, mine, right, other, differs)
        judge(2 * place + 1, mine, right, other, differs)
        chains = (graph.before_source, graph.before_target)[place]
        counts = torch.diff(chains.starts, append=chains.starts.new_tensor([len(chains.places)]))
        rows = rows[counts[rows] > 0]
        before = chains.places[chains.starts[rows].long()].long()
        wrong = _earlier(rows, generator)
        judge(4 + place, flow(rows), flow(before), flow(wrong), side[wrong] != side[rows])
    rows = hidden.copy.nonzero()[:, 0]
    wrong = _earlier(rows, generator)
    before = graph.before_copy[rows]
    judge(6, flow(rows), flow(before), flow(wrong), wrong != before)
    counts = torch.diff(
        graph.before_host.starts, append=graph.before_host.starts.new_tensor([len(graph.before_host.places)])
    )
    rows = (hidden.host & (counts > 0)).nonzero()[:, 0]
    before = graph.before_host.places[graph.before_host.starts[rows].long()].long()
    wrong = _any_of_window(graph.host_window, graph.host_window[before], generator)
    judge(7, host(rows), host(before), host(wrong), wrong != before)
    return torch.stack(losses).mean() if losses else flows.sum() * 0.0


def wrong_hosts(graph: GraphTensors, rows: Tensor, side: Tensor, generator: torch.Generator) -> Tensor:
    """A host of the same window for each flow: any of it, or (half of them) one that another flow has on this side."""
    window = graph.flow_window[rows]
    uniform = _any_of_window(graph.host_window, window, generator)
    same_type = side[_any_of_window(graph.flow_window, window, generator)]
    coin = torch.rand(len(rows), generator=generator, device=rows.device) < 0.5
    return torch.where(coin, uniform, same_type)


def _any_of_window(windows: Tensor, wanted: Tensor, generator: torch.Generator) -> Tensor:
    """A node of each wanted window; `windows` of the nodes are in order."""
    first, last = torch.searchsorted(windows, wanted), torch.searchsorted(windows, wanted, right=True)
    drawn = torch.rand(len(wanted), generator=generator, device=wanted.device)
    return first + (drawn * (last - first)).long().clamp(max=(last - first - 1).clamp(min=0))


def _earlier(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Another of the last flows before each; the flow itself where it is the first."""
    drawn = torch.rand(len(rows), generator=generator, device=rows.device)
    return rows - 1 - (drawn * rows.clamp(max=REACH)).long() + (rows == 0).long()
