"""Scaling learns from training flows only and leaves holes as they are; words tell sizes apart."""

import json
from typing import Any

import numpy as np
import pytest

from flowlore.errors import ModelError
from flowlore.features.extract import extract
from flowlore.features.scaling import FARTHEST, Scaling
from flowlore.features.words import (
    ALL_WORDS,
    BEGINNINGS,
    EXACT_SIZES,
    FIRST_WORDS,
    GAP_WORDS,
    SIZE_WORDS,
    WORDS,
    beginning_words,
    half_octaves,
    packet_words,
    size_words,
    smooth_numbers,
)
from flowlore.flows.schema import flow_batch


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
    square = size_words(sizes[1:].reshape(-1, 2), np.sign(sizes[1:]).reshape(-1, 2))
    assert square.shape == (len(sizes) // 2, 2) and square[0, 1] == words[2]
    extremes = np.array([65_535, -65_535, 2**31 - 1], np.int32)
    assert size_words(extremes, np.sign(extremes)).max() < SIZE_WORDS


def test_bins_grow_with_the_value() -> None:
    values = np.array([0, 1, 2, 3, 10**6, 2**31 - 1], np.int32)
    bins = half_octaves(values, GAP_WORDS - 2)
    assert (np.diff(bins) > 0).all() and bins[0] == 0 and bins[-1] < GAP_WORDS - 1


def flows_of(*sizes: list[int], **more: list[list[int]]) -> Any:
    columns: dict[str, Any] = {
        "packet_payload_bytes": [[abs(one) for one in flow] for flow in sizes],
        "packet_direction": [[1 if one > 0 else -1 for one in flow] for flow in sizes],
    }
    return extract(flow_batch(columns | more, len(sizes)))


def test_each_channel_has_words_of_its_own_in_one_list() -> None:
    words, is_packet = packet_words(flows_of([100, -1500], [7], packet_gap_ns=[[0, 5000], [9]]), 4)
    assert is_packet.tolist() == [[1, 1, 0, 0], [1, 0, 0, 0]]
    known = dict(zip(WORDS, words[0, 1].tolist(), strict=True))
    assert known["size"] == FIRST_WORDS["size"]
    assert known["payload"] - FIRST_WORDS["payload"] == size_words(np.array([-1500]), np.array([-1]))[0]
    assert known["gap_us"] - FIRST_WORDS["gap_us"] == 1 + half_octaves(np.array([5]), GAP_WORDS)[0]
    assert words[1, 1].tolist() == list(FIRST_WORDS.values())
    assert words.max() < ALL_WORDS


def test_a_beginning_is_known_again_whatever_follows() -> None:
    words = beginning_words(flows_of([10, -20, 30, 40], [10, -20, 31, 40], [10, 20], [10]))
    lengths = list(BEGINNINGS)
    assert words[0, lengths.index(2)] == words[1, lengths.index(2)] != words[2, lengths.index(2)]
    assert words[0, lengths.index(3)] != words[1, lengths.index(3)]
    assert (words[3, 1:] == 0).all() and words[3, 0] == words[0, 0] > 0


def test_neighbouring_sizes_have_neighbouring_numbers() -> None:
    numbers = smooth_numbers()
    assert numbers.shape[0] == ALL_WORDS and np.isfinite(numbers).all()
    words = FIRST_WORDS["payload"] + size_words(np.array([700, 701, 1400, -700]), np.array([1, 1, 1, -1]))
    near, far, back = (float(np.linalg.norm(numbers[words[0]] - numbers[words[place]])) for place in (1, 2, 3))
    assert near < 0.05 < far and near < back
