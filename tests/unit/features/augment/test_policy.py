"""How transforms are put together, and when they are applied."""

from dataclasses import fields

import numpy as np
import pytest
from making_series import made_up_series

from flowlore.errors import SettingError, TaskError, UnknownName
from flowlore.features.augment.packets import PacketSeries
from flowlore.features.augment.policy import Augmenter
from flowlore.features.augment.settings import AugmentSettings

SERIES = made_up_series(400, np.random.default_rng(0), shortest=12)
CODES = np.arange(400) % 4


def differing(before: PacketSeries, after: PacketSeries) -> np.ndarray:
    found = np.zeros(len(before), np.bool_)
    for item in fields(before):
        found |= (getattr(before, item.name) != getattr(after, item.name)).any(axis=1)
    return found


def augmenter(*transforms: str, **settings: object) -> Augmenter:
    return Augmenter(AugmentSettings(transforms=transforms, **settings))


def test_without_transforms_nothing_happens() -> None:
    after, rows = Augmenter(AugmentSettings()).step(SERIES, np.random.default_rng(0))
    assert after is SERIES and rows.tolist() == list(range(400))


def test_replace_changes_a_share_in_place() -> None:
    after, rows = augmenter("horizontal-flip:1", replaced=0.3).step(SERIES, np.random.default_rng(0))
    assert rows.tolist() == list(range(400))
    assert 0.2 < differing(SERIES, after).mean() < 0.4


def test_inject_adds_copies_behind() -> None:
    after, rows = augmenter("horizontal-flip:1", policy="inject", copies=3).step(SERIES, np.random.default_rng(0))
    assert len(after) == 1600 and rows.tolist() == list(range(400)) * 4
    assert not differing(SERIES, after.take(np.arange(400))).any()
    assert differing(SERIES, after.take(np.arange(400, 800))).mean() > 0.9


def test_pre_augment_happens_once_and_leaves_steps_alone() -> None:
    made = augmenter("interpolation", "packet-loss:1", policy="pre-augment", copies=2)
    assert made.step(SERIES, np.random.default_rng(0))[0] is SERIES
    after, rows = made.enlarged(SERIES, np.random.default_rng(0))
    assert len(after) == len(rows) == 1200


def test_an_ensemble_gives_each_flow_one_of_them() -> None:
    after = augmenter("constant-wrap-up:1", "bernoulli-mask:1").changed(SERIES, np.random.default_rng(0))
    masked = after.hidden.any(axis=1)
    resized = (after.size != SERIES.size).any(axis=1)
    assert not (masked & resized).any() and 0.4 < masked.mean() < 0.6 and 0.4 < resized.mean() < 0.6


def test_stacks_apply_several() -> None:
    names = ("constant-wrap-up:1", "bernoulli-mask:1")
    both = augmenter(*names, combine="random-stack").changed(SERIES, np.random.default_rng(0))
    assert (both.hidden.any(axis=1) & (both.size != SERIES.size).any(axis=1)).mean() > 0.95
    some = augmenter(*names, combine="masked-stack", stack_probability=0.5).changed(SERIES, np.random.default_rng(0))
    hidden, resized = some.hidden.any(axis=1), (some.size != SERIES.size).any(axis=1)
    for share in (hidden & resized, hidden & ~resized, ~hidden & resized, ~hidden & ~resized):
        assert 0.15 < share.mean() < 0.35


def test_mixing_draws_from_the_same_class_only() -> None:
    flat = PacketSeries(**{item.name: getattr(SERIES, item.name).copy() for item in fields(SERIES)})
    flat.window[:] = np.where(flat.is_packet, CODES[:, None] + 1, 0)
    made = augmenter("cutmix:1", replaced=1.0)
    after, _ = made.step(flat, np.random.default_rng(0), codes=CODES)
    assert differing(flat, after).mean() > 0.9
    assert np.array_equal(np.where(after.is_packet, after.window, 0), flat.window)
    with pytest.raises(TaskError, match="no classes were given"):
        made.step(flat, np.random.default_rng(0))


def test_wrong_words_are_told() -> None:
    with pytest.raises(UnknownName, match="no augmentation is called `packet-los`"):
        augmenter("packet-los")
    with pytest.raises(SettingError, match="`much` in `wrap:much` is no magnitude; a number from 0 to 1 is"):
        augmenter("wrap:much")
    with pytest.raises(SettingError, match="magnitude of `wrap` is 2, but must be from 0 to 1"):
        augmenter("wrap", magnitude=2.0)
