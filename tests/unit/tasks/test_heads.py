"""Heads keep scikit-learn's conventions, survive their own state, and few-shot episodes leak nothing."""

import numpy as np
import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from flowlore.errors import TaskError
from flowlore.tasks import BASELINES, HEADS
from flowlore.tasks.classify.episodes import draw_episode
from flowlore.tasks.classify.head import Head


def blobs(rows: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    names = np.array(["dns", "tls", "ssh"])
    codes = np.arange(rows) % 3
    middles = np.array([[4.0, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]])
    return middles[codes] + rng.normal(size=(rows, 4)), names[codes]


@pytest.mark.filterwarnings(f"ignore::{SkipTestWarning.__module__}.SkipTestWarning")
@parametrize_with_checks([HEADS.load(name)() for name in HEADS.names()])
def test_conventions(estimator: Head, check: object) -> None:
    check(estimator)  # type: ignore[operator]


@pytest.mark.parametrize("name", HEADS.names())
def test_what_is_learnt(name: str) -> None:
    vectors, labels = blobs()
    head = HEADS.load(name)().fit(vectors, labels)
    asked, truth = blobs(seed=1)
    assert np.mean(head.predict(asked) == truth) > 0.9
    assert np.allclose(head.predict_proba(asked).sum(axis=1), 1.0)
    arrays, values = head.state()
    again = type(head).from_state(arrays, values)
    assert np.array_equal(again.predict_proba(asked), head.predict_proba(asked))
    assert again.predict(asked).tolist() == head.predict(asked).tolist()


@pytest.mark.parametrize("name", HEADS.names())
def test_one_class_is_always_the_answer(name: str) -> None:
    vectors, _ = blobs(5)
    head = HEADS.load(name)().fit(vectors, ["only"] * 5)
    assert set(head.predict(vectors)) == {"only"}


@pytest.mark.parametrize("name", BASELINES.names())
def test_baselines_take_what_is_missing(name: str) -> None:
    vectors, labels = blobs(240)
    vectors = np.hstack([vectors, np.full((240, 1), np.nan)])
    model = BASELINES.load(name)(np.random.default_rng(1)).fit(vectors, labels)
    asked, truth = blobs(90, seed=1)
    answers = model.predict(np.hstack([asked, np.full((90, 1), np.nan)]))
    assert np.mean(answers == truth) > 0.8


def test_a_forest_of_many_flows_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowlore.tasks.classify import forest

    monkeypatch.setattr(forest, "MOST_NODES", 2_000)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 4))
    labels = (vectors[:, 0] > 0).astype(str)
    head = forest.ForestHead(trees=50).fit(vectors, labels)
    assert len(head.features_) <= 2_000
    assert np.mean(head.predict(vectors) == labels) > 0.9


def test_a_damaged_forest_answers_without_reading_beyond_its_arrays() -> None:
    vectors, labels = blobs()
    arrays, values = HEADS.load("forest")(trees=5).fit(vectors, labels).state()
    arrays["children_"] = np.where(arrays["children_"] > 0, 10**6, arrays["children_"]).astype(np.int32)
    arrays["leaf_classes_"] = arrays["leaf_classes_"] + 100
    head = HEADS.load("forest").from_state(arrays, values)
    sure = head.predict_proba(vectors)
    assert sure.shape == (60, 3) and np.allclose(sure.sum(axis=1), 1.0)


def test_an_episode_shows_so_many_of_each_and_asks_no_shown_row() -> None:
    labels = np.array(["a"] * 10 + ["b"] * 7 + [None] * 3 + [""], dtype=object)
    episode = draw_episode(labels, 5, rng=np.random.default_rng(0))
    assert sorted(labels[episode.support]) == ["a"] * 5 + ["b"] * 5
    assert not set(episode.support) & set(episode.query)
    assert sorted([*episode.support, *episode.query]) == list(range(17))


def test_a_share_of_the_labels_is_as_frequent_as_they_are() -> None:
    labels = np.array(["web"] * 300 + ["dns"] * 100 + ["tor"] + [None] * 9, dtype=object)
    episode = draw_episode(labels, None, share=0.1, rng=np.random.default_rng(0))
    shown = labels[episode.support].tolist()
    assert 40 <= len(shown) <= 45
    assert shown.count("web") > 2 * shown.count("dns") and shown.count("tor") == 1
    assert sorted([*episode.support, *episode.query]) == list(range(401))
    least = draw_episode(labels, None, share=0.001, rng=np.random.default_rng(0))
    assert labels[least.support].tolist().count("dns") >= 2
    for share in (0.0, 1.1, float("nan")):
        with pytest.raises(TaskError, match="is no share of the labels"):
            draw_episode(labels, None, share=share, rng=np.random.default_rng(0))
    with pytest.raises(TaskError, match="exclude each other"):
        draw_episode(labels, 5, share=0.1, rng=np.random.default_rng(0))


def test_an_episode_asks_the_test_side() -> None:
    labels = np.array(["a", "b"] * 10)
    episode = draw_episode(
        labels, 2, rng=np.random.default_rng(0), train=np.arange(10), test=np.arange(10, 20, dtype=np.int64)
    )
    assert max(episode.support) < 10
    assert episode.query.tolist() == list(range(10, 20))


def test_too_few_of_a_class() -> None:
    labels = np.array(["doh-proxy"] * 3 + ["web"] * 9)
    with pytest.raises(TaskError, match="the side that teaches has 3 of class `doh-proxy`") as caught:
        draw_episode(labels, 5, rng=np.random.default_rng(0))
    assert "--shots 3" in str(caught.value.hint)
    episode = draw_episode(labels, 5, rng=np.random.default_rng(0), drop_small_classes=True)
    assert episode.dropped_classes == ("doh-proxy",)
    assert set(labels[episode.query]) == {"web"}
    with pytest.raises(TaskError, match="no class has 50"):
        draw_episode(labels, 50, rng=np.random.default_rng(0), drop_small_classes=True)


@pytest.mark.parametrize(("drop", "asked", "not_asked", "in_vain"), [(True, 3, 4, 0), (False, 7, 0, 4)])
def test_classes_that_only_the_test_has_are_told(drop: bool, asked: int, not_asked: int, in_vain: int) -> None:
    labels = np.array(["web"] * 5 + ["dns"] * 5 + ["web"] * 3 + ["tor"] * 3 + ["irc"])
    train, test = np.arange(10), np.arange(10, 17)
    episode = draw_episode(labels, 2, rng=np.random.default_rng(0), train=train, test=test, drop_small_classes=drop)
    assert episode.absent_classes == ("irc", "tor")
    assert (len(episode.query), episode.not_asked, episode.asked_in_vain) == (asked, not_asked, in_vain)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(TaskError, match="no flow has a label"):
        draw_episode(np.array([None, ""], dtype=object), 1, rng=np.random.default_rng(0))
    with pytest.raises(TaskError, match="0 shots"):
        draw_episode(np.array(["a"]), 0, rng=np.random.default_rng(0))


def test_layer_and_neighbours_share_an_answer() -> None:
    from flowlore.models.encoder import LinearHead
    from flowlore.tasks.classify.joined import SHARES, JoinedHead
    from flowlore.tasks.classify.probe import ProbeHead

    vectors, labels = blobs(120)
    classes, codes = np.unique(labels, return_inverse=True)
    rng = np.random.default_rng(2)
    wide = np.concatenate([vectors, rng.normal(size=(120, 3))], axis=1).astype(np.float32)
    linear = LinearHead(weights=rng.normal(size=(3, 7)), offsets=rng.normal(size=3))
    head = JoinedHead.from_linear(linear, classes, wide[:90], codes[:90], reference=wide[:, :4], columns=4)
    head.share = 0.0
    alone = ProbeHead.from_linear(linear, classes).predict_proba(wide)
    np.testing.assert_allclose(head.predict_proba(wide), alone, atol=1e-6)
    head.choose_share(wide[90:], codes[90:])
    assert head.share >= 0.5, "the layer is a guess, the neighbours know"
    assert (head.predict(wide[90:]) == labels[90:]).mean() > 0.9
    weights = np.zeros((3, 7))
    weights[[0, 1, 2], [0, 2, 1]] = 10.0  # dns, ssh, tls
    knows = LinearHead(weights=weights, offsets=np.zeros(3))
    shuffled = rng.permutation(codes[:90])
    sure = JoinedHead.from_linear(knows, classes, wide[:90], shuffled, reference=wide[:, :4], columns=4)
    sure.choose_share(wide[90:], codes[90:])
    assert sure.share == SHARES[0], "neighbours of shuffled labels know nothing"
