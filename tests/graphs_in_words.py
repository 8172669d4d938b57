"""Graphs for tests: flows made by hand, and what a list of graphs says in terms of flows and hosts."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from flowlore.features.batch import FeatureBatch
from flowlore.features.graphs.graph import Graph

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Told:
    """Edges and numbers of every flow by its row, and of every host by its key and window."""

    flows: dict[int, dict[str, Any]]
    hosts: dict[tuple[int, int], dict[str, Any]]
    left_out: dict[int, int | None]


def flows_between(
    ends: list[tuple[int, int]],
    ended_s: list[float],
    *,
    copies: list[int] | None = None,
    services: list[int] | None = None,
    lasted_s: float = 0.0,
) -> FeatureBatch:
    """Flows with these ends (0 is unknown) that ended at these times and lasted so long."""
    rows = len(ends)
    times = np.round(np.array(ended_s, np.float64).reshape(rows) * SECOND_NS).astype(np.int64)
    keys = np.array(ends, np.uint64).reshape(rows, 2)
    return FeatureBatch(
        length=rows,
        channels={
            "graph.ends": keys,
            "graph.times_ns": np.stack([times - round(lasted_s * SECOND_NS), times], axis=1),
            "graph.copy": np.array(copies or [0] * rows, np.uint64),
            "graph.service": np.array(services or [0] * rows, np.int32),
            "graph.protocol": np.zeros(rows, np.int32),
        },
        present={"graph": (keys != 0).all(axis=1)},
    )


def told(graphs: list[Graph]) -> Told:
    """The graphs of one stream in its order, with places turned into rows and hosts."""
    flows: dict[int, dict[str, Any]] = {}
    hosts: dict[tuple[int, int], dict[str, Any]] = {}
    left_out: dict[int, int | None] = {}
    remembered: list[int] = []
    for graph in graphs:
        assert graph.context_flows <= len(remembered)
        rows = [*remembered[len(remembered) - graph.context_flows :], *graph.rows.tolist()]
        names = list(zip(graph.host_keys.tolist(), graph.host_windows.tolist(), strict=True))
        for place, row in enumerate(graph.rows.tolist()):
            node = graph.context_flows + place
            assert row not in flows, "a flow came twice"
            before = int(graph.before_copy[place])
            flows[row] = {
                "window": int(graph.flow_windows[node]),
                "source": names[graph.source[node]],
                "target": names[graph.target[node]],
                "same source": [rows[one] for one in looked_back_on(graph.before_source, place)],
                "same target": [rows[one] for one in looked_back_on(graph.before_target, place)],
                "copy": rows[before] if before >= 0 else None,
                "service": int(graph.service[place]) >= 0,
                "numbers": graph.flow_numbers[place].tolist(),
                "order": int(graph.order[place]),
            }
        for place in range(graph.hosts):
            name = names[graph.context_hosts + place]
            assert name not in hosts, "a host came twice in a window"
            earlier = [names[one] for one in looked_back_on(graph.before_host, place)]
            assert all(key == name[0] for key, _ in earlier)
            hosts[name] = {
                "windows": [window for _, window in earlier],
                "numbers": graph.host_numbers[place].tolist(),
            }
        for row, place in zip(graph.left_out.tolist(), graph.stand_in.tolist(), strict=True):
            left_out[row] = rows[place] if place >= 0 else None
        remembered = rows[len(rows) - graph.keep_flows :]
    return Told(flows=flows, hosts=hosts, left_out=left_out)


def looked_back_on(links: Any, place: int) -> list[int]:
    found: list[int] = links.places[links.starts[place] : links.ends()[place]].tolist()
    return found
