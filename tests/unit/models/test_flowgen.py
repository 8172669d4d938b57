"""The decoder of rates: it sees no future, a cache changes nothing, and it learns what simple forecasts cannot say."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
import torch

from flowlore.errors import ModelError
from flowlore.features.batch import FeatureBatch
from flowlore.models.flowgen.encoder import FlowgenEncoder, HeldOut
from flowlore.models.flowgen.inputs import window
from flowlore.models.flowgen.network import QUANTILES, Cache, Network
from flowlore.models.flowgen.representation import Bins, scales_of
from flowlore.models.flowgen.sampling import sampled_paths
from flowlore.models.flowgen.settings import SHAPES, FlowgenSettings, Size
from flowlore.models.training import TrainingSettings

HOUR_NS = 3_600_000_000_000
SMALL = FlowgenSettings(size="small", context=48, bins=16, farthest=6, least_windows=1)
SHORT = TrainingSettings(epochs=2, batch_rows=8, learning_rate=3e-3)


def waves(rows: int, steps: int = 96, features: int = 2, seed: int = 0) -> np.ndarray:
    """Days of 24 steps, of other sizes, with noise, zeros and unknown steps: [rows, features, steps]."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(3, 1, (rows, features, 1)))
    turn = 1 + 0.8 * np.sin(2 * np.pi * np.arange(steps) / 24 + rng.random((rows, 1, 1)))
    values = size * turn * np.exp(0.1 * rng.normal(size=(rows, features, steps)))
    values[rng.random(values.shape) < 0.05] = 0
    values[rng.random(values.shape) < 0.03] = np.nan
    return values


def hosts(rows: int, seed: int = 0) -> FeatureBatch:
    values = waves(rows, seed=seed).transpose(0, 2, 1).astype(np.float32)
    return FeatureBatch(
        length=rows,
        channels={
            "rates.values": values,
            "rates.start_ns": np.arange(rows) * HOUR_NS,
            "rates.step_ns": np.full(rows, HOUR_NS),
        },
        present={"rates": np.ones(rows, np.bool_)},
    )


@pytest.fixture(scope="module")
def encoder() -> FlowgenEncoder:
    made = FlowgenEncoder(SMALL)
    made.fit([hosts(24)], np.random.default_rng(1), training=SHORT)
    return made


@pytest.fixture(scope="module")
def trained() -> FlowgenEncoder:
    made = FlowgenEncoder(SMALL)
    made.learn(
        waves(40, steps=240), np.zeros(40, np.int64), HOUR_NS, ("a", "b"), np.random.default_rng(0),
        training=TrainingSettings(epochs=6, batch_rows=16, learning_rate=3e-3),
    )  # fmt: skip
    return made


def test_bins_keep_zero_apart_and_more_of_them_miss_less() -> None:
    values = waves(40)
    scaled = values / scales_of(values)[:, :, None]
    missed = {}
    for count in (9, 64):
        bins = Bins.fit(scaled, count)
        tokens = bins.tokens(scaled)
        assert ((tokens == 0) == (scaled == 0)).all()
        assert ((tokens == bins.count) == np.isnan(scaled)).all()
        assert len(np.unique(tokens)) == count + 2
        missed[count] = np.nansum(np.abs(bins.oracle(scaled) - scaled)) / np.nansum(scaled)
        drawn = bins.drawn(tokens[:, 0].ravel().clip(0, count).astype(np.int64), 0, np.random.default_rng(0))
        known = tokens[:, 0].ravel() <= count
        again = bins.tokens(drawn.reshape(1, 1, -1))[0, 0]
        assert (again == tokens[:, 0].ravel())[known].mean() > 0.99
    assert missed[64] < 0.3 * missed[9]


def test_nothing_of_a_step_reaches_an_earlier_one(encoder: FlowgenEncoder) -> None:
    values = waves(4, steps=40, seed=3)
    later = values.copy()
    later[:, :, 30:] = 7.0
    scales = scales_of(values)
    told = [
        encoder.quantiles(encoder.inputs(one, np.zeros(4, np.int64), HOUR_NS, scales), np.arange(20, 30))
        for one in (values, later)
    ]
    np.testing.assert_array_equal(told[0], told[1])
    bits = [
        encoder.bits(encoder.inputs(one, np.zeros(4, np.int64), HOUR_NS, scales))[:, :, :30] for one in (values, later)
    ]
    np.testing.assert_array_equal(bits[0], bits[1])


def test_a_cache_gives_what_seeing_all_again_would(encoder: FlowgenEncoder) -> None:
    assert encoder.network is not None
    inputs = encoder.inputs(waves(3, steps=20, seed=4), np.zeros(3, np.int64), HOUR_NS)
    rows, begins = torch.arange(3), torch.zeros(3, dtype=torch.int64)
    with torch.inference_mode():
        whole = encoder.network.states(window(inputs, rows, begins, 20, encoder.horizons))
        cache, parts = Cache(), []
        parts.append(encoder.network.states(window(inputs, rows, begins, 12, encoder.horizons), cache))
        for step in range(12, 20):
            parts.append(encoder.network.states(window(inputs, rows, begins + step, 1, encoder.horizons), cache))
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)
    assert cache.steps == 20


def test_quantiles_rise_and_are_never_negative(encoder: FlowgenEncoder) -> None:
    inputs = encoder.inputs(waves(5, seed=5), np.zeros(5, np.int64), HOUR_NS)
    told = encoder.quantiles(inputs, np.array([95]))
    assert told.shape == (5, 2, 1, len(encoder.horizons), len(QUANTILES))
    assert (np.diff(told, axis=-1) >= -1e-6).all() and (told >= 0).all()


def test_it_learns_a_daily_wave_that_persistence_cannot_say(trained: FlowgenEncoder) -> None:
    values = waves(10, steps=240, seed=9)
    scales = scales_of(values)
    last = np.arange(100, 230)
    told = trained.quantiles(trained.inputs(values, np.zeros(10, np.int64), HOUR_NS, scales), last)
    place = trained.horizons.index(6)
    truth = values[:, :, last + 6]
    error = np.nansum(np.abs(told[:, :, :, place, len(QUANTILES) // 2] * scales[:, :, None] - truth))
    stays = np.nansum(np.abs(np.nan_to_num(values[:, :, last]) - truth))
    assert error < 0.6 * stays


def test_what_is_odd_costs_more_bits(trained: FlowgenEncoder) -> None:
    values = waves(6, seed=6)
    odd = values.copy()
    odd[:, :, 70] = 9 * np.nanmax(values, axis=2)
    usual, strange = (trained.bits(trained.inputs(one, np.zeros(6, np.int64), HOUR_NS)) for one in (values, odd))
    assert np.isnan(usual[:, :, 0]).all() and np.isfinite(usual[:, :, 1:]).mean() > 0.9
    assert np.nanmean(strange[:, :, 70]) > np.nanmean(usual[:, :, 70]) + 0.5


def test_sampled_paths_go_on_as_the_series_might(trained: FlowgenEncoder) -> None:
    values = waves(3, steps=120, seed=8)
    paths = sampled_paths(trained, values, np.zeros(3, np.int64), HOUR_NS, 24, 20, np.random.default_rng(0))
    assert paths.shape == (3, 20, 2, 24) and (paths >= 0).all() and np.isfinite(paths).all()
    usual = np.nanmean(values, axis=2)
    assert (np.abs(np.log(paths.mean(axis=(1, 3)) / usual)) < 0.5).all()
    assert (paths[:, 0] != paths[:, 1]).any()
    again = sampled_paths(trained, values, np.zeros(3, np.int64), HOUR_NS, 24, 20, np.random.default_rng(0))
    np.testing.assert_array_equal(again, paths)
    with pytest.raises(ModelError, match="48 steps cannot be drawn"):
        sampled_paths(trained, values, np.zeros(3, np.int64), HOUR_NS, 48, 1, np.random.default_rng(0))


def test_it_keeps_the_promises_of_an_encoder(encoder: FlowgenEncoder) -> None:
    batch = hosts(12, seed=7)
    vectors = encoder.embed(batch)
    assert vectors.shape == (12, encoder.width) and vectors.dtype == np.float32 and np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(4), axis=0)) == 12
    order = np.random.default_rng(0).permutation(12)
    np.testing.assert_allclose(encoder.embed(batch.take(order)), vectors[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(batch.take([3])), vectors[[3]], rtol=1e-4, atol=1e-5)
    assert encoder.embed(batch.take([])).shape == (0, encoder.width)
    unknown = dict(batch.channels) | {"rates.values": np.full_like(batch.channels["rates.values"], np.nan)}
    assert not encoder.embed(FeatureBatch(length=12, channels=unknown, present={})).any()
    assert not encoder.embed(batch.without("rates")).any()
    one_missing = batch.channels["rates.values"].copy()
    one_missing[:, :, 1] = np.nan
    lacking = FeatureBatch(length=12, channels=dict(batch.channels) | {"rates.values": one_missing}, present={})
    assert np.isfinite(encoder.embed(lacking)).all()
    arrays, values = encoder.state()
    again = FlowgenEncoder.from_state(arrays, json.loads(json.dumps(values)))
    np.testing.assert_array_equal(again.embed(batch), vectors)


def test_a_long_series_is_embedded_by_the_clock_of_its_last_steps(encoder: FlowgenEncoder) -> None:
    whole = hosts(4, seed=3)
    begin = whole.channels["rates.values"].shape[1] - SMALL.context
    channels = dict(whole.channels)
    channels["rates.values"] = channels["rates.values"][:, begin:]
    channels["rates.start_ns"] = channels["rates.start_ns"] + begin * HOUR_NS
    cut = FeatureBatch(length=4, channels=channels, present=whole.present)
    np.testing.assert_allclose(encoder.embed(whole), encoder.embed(cut), atol=1e-5)


def test_later_steps_say_when_to_stop() -> None:
    values, starts = waves(12, steps=160, features=1), np.zeros(12, np.int64)
    told = {}
    for name, later in (("as before", values), ("turned over", np.nanmax(values, axis=2, keepdims=True) - values)):
        known = np.concatenate([values[:, :, :120], later[:, :, 120:]], axis=2)
        held_out = HeldOut(values=known, starts_ns=starts, steps_ns=HOUR_NS, scales=scales_of(values), since=120)
        told[name] = FlowgenEncoder(SMALL).learn(
            values[:, :, :120], starts, HOUR_NS, ("a",), np.random.default_rng(0), validation=held_out,
            training=TrainingSettings(epochs=12, batch_rows=8, learning_rate=3e-3, patience=1),
        )  # fmt: skip
    better, worse = (told[name].validation_loss for name in ("as before", "turned over"))
    assert better is not None and worse is not None and better < 0.8 * worse
    assert told["turned over"].stopped_early and told["turned over"].epochs < told["as before"].epochs


def test_the_same_seed_gives_equal_weights(encoder: FlowgenEncoder) -> None:
    again = FlowgenEncoder(SMALL)
    again.fit([hosts(24)], np.random.default_rng(1), training=SHORT)
    for name, weight in encoder.state()[0].items():
        np.testing.assert_array_equal(again.state()[0][name], weight)


def test_mistakes_are_named(encoder: FlowgenEncoder) -> None:
    with pytest.raises(ModelError, match="was not trained yet"):
        FlowgenEncoder(SMALL).embed(hosts(2))
    with pytest.raises(ModelError, match="too short"):
        FlowgenEncoder(SMALL).learn(
            np.ones((2, 1, 3)), np.zeros(2, np.int64), HOUR_NS, ("a",), np.random.default_rng(0)
        )
    with pytest.raises(ModelError, match="no rates"):
        FlowgenEncoder(SMALL).fit([FeatureBatch(length=0, channels={}, present={})], np.random.default_rng(0))
    arrays, values = encoder.state()
    with pytest.raises(ModelError, match="format 9"):
        FlowgenEncoder.from_state(arrays, values | {"format": 9})
    with pytest.raises(ModelError, match="damaged"):
        FlowgenEncoder.from_state(dict(list(arrays.items())[:3]), values)


def test_sizes_have_as_many_numbers_as_they_say() -> None:
    counts = {}
    assert set(SHAPES) == set(get_args(Size))
    for size in get_args(Size):
        network = Network(FlowgenSettings(size=size), 1, 65)
        counts[size] = sum(weight.numel() for weight in network.parameters())
    assert list(counts.values()) == sorted(counts.values())
    assert 50_000 < counts["small"] < 150_000 and 9_000_000 < counts["largest"] < 11_000_000
    assert all(shape.width % shape.heads == 0 for shape in SHAPES.values())


def test_likelihood_begins_with_what_was_counted() -> None:
    rng = np.random.default_rng(0)
    steps = np.arange(400) % 3  # one value follows another one, always
    values = np.stack([np.array([1.0, 5.0, 40.0])[steps]] * 2)[:, None] * np.exp(0.01 * rng.normal(size=(2, 1, 400)))
    bits, short = {}, TrainingSettings(epochs=1, least_steps=1)
    for counted in (True, False):
        settings = FlowgenSettings(
            size="small", context=64, bins=8, farthest=2, least_windows=1, disturbed=0.0, counted=counted
        )
        made = FlowgenEncoder(settings)
        made.learn(values, np.zeros(2, np.int64), 10**9, ("a",), rng, training=short)
        told = made.bits(made.inputs(values, np.zeros(2, np.int64), 10**9))
        bits[counted] = float(np.nanmean(told))
        again = FlowgenEncoder.from_state(*made.state())
        np.testing.assert_allclose(again.bits(again.inputs(values, np.zeros(2, np.int64), 10**9)), told, rtol=1e-5)
    assert bits[True] < 2.0 < 2.5 < bits[False]  # which of three is known, and where within a few bins is not
    arrays, state = made.state()
    old = FlowgenEncoder.from_state({name: one for name, one in arrays.items() if name != "follows"}, state)
    assert float(np.abs(old.state()[0]["follows"]).max()) == 0.0


def test_series_of_several_step_lengths_are_told_as_each_alone(trained: FlowgenEncoder) -> None:
    values, steps = waves(4, steps=120, seed=5), np.array([HOUR_NS, HOUR_NS // 12, 2_000_000_000, HOUR_NS])
    starts = np.arange(4) * HOUR_NS
    scales = scales_of(values)
    together = trained.bits(trained.inputs(values, starts, steps, scales))
    for row in range(4):
        one = slice(row, row + 1)
        alone = trained.bits(trained.inputs(values[one], starts[one], int(steps[row]), scales[one]))
        assert np.allclose(together[one], alone, atol=1e-4, equal_nan=True)
    as_hours = trained.bits(trained.inputs(values, starts, HOUR_NS, scales))
    assert not np.allclose(together[1], as_hours[1], atol=1e-2, equal_nan=True)  # a day is longer there
    late = trained.bits(trained.inputs(values, starts, steps, scales), 100)
    assert np.array_equal(late[:, :, 100:], together[:, :, 100:], equal_nan=True) and np.isnan(late[:, :, :40]).all()


def test_bins_and_windows_that_are_given_are_taken() -> None:
    values = waves(6, steps=200, features=1)
    values[3:, :, :150] = np.nan
    bins = Bins.fit(values, 8)
    seen = []
    encoder = FlowgenEncoder(SMALL)
    encoder.learn(
        values, np.zeros(6, np.int64), HOUR_NS, ("a",), np.random.default_rng(0), scales=np.ones((6, 1)), bins=bins,
        windows=20, known_from=np.array([0, 0, 0, 150, 150, 150]), progress=seen.append,
        training=TrainingSettings(epochs=1, batch_rows=4, least_steps=1),
    )  # fmt: skip
    assert encoder.bins is bins and encoder.network is not None and encoder.network.bins == bins.count
    assert seen[-1].steps == 5
