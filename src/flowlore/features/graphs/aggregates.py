"""What a graph knows, as plain numbers of each flow, for baselines: its information without its network."""

from __future__ import annotations

import numpy as np

from ..batch import FeatureBatch
from .graph import FLOW_NUMBERS, HOST_NUMBERS, Numbers
from .settings import GraphSettings
from .stream import DEFAULTS, GraphStream

AGGREGATES = (
    *(f"source: {name}" for name in HOST_NUMBERS),
    *(f"target: {name}" for name in HOST_NUMBERS),
    *FLOW_NUMBERS[:3],
)


def window_aggregates(flows: FeatureBatch, settings: GraphSettings = DEFAULTS) -> Numbers:
    """[flows, AGGREGATES]: what source and target did in the window in which the flow ended, and the times since flows
    of the same hosts. NaN is not known; a flow that is left out of the graph has the numbers of the one in its stead.
    """
    found = np.full((len(flows), len(AGGREGATES)), np.nan, np.float32)
    stream = GraphStream(settings)
    last: Numbers = np.zeros((0, len(AGGREGATES)), np.float32)
    for graph in (*stream.add(flows), *stream.finish()):
        hosts = graph.host_numbers
        source = graph.source[graph.context_flows :] - graph.context_hosts
        target = graph.target[graph.context_flows :] - graph.context_hosts
        numbers = np.concatenate([hosts[source], hosts[target], graph.flow_numbers[:, :3]], axis=1)
        numbers[numbers < 0] = np.nan
        found[graph.rows] = numbers
        last = np.concatenate([last[len(last) - graph.context_flows :], numbers])
        has_one = graph.stand_in >= 0
        found[graph.left_out[has_one]] = last[graph.stand_in[has_one]]
        last = last[len(last) - graph.keep_flows :]
    return found
