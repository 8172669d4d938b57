"""The autoencoder: its weight, what it learns, and what it refuses."""

import json

import numpy as np
import pytest
import torch

from flowlore.errors import ModelError
from flowlore.features.extract import extract
from flowlore.features.settings import FeatureSettings
from flowlore.flows.schema import flow_batch
from flowlore.models.autoencoder.contexts import Contexts
from flowlore.models.autoencoder.encoder import AutoencoderEncoder
from flowlore.models.autoencoder.settings import AutoencoderSettings
from flowlore.models.checks import made_up_flows
from flowlore.models.settings import TrainingSettings
from flowlore.models.training import Progress

SMALL = AutoencoderSettings(size="small", packets=12)
ROUNDS = TrainingSettings(epochs=8, batch_rows=64, learning_rate=5e-3)


def test_learning_tells_two_kinds_apart_without_labels() -> None:
    flows = made_up_flows(256, np.random.default_rng(0)).without("entities")
    encoder, seen = AutoencoderEncoder(SMALL), []
    report = encoder.fit(
        [flows], np.random.default_rng(1), training=ROUNDS, validation=[flows.take(range(64))], progress=seen.append
    )
    losses = [step.loss for step in seen if isinstance(step, Progress)]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4]) and report.validation_loss is not None
    vectors = encoder.embed(flows)
    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(2) + 1e9 * np.eye(len(vectors))
    has_both = flows.present["quantities"] & flows.present["series"]
    kind = flows.channels["quantities"][:, 0]
    nearest = distances[has_both][:, has_both].argmin(1)
    assert (kind[has_both][nearest] == kind[has_both]).mean() > 0.9


def test_default_size_is_within_the_weight_of_the_paper() -> None:
    rows = flow_batch({"packets_fwd": np.array([1, 2], np.uint64)}, 2)
    weights = {}
    for size in ("small", "default", "large"):
        encoder = AutoencoderEncoder(AutoencoderSettings(size=size))
        encoder.prepare([extract(rows)], np.random.default_rng(0))
        weights[size] = encoder.parameters()
        assert weights[size]["layers"] + weights[size]["tables"] < weights[size]["all"]
    assert weights["default"]["layers"] <= 255_000
    assert weights["small"]["layers"] < weights["default"]["layers"] / 2
    assert weights["large"]["layers"] > 2 * weights["default"]["layers"]


def test_ip_lengths_and_payload_lengths_are_never_taken_for_each_other() -> None:
    flows = made_up_flows(16, np.random.default_rng(0)).without("quantities", "entities")
    encoder = AutoencoderEncoder(SMALL)
    encoder.prepare([flows], np.random.default_rng(1))
    as_size = flows.without("series.payload")
    swapped = {**as_size.channels, "series.payload": as_size.channels["series.size"]}
    del swapped["series.size"]
    present = {**as_size.present, "series.payload": as_size.present["series.size"]}
    del present["series.size"]
    as_payload = type(flows)(length=len(flows), channels=swapped, present=present)
    has = flows.present["series"]
    assert not np.isclose(encoder.embed(as_size)[has], encoder.embed(as_payload)[has]).all(axis=1).any()


def test_payload_is_learnt_where_it_was_taken() -> None:
    rows = flow_batch({"payload_fwd": [b"GET / HTTP", b"\x16\x03\x01"], "packets_fwd": np.array([1, 2], np.uint64)}, 2)
    batch = extract(rows, FeatureSettings(payload_bytes=16))
    encoder = AutoencoderEncoder(SMALL)
    encoder.fit([batch], np.random.default_rng(0), training=TrainingSettings(epochs=2))
    assert not np.allclose(encoder.embed(batch)[0], encoder.embed(batch.without("payload"))[0])


def test_the_wrong_moment_and_the_wrong_state_are_named() -> None:
    flows = made_up_flows(8, np.random.default_rng(0))
    encoder = AutoencoderEncoder(SMALL)
    with pytest.raises(ModelError, match="not trained yet"):
        encoder.embed(flows)
    with pytest.raises(ModelError, match="no flow has anything"):
        encoder.fit([flows.take([])], np.random.default_rng(0))
    encoder.prepare([flows], np.random.default_rng(0))
    arrays, values = encoder.state()
    with pytest.raises(ModelError, match="format 99"):
        AutoencoderEncoder.from_state(arrays, {**values, "format": 99})
    arrays.pop("known.weight")
    with pytest.raises(ModelError, match="damaged"):
        AutoencoderEncoder.from_state(arrays, json.loads(json.dumps(values)))


def test_no_global_randomness_is_used() -> None:
    flows = made_up_flows(32, np.random.default_rng(0))
    before = torch.get_rng_state()
    AutoencoderEncoder(SMALL).fit([flows], np.random.default_rng(0), training=TrainingSettings(epochs=1))
    assert torch.equal(before, torch.get_rng_state())


def test_partners_share_a_context_and_the_lonely_are_their_own() -> None:
    keys = np.array([7, 0, 9, 7, 0, 7, 8])
    contexts = Contexts(keys, len(keys))
    drawn = np.stack(
        [contexts.partners(torch.arange(7), torch.Generator().manual_seed(seed)).numpy() for seed in range(60)]
    )
    assert {int(one) for one in np.unique(drawn[:, 0])} == {0, 3, 5}
    for alone in (1, 2, 4, 6):
        assert (drawn[:, alone] == alone).all()
    some = contexts.partners(torch.tensor([3, 6]), torch.Generator().manual_seed(1)).numpy()
    assert keys[some].tolist() == [7, 8]


def test_flows_of_one_context_come_together() -> None:
    flows = made_up_flows(256, np.random.default_rng(0)).without("quantities", "entities")
    has = flows.present["series"]
    keys = np.random.default_rng(1).integers(1, 5, len(flows))  # nothing that a flow shows tells it
    kind = (np.abs(flows.channels["series.size"][:, 0]) > 700).astype(np.int64)  # its first size does
    apart = {}
    for name, context in (("told", 1 + kind), ("untold", keys)):
        batch = type(flows)(
            length=len(flows), channels={**flows.channels, "context": context}, present=dict(flows.present)
        )
        encoder = AutoencoderEncoder(SMALL)
        encoder.fit([batch.take(has)], np.random.default_rng(1), training=ROUNDS)
        vectors = encoder.embed(batch)[has]
        middles = np.stack([vectors[kind[has] == one].mean(axis=0) for one in (0, 1)])
        apart[name] = np.linalg.norm(middles[0] - middles[1]) / vectors.std()
    assert apart["told"] > apart["untold"]


def test_vectors_of_training_flows_are_on_one_scale() -> None:
    flows = made_up_flows(400, np.random.default_rng(0))
    encoder = AutoencoderEncoder(SMALL)
    encoder.fit([flows], np.random.default_rng(1), training=ROUNDS)
    vectors = encoder.embed(flows)
    assert np.abs(vectors.mean(axis=0)).max() < 0.05
    assert vectors.std(axis=0).min() > 0.2 and vectors.std(axis=0).max() < 1.2
