"""Scaling learns from training flows only and leaves holes as they are; words tell sizes apart."""

import json

import numpy as np
import pytest

from flowlore.errors import ModelError
from flowlore.features.scaling import FARTHEST, Scaling
from flowlore.features.words import EXACT_SIZES, GAP_WORDS, SIZE_WORDS, half_octaves, size_words


def test_scaling_is_centred_and_keeps_holes() -> None:
    values = np.exp(np.random.default_rng(1).normal(5, 1, (5000, 1))).astype(np.float32) - 1
    scaled = Scaling.fit(values).apply(values)
    assert abs(np.median(scaled)) < 0.01 and abs(scaled.std() - 1) < 0.05
    holed = np.where(np.arange(5000)[:, None] % 2, values, np.nan)
    assert np.isnan(Scaling.fit(values).apply(holed)[::2]).all()


def test_extremes_constants_and_unseen_quantities() -> None:
    values = np.array([[1, 7, np.nan], [2, 7, np.nan], [4, 7, np.nan]], np.float32)
    scaling = Scaling.fit(values)
    scaled = scaling.apply(np.array([[1e30, 7, 5], [np.inf, 8, np.nan]], np.float32))
    assert scaled[0].tolist() == [FARTHEST, 0, 0]
    assert np.isnan(scaled[1, [0, 2]]).all() and scaled[1, 1] == FARTHEST


def test_state_is_json_and_gives_equal_numbers() -> None:
    values = np.random.default_rng(2).random((50, 4), np.float32)
    scaling = Scaling.fit(values)
    again = Scaling.from_state(json.loads(json.dumps(scaling.state())))
    np.testing.assert_array_equal(scaling.apply(values), again.apply(values))
    with pytest.raises(ModelError, match="3 quantities, but the scaling was learnt on 4"):
        again.apply(values[:, :3])


def test_every_size_up_to_the_largest_exact_one_has_a_word_of_its_own() -> None:
    sizes = np.arange(-EXACT_SIZES, EXACT_SIZES + 1, dtype=np.int32)
    words = size_words(sizes, np.where(sizes < 0, -1, 1).astype(np.int32))
    assert len(np.unique(words)) == len(sizes)
    extremes = np.array([65_535, -65_535, 2**31 - 1], np.int32)
    assert size_words(extremes, np.sign(extremes)).max() < SIZE_WORDS


def test_bins_grow_with_the_value() -> None:
    values = np.array([0, 1, 2, 3, 10**6, 2**31 - 1], np.int32)
    bins = half_octaves(values, GAP_WORDS - 2)
    assert (np.diff(bins) > 0).all() and bins[0] == 0 and bins[-1] < GAP_WORDS - 1
