"""What is unusual: by its numbers, its source or its target; what the scale is, and what it does not depend on."""

from dataclasses import replace

import numpy as np
import pytest

from flowlore.features.batch import FeatureBatch
from flowlore.features.graphs.settings import GraphSettings
from flowlore.models.graph.encoder import GraphEncoder
from flowlore.models.graph.settings import GraphEncoderSettings
from flowlore.models.graph.surprise import LEVELS, on_one_scale
from flowlore.models.settings import TrainingSettings
from graphs_in_words import flows_between

SMALL = GraphEncoderSettings(width=16, training_flows=64, windows=GraphSettings(window_s=2, memory_windows=3, wait_s=0))
FLOW, SOURCE, TARGET, NUMBERS = range(4)


def traffic(rows: int, seed: int = 0, *, scanner: bool = False) -> FeatureBatch:
    """Ten clients that ask two servers; with a scanner, every tenth flow is of host 66, each to another host."""
    rng = np.random.default_rng(seed)
    ends = [(int(rng.integers(1, 11)), 100 + int(rng.integers(0, 2))) for _ in range(rows)]
    if scanner:
        ends = [(66, 1000 + place) if place % 10 == 9 else one for place, one in enumerate(ends)]
    flows = flows_between(ends, np.sort(rng.uniform(0, rows / 10, rows)).round(2).tolist())
    numbers = np.exp(rng.normal(3, 0.3, (rows, 4))).astype(np.float32)
    return replace(
        flows,
        channels={**flows.channels, "quantities": numbers},
        present={**flows.present, "quantities": np.ones(rows, np.bool_)},
    )


def used_to(flows: FeatureBatch) -> GraphEncoder:
    encoder = GraphEncoder(SMALL)
    encoder.prepare([flows], np.random.default_rng(0))
    return encoder


def surprise(encoder: GraphEncoder, flows: FeatureBatch, batches: int = 1) -> np.ndarray:
    found = np.full((len(flows), 4), np.nan)
    embedder = encoder.embedder(with_surprise=True)
    parts = []
    for rows in np.array_split(np.arange(len(flows)), batches):
        parts += embedder.add(flows.take(rows))
    for part in (*parts, *embedder.finish()):
        found[part.rows] = part.surprise
    return found


def test_a_scan_surprises_by_what_its_source_does() -> None:
    flows = traffic(400, 1, scanner=True)
    found = surprise(used_to(traffic(1000)), flows)
    is_scan = np.arange(400) % 10 == 9
    assert np.median(found[is_scan, FLOW]) > 2 > 1 > np.median(found[~is_scan, FLOW])
    calm, scanned = traffic(400, 1), surprise(used_to(traffic(1000)), flows)
    assert np.median(scanned[is_scan, FLOW]) > np.median(surprise(used_to(traffic(1000)), calm)[is_scan, FLOW]) + 1


def test_a_scan_that_was_in_training_still_surprises() -> None:
    """The strangest tenth of training is not usual."""
    found = surprise(used_to(traffic(1000, scanner=True)), traffic(400, 1, scanner=True))
    is_scan = np.arange(400) % 10 == 9
    assert np.median(found[is_scan, FLOW]) > 0.9
    assert np.quantile(found[~is_scan, FLOW], 0.9) < np.median(found[is_scan, FLOW])


def test_one_in_ten_flows_of_training_surprises_by_one() -> None:
    flows = traffic(2000)
    found = surprise(used_to(flows), flows)
    assert (found > 1).mean(axis=0) == pytest.approx(np.full(4, 0.1), abs=0.03)


@pytest.mark.parametrize("batches", [2, 9])
def test_surprise_does_not_depend_on_how_flows_are_cut(batches: int) -> None:
    encoder, flows = used_to(traffic(500)), traffic(300, 2, scanner=True)
    np.testing.assert_allclose(surprise(encoder, flows, batches), surprise(encoder, flows), atol=1e-5)


def test_surprise_of_closed_windows_knows_nothing_of_what_comes() -> None:
    encoder, flows = used_to(traffic(500)), traffic(300, 2, scanner=True)
    closed = np.flatnonzero(flows.channels["graph.times_ns"][:, 1] / 1e9 < 14)
    assert 0 < len(closed) < 300
    np.testing.assert_allclose(surprise(encoder, flows.take(closed)), surprise(encoder, flows)[closed], atol=1e-5)


def test_renaming_every_host_changes_no_surprise() -> None:
    flows = traffic(300, 2, scanner=True)
    names = np.random.default_rng(0).permutation(np.arange(1, 2**20, dtype=np.uint64))[:2000]
    ends = names[flows.channels["graph.ends"].astype(np.int64)]
    renamed = replace(flows, channels={**flows.channels, "graph.ends": ends})
    encoder = used_to(traffic(500))
    np.testing.assert_array_equal(encoder.surprise(renamed), encoder.surprise(flows))


def test_what_never_varied_says_nothing() -> None:
    flows = traffic(500)
    numbers = flows.channels["quantities"].copy()
    numbers[:, 0] = 7
    constant = replace(flows, channels={**flows.channels, "quantities": numbers})
    encoder = used_to(constant)
    other = numbers.copy()
    other[:, 0] = 9000
    changed = replace(flows, channels={**flows.channels, "quantities": other})
    np.testing.assert_array_equal(encoder.surprise(changed), encoder.surprise(constant))


def test_a_network_used_to_another_place_is_surprised_by_other_things() -> None:
    scanned = traffic(1000, scanner=True)
    is_scan = np.arange(1000) % 10 == 9
    only_scans = scanned.take(is_scan)
    calm = used_to(traffic(1000))
    used = calm.accustomed(only_scans)
    assert np.median(used.surprise(only_scans)) < 1 < np.median(calm.surprise(scanned)[is_scan])
    assert calm.state()[0].keys() == used.state()[0].keys()


def test_networks_apart_are_usual_each_in_its_own_time() -> None:
    """One after the other they would be one network whose flows come late, all in one window."""
    later, earlier = traffic(400, 1), traffic(400, 2)
    times = later.channels["graph.times_ns"] + 10**12
    later = replace(later, channels={**later.channels, "graph.times_ns": times})
    encoder = GraphEncoder(SMALL)
    brief = TrainingSettings(batch_rows=1, epochs=1, least_steps=1)
    encoder.fit([later, earlier], np.random.default_rng(0), training=brief, apart=True)
    for network in (later, earlier):
        assert (encoder.surprise(network) > 1).mean() == pytest.approx(0.1, abs=0.06)


def test_surprise_is_on_the_scale_of_training() -> None:
    levels = np.quantile(np.random.default_rng(0).exponential(1, (10_000, 3)), LEVELS, axis=0).T
    told = on_one_scale(np.array([[0.0, np.log(10), 100.0]], np.float32), levels.astype(np.float32))
    assert told[0, 0] == pytest.approx(0, abs=0.01)
    assert told[0, 1] == pytest.approx(1, abs=0.05)
    assert told[0, 2] > 4
