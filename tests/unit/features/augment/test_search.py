"""What the search is told, and what it finds."""

import numpy as np
import pytest

from flowlore.errors import SettingError, UnknownName
from flowlore.features.augment.policy import Augmenter
from flowlore.features.augment.search import drawn_candidates, search
from flowlore.features.augment.settings import AugmentSettings


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
