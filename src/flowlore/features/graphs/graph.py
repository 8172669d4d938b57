"""`Graph`: some windows in a row as arrays of flow nodes, host nodes and edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.float32]

HOST_NUMBERS = (
    "flows out",
    "flows in",
    "peers out",
    "peers in",
    "services used",
    "services offered",
    "windows since seen",
)
FLOW_NUMBERS = ("since same source", "since same target", "flows of this pair before", "place in window")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Links:
    """For each node the earlier nodes that it looks back on: `places[starts[i]:starts[i + 1]]`, the latest first."""

    starts: Places  # [nodes]
    places: Places

    def __len__(self) -> int:
        return len(self.starts)

    def ends(self) -> Places:
        return np.append(self.starts[1:], np.int32(len(self.places)))

    def counts(self) -> Places:
        return self.ends() - self.starts


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Graph:
    """Windows that closed together. Flow and host nodes are numbered in order of time, first those of earlier windows
    that are remembered (`context_flows`, `context_hosts`), then the new ones. Edges lead from earlier to later.

    There are eight types of edge: `source` and `target` join a flow with its hosts, both ways; `before_source`,
    `before_target`, `before_copy` join a flow with earlier flows of the same source, the same target, and with the
    slice of itself before; `before_host` joins a host with itself in earlier windows.
    """

    rows: Integers  # [new flows] number of the flow since the stream began
    context_flows: int
    context_hosts: int
    flow_windows: Integers  # [flows]
    source: Places  # [flows] host node
    target: Places  # [flows]
    service: Places  # [new flows] service node, -1 where there is none
    services: int  # service nodes
    before_source: Links  # [new flows] → flows
    before_target: Links  # [new flows] → flows
    before_copy: Places  # [new flows] flow, or -1
    before_host: Links  # [new hosts] → hosts
    host_keys: Keys  # [hosts] anonymous number of the host
    host_windows: Integers  # [hosts]
    host_numbers: Numbers  # [new hosts, HOST_NUMBERS]
    flow_numbers: Numbers  # [new flows, FLOW_NUMBERS]
    order: Places  # [new flows] how many flows came before it in its window
    left_out: Integers  # rows that are in no graph: too many copies, or sampled away
    stand_in: Places  # [left out] the flow that stands for it, -1 where there is none
    keep_flows: int  # as many of the last flows are the next graph's context

    @property
    def flows(self) -> int:
        """New flow nodes."""
        return len(self.rows)

    @property
    def hosts(self) -> int:
        """New host nodes."""
        return len(self.before_host)

    @property
    def windows(self) -> int:
        """Windows that hold a new flow."""
        return len(np.unique(self.flow_windows[self.context_flows :]))

    def edges(self) -> dict[str, int]:
        """Edges of each type that lead to new nodes."""
        temporal = {
            "flow before flow of same source": len(self.before_source.places),
            "flow before flow of same target": len(self.before_target.places),
            "flow before its next slice": int((self.before_copy >= 0).sum()),
            "host before itself": len(self.before_host.places),
        }
        spatial = ("host sends flow", "flow arrives at host", "flow sent by host", "host receives flow")
        return dict.fromkeys(spatial, self.flows) | temporal
