"""The graph network follows labels: what a neighbour says is learnt, and what was not shown is not looked at."""

import numpy as np
import pytest

from flowlore.errors import ModelError
from flowlore.features.batch import FeatureBatch
from flowlore.features.graphs.settings import GraphSettings
from flowlore.models.encoder import LinearHead
from flowlore.models.graph.encoder import GraphEncoder
from flowlore.models.graph.settings import GraphEncoderSettings
from flowlore.models.settings import FineTuningSettings
from graphs_in_words import flows_between

SMALL = GraphEncoderSettings(
    width=16,
    training_flows=64,
    keeps_own=False,
    tuned_rate=1.0,
    windows=GraphSettings(window_s=2, memory_windows=3, wait_s=0),
)
ROUNDS = FineTuningSettings(epochs=30, least_steps=150, learning_rate=1e-2, least_steps_a_round=10, hidden_packets=0.0)


def busy_and_quiet(rows: int = 600, seed: int = 0) -> tuple[FeatureBatch, np.ndarray]:
    """Flows are of class 1 where their source sends large flows too; the flow itself does not show it."""
    rng = np.random.default_rng(seed)
    clients = rng.integers(1, 9, rows)
    is_large = (clients % 2 == 0) & (rng.random(rows) < 0.5)
    flows = flows_between(
        [(int(client), 100) for client in clients], np.sort(rng.uniform(0, rows / 20, rows)).round(2).tolist()
    )
    numbers = np.exp(rng.normal(2, 0.1, (rows, 4)) + 3 * is_large[:, None]).astype(np.float32)
    batch = FeatureBatch(
        length=rows,
        channels={**flows.channels, "quantities": numbers},
        present={**flows.present, "quantities": np.ones(rows, np.bool_)},
    )
    codes = np.where(is_large, 2, clients % 2 == 0).astype(np.int64)
    return batch, codes


def untaught(batch: FeatureBatch) -> GraphEncoder:
    encoder = GraphEncoder(SMALL)
    encoder.prepare([batch], np.random.default_rng(4))
    return encoder


def nothing(classes: int) -> LinearHead:
    return LinearHead(weights=np.zeros((classes, 16)), offsets=np.zeros(classes))


def test_what_neighbours_say_is_learnt() -> None:
    batch, codes = busy_and_quiet()
    encoder = untaught(batch)
    small = np.flatnonzero(codes < 2)
    learn, held, asked = small[:200:2], small[1:200:2], small[220:]
    tuned, head, report = encoder.fine_tuned_among(
        batch, codes, learn, held, nothing(2), np.random.default_rng(0), training=ROUNDS
    )
    answers = (tuned.embed(batch)[asked] @ head.weights.T + head.offsets).argmax(axis=1)
    assert (answers == codes[asked]).mean() > 0.85, "the flow's own numbers say nothing: half would be chance"
    assert report.steps > 0
    again = encoder.fine_tuned_among(batch, codes, learn, held, nothing(2), np.random.default_rng(0), training=ROUNDS)[
        1
    ]
    assert np.array_equal(again.weights, head.weights)
    others = codes.copy()
    others[np.setdiff1d(np.arange(len(codes)), np.concatenate([learn, held]))] = 1
    blind = encoder.fine_tuned_among(batch, others, learn, held, nothing(2), np.random.default_rng(0), training=ROUNDS)[
        1
    ]
    assert np.array_equal(blind.weights, head.weights), "labels that were not shown are not looked at"


def test_the_encoder_that_was_given_stays() -> None:
    batch, codes = busy_and_quiet(200)
    encoder = untaught(batch)
    before = encoder.embed(batch)
    small = np.flatnonzero(codes < 2)
    tuned, _, _ = encoder.fine_tuned_among(
        batch, codes, small[::2], small[1::2], nothing(2), np.random.default_rng(0), training=ROUNDS
    )
    assert np.array_equal(encoder.embed(batch), before) and not np.allclose(tuned.embed(batch), before)
    arrays, values = tuned.state()
    assert np.array_equal(GraphEncoder.from_state(arrays, values).embed(batch), tuned.embed(batch))


def test_without_flows_held_out_all_rounds_are_made() -> None:
    batch, codes = busy_and_quiet(200)
    small = np.flatnonzero(codes < 2)
    none = np.zeros(0, np.int64)
    _, _, report = untaught(batch).fine_tuned_among(
        batch, codes, small, none, nothing(2), np.random.default_rng(0), training=ROUNDS
    )
    assert report.validation_loss is None and not report.stopped_early


def test_flows_that_are_in_no_graph_cannot_teach() -> None:
    batch, codes = busy_and_quiet(100)
    alone = FeatureBatch(
        length=100,
        channels=batch.channels,
        present={"graph": np.zeros(100, np.bool_), "quantities": np.zeros(100, np.bool_)},
    )
    with pytest.raises(ModelError, match="none of the flows that teach is in a graph") as caught:
        untaught(batch).fine_tuned_among(
            alone, codes, np.arange(10), np.arange(10, 20), nothing(3), np.random.default_rng(0), training=ROUNDS
        )
    assert "most_flows" in str(caught.value.hint)
