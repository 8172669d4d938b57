"""The network: states of flows and hosts, then layers of messages through time and through space.

Shape letters: F new flows, H new hosts, A flows of earlier windows and new, S services, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .inputs import Bags, GraphTensors, flow_input_width, flow_inputs, host_input_width, host_inputs
from .settings import GraphEncoderSettings

SLOPE = 0.01
Memory = Sequence[tuple[Tensor, Tensor]]


class Network(nn.Module):
    """`forward` gives the states of new flows and hosts, and what later windows must remember of every layer."""

    def __init__(self, settings: GraphEncoderSettings, numbers: int) -> None:
        super().__init__()
        self.settings, self.numbers, width = settings, numbers, settings.width
        shown, steps = settings.window_numbers, settings.number_steps
        self.flow_in = nn.Sequential(
            nn.Linear(flow_input_width(numbers, window_numbers=shown, steps=steps), width),
            nn.ReLU(),
            nn.Linear(width, width),
        )
        self.host_in = nn.Linear(host_input_width(window_numbers=shown), width)
        self.service_in = nn.Parameter(torch.zeros(width)) if settings.windows.services else None
        self.layers = nn.ModuleList(Layer(settings) for _ in range(settings.layers))
        self.numbers_out = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, max(numbers, 1)))

    def forward(self, graph: GraphTensors, memory: Memory | None = None) -> tuple[Tensor, Tensor, Memory]:
        """`memory` is that of the windows before: for each layer the states of their flows and hosts."""
        flows = self.own_states(graph)
        hosts = self.host_in(host_inputs(graph, window_numbers=self.settings.window_numbers))
        states = []
        for number, layer in enumerate(self.layers):
            all_flows, all_hosts = flows, hosts
            if memory is not None:
                all_flows = torch.cat([memory[number][0], flows])
                all_hosts = torch.cat([memory[number][1], hosts])
            states.append((all_flows, all_hosts))
            flows, hosts = layer(graph, flows, hosts, all_flows, all_hosts, self.service_in)
        return flows, hosts, states

    def own_states(self, graph: GraphTensors) -> Tensor:
        """States of new flows before any neighbour has a part in them."""
        settings = self.settings
        shown: Tensor = self.flow_in(
            flow_inputs(graph, window_numbers=settings.window_numbers, steps=settings.number_steps)
        )
        return shown

    def embedded(self, graph: GraphTensors, memory: Memory | None = None) -> tuple[Tensor, Tensor, Memory]:
        """The same with vectors in place of states: those of `keeps_own` hold a node's first state too."""
        flows, hosts, states = self(graph, memory)
        if self.settings.keeps_own:
            all_flows, all_hosts = states[0]
            flows = torch.cat([flows, all_flows[len(all_flows) - len(flows) :]], 1)
            hosts = torch.cat([hosts, all_hosts[len(all_hosts) - len(hosts) :]], 1)
        return flows, hosts, states


class Layer(nn.Module):
    """Messages through time, then through space. An edge type's messages are the mean of its neighbours' states."""

    def __init__(self, settings: GraphEncoderSettings) -> None:
        super().__init__()
        width, lean = settings.width, settings.kind == "lean"
        self.through_time, self.through_space = settings.through_time, settings.through_space
        if self.through_time:
            self.flow_in_time = Sum(width, 3, lean)
            self.host_in_time = Sum(width, 1, lean)
        if self.through_space:
            of_flow = 3 if settings.windows.services else 2
            self.flow_in_space = Sum(width, of_flow, lean)
            self.host_in_space = Sum(width, 2, lean)
            self.service_in_space = nn.Linear(width, width) if settings.windows.services else None

    def forward(
        self,
        graph: GraphTensors,
        flows: Tensor,
        hosts: Tensor,
        all_flows: Tensor,
        all_hosts: Tensor,
        service_in: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        if self.through_time:
            copies = (graph.before_copy >= 0).nonzero()[:, 0]
            join = self.flow_in_time
            flows = join(
                flows,
                [
                    join.near[0](mean_of(all_flows, graph.before_source)),
                    join.near[1](mean_of(all_flows, graph.before_target)),
                    flows.new_zeros(flows.shape).index_copy(
                        0, copies, join.near[2](all_flows.index_select(0, graph.before_copy[copies])).to(flows.dtype)
                    ),
                ],
            )
            join = self.host_in_time
            hosts = join(hosts, [join.near[0](mean_of(all_hosts, graph.before_host))])
        if self.through_space:
            join = self.flow_in_space
            messages = [
                _taken(join.near[0](hosts), graph.source),
                _taken(join.near[1](hosts), graph.target),
            ]
            if self.service_in_space is not None and service_in is not None:
                services = F.leaky_relu(self.service_in_space(mean_of(flows, graph.of_service)) + service_in, SLOPE)
                messages.append(_taken(join.near[2](services), graph.service))
            to_hosts = self.host_in_space
            hosts_after = to_hosts(
                hosts,
                [to_hosts.near[0](mean_of(flows, graph.sent)), to_hosts.near[1](mean_of(flows, graph.received))],
            )
            flows, hosts = join(flows, messages), hosts_after
        return flows, hosts


class Sum(nn.Module):
    """A node's own state and the messages of several types of edge, summed. Each type is brought to length 1 before,
    or, where `lean`, the sum is. A type without a neighbour brings no message.
    """

    def __init__(self, width: int, types: int, lean: bool) -> None:
        super().__init__()
        self.width, self.types, self.lean = width, types, lean
        self.near = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(types))
        self.own = nn.Linear(width, width if lean else width * types)

    def forward(self, states: Tensor, messages: list[Tensor]) -> Tensor:
        own = self.own(states)
        if self.lean:
            for message in messages:
                own = own + message
            return F.leaky_relu(F.normalize(own, dim=1), SLOPE)
        total = None
        for message, mine in zip(messages, own.chunk(self.types, 1), strict=True):
            joined = F.normalize(message + mine, dim=1)
            total = joined if total is None else total + joined
        assert total is not None
        return F.leaky_relu(total, SLOPE)


def mean_of(states: Tensor, bags: Bags) -> Tensor:
    """The mean state of each bag; zeros for an empty one."""
    if not len(bags.starts):
        return states.new_zeros((0, states.shape[1]))
    if not len(bags.places):
        return states.new_zeros((len(bags.starts), states.shape[1]))
    return F.embedding_bag(bags.places, states, bags.starts, mode="mean")


def _taken(states: Tensor, places: Tensor) -> Tensor:
    """The state at each place; zeros beyond the last."""
    return F.pad(states, (0, 0, 0, 1)).index_select(0, places)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fresh weights from this generator alone; biases and whatever else there is are 0."""
    with torch.no_grad():
        for weight in (*network.parameters(), *network.buffers()):
            weight.zero_()
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
