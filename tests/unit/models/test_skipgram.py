"""Skip-gram with negative sampling: what it learns, that a seed repeats it, and what later sentences change."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from entitiesmade import two_crowds
from flowlore.errors import ModelError
from flowlore.features.sentences import Sentences, sentences_of, words_of
from flowlore.models.skipgram.kernels import Plan, draw_evenly, learn_words
from flowlore.models.skipgram.model import SkipGram, _sureness
from flowlore.models.skipgram.settings import SkipGramSettings
from flowlore.models.skipgram.tokens import Keys, first_vectors

SETTINGS = SkipGramSettings(width=24, window=5, epochs=5)


def sentence(words: list[str]) -> Sentences:
    distinct = sorted(set(words))
    return Sentences(
        kind="host",
        words=words_of("host", distinct),
        sequence=np.array([distinct.index(word) for word in words], np.int32),
        offsets=np.array([0, len(words)], np.int64),
    )


def learnt(sentences: Sentences, seed: int = 1, settings: SkipGramSettings = SETTINGS) -> SkipGram:
    return SkipGram.empty(sentences.kind, settings).learnt(sentences, np.random.default_rng(seed))


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def test_a_seed_repeats_and_another_does_not() -> None:
    sentences = sentences_of(two_crowds(talks=500), "host")
    one, again, other = (learnt(sentences, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.vectors, again.vectors)
    assert np.array_equal(one.contexts, again.contexts)
    assert not np.allclose(one.vectors, other.vectors)


def test_learning_leaves_what_it_began_from_as_it_was() -> None:
    first = learnt(sentences_of(two_crowds(talks=500), "host"))
    before = first.vectors.copy(), first.contexts.copy(), first.counts.copy()
    first.learnt(sentences_of(two_crowds(seed=3, talks=500), "host"), np.random.default_rng(1))
    assert all(
        np.array_equal(*pair) for pair in zip(before, (first.vectors, first.contexts, first.counts), strict=True)
    )


def test_who_met_the_same_is_nearer() -> None:
    """Even and odd hosts share every prefix: nothing but company tells them apart."""
    model = learnt(sentences_of(two_crowds(), "host"))
    vectors = model.vectors_of_texts(pa.array([f"10.0.0.{number}" for number in range(40)]))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = unit @ unit.T - 2 * np.eye(40)
    assert (alike.argmax(axis=1) % 2 == np.arange(40) % 2).all()


def test_who_was_never_seen_lies_with_its_network() -> None:
    model = learnt(sentences_of(two_crowds(), "host"))
    words = words_of("host", ["10.7.0.201", "10.8.0.201", "10.7.0.2", "10.8.0.3", "172.16.0.1", "camera"])
    assert model.knows(words).tolist() == [False, False, True, True, False, False]
    new_login, new_browser, login, browser, stranger, unheard = model.vectors_of(words)
    assert cosine(new_login, login) > cosine(new_login, browser) + 0.1
    assert cosine(new_browser, browser) > cosine(new_browser, login) + 0.1
    assert not stranger.any() and not unheard.any()


def test_what_is_shared_with_few_comes_first() -> None:
    """Of 10.7.0.201 the /24 is known, of 10.7.9.1 the /16, of 10.9.9.9 the /8."""
    model = learnt(sentences_of(two_crowds(), "host"))
    words = words_of("host", ["10.7.0.201", "10.7.9.1", "10.9.9.9"])
    rows = [model.rows.places(words.tokens[place, column])[()] for place, column in ((0, 3), (1, 2), (2, 1))]
    assert np.array_equal(model.vectors_of(words), model.vectors[rows])


def test_later_sentences_are_more_of_the_same() -> None:
    """Counts add up, and what two halves teach in turn tells the crowds apart as the whole does."""
    first, later = sentences_of(two_crowds(seed=1), "host"), sentences_of(two_crowds(seed=2), "host")
    both = learnt(first).learnt(later, np.random.default_rng(2))
    assert int(both.counts.sum()) == len(first.sequence) + len(later.sequence)
    texts = both.texts.to_pylist()
    unit = both.own_vectors / np.linalg.norm(both.own_vectors, axis=1, keepdims=True)
    nearest = (unit @ unit.T - 2 * np.eye(len(unit))).argmax(axis=1)
    crowd = [int(text.rpartition(".")[2]) % 2 for text in texts]
    assert np.mean([crowd[row] == crowd[place] for place, row in enumerate(nearest)]) > 0.95


def test_an_update_moves_only_the_words_that_it_has() -> None:
    first = learnt(sentence(["10.1.0.1", "10.2.0.1", "11.3.0.1", "12.4.0.1"] * 50))
    later = first.learnt(sentence(["11.3.0.1", "13.5.0.1"] * 50), np.random.default_rng(4))
    same, moved = pa.array(["10.1.0.1", "10.2.0.1", "12.4.0.1"]), pa.array(["11.3.0.1"])
    assert np.array_equal(first.vectors_of_texts(same), later.vectors_of_texts(same))
    assert not np.array_equal(first.vectors_of_texts(moved), later.vectors_of_texts(moved))
    assert later.texts.to_pylist()[: len(first)] == first.texts.to_pylist()


def test_words_beyond_the_most_are_known_by_what_they_share() -> None:
    frequent, rare = ["10.1.0.1", "10.2.0.1"], ["10.1.0.9", "10.2.0.9"]
    model = learnt(sentence(frequent * 20 + rare), settings=replace(SETTINGS, most_words=2))
    assert model.texts.to_pylist() == frequent
    assert model.vectors_of_texts(pa.array(rare)).any(axis=1).all()


def test_one_word_alone_teaches_nothing() -> None:
    model = SkipGram.empty("host", SETTINGS)
    assert len(model.learnt(sentence([]), np.random.default_rng(0))) == 0
    assert model.vectors_of_texts(pa.array(["10.0.0.1"])).tolist() == [[0.0] * 24]


@pytest.mark.parametrize("width", [1, 15, 16, 17, 33])
def test_a_step_by_hand(width: int) -> None:
    """One word beside one other, nothing drawn at random: the step that the formula gives, at any width."""
    rng = np.random.default_rng(width)
    vectors = rng.normal(size=(2, width)).astype(np.float32)
    contexts = rng.normal(size=(2, width)).astype(np.float32)
    before = vectors.copy(), contexts.copy()
    looked_at = learn_words(
        np.array([0, 1], np.int32), np.array([[0, 1, 0, 2]]), np.array([[0], [1]], np.int32), vectors, contexts,
        np.full(2, 2**32 - 1, np.uint32), np.arange(2, dtype=np.int32), _sureness(), np.array([0.1], np.float32),
        Plan(1, 0, 0), np.array([7], np.uint64),
    )  # fmt: skip
    assert looked_at == 1
    score = float(before[0][0] @ before[1][1])
    step = 0.1 * (1 - 1 / (1 + np.exp(-score)))
    np.testing.assert_allclose(vectors[0], before[0][0] + step * before[1][1], atol=2e-3)
    np.testing.assert_allclose(contexts[1], before[1][1] + step * before[0][0], atol=2e-3)
    assert np.array_equal(vectors[1], before[0][1]) and np.array_equal(contexts[0], before[1][0])


@pytest.mark.parametrize(
    ("sequence", "block", "tokens"),
    [
        ([0, 9], [0, 2, 0, 2], [[0], [1]]),
        ([0, -1], [0, 2, 0, 2], [[0], [1]]),
        ([0, 1], [0, 3, 0, 3], [[0], [1]]),
        ([0, 1], [0, 2, -1, 2], [[0], [1]]),
        ([0, 1], [0, 2, 0, 2], [[0], [5]]),
        ([0, 1], [0, 2, 0, 2], [[0]]),
    ],
)
def test_places_that_are_none_are_refused(sequence: list[int], block: list[int], tokens: list[list[int]]) -> None:
    looked_at = learn_words(
        np.array(sequence, np.int32), np.array([block]), np.array(tokens, np.int32), np.ones((2, 4), np.float32),
        np.ones((2, 4), np.float32), np.full(2, 2**32 - 1, np.uint32), np.arange(2, dtype=np.int32), _sureness(),
        np.array([0.1], np.float32), Plan(2, 2, 0), np.array([7], np.uint64),
    )  # fmt: skip
    assert looked_at == -1


@pytest.mark.parametrize("weights", [[1.0], [1, 1, 1], [100, 1, 1, 0.5], list(range(1, 50))])
def test_words_are_drawn_by_their_weights(weights: list[float]) -> None:
    scaled = np.array(weights) / np.mean(weights)
    count = len(scaled)
    share, other = np.empty(count, np.uint32), np.empty(count, np.int32)
    draw_evenly(scaled.copy(), share, other, np.empty(count, np.int32))
    own = (share.astype(np.float64) + 1) / 2**32
    drawn = own + np.bincount(other, weights=1 - own, minlength=count)
    np.testing.assert_allclose(drawn, scaled, atol=1e-6)


def test_keys_have_places_and_grow() -> None:
    keys = Keys(np.array([9, 3, 2**64 - 1], np.uint64))
    assert keys.places(np.array([[3, 4], [2**64 - 1, 0]], np.uint64)).tolist() == [[1, -1], [2, -1]]
    grown = keys.with_new(np.array([3, 7, 0, 7], np.uint64))
    assert grown.held.tolist() == [9, 3, 2**64 - 1, 7]


def test_first_vectors_depend_on_the_token_and_the_seed() -> None:
    one, two = (np.array(keys, np.uint64) for keys in ([5, 6], [6, 8]))
    assert np.array_equal(first_vectors(one, 8, 3)[1], first_vectors(two, 8, 3)[0])
    assert not np.array_equal(first_vectors(one, 8, 3), first_vectors(one, 8, 4))
    held = first_vectors(np.arange(1, 2001, dtype=np.uint64), 8, 3)
    assert abs(float(held.mean())) < 0.003 and 0.06 < float(np.abs(held).max()) <= 0.0625


def test_state_there_and_back() -> None:
    model = learnt(sentences_of(two_crowds(talks=300), "name"))
    arrays, _ = model.state()
    back = SkipGram.from_state("name", SETTINGS, arrays)
    assert back.texts.equals(model.texts)
    assert np.array_equal(back.own_vectors, model.own_vectors)


def test_damaged_state_is_refused() -> None:
    arrays, _ = learnt(sentences_of(two_crowds(talks=300), "host")).state()
    broken = {
        "a shape": arrays | {"vectors": arrays["vectors"][:-1]},
        "a type": arrays | {"contexts": arrays["contexts"].astype(np.float64)},
        "a word twice": arrays | {"tokens": np.repeat(arrays["tokens"][:1], len(arrays["tokens"]), axis=0)},
        "a count": arrays | {"counts": arrays["counts"] * 0},
        "an end": arrays | {"text_ends": np.concatenate([arrays["text_ends"][:-2], arrays["text_ends"][-2:][::-1]])},
        "nothing": {},
    }
    for held in broken.values():
        with pytest.raises(ModelError):
            SkipGram.from_state("host", SETTINGS, held)


def test_a_rate_beyond_all_bounds_is_said() -> None:
    """Contexts without bounds stand for what too high a rate makes of them."""
    model = learnt(sentence(["10.1.0.1", "10.2.0.1"] * 20))
    broken = replace(model, contexts=np.full_like(model.contexts, np.inf))
    with pytest.raises(ModelError, match="beyond all bounds"):
        broken.learnt(sentence(["10.1.0.1", "10.2.0.1"] * 20), np.random.default_rng(0))
