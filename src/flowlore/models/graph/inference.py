"""The graph network when nothing is learnt: the same vectors, sooner.

Products of matrices are torch's. Between them a few kernels do row by row, on rows that stay in the processor's cache,
what takes a dozen passes over all flows where gradients are wanted. Parts of the rows run side by side.

Shape letters: W width of a state, I numbers of a flow, S steps of a number, R ranges of a number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...errors import ModelError
from ...features.graphs.ends import PROTOCOL_CLASSES
from ..parts import SideBySide, parts_side_by_side
from .inference_kernels import add_numbers, add_rows, join_types
from .inputs import MOST_SCALED, ORDER_CODES, Bags, GraphTensors, host_inputs, waves, window_inputs
from .network import SLOPE, Layer, Memory, Network, Sum, mean_of
from .settings import GraphEncoderSettings

ROOMY, FEW_ROWS = 4, 8192  # rows are moved to less room where they have so many times what they need, and more
Floats = npt.NDArray[np.float32]


class Remembered:
    """States of flows and hosts of the last windows, by layer, which the next graph looks back on."""

    def __init__(self, settings: GraphEncoderSettings) -> None:
        self.flows = [KeptRows(settings.width) for _ in range(settings.layers)]
        self.hosts = [KeptRows(settings.width) for _ in range(settings.layers)]

    def memory(self, graph: GraphTensors) -> Memory:
        """What the graph looks back on. To be asked for before it is embedded."""
        pairs = zip(self.flows, self.hosts, strict=True)
        return [(flows.last(graph.context_flows), hosts.last(graph.context_hosts)) for flows, hosts in pairs]


class KeptRows:
    """The last rows of a table that grows, with room behind them. What was given is never written again."""

    def __init__(self, width: int) -> None:
        self._rows, self._end = torch.empty((0, width)), 0

    def last(self, count: int) -> Tensor:
        assert count <= self._end
        return self._rows[self._end - count : self._end]

    def room(self, earlier: int, rows: int) -> Tensor:
        """The last so many rows, and behind them room for new ones, to be written by the caller."""
        needed = earlier + rows + max(rows, earlier // 2)
        if self._end + rows > len(self._rows) or len(self._rows) > ROOMY * needed + FEW_ROWS:
            moved = torch.empty((needed, self._rows.shape[1]))
            moved[:earlier] = self.last(earlier)
            self._rows, self._end = moved, earlier
        self._end += rows
        return self._rows[self._end - rows - earlier : self._end]


class Inference:
    """Vectors as `Network.embedded` gives them, of graphs in a row, for weights that do not change any more.

    A network with nodes for services answers by itself.
    """

    def __init__(self, network: Network) -> None:
        self.network, self.settings = network, network.settings
        self._first = None if network.service_in is not None else _FirstProduct(network)

    @torch.inference_mode()
    def embedded(self, graph: GraphTensors, remembered: Remembered, out: Tensor) -> Tensor:
        """Writes the vectors of new flows, and gives those of new hosts. Their states are remembered."""
        if graph.numbers.shape[1] != self.network.numbers:
            raise ModelError(
                f"models: the graph network knows {self.network.numbers} numbers of a flow, and these flows have "
                f"{graph.numbers.shape[1]}",
                hint="give flows read with the features of the bundle",
            )
        if self._first is None:
            return self._by_network(graph, remembered, out)
        with parts_side_by_side(graph.flows) as side_by_side:
            return self._by_parts(self._first, graph, remembered, out, side_by_side)

    def _by_network(self, graph: GraphTensors, remembered: Remembered, out: Tensor) -> Tensor:
        vectors, host_vectors, states = self.network.embedded(graph, remembered.memory(graph))
        out[:] = vectors
        for layer, (flows, hosts) in enumerate(states):
            room = remembered.flows[layer].room(graph.context_flows, graph.flows)
            room[graph.context_flows :] = flows[graph.context_flows :]
            room = remembered.hosts[layer].room(graph.context_hosts, len(graph.hosts))
            room[graph.context_hosts :] = hosts[graph.context_hosts :]
        return host_vectors

    def _by_parts(
        self, first: _FirstProduct, graph: GraphTensors, remembered: Remembered, out: Tensor, side_by_side: SideBySide
    ) -> Tensor:
        settings, width = self.settings, self.settings.width
        states = [kept.room(graph.context_flows, graph.flows) for kept in remembered.flows]
        new = [rows[graph.context_flows :] for rows in states]
        side_by_side(graph.flows, lambda begin, end: first.states(graph, begin, end, new[0][begin:end]))
        if settings.keeps_own:
            out[:, width:] = new[0]
        own_hosts = hosts = self.network.host_in(host_inputs(graph, window_numbers=settings.window_numbers))
        for number, layer in enumerate(self.network.layers):
            assert isinstance(layer, Layer)
            all_hosts = remembered.hosts[number].room(graph.context_hosts, len(graph.hosts))
            all_hosts[graph.context_hosts :] = hosts
            following = new[number + 1] if number + 1 < len(new) else out
            hosts = _through(layer, graph, states[number], all_hosts, following, side_by_side)
        return torch.cat([hosts, own_hosts], 1) if settings.keeps_own else hosts


def _through(
    layer: Layer, graph: GraphTensors, flows: Tensor, hosts: Tensor, out: Tensor, side_by_side: SideBySide
) -> Tensor:
    """Writes the states of new flows after the layer into the first columns, and gives those of new hosts.

    `flows` and `hosts` are those before it, with those of earlier windows.
    """
    new_flows, new_hosts = flows[len(flows) - graph.flows :], hosts[len(hosts) - len(graph.hosts) :]
    if layer.through_time:
        after = torch.empty_like(new_flows) if layer.through_space else out
        side_by_side(
            graph.flows,
            lambda begin, end: _flows_through_time(layer.flow_in_time, graph, flows, begin, end, after),
        )
        joined = _Joined(layer.host_in_time, new_hosts)
        joined.add(0, mean_of(hosts, graph.before_host))
        new_hosts = joined.states()
        new_flows = after if layer.through_space else new_flows
    if layer.through_space:
        join, earlier_hosts, seen = layer.flow_in_space, new_hosts, new_flows
        messages = [join.near[side](earlier_hosts).numpy() for side in range(2)]
        places = (graph.source.numpy(), graph.target.numpy())

        def flows_through_space(begin: int, end: int) -> None:
            joined = _Joined(join, seen[begin:end])
            for side in range(2):
                add_rows(joined.messages.numpy(), joined.column(side), messages[side], places[side][begin:end])
            joined.write(out[begin:end])

        side_by_side(graph.flows, flows_through_space)
        after_hosts = torch.empty_like(new_hosts)

        def hosts_through_space(begin: int, end: int) -> None:
            joined = _Joined(layer.host_in_space, earlier_hosts[begin:end])
            for side, bags in enumerate((graph.sent, graph.received)):
                joined.add(side, _means(seen, bags, begin, end))
            joined.write(after_hosts[begin:end])

        side_by_side(len(new_hosts), hosts_through_space)
        new_hosts = after_hosts
    if not (layer.through_time or layer.through_space):
        out[:, : flows.shape[1]] = new_flows
    return new_hosts


def _flows_through_time(join: Sum, graph: GraphTensors, flows: Tensor, begin: int, end: int, out: Tensor) -> None:
    first_new = len(flows) - graph.flows
    joined = _Joined(join, flows[first_new + begin : first_new + end])
    joined.add(0, _means(flows, graph.before_source, begin, end))
    joined.add(1, _means(flows, graph.before_target, begin, end))
    earlier = graph.before_copy[begin:end]
    copies = (earlier >= 0).nonzero()[:, 0]
    if len(copies):
        told = np.full(end - begin, len(copies), np.int64)
        told[copies.numpy()] = np.arange(len(copies))
        message = join.near[2](flows.index_select(0, earlier[copies]))
        add_rows(joined.messages.numpy(), joined.column(2), message.numpy(), told)
    joined.write(out[begin:end])


class _Joined:
    """A part of the rows on their way through a `Sum`: their own states, then messages of each type of edge."""

    def __init__(self, join: Sum, states: Tensor) -> None:
        self.join = join
        self.messages: Tensor = join.own(states)

    def column(self, kind: int) -> int:
        """Where messages of a type of edge are."""
        return 0 if self.join.lean else kind * self.join.width

    def add(self, kind: int, means: Tensor) -> None:
        """Means of neighbours that this type of edge leads from."""
        begin = self.column(kind)
        near = self.join.near[kind]
        assert isinstance(near, nn.Linear)
        self.messages[:, begin : begin + self.join.width].addmm_(means, near.weight.T)

    def write(self, out: Tensor) -> None:
        types = 1 if self.join.lean else self.join.types
        join_types(self.messages.numpy(), types, SLOPE, out.numpy())

    def states(self) -> Tensor:
        out = torch.empty((len(self.messages), self.join.width))
        self.write(out)
        return out


class _FirstProduct:
    """States of flows before any neighbour. The first matrix becomes tables that numbers are looked up in."""

    def __init__(self, network: Network) -> None:
        settings, numbers = network.settings, network.numbers
        first, second = network.flow_in[0], network.flow_in[2]
        assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
        self.second = second
        weights: Floats = first.weight.detach().numpy().T  # [inputs, W]
        steps = settings.number_steps
        ends = np.cumsum([numbers, numbers, numbers * steps, PROTOCOL_CLASSES, ORDER_CODES])
        value, missing, stepped, classes, _ = np.split(weights[: ends[-1]], ends[:-1])
        self.missing, self.classes = np.ascontiguousarray(missing), np.ascontiguousarray(classes)
        self.lowest, self.a_range = -MOST_SCALED, 2 * MOST_SCALED / max(1, steps)
        self.tables = _tables(value, stepped.reshape(numbers, steps, weights.shape[1]), self.lowest, self.a_range)
        self.others = torch.from_numpy(np.ascontiguousarray(weights[ends[-2] :]))
        self.offsets, self.window_numbers = first.bias.detach(), settings.window_numbers

    def states(self, graph: GraphTensors, begin: int, end: int, out: Tensor) -> None:
        others = [waves(graph.order[begin:end])]
        if self.window_numbers:
            others.append(window_inputs(graph.window_numbers[begin:end]))
        summed = torch.from_numpy(
            add_numbers(
                graph.numbers[begin:end].numpy(),
                graph.protocol[begin:end].numpy(),
                self.tables,
                self.missing,
                self.classes,
                self.lowest,
                self.a_range,
            )
        )
        summed.addmm_(torch.cat(others, 1), self.others).add_(self.offsets).relu_()
        torch.addmm(self.second.bias, summed, self.second.weight.T, out=out)


def _tables(value: Floats, steps: Floats, lowest: float, a_range: float) -> Floats:
    """[I, R, 2, W] of weights [I, W] and [I, S, W]: in a range, all steps before it are taken and its own is rising."""
    numbers, count, width = steps.shape
    tables = np.zeros((numbers, count + 2, 2, width), np.float32)
    tables[:, :, 1] = value[:, None]
    for step in range(count):
        begins = lowest + step * a_range
        tables[:, step + 1, 0] -= steps[:, step] * np.float32(begins / a_range)
        tables[:, step + 1, 1] += steps[:, step] / np.float32(a_range)
        tables[:, step + 2 :, 0] += steps[:, step, None]
    return tables


def _means(states: Tensor, bags: Bags, begin: int, end: int) -> Tensor:
    """The mean state of each of these bags."""
    first = int(bags.starts[begin])
    last = int(bags.starts[end]) if end < len(bags.starts) else len(bags.places)
    return mean_of(states, Bags(starts=bags.starts[begin:end] - first, places=bags.places[first:last]))
