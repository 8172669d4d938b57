"""Vectors of entities: what they tell apart, that nobody needs them, and that without them nothing is as it was not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from flowlore.errors import ModelError
from flowlore.features.batch import FeatureBatch
from flowlore.models.checks import Check, model_checks
from flowlore.models.flowgen.encoder import FlowgenEncoder
from flowlore.models.flowgen.identities import UNKNOWN, Identities, entity_numbers
from flowlore.models.flowgen.inputs import window
from flowlore.models.flowgen.network import Cache
from flowlore.models.flowgen.sampling import sampled_paths
from flowlore.models.flowgen.settings import FlowgenSettings
from flowlore.models.training import TrainingSettings

HOUR_NS = 3_600_000_000_000
NAMES = ("calm", "wild")
PLAIN = FlowgenSettings(
    size="small", context=16, bins=8, farthest=2, least_windows=64, disturbed=0.0, likelihood=1.0
)  # fmt: skip
KNOWING = replace(PLAIN, identities=4)
LONG = replace(KNOWING, context=256, identities=300)
TEACHING = TrainingSettings(epochs=25, least_steps=1, batch_rows=16, learning_rate=1e-2)


def two_habits(pairs: int = 32) -> np.ndarray:
    """Of `calm` and `wild` in turns: three steps of 10, then 10 of the one and 30 of the other: [2 pairs, 1, 4]."""
    values = np.full((2 * pairs, 1, 4), 10.0)
    values[1::2, 0, 3] = 30.0
    return values


@pytest.fixture(scope="module")
def knowing() -> FlowgenEncoder:
    """Taught with days of both whose scales are the same, so that only the name tells how they will end."""
    values, made = two_habits(), FlowgenEncoder(KNOWING)
    made.learn(
        values, np.zeros(len(values), np.int64), HOUR_NS, ("value",), np.random.default_rng(0),
        scales=np.full((len(values), 1), 10.0), entities=entity_numbers(NAMES * 32), training=TEACHING,
    )  # fmt: skip
    return made


def told(encoder: FlowgenEncoder, names: tuple[str, ...] | None) -> np.ndarray:
    """Medians of the next step after the same three steps of 10, for each name."""
    values = np.full((2, 1, 3), 10.0)
    entities = None if names is None else entity_numbers(names)
    inputs = encoder.inputs(values, np.zeros(2, np.int64), HOUR_NS, np.full((2, 1), 10.0), entities=entities)
    with torch.inference_mode():
        seen = window(inputs, torch.arange(2), torch.zeros(2, dtype=torch.int64), 3, encoder.horizons)
        assert encoder.network is not None
        logits = encoder.network.next_logits(encoder.network.states(seen), seen.tokens_BTF)[:, -1, 0]
    return torch.softmax(logits, dim=-1).numpy()


def test_the_same_history_of_two_hosts_is_told_apart(knowing: FlowgenEncoder) -> None:
    assert knowing.bins is not None
    high = int(knowing.bins.tokens(np.full((1, 1, 1), 3.0)).item())
    calm, wild = told(knowing, NAMES)[:, high]
    assert wild > 3 * calm
    unknown = told(knowing, None)
    assert np.allclose(unknown[0], unknown[1]) and calm < unknown[0, high] < wild
    assert np.allclose(told(knowing, ("nobody", "else")), unknown)  # who was never seen is unknown


def test_a_bundle_keeps_them_without_names(knowing: FlowgenEncoder) -> None:
    arrays, values = knowing.state()
    written = json.dumps(values)
    assert not any(name in written for name in NAMES) and len(values["identities"]["known"]) == 2
    again = FlowgenEncoder.from_state(arrays, json.loads(written))
    assert np.array_equal(told(again, NAMES), told(knowing, NAMES))
    broken = json.loads(written)
    broken["identities"]["known"] *= 2
    with pytest.raises(ModelError, match="damaged"):
        FlowgenEncoder.from_state(arrays, broken)
    del broken["identities"]
    with pytest.raises(ModelError, match="damaged"):
        FlowgenEncoder.from_state(arrays, broken)


def test_steps_from_a_cache_know_who_it_is(knowing: FlowgenEncoder) -> None:
    values, rows = np.random.default_rng(0).gamma(2.0, 5.0, (2, 1, 12)), torch.arange(2)
    inputs = knowing.inputs(values, np.zeros(2, np.int64), HOUR_NS, entities=entity_numbers(NAMES))
    network = knowing.network
    assert network is not None
    cache = Cache()
    with torch.inference_mode():
        whole = network.states(window(inputs, rows, torch.zeros_like(rows), 12, (1,)))
        network.states(window(inputs, rows, torch.zeros_like(rows), 8, (1,)), cache)
        parts = [network.states(window(inputs, rows, torch.full_like(rows, at), 1, (1,)), cache) for at in range(8, 12)]
    assert torch.allclose(torch.cat(parts, dim=1), whole[:, 8:], atol=1e-5)


def test_samples_vectors_and_oddness_differ_by_who_it_is(knowing: FlowgenEncoder) -> None:
    values, starts = np.full((2, 1, 4), 10.0), np.zeros(2, np.int64)
    numbers = entity_numbers(NAMES)
    begun = values[:, :, :3]
    paths = sampled_paths(knowing, begun, starts, HOUR_NS, 1, 200, np.random.default_rng(0), entities=numbers)
    assert (paths[1] > 15).mean() > 3 * (paths[0] > 15).mean()
    channels = {"rates.values": values.transpose(0, 2, 1).astype(np.float32)}
    batch = FeatureBatch(length=2, channels=channels, present={"rates": np.ones(2, np.bool_)})
    same = knowing.embed(batch)
    apart = knowing.embed(replace(batch, channels={**channels, "rates.entity": numbers}))
    assert np.allclose(same[0], same[1]) and not np.allclose(apart[0], apart[1], atol=1e-2)
    bits = knowing.bits(knowing.inputs(values, starts, HOUR_NS, entities=numbers))[:, 0, 3]
    assert bits[1] > bits[0] + 1  # the wild one was never calm for so long


def test_without_identities_names_change_nothing() -> None:
    short = replace(TEACHING, epochs=2)
    made = []
    for entities in (None, entity_numbers(NAMES * 4)):
        encoder, rng = FlowgenEncoder(PLAIN), np.random.default_rng(3)
        encoder.learn(two_habits(4), np.zeros(8, np.int64), HOUR_NS, ("value",), rng, entities=entities, training=short)
        arrays, values = encoder.state()
        assert "identities.weight" not in arrays and "identities" not in values
        made.append((arrays, rng.random()))
    del values["settings"]["identities"], values["settings"]["identity_dropout"]  # as bundles of before are
    assert FlowgenEncoder.from_state(arrays, values).identities is None
    assert made[0][1] == made[1][1]
    assert all(np.array_equal(array, made[1][0][name]) for name, array in made[0][0].items())


@pytest.mark.parametrize("check", list(model_checks()), ids=lambda check: check.__name__)
def test_all_promises_are_kept(check: Check) -> None:
    class Quick(FlowgenEncoder):
        def __init__(self, settings: FlowgenSettings = LONG) -> None:
            super().__init__(settings)

        def fit(self, batches: Any, rng: np.random.Generator, **_: Any) -> Any:
            return super().fit(batches, rng, training=replace(TEACHING, epochs=1))

    check(Quick)


def test_only_the_largest_have_a_vector() -> None:
    numbers = entity_numbers(("small", "large", "middle", "large"))
    table = Identities.of(numbers, np.array([1.0, 9.0, 5.0, 9.0]), 2, np.random.default_rng(0))
    rows = table.rows(numbers, 4)
    assert rows[0] == UNKNOWN and rows[1] == rows[3] != rows[2] and set(rows.tolist()) == {0, 1, 2}
    with pytest.raises(ModelError, match="4 entities were given for 3 series"):
        table.rows(numbers, 3)
