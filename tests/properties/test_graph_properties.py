"""Graphs see no future, no names, and not how their input was cut."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlore.features.batch import FeatureBatch
from flowlore.features.graphs.graph import Graph
from flowlore.features.graphs.settings import GraphSettings
from flowlore.features.graphs.stream import GraphStream
from graphs_in_words import Told, flows_between, told

SMALL = GraphSettings(
    window_s=2, memory_windows=3, earlier_flows=3, most_flows=5, most_copies=2, services=True, wait_s=0
)


@st.composite
def some_flows(draw: st.DrawFn, *, in_order: bool = True) -> FeatureBatch:
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 30), st.integers(0, 4), st.integers(0, 3)),
            max_size=60,
        )
    )
    if in_order:
        rows.sort(key=lambda row: row[2])
    return flows_between(
        [row[:2] for row in rows],
        [row[2] / 2 for row in rows],
        copies=[row[3] for row in rows],
        services=[row[4] for row in rows],
    )


def all_at_once(flows: FeatureBatch, how: GraphSettings = SMALL, stretch_flows: int = 10_000) -> Told:
    stream = GraphStream(how, stretch_flows=stretch_flows)
    return told([*stream.add(flows), *stream.finish()])


@given(some_flows(), st.lists(st.integers(0, 60), max_size=4), st.integers(1, 12))
@settings(deadline=None)
def test_how_the_input_is_cut_changes_nothing(flows: FeatureBatch, cuts: list[int], stretch_flows: int) -> None:
    stream = GraphStream(SMALL, stretch_flows=stretch_flows)
    edges = [0, *sorted(min(cut, len(flows)) for cut in cuts), len(flows)]
    graphs: list[Graph] = []
    for first, last in pairwise(edges):
        graphs += stream.add(flows.take(np.arange(first, last)))
    assert told([*graphs, *stream.finish()]) == all_at_once(flows)


@given(some_flows(), st.integers(0, 30))
@settings(deadline=None)
def test_no_window_knows_what_comes_after_it(flows: FeatureBatch, cut_half_s: int) -> None:
    """Flows that ended after a moment are cut away: windows that had closed by then stay as they were."""
    window_s = SMALL.window_s
    closed = int(cut_half_s / 2 // window_s)
    ended_s = flows.channels["graph.times_ns"][:, 1] / 1e9
    whole, cut = all_at_once(flows), all_at_once(flows.take(np.flatnonzero(ended_s < closed * window_s)))
    assert cut.flows == {row: flow for row, flow in whole.flows.items() if flow["window"] < closed}
    assert cut.hosts == {name: host for name, host in whole.hosts.items() if name[1] < closed}


@given(some_flows(), st.permutations(range(1, 6)))
@settings(deadline=None)
def test_renaming_every_host_changes_nothing_but_names(flows: FeatureBatch, names: list[int]) -> None:
    new_name = np.array([0, *(name + 1_000_000 for name in names)], np.uint64)
    ends = flows.channels["graph.ends"]
    renamed = replace(flows, channels={**flows.channels, "graph.ends": new_name[ends]})
    for one, other in zip(_graphs(flows), _graphs(renamed), strict=True):
        assert (new_name[one.host_keys] == other.host_keys).all()
        for field in Graph.__slots__:
            if field == "host_keys":
                continue
            a, b = getattr(one, field), getattr(other, field)
            if hasattr(a, "places"):
                assert (a.places == b.places).all() and (a.starts == b.starts).all()
            else:
                assert np.array_equal(a, b), field


@given(some_flows(in_order=False))
@settings(deadline=None)
def test_every_flow_is_somewhere(flows: FeatureBatch) -> None:
    stream = GraphStream(SMALL, stretch_flows=7)
    graphs = [*stream.add(flows), *stream.finish()]
    found, counts = told(graphs), stream.counts
    assert len(found.flows) == counts["nodes"]
    assert len(found.left_out) == counts["copies"] + counts["sampled"]
    assert counts["nodes"] + counts["copies"] + counts["sampled"] + counts["alone"] == len(flows)
    for graph in graphs:
        _, sizes = np.unique(graph.flow_windows[graph.context_flows :], return_counts=True)
        assert (sizes <= SMALL.most_flows).all()


def _graphs(flows: FeatureBatch) -> list[Graph]:
    stream = GraphStream(SMALL, stretch_flows=9)
    return [*stream.add(flows), *stream.finish()]
