"""The convolutional network: its weight, what it learns, augmentation in the loop, and what it refuses."""

import json
from dataclasses import fields

import numpy as np
import pytest
import torch

from flowlore.errors import ModelError
from flowlore.features.augment.packets import PacketSeries
from flowlore.features.augment.settings import AugmentSettings
from flowlore.models.convnet import ConvnetClassifier, ConvnetSettings
from flowlore.models.convnet.network import convolved
from flowlore.models.training import TrainingSettings

SMALL = ConvnetSettings(packets=12, width=16)
ROUNDS = TrainingSettings(epochs=20, batch_rows=64, learning_rate=5e-3)


def two_kinds(flows: int, seed: int) -> tuple[PacketSeries, np.ndarray]:
    """Kinds that differ in the sizes of the third to fifth packets only."""
    rng = np.random.default_rng(seed)
    codes = np.arange(flows) % 2
    lengths = rng.integers(6, 15, flows)
    is_packet = np.arange(14) < lengths[:, None]
    payload = rng.integers(1, 1400, (flows, 14))
    payload[:, 2:5] = np.where(codes[:, None] == 1, 900, 300) + rng.integers(0, 3, (flows, 3))
    direction = rng.choice([-1, 1], (flows, 14))
    direction[:, 2:5] = 1
    blank = np.zeros((flows, 14), np.int32)
    series = PacketSeries(
        direction=np.where(is_packet, direction, 0).astype(np.int32),
        size=np.where(is_packet, payload, 0).astype(np.int32),
        header=blank,
        gap_ns=np.where(is_packet, rng.integers(0, 10**8, (flows, 14)), 0),
        flags=blank,
        window=blank,
        hidden=blank.astype(np.bool_),
    )
    return series, codes.astype(np.int64)


def test_the_network_of_the_study_has_its_weight() -> None:
    series, codes = two_kinds(4, 0)
    for settings, weight in ((ConvnetSettings(), 115_061), (ConvnetSettings(sizes="words"), 218_197)):
        model = ConvnetClassifier(53, settings)
        model.fit(series, codes, np.random.default_rng(0), training=TrainingSettings(epochs=1))
        assert model.parameters() == weight


@pytest.mark.parametrize("sizes", ["scaled", "words"])
@pytest.mark.parametrize("policy", ["replace", "inject", "pre-augment"])
def test_it_learns_with_augmentation_in_the_loop(sizes: str, policy: str) -> None:
    settings = ConvnetSettings(packets=12, width=16, sizes=sizes)
    model = ConvnetClassifier(2, settings)
    augmentation = AugmentSettings(transforms=("change-rtt", "cutmix:0.2"), policy=policy, class_weight=0.5)
    rng = np.random.default_rng(0)
    held_out = two_kinds(64, 2)
    report = model.fit(*two_kinds(256, 1), rng, augmentation=augmentation, training=ROUNDS, validation=held_out)
    assert report.validation_loss is not None
    series, codes = two_kinds(200, 3)
    assert (model.predict(series) == codes).mean() > 0.85
    assert np.allclose(model.predict_proba(series).sum(axis=1), 1.0, atol=1e-5)


def test_what_is_hidden_or_behind_its_packets_is_not_seen() -> None:
    series, codes = two_kinds(64, 1)
    model = ConvnetClassifier(2, SMALL)
    model.fit(series, codes, np.random.default_rng(0), training=TrainingSettings(epochs=1))
    held = {item.name: getattr(series, item.name).copy() for item in fields(series)}
    held["size"][:, 12:] += 7
    held["hidden"][:, 3] = True
    hidden = PacketSeries(**held)
    held = {name: array.copy() for name, array in held.items()}
    held["size"][:, 3] = 1
    other = PacketSeries(**held)
    assert np.array_equal(model.embed(hidden), model.embed(other))
    assert not np.array_equal(model.embed(hidden), model.embed(series))
    assert model.embed(series.take([])).shape == (0, 32)


def test_state_comes_back_and_damage_is_told() -> None:
    series, codes = two_kinds(64, 1)
    model = ConvnetClassifier(2, SMALL)
    with pytest.raises(ModelError, match="not trained yet"):
        model.predict(series)
    model.fit(series, codes, np.random.default_rng(0), training=TrainingSettings(epochs=1))
    arrays, values = model.state()
    again = ConvnetClassifier.from_state(arrays, json.loads(json.dumps(values)))
    assert np.array_equal(again.predict_proba(series), model.predict_proba(series))
    with pytest.raises(ModelError, match="format 9"):
        ConvnetClassifier.from_state(arrays, {**values, "format": 9})
    del arrays["classes.weight"]
    with pytest.raises(ModelError, match="damaged"):
        ConvnetClassifier.from_state(arrays, values)


def test_the_same_seed_gives_the_same_network_and_no_global_randomness_is_used() -> None:
    series, codes = two_kinds(64, 1)
    before = torch.get_rng_state()
    made = []
    for seed in (5, 5, 6):
        model = ConvnetClassifier(2, SMALL)
        augmentation = AugmentSettings(transforms=("wrap",))
        training = TrainingSettings(epochs=2, batch_rows=32)
        model.fit(series, codes, np.random.default_rng(seed), augmentation=augmentation, training=training)
        made.append(model.predict_proba(series))
    assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])
    assert torch.equal(before, torch.get_rng_state())


def test_convolutions_are_those_of_their_modules() -> None:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn((6, 7, 4), generator=generator)
    for wide, stride in ((3, 1), (3, 2), (1, 2)):
        convolution = torch.nn.Conv1d(4, 5, wide, stride=stride, padding=wide // 2, bias=False)
        norm = torch.nn.BatchNorm1d(5)
        expected = norm(convolution(states.transpose(1, 2))).transpose(1, 2)
        norm.reset_running_stats()
        torch.testing.assert_close(convolved(states, convolution, norm), expected)
