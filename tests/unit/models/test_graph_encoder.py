"""The graph network: what its vectors depend on, what is hidden while it learns, and that it learns."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from flowlore.errors import InputError, ModelError
from flowlore.features.batch import FeatureBatch
from flowlore.features.graphs.settings import GraphSettings
from flowlore.models.graph import losses as losses_module
from flowlore.models.graph.encoder import GraphEncoder, _in_equal_parts
from flowlore.models.graph.links import hide_links, without
from flowlore.models.graph.losses import contrast_loss
from flowlore.models.graph.settings import GraphEncoderSettings
from flowlore.models.graph.streaming import Embedded
from flowlore.models.training import TrainingSettings
from graphs_in_words import flows_between

QUANTITIES = 5
SMALL = GraphEncoderSettings(
    width=16,
    training_flows=64,
    link_weight=1.0,
    mask_weight=1.0,
    windows=GraphSettings(window_s=2, memory_windows=3, wait_s=0),
)
SHORT = TrainingSettings(batch_rows=1, epochs=2)


def traffic(rows: int, seed: int = 0, hosts: int = 8) -> FeatureBatch:
    """Clients that each ask one server of their own, all day; what is asked decides the numbers."""
    rng = np.random.default_rng(seed)
    clients = rng.integers(1, hosts + 1, rows)
    servers = 100 + clients % 3
    seconds = np.sort(rng.uniform(0, rows / 10, rows)).round(2)
    flows = flows_between(
        list(zip(clients.tolist(), servers.tolist(), strict=True)),
        seconds.tolist(),
        copies=rng.integers(0, rows, rows).tolist(),
        services=(servers % 7 + 1).tolist(),
    )
    numbers = np.exp(rng.normal(2, 0.2, (rows, QUANTITIES)) + (servers - 100)[:, None]).astype(np.float32)
    return with_numbers(flows, numbers)


def with_numbers(flows: FeatureBatch, numbers: np.ndarray) -> FeatureBatch:
    known = ~np.isnan(numbers).all(axis=1)
    return replace(
        flows,
        channels={**flows.channels, "quantities": numbers},
        present={**flows.present, "quantities": known},
    )


def times(flows: FeatureBatch, factor: float) -> FeatureBatch:
    return with_numbers(flows, flows.channels["quantities"] * np.float32(factor))


def trained(settings: GraphEncoderSettings = SMALL, rows: int = 300, **how: object) -> GraphEncoder:
    encoder = GraphEncoder(settings)
    encoder.fit([traffic(rows)], np.random.default_rng(1), training=replace(SHORT, **how))
    return encoder


def untrained(settings: GraphEncoderSettings = SMALL) -> GraphEncoder:
    encoder = GraphEncoder(settings)
    encoder.prepare([traffic(200)], np.random.default_rng(4))
    return encoder


@pytest.mark.parametrize("batches", [1, 2, 7, 50])
def test_vectors_do_not_depend_on_how_flows_are_cut(batches: int) -> None:
    encoder, flows = untrained(), traffic(200, 5)
    whole = encoder.embed(flows)
    embedder = encoder.embedder()
    parts: list[Embedded] = []
    for rows in np.array_split(np.arange(200), batches):
        parts += embedder.add(flows.take(rows))
    parts += embedder.finish()
    rows = np.concatenate([part.rows for part in parts])
    assert sorted(rows.tolist()) == list(range(200))
    vectors = np.concatenate([part.vectors for part in parts])
    np.testing.assert_allclose(vectors, whole[rows], atol=1e-5)


def test_vectors_of_closed_windows_know_nothing_of_what_comes() -> None:
    encoder, flows = untrained(), traffic(200, 5)
    ended_s = flows.channels["graph.times_ns"][:, 1] / 1e9
    closed = np.flatnonzero(ended_s < 10)
    np.testing.assert_allclose(encoder.embed(flows.take(closed)), encoder.embed(flows)[closed], atol=1e-5)


def test_renaming_every_host_changes_no_vector() -> None:
    encoder, flows = trained(), traffic(200, 5)
    ends = flows.channels["graph.ends"]
    names = np.random.default_rng(0).permutation(np.arange(1, 2**20, dtype=np.uint64))[:200]
    renamed = replace(flows, channels={**flows.channels, "graph.ends": names[ends.astype(np.int64)]})
    np.testing.assert_array_equal(encoder.embed(renamed), encoder.embed(flows))


@pytest.mark.parametrize("part", ["through_time", "through_space"])
def test_neighbours_change_a_vector_unless_their_edges_are_left_out(part: str) -> None:
    """The first flow of three is another: the last, of the same source, sees it through time and through the host."""
    ended_s = [1.0, 1.1, 3.0] if part == "through_time" else [1.0, 1.1, 1.2]
    flows = flows_between([(1, 2), (3, 4), (1, 5)], ended_s)
    numbers = np.ones((3, QUANTITIES), np.float32)
    other = numbers.copy()
    other[0] = 1000
    for follows in (True, False):
        both = {"through_time": part == "through_time", "through_space": part == "through_space"}
        encoder = untrained(replace(SMALL, window_numbers=False, **(both | {part: follows})))
        first, second = (encoder.embed(with_numbers(flows, one)) for one in (numbers, other))
        assert np.array_equal(first[1], second[1]), "a flow of other hosts changed"
        assert np.array_equal(first[2], second[2]) != follows


def test_a_hidden_edge_is_nowhere_in_the_graph() -> None:
    """Whoever a flow's hidden source is, every state is the same."""
    in_one_row = GraphSettings(window_s=2, memory_windows=3)
    encoder = untrained(replace(SMALL, window_numbers=False, windows=in_one_row))
    ends = [(1, 9), (2, 9), (1, 8), (2, 8), (1, 9), (2, 9)]
    ended_s = [1.0, 1.1, 1.2, 3.0, 3.1, 3.2]
    numbers = np.random.default_rng(3).uniform(1, 99, (6, QUANTITIES)).astype(np.float32)
    states, orders = [], []
    for asked in (1, 2):
        flows = with_numbers(flows_between([*ends[:4], (asked, 9), ends[5]], ended_s), numbers)
        ((_, row),) = encoder._stretches(flows)
        generator = torch.Generator().manual_seed(0)
        hidden = hide_links(row, 0.0, generator)[1]
        hidden = replace(hidden, source=torch.tensor([False] * 4 + [True, False]))
        seen = without(row, hidden)
        with torch.no_grad():
            flow_states, host_states, _ = encoder.made().network(seen)
        states.append(flow_states)
        orders.append(host_states[row.source[5]])
    # Threads add in whatever order; numbers of another source would differ in the first digit.
    torch.testing.assert_close(states[0], states[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(orders[0], orders[1], rtol=1e-4, atol=1e-6)


def test_asking_hides_what_it_asks_for_and_no_more() -> None:
    encoder = untrained()
    _, row = next(encoder._stretches(traffic(200)))
    seen, hidden = hide_links(row, 0.3, torch.Generator().manual_seed(1))
    assert 0 < int(hidden.source.sum()) < row.flows / 2
    assert not (hidden.source & hidden.target).any()
    hosts = len(row.hosts)
    assert (seen.source == hosts).equal(hidden.source)
    assert (seen.target == hosts).equal(hidden.target)
    assert len(seen.sent.places) == row.flows - int(hidden.source.sum())
    counts = torch.diff(seen.before_source.starts, append=torch.tensor([len(seen.before_source.places)]))
    assert not counts[hidden.source].any()
    assert not hidden.source[seen.before_source.places.long()].any()
    same, nothing = hide_links(row, 0.0, torch.Generator().manual_seed(1))
    assert len(same.before_source.places) == len(row.before_source.places)
    assert not any(mask.any() for mask in (nothing.source, nothing.target, nothing.copy, nothing.host))


def test_it_learns_where_flows_arrive_better_than_before_training_and_than_popularity() -> None:
    flows = traffic(1200, 2)
    teach, ask = flows.take(np.arange(900)), flows.take(np.arange(900, 1200))
    fresh = untrained(replace(SMALL, width=32))
    encoder = GraphEncoder(replace(SMALL, width=32))
    encoder.fit([teach], np.random.default_rng(0), training=replace(SHORT, epochs=12, learning_rate=5e-3))
    judged = encoder.judge_links(ask, np.random.default_rng(0), history=teach)["same type"]
    before = fresh.judge_links(ask, np.random.default_rng(0), history=teach)["same type"]
    assert judged["model"]["asked"] > 200
    assert judged["model"]["auc"] > 0.9 > before["model"]["auc"]
    assert judged["model"]["mrr"] > judged["popularity"]["mrr"]
    assert judged["edgebank"]["auc"] > 0.9, "pairs repeat all day, so remembering is good here too"


def test_training_falls_and_is_the_same_for_the_same_seed() -> None:
    losses = []
    encoder = GraphEncoder(SMALL)
    encoder.fit(
        [traffic(400)],
        np.random.default_rng(1),
        validation=[traffic(100, 7)],
        training=replace(SHORT, epochs=6),
        progress=lambda step: losses.append(step.loss),
    )
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    again = GraphEncoder(SMALL)
    again.fit([traffic(400)], np.random.default_rng(1), validation=[traffic(100, 7)], training=replace(SHORT, epochs=6))
    np.testing.assert_array_equal(encoder.embed(traffic(50, 9)), again.embed(traffic(50, 9)))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "lean"},
        {"layers": 1},
        {"link_weight": 0.0},
        {"mask_weight": 0.0, "company_weight": 0.0, "contrast_weight": 0.0},
        {"link_weight": 0.0, "mask_weight": 0.0},
        {"keeps_own": False, "number_steps": 0},
        {"window_numbers": False},
        {"windows": GraphSettings(window_s=2, services=True)},
        {"windows": GraphSettings(window_s=2, most_flows=5, most_copies=1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_trains_embeds_and_comes_back(change: dict[str, object]) -> None:
    encoder = trained(replace(SMALL, **change), epochs=1)
    arrays, values = encoder.state()
    again = GraphEncoder.from_state(arrays, json.loads(json.dumps(values)))
    vectors = again.embed(traffic(120, 3))
    np.testing.assert_array_equal(vectors, encoder.embed(traffic(120, 3)))
    assert np.isfinite(vectors).all() and vectors.any(axis=1).all()


def test_flows_left_out_of_a_crowd_have_the_vector_that_stands_for_them() -> None:
    encoder = untrained(replace(SMALL, windows=GraphSettings(most_flows=4)))
    flows = with_numbers(flows_between([(1, 2)] * 10, [1.0] * 10), np.ones((10, QUANTITIES), np.float32))
    embedder = encoder.embedder()
    in_graph, others = [*embedder.add(flows), *embedder.finish()]
    vectors = encoder.embed(flows)
    assert not in_graph.is_stand_in.any()
    assert others.is_stand_in.sum() == embedder.counts["sampled"] == 6
    np.testing.assert_array_equal(vectors[4:], np.repeat(vectors[3:4], 6, axis=0))


def test_hosts_have_vectors_in_every_window() -> None:
    embedder = untrained().embedder()
    flows = with_numbers(flows_between([(1, 2), (1, 3)], [1.0, 9.0]), np.ones((2, QUANTITIES), np.float32))
    parts = [*embedder.add(flows), *embedder.finish()]
    hosts = [
        (int(key), int(window)) for part in parts for key, window in zip(part.host_keys, part.host_windows, strict=True)
    ]
    assert hosts == [(1, 0), (2, 0), (1, 4), (3, 4)]
    assert all(np.isfinite(part.host_vectors).all() and part.host_vectors.any() for part in parts)


def test_an_odd_flow_surprises() -> None:
    encoder = GraphEncoder(replace(SMALL, width=32))
    encoder.fit([traffic(1000)], np.random.default_rng(0), training=replace(SHORT, epochs=12, learning_rate=5e-3))
    flows = traffic(300, 8)
    numbers = flows.channels["quantities"].copy()
    numbers[200] = [5000, 1, 5000, 1, 5000]
    embedder = encoder.embedder(with_surprise=True)
    odd = with_numbers(flows, numbers)
    surprise = np.zeros((300, 4))
    for part in (*embedder.add(odd), *embedder.finish()):
        surprise[part.rows] = part.surprise
    assert surprise[:, 3].argmax() == 200, "its numbers are odd"
    assert surprise[200, 3] > 2
    assert np.median(surprise) < 0.6, "half of all flows surprise as half of those in training did"


def test_flows_of_one_service_are_told_from_others() -> None:
    groups = torch.tensor([1, 1, 2, 2, 0, 0])
    sides = torch.eye(3).repeat_interleave(2, 0)
    together = contrast_loss(sides, groups)
    apart = contrast_loss(sides[[0, 2, 1, 3, 4, 5]], groups)
    assert float(together) < 0.01 < 1 < float(apart)
    known = contrast_loss(sides[:4], groups[:4])
    assert float(known) < float(together), "flows of which nothing is known are wrong answers, and are not asked"
    assert float(contrast_loss(sides, torch.zeros(6, dtype=torch.int64))) == 0


def test_flows_of_one_window_are_not_asked_for_each_other() -> None:
    groups, windows = torch.tensor([1, 1, 2, 2]), torch.tensor([0, 0, 0, 1])
    sides = torch.eye(2).repeat_interleave(2, 0)
    assert float(contrast_loss(sides[:2], groups[:2], windows[:2])) == 0
    assert float(contrast_loss(sides, groups, windows)) < 0.01


@pytest.mark.parametrize("with_windows", [False, True])
def test_telling_flows_apart_is_what_it_says(with_windows: bool) -> None:
    """Beside the definition, written out pair by pair."""
    torch.manual_seed(3)
    sides, groups, windows = torch.randn(40, 6), torch.randint(0, 7, (40,)), torch.randint(0, 3, (40,))
    sides.requires_grad_()
    alike = torch.nn.functional.normalize(sides, dim=1)
    losses = []
    for row in range(40):
        here = [other for other in range(40) if other != row]
        together = [other for other in here if groups[other] == groups[row] and groups[row] != 0]
        beside = [other for other in together if with_windows and windows[other] == windows[row]]
        asked = [other for other in together if other not in beside]
        shown = torch.stack([alike[row] @ alike[other] for other in here if other not in beside]) / 0.1
        if asked:
            right = torch.stack([alike[row] @ alike[other] for other in asked]) / 0.1
            losses.append(shown.logsumexp(0) - right.mean())
    expected = torch.stack(losses).mean()
    told = contrast_loss(sides, groups, windows if with_windows else None)
    assert told.item() == pytest.approx(expected.item(), rel=1e-5)
    both = [torch.autograd.grad(one, sides, retain_graph=True)[0] for one in (told, expected)]
    torch.testing.assert_close(*both, rtol=1e-4, atol=1e-6)


def test_a_crowded_window_is_told_apart_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    sides, groups = torch.randn(1000, 6), torch.randint(1, 4, (1000,))
    whole = float(contrast_loss(sides, groups))
    monkeypatch.setattr(losses_module, "MOST_TOLD_APART", 128)
    parts = float(contrast_loss(sides, groups, generator=torch.Generator().manual_seed(0)))
    assert whole - np.log(8) - 0.3 < parts < whole, "as hard, among an eighth as many"
    groups[30:] = 0
    few = float(contrast_loss(sides, groups, generator=torch.Generator().manual_seed(0)))
    assert few > parts - 1, "parts in which nothing is asked do not count"


def test_flows_without_any_direction_leave_gradients_finite() -> None:
    sides = torch.randn(8, 4)
    sides[0] = 0
    sides.requires_grad_()
    contrast_loss(sides, torch.tensor([1, 1, 1, 2, 2, 0, 3, 3]), torch.tensor([0, 1, 1, 0, 0, 0, 0, 1])).backward()
    assert sides.grad is not None and bool(sides.grad.isfinite().all())


def test_networks_apart_are_each_on_their_own_scale_and_heard_alike() -> None:
    small, large = times(traffic(150, 1), 1e3), traffic(600, 2)
    louder = times(small, 1e3)
    encoders = []
    for first in (small, louder):
        encoder = GraphEncoder(SMALL)
        encoder.fit([first, large], np.random.default_rng(1), training=replace(SHORT, epochs=1), apart=True)
        encoders.append(encoder)
    weights = [encoder.state()[0]["network.flow_in.2.weight"] for encoder in encoders]
    np.testing.assert_allclose(weights[0], weights[1], atol=1e-2)
    rows = [encoders[0]._rows_of(one, own_scale=True) for one in (small, large)]
    equal = _in_equal_parts(rows, np.random.default_rng(0))
    of_small = sum(any(one is row for row in rows[0]) for one in equal)
    assert len(rows[0]) < len(rows[1]) and of_small == len(equal) / 2


def test_of_its_own_past_a_network_asks_hidden_edges_and_numbers_too() -> None:
    services = replace(SMALL, link_weight=0.0, mask_weight=0.0)
    flows = traffic(300)
    flows.channels["context"] = flows.channels["graph.service"].astype(np.int64)
    weights = []
    for settings in (services, replace(services, own_past=True), SMALL):
        encoder = GraphEncoder(settings)
        encoder.fit([flows], np.random.default_rng(1), training=SHORT)
        weights.append(encoder.state()[0]["links.one.0.weight"])
    assert not np.array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[1], weights[2])
    with pytest.raises(ModelError, match="networks apart have no common past"):
        GraphEncoder(replace(services, own_past=True)).fit([flows, flows], np.random.default_rng(1), apart=True)


def test_accustomed_to_a_network_where_everything_is_larger() -> None:
    encoder, flows = trained(), times(traffic(200, 5), 1e3)
    larger = times(flows, 100)
    with_scale = encoder.accustomed(flows)
    assert np.abs(encoder.embed(larger) - with_scale.embed(flows)).max() > 0.1
    np.testing.assert_allclose(encoder.accustomed(larger).embed(larger), with_scale.embed(flows), atol=0.01)
    with pytest.raises(ModelError, match="knows 5 numbers of a flow, and these flows have other ones"):
        encoder.accustomed(with_numbers(flows, np.ones((200, 3), np.float32)))


def test_nothing_to_learn_from() -> None:
    empty = FeatureBatch(length=3, channels={}, present={})
    with pytest.raises(ModelError, match="no flow has anything that the graph network can learn from"):
        GraphEncoder().fit([empty], np.random.default_rng(0))
    with pytest.raises(ModelError, match="not trained yet"):
        GraphEncoder().embed(traffic(3))


def test_something_must_teach() -> None:
    nothing = replace(SMALL, link_weight=0.0, mask_weight=0.0, contrast_weight=0.0)
    with pytest.raises(ModelError, match="every weight in the loss is 0") as raised:
        GraphEncoder(nothing).fit([traffic(50)], np.random.default_rng(0), training=SHORT)
    assert "graph.contrast_weight" in str(raised.value.hint)


def test_flows_that_are_not_features_are_refused() -> None:
    with pytest.raises(ModelError, match="reads features of flows, and this is a `list`"):
        list(untrained().embedder().add([]))  # type: ignore[arg-type]  # that is what is refused


@pytest.mark.parametrize(
    ("pair", "words"),
    [((7, 7), "all 30 flows have the same host at both ends"), ((7, 8), "all 30 flows are between the same two hosts")],
)
def test_a_constant_is_no_address(pair: tuple[int, int], words: str) -> None:
    flows = with_numbers(flows_between([pair] * 30, [1.0] * 30), np.ones((30, QUANTITIES), np.float32))
    with pytest.raises(InputError, match=words):
        GraphEncoder().fit([flows], np.random.default_rng(0))


def test_a_foreign_or_damaged_state() -> None:
    arrays, values = untrained().state()
    with pytest.raises(ModelError, match="written in format 99"):
        GraphEncoder.from_state(arrays, values | {"format": 99})
    arrays.pop(next(iter(arrays)))
    with pytest.raises(ModelError, match="is damaged"):
        GraphEncoder.from_state(arrays, values)


def test_the_reference_has_the_weight_of_the_paper() -> None:
    encoder = GraphEncoder(GraphEncoderSettings(keeps_own=False, number_steps=0))
    numbers = np.ones((50, 61), np.float32) * np.arange(50)[:, None]
    flows = with_numbers(flows_between([(1, 2)] * 50, [1.0] * 50), numbers.astype(np.float32))
    encoder.prepare([flows], np.random.default_rng(0))
    assert 700_000 < encoder.parameters()["all"] < 760_000
