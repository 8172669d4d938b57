"""Flows → graphs: which edges there are, what is left out of a crowd, and what a table must have."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from flowlore.errors import InputError, SettingError
from flowlore.features.batch import FeatureBatch
from flowlore.features.extract import extract
from flowlore.features.graphs import waiting
from flowlore.features.graphs.graph import Graph
from flowlore.features.graphs.settings import GraphSettings
from flowlore.features.graphs.stream import GraphStream
from flowlore.features.settings import FeatureSettings
from flowlore.flows.schema import flow_batch
from graphs_in_words import Told, flows_between, told


def graphs_of(flows: FeatureBatch, settings: GraphSettings, **how: int) -> tuple[list[Graph], GraphStream]:
    stream = GraphStream(settings, **how)
    return [*stream.add(flows), *stream.finish()], stream


def by_hand(flows: FeatureBatch, settings: GraphSettings) -> Told:
    """Every edge by looking at every pair of flows: slow, and simple enough to be believed."""
    ends, ended = flows.channels["graph.ends"].tolist(), flows.channels["graph.times_ns"][:, 1]
    rows = [row for row in np.argsort(ended, kind="stable").tolist() if all(ends[row])]
    windows = {row: int(ended[row] // settings.window_ns) for row in rows}
    copies = flows.channels["graph.copy"].tolist()
    told_flows, told_hosts = {}, {}
    for place, row in enumerate(rows):
        near = [one for one in reversed(rows[:place]) if windows[one] > windows[row] - settings.memory_windows]
        same = [[one for one in near if ends[one][side] == ends[row][side]] for side in (0, 1)]
        slices = [one for one in near if copies[one] and copies[one] == copies[row]]
        in_window = [one for one in near if windows[one] == windows[row]]
        told_flows[row] = {
            "window": windows[row],
            "source": (ends[row][0], windows[row]),
            "target": (ends[row][1], windows[row]),
            "same source": same[0][: settings.earlier_flows],
            "same target": same[1][: settings.earlier_flows],
            "copy": slices[0] if slices else None,
            "pair": sum(ends[one] == ends[row] for one in in_window),
            "order": len(in_window),
        }
    for row in rows:
        for key in ends[row]:
            seen = sorted({windows[one] for one in rows if key in ends[one]}, reverse=True)
            out = [ends[one][1] for one in rows if windows[one] == windows[row] and ends[one][0] == key]
            into = [ends[one][0] for one in rows if windows[one] == windows[row] and ends[one][1] == key]
            told_hosts[key, windows[row]] = {
                "windows": [one for one in seen if windows[row] > one > windows[row] - settings.memory_windows],
                "numbers": [len(out), len(into), len(set(out)), len(set(into))],
            }
    return Told(flows=told_flows, hosts=told_hosts, left_out={})


def random_flows(seed: int, rows: int = 120) -> FeatureBatch:
    rng = np.random.default_rng(seed)
    ends = [(int(a), int(b)) for a, b in rng.integers(0, 7, (rows, 2))]
    return flows_between(ends, (rng.integers(0, 400, rows) / 10).tolist(), copies=rng.integers(0, 60, rows).tolist())


@pytest.mark.parametrize("seed", range(6))
def test_edges_are_those_that_looking_at_every_pair_finds(seed: int) -> None:
    settings = GraphSettings(window_s=2, memory_windows=3, earlier_flows=4, most_copies=1000)
    flows = random_flows(seed)
    graphs, stream = graphs_of(flows, settings, stretch_flows=16)
    got, wanted = told(graphs), by_hand(flows, settings)
    assert len(graphs) > 3
    for row, flow in wanted.flows.items():
        assert {name: got.flows[row][name] for name in flow if name != "pair"} == {
            name: value for name, value in flow.items() if name != "pair"
        }
        assert got.flows[row]["numbers"][2] == flow["pair"]
    assert got.flows.keys() == wanted.flows.keys()
    assert {name: host["windows"] for name, host in got.hosts.items()} == {
        name: host["windows"] for name, host in wanted.hosts.items()
    }
    assert {name: host["numbers"][:4] for name, host in got.hosts.items()} == {
        name: host["numbers"] for name, host in wanted.hosts.items()
    }
    assert stream.counts["alone"] == 120 - len(wanted.flows) > 0


def test_a_flow_is_seen_in_the_window_in_which_it_ended() -> None:
    batch = flow_batch(
        {
            "src_ip": [bytes(15) + b"\x01"] * 2,
            "dst_ip": [bytes(15) + b"\x02"] * 2,
            "start": pa.array([1_000_000_000, 2_000_000_000], pa.timestamp("ns", tz="UTC")),
            "duration_ns": pa.array([20_000_000_000, None], pa.int64()),
        },
        2,
    )
    flows = extract(batch, FeatureSettings(graph=True))
    found = told(graphs_of(flows, GraphSettings(window_s=5, memory_windows=9))[0])
    assert found.flows[0]["window"] == 4
    assert found.flows[1]["window"] == 0
    assert found.flows[0]["same source"] == [1], "the long flow looks back on the short one, which ended first"
    assert found.flows[1]["same source"] == []


def test_a_window_is_given_once_it_has_closed_and_not_before() -> None:
    stream = GraphStream(GraphSettings(window_s=5, wait_s=0))
    assert list(stream.add(flows_between([(1, 2)], [1.0]))) == []
    assert list(stream.add(flows_between([(1, 3)], [4.999]))) == []
    closed = list(stream.add(flows_between([(1, 4)], [5.0])))
    assert [graph.rows.tolist() for graph in closed] == [[0, 1]]
    assert stream.waiting_from() == 2
    assert [graph.rows.tolist() for graph in stream.finish()] == [[2]]
    assert stream.waiting_from() == 3


def test_a_flow_reported_late_counts_in_the_window_that_is_open() -> None:
    stream = GraphStream(GraphSettings(window_s=5, wait_s=0))
    first = list(stream.add(flows_between([(1, 2), (1, 2)], [1.0, 11.0])))
    late = [*stream.add(flows_between([(3, 4)], [2.0])), *stream.finish()]
    found = told([*first, *late])
    assert found.flows[2]["window"] == 2
    assert stream.counts["late"] == 1
    patient = GraphStream(GraphSettings(window_s=5, wait_s=10))
    graphs = [*patient.add(flows_between([(1, 2), (1, 2)], [1.0, 11.0]))]
    graphs += [*patient.add(flows_between([(3, 4)], [2.0])), *patient.finish()]
    assert told(graphs).flows[2]["window"] == 0
    assert patient.counts["late"] == 0


def test_a_long_flow_does_not_hurry_those_that_begin_after_it() -> None:
    """In a table in order of start a long flow ends far ahead; what time it is, starts tell."""
    stream = GraphStream(GraphSettings(window_s=5, wait_s=0))
    graphs = [*stream.add(flows_between([(1, 2)], [501.0], lasted_s=500.0))]
    for second in (2.0, 3.0, 20.0, 21.0):
        graphs += stream.add(flows_between([(3, 4)], [second]))
    found = told([*graphs, *stream.finish()])
    assert [found.flows[row]["window"] for row in range(5)] == [100, 0, 0, 4, 4]
    assert stream.counts["late"] == 0


def test_who_is_patient_keeps_windows_open_while_few_flows_wait() -> None:
    """Files of one time, read one after the other, of which one has a clock that is a month ahead."""
    seconds = [100.0, 2_700_000.0, 200.0, 2.0, 150.0, 1.0]
    stream = GraphStream(GraphSettings(window_s=5, wait_s=0), patient=True)
    for second in seconds:
        assert list(stream.add(flows_between([(1, 2)], [second]))) == []
    found = told(list(stream.finish()))
    assert [found.flows[row]["window"] for row in range(6)] == [int(second // 5) for second in seconds]
    assert stream.counts["late"] == 0


def test_who_is_patient_waits_as_long_as_flows_come_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter tells of flows 300 s after their end: by the second of its records that is known."""
    monkeypatch.setattr(waiting, "FEW_FLOWS", 100)
    begins = np.arange(0.0, 2000.0, 10.0)
    told_late = [float(second) for pair in zip(begins + 300, begins, strict=True) for second in pair]
    late = {}
    for patient in (False, True):
        stream = GraphStream(GraphSettings(window_s=5, wait_s=65), patient=patient)
        graphs: list[Graph] = []
        for second in told_late:
            graphs += stream.add(flows_between([(1, 2)], [second]))
        found = told([*graphs, *stream.finish()])
        late[patient] = stream.counts["late"]
        if patient:
            assert all(flow["window"] == int(told_late[row] // 5) for row, flow in found.flows.items())
    assert late[True] == 0 and late[False] > 150


def test_nothing_waits_behind_a_flow_of_days() -> None:
    """Told at its begin, in a table in order of start: it is given up, in no graph, and nothing is held for it."""
    stream = GraphStream(GraphSettings(window_s=5, wait_s=0, most_waiting=20))
    graphs = [*stream.add(flows_between([(1, 2)], [200_000.0], lasted_s=200_000.0))]
    for second in range(1, 200):
        graphs += stream.add(flows_between([(3, 4)], [float(second)]))
        assert stream.counts["flows"] - stream.waiting_from() <= 30
    found = told([*graphs, *stream.finish()])
    assert stream.counts["distant"] == 1 and 0 in found.left_out
    assert len(found.flows) == 199 and stream.counts["hurried"] == stream.counts["late"] == 0


def test_what_was_given_up_comes_in_the_end() -> None:
    stream = GraphStream(GraphSettings(window_s=5, wait_s=100, most_waiting=3))
    list(stream.add(flows_between([(1, 2)], [2000.0], lasted_s=2000.0)))
    assert list(stream.add(flows_between([(0, 4)] * 4, [1.0] * 4))) == [], "these are in no graph"
    assert stream.waiting_from() == 0
    assert told(list(stream.finish())).flows[0]["window"] == 400


def test_patience_ends_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FEW_FLOWS", 2)
    stream = GraphStream(GraphSettings(window_s=5, wait_s=0), patient=True)
    for second in (100_000.0, 0.0, 100_001.0, 110_000.0, 1.0):
        list(stream.add(flows_between([(1, 2)], [second])))
    assert stream.counts["late"] == 1, "what comes later than an hour after its end counts in the window that is open"
    assert len(stream._waiting) < 5


def test_patience_ends_where_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FEW_FLOWS", 20)
    stream = GraphStream(GraphSettings(window_s=5, wait_s=10), patient=True)
    graphs: list[Graph] = []
    for second in range(1, 400):
        seconds = [float(second)] * 2 if second % 50 else [float(second), second - 45.0]
        graphs += stream.add(flows_between([(1, 2)] * 2, seconds))
        assert len(stream._waiting) <= 40
    assert 0 < stream.counts["late"] < 10
    assert len(told([*graphs, *stream.finish()]).flows) == 798


def test_what_waits_is_bounded() -> None:
    stream = GraphStream(GraphSettings(window_s=5, wait_s=1000, most_waiting=10))
    graphs: list[Graph] = []
    for second in range(100):
        graphs += stream.add(flows_between([(1, 2)], [float(second)]))
        assert len(stream._waiting) <= 10
    assert stream.counts["hurried"] > 0
    assert len(told([*graphs, *stream.finish()]).flows) == 100


@pytest.mark.parametrize("most_copies", [1, 2, 3])
def test_a_flow_of_many_slices_has_so_many_in_the_memory_and_the_rest_is_counted(most_copies: int) -> None:
    settings = GraphSettings(window_s=5, memory_windows=4, most_copies=most_copies)
    slices = 20
    flows = flows_between([(1, 2)] * slices, [5.0 * place + 1 for place in range(slices)], copies=[7] * slices)
    graphs, stream = graphs_of(flows, settings, stretch_flows=3)
    found = told(graphs)
    windows = [flow["window"] for flow in found.flows.values()]
    for first in range(slices):
        assert sum(first <= window < first + 4 for window in windows) <= most_copies
    assert stream.counts["copies"] == slices - len(windows) > 0
    assert set(found.left_out) | set(found.flows) == set(range(slices))
    assert all(row is not None for row in found.left_out.values()), "an earlier slice stands for each that is left out"


def test_flows_without_an_id_are_no_copies_of_each_other() -> None:
    settings = GraphSettings(most_copies=1)
    _, stream = graphs_of(flows_between([(1, 2)] * 9, [1.0] * 9), settings)
    assert (stream.counts["copies"], stream.counts["nodes"]) == (0, 9)


def test_a_crowded_window_keeps_every_pair_before_it_keeps_any_pair_twice() -> None:
    flood = [(1, 2)] * 50
    others = [(3, 4), (5, 6), (3, 4)]
    flows = flows_between([*flood, *others], [1.0 + place / 100 for place in range(53)])
    graphs, stream = graphs_of(flows, GraphSettings(most_flows=6))
    found = told(graphs)
    assert sorted(found.flows) == [0, 1, 2, 50, 51, 52]
    assert stream.counts["sampled"] == 47
    assert set(found.left_out.values()) == {2}, "the last kept flow of the pair stands for those left out"
    assert found.hosts[1, 0]["numbers"][0] == 3


def test_services_are_nodes_when_asked_for() -> None:
    flows = flows_between([(1, 2), (3, 2), (4, 2), (4, 2)], [1, 1, 1, 9], services=[443, 443, 0, 443])
    graphs, _ = graphs_of(flows, GraphSettings(services=True, wait_s=0))
    assert [graph.services for graph in graphs] == [1, 1]
    assert graphs[0].service.tolist() == [0, 0, -1]
    closed, _ = graphs_of(flows, GraphSettings(services=True, window_s=0.5))
    assert closed[0].services == 2
    assert closed[0].service.tolist() == [0, 0, -1, 1]
    assert graphs_of(flows, GraphSettings())[0][0].services == 0


def test_numbers_of_hosts_and_flows() -> None:
    flows = flows_between([(1, 2), (1, 3), (1, 3)], [1.0, 2.0, 6.0], services=[80, 443, 443])
    found = told(graphs_of(flows, GraphSettings(window_s=5))[0])
    assert found.hosts[1, 0]["numbers"] == [2, 0, 2, 0, 2, 0, -1]
    assert found.hosts[3, 0]["numbers"] == [0, 1, 0, 1, 0, 1, -1]
    assert found.hosts[1, 1]["numbers"] == [1, 0, 1, 0, 1, 0, 1]
    assert found.flows[0]["numbers"] == pytest.approx([-1, -1, 0, 0.2])
    assert found.flows[2]["numbers"] == pytest.approx([4, 4, 0, 0.2])


def test_nothing_makes_no_graph() -> None:
    assert graphs_of(flows_between([], []), GraphSettings())[0] == []
    _, stream = graphs_of(flows_between([(0, 1), (1, 0)], [1.0, 2.0]), GraphSettings())
    assert (stream.counts["alone"], stream.counts["nodes"]) == (2, 0)


def test_edges_are_counted_by_type() -> None:
    graph = graphs_of(flows_between([(1, 2), (1, 3), (4, 3)], [1, 2, 3], copies=[5, 6, 5]), GraphSettings())[0][0]
    assert graph.edges() == {
        "host sends flow": 3,
        "flow arrives at host": 3,
        "flow sent by host": 3,
        "host receives flow": 3,
        "flow before flow of same source": 1,
        "flow before flow of same target": 1,
        "flow before its next slice": 1,
        "host before itself": 0,
    }


def table(**columns: object) -> pa.RecordBatch:
    known = {
        "src_ip": [bytes(15) + b"\x01"] * 3,
        "dst_ip": [bytes(15) + b"\x02"] * 3,
        "start": pa.array([1, 2, 3], pa.timestamp("ns", tz="UTC")),
    }
    return flow_batch({**known, **columns}, 3)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (table(src_ip=None, dst_ip=None), "neither addresses nor pseudonyms"),
        (table(start=None), "have no times"),
    ],
    ids=["addresses", "times"],
)
def test_a_table_without_what_a_graph_is_made_of(batch: pa.RecordBatch, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        extract(batch, FeatureSettings(graph=True))
    assert error.value.hint


def test_pseudonyms_are_as_good_as_addresses() -> None:
    names = table(src_ip=None, dst_ip=None, src_name=["a", "b", None], dst_name=["b", "a", "a"])
    flows = extract(names, FeatureSettings(graph=True))
    keys = flows.channels["graph.ends"]
    assert keys[0, 0] == keys[1, 1] != keys[0, 1] == keys[1, 0]
    assert flows.present["graph"].tolist() == [True, True, False]


def test_ends_are_the_same_in_every_slice_of_a_table() -> None:
    whole = extract(table(), FeatureSettings(graph=True)).channels["graph.ends"]
    part = extract(pa.Table.from_batches([table()]).slice(1, 1), FeatureSettings(graph=True)).channels["graph.ends"]
    assert part.tolist() == whole[1:2].tolist()


def test_channels_are_not_there_unless_asked_for() -> None:
    assert not any(name.startswith("graph.") for name in extract(table()).channels)
    assert "shared hosts on" in FeatureSettings(graph=True).shortcuts()
    assert "shared hosts" not in FeatureSettings().shortcuts()


@pytest.mark.parametrize("name", ["window_s", "memory_windows", "earlier_flows", "most_flows", "most_copies"])
def test_settings_have_bounds(name: str) -> None:
    with pytest.raises(SettingError, match=name):
        GraphSettings(**{name: 0})


def pieces(flows: FeatureBatch, size: int) -> Iterator[FeatureBatch]:
    for first in range(0, len(flows), size):
        yield flows.take(np.arange(first, min(first + size, len(flows))))


def test_a_stream_without_memory_begins_each_graph_anew() -> None:
    flows = random_flows(3)
    graphs, _ = graphs_of(flows, GraphSettings(window_s=1), stretch_flows=20, remembers=False)
    assert len(graphs) > 3
    assert all(graph.context_flows == graph.context_hosts == graph.keep_flows == 0 for graph in graphs)
