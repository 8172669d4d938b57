"""How transforms are put together, when they are applied, and what the search is told."""

from dataclasses import fields

import numpy as np
import pytest
from making_series import made_up_series

from flowlore.errors import SettingError, TaskError, UnknownName
from flowlore.features.augment.mixing import draw_partners
from flowlore.features.augment.packets import PacketSeries
from flowlore.features.augment.policy import Augmenter
from flowlore.features.augment.samplers import class_weights, draw_rows
from flowlore.features.augment.search import drawn_candidates, search
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


def test_partners_are_others_of_the_class() -> None:
    partners = draw_partners(CODES, np.random.default_rng(0))
    assert (partners != np.arange(400)).all() and (CODES[partners] == CODES).all()
    assert len(np.unique(partners)) > 200
    from_pool = draw_partners(np.array([3, 1]), np.random.default_rng(0), np.array([1, 3, 3]))
    assert from_pool[1] == 0 and from_pool[0] in (1, 2)


def test_all_classes_with_one_flow_are_named() -> None:
    with pytest.raises(TaskError, match="one flow of `dns`, `o'clock`, but mixing takes two") as caught:
        draw_partners(np.array([2, 0, 0, 1]), np.random.default_rng(0), names=("web", "dns", "o'clock"))
    assert "label not in ('dns', 'o''clock')" in str(caught.value.hint)
    with pytest.raises(TaskError, match="there is no other flow of `number 2`"):
        draw_partners(np.array([2]), np.random.default_rng(0), np.array([0, 1]))


def test_wrong_words_are_told() -> None:
    with pytest.raises(UnknownName, match="no augmentation is called `packet-los`"):
        augmenter("packet-los")
    with pytest.raises(SettingError, match="`much` in `wrap:much` is no magnitude; a number from 0 to 1 is"):
        augmenter("wrap:much")
    with pytest.raises(SettingError, match="magnitude of `wrap` is 2, but must be from 0 to 1"):
        augmenter("wrap", magnitude=2.0)


def test_samplers_weigh_classes_by_the_exponent() -> None:
    codes = np.repeat([0, 1, 2], [900, 90, 10])
    rng = np.random.default_rng(0)
    shares = {one: np.bincount(codes[draw_rows(codes, 30_000, one, rng)]) / 30_000 for one in (0.0, 0.5, 1.0)}
    assert shares[0.0].round(3).tolist() == [0.9, 0.09, 0.01]
    roots = np.sqrt([900, 90, 10])
    assert np.allclose(shares[0.5], roots / roots.sum(), atol=0.02)
    assert np.allclose(shares[1.0], 1 / 3, atol=0.02)
    assert class_weights(codes, 0.5).sum() == pytest.approx(1.0)
    assert sorted(draw_rows(codes, 1000, 0.0, rng).tolist()) == list(range(1000))


def test_the_search_keeps_a_third_and_finds_the_best() -> None:
    asked: list[tuple[AugmentSettings, int]] = []

    def evaluate(settings: AugmentSettings, number: int) -> float:
        asked.append((settings, number))
        return settings.magnitude

    candidates = [AugmentSettings(transforms=("wrap",), magnitude=step / 10) for step in range(9)]
    trials = search(evaluate, candidates)
    assert trials[0].settings.magnitude == 0.8 and len(trials[0].scores) == 3
    assert [number for _, number in asked] == [1] * 9 + [2] * 3 + [3]
    assert len(trials) == 9 and trials[-1].scores == (0.0,)


def test_a_wrong_candidate_is_told_before_anything_is_trained() -> None:
    with pytest.raises(UnknownName):
        search(lambda settings, number: pytest.fail("trained"), [AugmentSettings(transforms=("nonsense",))])
    with pytest.raises(SettingError, match="no candidate"):
        search(lambda settings, number: 0.0, [])


def test_drawn_candidates_begin_with_none_and_are_valid() -> None:
    drawn = drawn_candidates(30, np.random.default_rng(0), with_partners=False)
    assert len(drawn) == 30 and drawn[0] == AugmentSettings()
    for one in drawn:
        assert not Augmenter(one).needs_partners
    assert len({one.policy for one in drawn}) == len({one.combine for one in drawn}) == 3
