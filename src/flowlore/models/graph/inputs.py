"""`Graph` and the numbers of its flows → the tensors that the network reads.

Shape letters: F new flows, H new hosts, S services, I numbers of a flow, J numbers of a host.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...features.batch import FeatureBatch
from ...features.graphs.ends import PROTOCOL_CLASSES
from ...features.graphs.graph import FLOW_NUMBERS, HOST_NUMBERS, Graph, Links
from ...features.scaling import Scaling

ORDER_CODES = 8  # sines and cosines of a flow's order in its window
MILLISECONDS = 1e3
MOST_SCALED = 2.5  # scaled numbers are seldom farther from 0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Bags:
    """Nodes to take the mean of, for each node: `places[starts[i]:starts[i + 1]]`."""

    starts: Tensor  # int32
    places: Tensor  # int32

    def without(self, receiving: Tensor, sending: Tensor) -> Bags:
        """The bags without whole bags, and without these nodes in the others. Both are masks."""
        counts = torch.diff(self.starts, append=self.starts.new_tensor([len(self.places)]))
        device = self.starts.device
        owner = torch.repeat_interleave(torch.arange(len(self.starts), device=device), counts)
        stays = ~(receiving[owner] | sending[self.places])
        left = torch.zeros(len(self.starts), dtype=torch.int32, device=device).index_add_(0, owner, stays.int())
        return Bags(starts=torch.cumsum(left, 0, dtype=torch.int32) - left, places=self.places[stays])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GraphTensors:
    """What the network reads. Places of flows and hosts that look back count those of earlier windows first."""

    context_flows: int
    context_hosts: int
    numbers: Tensor  # F, I, NaN is missing
    protocol: Tensor  # F
    window_numbers: Tensor  # F, FLOW_NUMBERS, -1 is missing
    order: Tensor  # F
    hosts: Tensor  # H, HOST_NUMBERS, -1 is missing
    source: Tensor  # F, a new host; H where there is none
    target: Tensor  # F
    sent: Bags  # H: flows that it sent
    received: Bags  # H
    before_source: Bags  # F
    before_target: Bags  # F
    before_copy: Tensor  # F, a flow, or -1
    before_host: Bags  # H
    service: Tensor  # F, a service; S where there is none
    of_service: Bags  # S
    flow_window: Tensor  # F, 0 … windows - 1
    host_window: Tensor  # H
    belongs: Tensor  # F, equal for flows that belong together; 0 is unknown. Training only

    @property
    def flows(self) -> int:
        return len(self.numbers)

    def to(self, device: str) -> GraphTensors:
        moved: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                moved[item.name] = value.to(device)
            elif isinstance(value, Bags):
                moved[item.name] = Bags(starts=value.starts.to(device), places=value.places.to(device))
        return replace(self, **moved)


def network_numbers(
    flows: FeatureBatch, scaling: Scaling | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Scaled quantities, NaN where missing, and the class of protocol, 0 where not known."""
    width = 0 if scaling is None else len(scaling.medians)
    known = flows.channels.get("quantities")
    numbers = (
        np.full((len(flows), width), np.nan, np.float32) if known is None or scaling is None else scaling.apply(known)
    )
    protocol = flows.channels.get("graph.protocol")
    return numbers, np.zeros(len(flows), np.int32) if protocol is None else protocol


def graph_tensors(
    graph: Graph,
    numbers: npt.NDArray[np.float32],
    protocol: npt.NDArray[np.int32],
    belongs: npt.NDArray[np.int64] | None = None,
) -> GraphTensors:
    """`numbers` and `protocol` are of the graph's new flows, scaled; `belongs` says which of them belong together."""
    context = graph.context_hosts
    source = graph.source[graph.context_flows :] - np.int32(context)
    target = graph.target[graph.context_flows :] - np.int32(context)
    service = np.where(graph.service < 0, np.int32(graph.services), graph.service)
    windows, flow_window = np.unique(graph.flow_windows[graph.context_flows :], return_inverse=True)
    host_window = np.searchsorted(windows, graph.host_windows[context:])
    return GraphTensors(
        context_flows=graph.context_flows,
        context_hosts=context,
        numbers=torch.from_numpy(numbers),
        protocol=torch.from_numpy(protocol.astype(np.int64)),
        window_numbers=torch.from_numpy(graph.flow_numbers),
        order=torch.from_numpy(graph.order),
        hosts=torch.from_numpy(graph.host_numbers),
        source=torch.from_numpy(source.astype(np.int64)),
        target=torch.from_numpy(target.astype(np.int64)),
        sent=_bags_of(source, graph.hosts),
        received=_bags_of(target, graph.hosts),
        before_source=_bags(graph.before_source),
        before_target=_bags(graph.before_target),
        before_copy=torch.from_numpy(graph.before_copy.astype(np.int64)),
        before_host=_bags(graph.before_host),
        service=torch.from_numpy(service.astype(np.int64)),
        of_service=_bags_of(service, graph.services),
        flow_window=torch.from_numpy(flow_window.astype(np.int64)),
        host_window=torch.from_numpy(host_window.astype(np.int64)),
        belongs=torch.zeros(graph.flows, dtype=torch.int64) if belongs is None else torch.from_numpy(belongs),
    )


def lone_tensors(numbers: npt.NDArray[np.float32], protocol: npt.NDArray[np.int32]) -> GraphTensors:
    """Flows that are in no graph: each by itself, without host, past or window."""
    rows = len(numbers)
    nothing = Bags(starts=torch.zeros(rows, dtype=torch.int32), places=torch.zeros(0, dtype=torch.int32))
    no_host = Bags(starts=torch.zeros(0, dtype=torch.int32), places=torch.zeros(0, dtype=torch.int32))
    zeros = torch.zeros(rows, dtype=torch.int64)
    return GraphTensors(
        context_flows=0,
        context_hosts=0,
        numbers=torch.from_numpy(numbers),
        protocol=torch.from_numpy(protocol.astype(np.int64)),
        window_numbers=torch.full((rows, len(FLOW_NUMBERS)), -1.0),
        order=torch.zeros(rows, dtype=torch.int32),
        hosts=torch.zeros((0, len(HOST_NUMBERS))),
        source=zeros,
        target=zeros,
        sent=no_host,
        received=no_host,
        before_source=nothing,
        before_target=nothing,
        before_copy=zeros - 1,
        before_host=no_host,
        service=zeros,
        of_service=no_host,
        flow_window=zeros,
        host_window=torch.zeros(0, dtype=torch.int64),
        belongs=zeros,
    )


def flow_inputs(graph: GraphTensors, *, window_numbers: bool, steps: int = 0) -> Tensor:
    """[F, `flow_input_width`]: scaled numbers, which are missing, class of protocol, order, numbers of the window."""
    missing = torch.isnan(graph.numbers)
    known = torch.nan_to_num(graph.numbers)
    parts = [
        known,
        missing.to(graph.numbers.dtype),
        *([_in_steps(known, steps) * ~missing.repeat_interleave(steps, 1)] if steps else []),
        torch.nn.functional.one_hot(graph.protocol, PROTOCOL_CLASSES).to(graph.numbers.dtype),
        waves(graph.order),
    ]
    if window_numbers:
        parts.append(window_inputs(graph.window_numbers))
    return torch.cat(parts, 1)


def window_inputs(numbers: Tensor) -> Tensor:
    """Numbers of flows within their window, and which are known."""
    known = (numbers >= 0).to(numbers.dtype)
    return torch.cat([torch.log1p(numbers.clamp(min=0) * MILLISECONDS) / 8, known], 1)


def flow_input_width(numbers: int, *, window_numbers: bool, steps: int = 0) -> int:
    return (2 + steps) * numbers + PROTOCOL_CLASSES + ORDER_CODES + (2 * len(FLOW_NUMBERS) if window_numbers else 0)


def host_inputs(graph: GraphTensors, *, window_numbers: bool) -> Tensor:
    """[H, `host_input_width`]: one, and where asked for the numbers of the host in its window."""
    one = torch.ones((len(graph.hosts), 1), device=graph.hosts.device)
    if not window_numbers:
        return one
    known = (graph.hosts >= 0).float()
    return torch.cat([one, torch.log1p(graph.hosts.clamp(min=0)), known], 1)


def host_input_width(*, window_numbers: bool) -> int:
    return 1 + (2 * len(HOST_NUMBERS) if window_numbers else 0)


def _in_steps(numbers: Tensor, steps: int) -> Tensor:
    """[F, I * steps]: each step rises from 0 to 1 over its part of the range of most scaled numbers."""
    lowest = -MOST_SCALED + 2 * MOST_SCALED * torch.arange(steps, device=numbers.device) / steps
    risen = (numbers[:, :, None] - lowest) * (steps / (2 * MOST_SCALED))
    return risen.clamp(0, 1).flatten(1)


def waves(order: Tensor) -> Tensor:
    """Sines and cosines of a place, the slowest over ten thousand places."""
    half = ORDER_CODES // 2
    speeds = torch.exp(torch.arange(half, device=order.device) * (-np.log(10_000.0) / half))
    angles = order.float()[:, None] * speeds
    return torch.cat([torch.sin(angles), torch.cos(angles)], 1)


def _bags(links: Links) -> Bags:
    return Bags(starts=torch.from_numpy(links.starts), places=torch.from_numpy(links.places))


def _bags_of(owner: npt.NDArray[np.int32], owners: int) -> Bags:
    """The members of each owner; an owner beyond the last has no bag."""
    order = np.argsort(owner, kind="stable").astype(np.int32)
    counts = np.bincount(owner, minlength=owners + 1)[:owners]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])[:owners].astype(np.int32)
    return Bags(starts=torch.from_numpy(starts), places=torch.from_numpy(order[: int(counts.sum())]))
