"""Vectors of graphs in a row are those of the network, whatever the way to them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from flowlore.features.batch import FeatureBatch
from flowlore.features.graphs.settings import GraphSettings
from flowlore.features.graphs.stream import GraphStream
from flowlore.models.graph.encoder import GraphEncoder
from flowlore.models.graph.inference import KeptRows
from flowlore.models.graph.inputs import graph_tensors, network_numbers
from flowlore.models.graph.settings import GraphEncoderSettings
from graphs_in_words import flows_between

WINDOWS = GraphSettings(window_s=2, memory_windows=3, earlier_flows=4, wait_s=0)
BASE = GraphEncoderSettings(width=24, windows=WINDOWS)


def traffic(rows: int, seconds: float) -> FeatureBatch:
    """Hosts of which one has half of all flows; some numbers are missing, some of some flows all are."""
    rng = np.random.default_rng(rows)
    ends = np.where(rng.random((rows, 2)) < 0.5, 1, rng.integers(2, 40, (rows, 2)))
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
        channels={**flows.channels, "quantities": numbers},
        present={**flows.present, "quantities": ~np.isnan(numbers).all(axis=1)},
    )


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
    encoder = GraphEncoder(replace(BASE, **changes))
    encoder.prepare([flows], np.random.default_rng(0))
    embedder = encoder.embedder()
    found, of_hosts = np.zeros((rows, encoder.width), np.float32), []
    for part in (*embedder.add(flows), *embedder.finish()):
        found[part.rows[~part.is_stand_in]] = part.vectors[~part.is_stand_in]
        of_hosts.append(part.host_vectors)
    expected, expected_of_hosts = by_the_network(encoder, flows)
    np.testing.assert_allclose(found, expected, atol=5e-6)
    np.testing.assert_allclose(np.concatenate(of_hosts), np.concatenate(expected_of_hosts), atol=5e-6)
    assert np.unique(expected.round(4), axis=0).shape[0] > rows / 2, "flows differ"


def test_numbers_at_and_beyond_the_ends_of_every_range() -> None:
    flows = traffic(64, 5)
    encoder = GraphEncoder(BASE)
    encoder.prepare([flows], np.random.default_rng(0))
    assert encoder.scaling is not None
    scaled = np.concatenate([np.linspace(-8, 8, 57), [-2.5, 2.5, np.nextafter(2.5, 3), 0, -1e-9, 1.25, np.nan]])
    numbers = np.expm1(scaled[:, None] * encoder.scaling.spreads + encoder.scaling.medians).astype(np.float32)
    known = replace(flows, channels={**flows.channels, "quantities": numbers})
    np.testing.assert_allclose(encoder.embed(known), by_the_network(encoder, known)[0], atol=5e-6)


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
