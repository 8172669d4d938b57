"""Vectors of graphs in a row are those of the network, whatever the way to them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from flowlore.errors import ModelError
from flowlore.features.batch import FeatureBatch
from flowlore.features.graphs.ends import PROTOCOL_CLASSES
from flowlore.features.graphs.settings import GraphSettings
from flowlore.features.graphs.stream import GraphStream
from flowlore.models.graph import streaming
from flowlore.models.graph.encoder import GraphEncoder
from flowlore.models.graph.inference import Inference, KeptRows, Remembered
from flowlore.models.graph.inputs import graph_tensors, lone_tensors, network_numbers
from flowlore.models.graph.settings import GraphEncoderSettings
from graphs_in_words import flows_between

WINDOWS = GraphSettings(window_s=2, memory_windows=3, earlier_flows=4, wait_s=0)
CLOSE = 2e-5
BASE = GraphEncoderSettings(width=24, windows=WINDOWS)


def traffic(rows: int, seconds: float) -> FeatureBatch:
    """Hosts of which one has half of all flows, and some are not known; numbers are missing, of some flows all."""
    rng = np.random.default_rng(rows)
    ends = np.where(rng.random((rows, 2)) < 0.5, 1, rng.integers(2, 40, (rows, 2)))
    ends[rng.random(rows) < 0.05] = 0
    flows = flows_between(
        ends.tolist(),
        np.sort(rng.uniform(0, seconds, rows)).round(3).tolist(),
        copies=rng.integers(0, rows, rows).tolist(),
        services=rng.integers(1, 9, rows).tolist(),
    )
    numbers = np.exp(rng.normal(0, 4, (rows, 6))).astype(np.float32)
    numbers[rng.random((rows, 6)) < 0.2] = np.nan
    numbers[rng.random(rows) < 0.1] = np.nan
    return replace(
        flows,
        channels={
            **flows.channels,
            "quantities": numbers,
            "graph.protocol": rng.integers(0, PROTOCOL_CLASSES, rows).astype(np.int32),
        },
        present={**flows.present, "quantities": ~np.isnan(numbers).all(axis=1)},
    )


def untaught(settings: GraphEncoderSettings, flows: FeatureBatch) -> GraphEncoder:
    """Drawn weights, none of them 0."""
    encoder = GraphEncoder(settings)
    encoder.prepare([flows], np.random.default_rng(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in encoder.made().network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    return encoder


def embedded(encoder: GraphEncoder, flows: FeatureBatch) -> tuple[np.ndarray, list[np.ndarray]]:
    """Vectors of flows and hosts; those of flows that another stands for are left at 0."""
    embedder = encoder.embedder()
    found, of_hosts = np.zeros((len(flows), encoder.width), np.float32), []
    for part in (*embedder.add(flows), *embedder.finish()):
        found[part.rows[~part.is_stand_in]] = part.vectors[~part.is_stand_in]
        of_hosts.append(part.host_vectors)
    return found, of_hosts


def by_the_network(encoder: GraphEncoder, flows: FeatureBatch) -> tuple[np.ndarray, list[np.ndarray]]:
    """Vectors of flows and hosts as the network gives them, with the states of all earlier windows behind it."""
    numbers, protocol = network_numbers(flows, encoder.scaling)
    network, found, of_hosts = encoder.made().network, np.zeros((len(flows), encoder.width), np.float32), []
    memory = None
    stream = GraphStream(encoder.settings.windows, stretch_flows=1)
    with torch.inference_mode():
        for graph in (*stream.add(flows), *stream.finish()):
            tensors = graph_tensors(graph, numbers[graph.rows], protocol[graph.rows])
            if memory is not None:
                memory = [
                    (rows[len(rows) - graph.context_flows :], hosts[len(hosts) - graph.context_hosts :])
                    for rows, hosts in memory
                ]
            vectors, hosts, memory = network.embedded(tensors, memory)
            found[graph.rows] = vectors.numpy()
            of_hosts.append(hosts.numpy())
        alone = np.flatnonzero(~flows.has("graph"))
        found[alone] = network.embedded(lone_tensors(numbers[alone], protocol[alone]))[0].numpy()
    found[~flows.has("graph") & np.isnan(numbers).all(axis=1)] = 0
    return found, of_hosts


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kind": "lean"},
        {"layers": 1},
        {"layers": 3},
        {"through_time": False},
        {"through_space": False},
        {"through_time": False, "through_space": False},
        {"keeps_own": False},
        {"number_steps": 0},
        {"window_numbers": False},
        {"windows": replace(WINDOWS, services=True)},
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [60, 3000])
def test_vectors_are_those_of_the_network(changes: dict[str, Any], rows: int) -> None:
    """The larger has windows of more flows than a part, each of which looks back on flows of other parts."""
    flows = traffic(rows, 5)
    encoder = untaught(replace(BASE, **changes), flows)
    found, of_hosts = embedded(encoder, flows)
    expected, expected_of_hosts = by_the_network(encoder, flows)
    np.testing.assert_allclose(found, expected, atol=CLOSE)
    np.testing.assert_allclose(np.concatenate(of_hosts), np.concatenate(expected_of_hosts), atol=CLOSE)
    assert np.unique(expected.round(4), axis=0).shape[0] > rows / 2, "flows differ"


@pytest.mark.parametrize("threads", [1, 3])
def test_vectors_do_not_depend_on_threads(threads: int) -> None:
    flows = traffic(5000, 5)
    encoder = untaught(BASE, flows)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, _ = embedded(encoder, flows)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(found, by_the_network(encoder, flows)[0], atol=CLOSE)


def test_flows_of_which_only_ends_and_times_are_known() -> None:
    flows = traffic(200, 5)
    bare = replace(
        flows,
        channels={name: one for name, one in flows.channels.items() if name != "quantities"},
        present={"graph": flows.present["graph"]},
    )
    encoder = untaught(BASE, bare)
    found, expected = embedded(encoder, bare)[0], by_the_network(encoder, bare)[0]
    np.testing.assert_allclose(found, expected, atol=CLOSE)
    assert len(np.unique(found.round(4), axis=0)) > 100


def test_flows_with_other_numbers_than_the_network_knows_are_refused() -> None:
    flows = traffic(50, 5)
    encoder = untaught(BASE, flows)
    numbers, protocol = network_numbers(flows, encoder.scaling)
    narrow = lone_tensors(numbers[:, :4], protocol)
    with pytest.raises(ModelError, match="knows 6 numbers of a flow, and these flows have 4"):
        Inference(encoder.made().network).embedded(narrow, Remembered(BASE), torch.empty((50, encoder.width)))


def test_flows_left_out_of_a_crowd_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each pair the last flow that is in the graph stands for others; a pair without one is by itself."""
    monkeypatch.setattr(streaming, "EMBEDDING_FLOWS", 16)
    flows = traffic(300, 1.9)
    encoder = untaught(replace(BASE, windows=replace(WINDOWS, most_flows=20)), flows)
    embedder = encoder.embedder()
    parts = [*embedder.add(flows), *embedder.finish()]
    left_out = [part for part in parts if part.is_stand_in.any()]
    assert sum(len(part.rows) for part in left_out) == embedder.counts["sampled"] + embedder.counts["copies"] > 200
    assert max(len(part.rows) for part in left_out) == 16
    assert sorted(np.concatenate([part.rows for part in parts]).tolist()) == list(range(300))
    vectors = encoder.embed(flows)
    in_graph = next(part for part in parts if part.graph is not None)
    numbers, protocol = network_numbers(flows, encoder.scaling)
    alone = encoder.made().network.embedded(lone_tensors(numbers, protocol))[0].detach().numpy()
    assert in_graph.graph is not None
    kinds = set()
    for row, place in zip(in_graph.graph.left_out.tolist(), in_graph.graph.stand_in.tolist(), strict=True):
        kinds.add(place >= 0)
        known = not np.isnan(numbers[row]).all()
        expected = in_graph.vectors[place] if place >= 0 else alone[row] * known
        np.testing.assert_allclose(vectors[row], expected, atol=CLOSE)
    assert kinds == {True, False}


def test_numbers_at_and_beyond_the_ends_of_every_range() -> None:
    flows = traffic(64, 5)
    encoder = untaught(BASE, flows)
    assert encoder.scaling is not None
    scaled = np.concatenate([np.linspace(-8, 8, 57), [-2.5, 2.5, np.nextafter(2.5, 3), 0, -1e-9, 1.25, np.nan]])
    numbers = np.expm1(scaled[:, None] * encoder.scaling.spreads + encoder.scaling.medians).astype(np.float32)
    known = replace(flows, channels={**flows.channels, "quantities": numbers})
    np.testing.assert_allclose(embedded(encoder, known)[0], by_the_network(encoder, known)[0], atol=CLOSE)


def test_kept_rows_stay_where_they_are_while_others_follow() -> None:
    kept = KeptRows(1)
    expected: list[float] = []
    seen: list[tuple[torch.Tensor, list[float]]] = []
    rng = np.random.default_rng(0)
    for number in range(200):
        rows = int(rng.integers(0, 9))
        earlier = min(len(expected), int(rng.integers(0, 12)))
        room = kept.room(earlier, rows)
        room[earlier:] = number
        expected = expected[len(expected) - earlier :] + [number] * rows
        assert room[:, 0].tolist() == expected
        seen.append((room, list(expected)))
    assert all(room[:, 0].tolist() == then for room, then in seen), "what was given is never written again"
    assert len(kept._rows) < 100, "it does not grow with what it has seen"


def test_room_for_a_crowd_is_given_back_soon_after_it() -> None:
    kept = KeptRows(1)
    kept.room(0, 1_000_000)
    for _ in range(3):
        kept.room(100, 100)
    assert len(kept._rows) < 10_000
