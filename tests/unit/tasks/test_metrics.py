"""Metrics beside scikit-learn and beside numbers worked out by hand."""

import math

import numpy as np
import pytest
from sklearn import metrics as reference

from flowlore.tasks import metrics

RNG = np.random.default_rng(4)
TRUTH = RNG.integers(0, 5, 300)
ANSWERS = np.where(RNG.random(300) < 0.6, TRUTH, RNG.integers(0, 6, 300))


def test_scores_by_hand() -> None:
    found = metrics.scores(np.array(["a", "a", "a", "b"]), np.array(["a", "a", "b", "b"]))
    assert found.accuracy == 0.75
    assert found.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert found.weighted_f1 == pytest.approx(0.75 * 0.8 + 0.25 * 2 / 3)


def test_scores_beside_scikit_learn() -> None:
    found = metrics.scores(TRUTH, ANSWERS)
    assert found.accuracy == pytest.approx(reference.accuracy_score(TRUTH, ANSWERS))
    assert found.macro_f1 == pytest.approx(reference.f1_score(TRUTH, ANSWERS, average="macro"))
    assert found.weighted_f1 == pytest.approx(reference.f1_score(TRUTH, ANSWERS, average="weighted"))
    classes, table = metrics.confusion(TRUTH, ANSWERS)
    assert np.array_equal(table, reference.confusion_matrix(TRUTH, ANSWERS))
    assert classes.tolist() == list(range(6))


def test_no_flows_have_no_scores() -> None:
    empty = np.array([], str)
    assert math.isnan(metrics.scores(empty, empty).accuracy)
    assert math.isnan(metrics.pr_auc(np.zeros(0, np.bool_), np.zeros(0)))
    assert math.isnan(metrics.adjusted_rand(empty, empty))
    assert math.isnan(metrics.calibration_error(np.zeros(0, np.bool_), np.zeros(0)))


def test_pr_auc_beside_scikit_learn_with_equal_scores() -> None:
    score = np.round(RNG.random(200), 1)
    positive = RNG.random(200) < score
    assert metrics.pr_auc(positive, score) == pytest.approx(reference.average_precision_score(positive, score))


def test_false_positives_a_day_by_hand() -> None:
    positive = np.array([True, False, True, False, True])
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    day = 86_400 * 10**9
    assert metrics.false_positives_a_day(positive, score, recall=0.33, duration_ns=day) == 0.0
    assert metrics.false_positives_a_day(positive, score, recall=2 / 3, duration_ns=day) == 1.0
    assert metrics.false_positives_a_day(positive, score, recall=1.0, duration_ns=day // 2) == 4.0
    assert math.isnan(metrics.false_positives_a_day(~positive & positive, score, recall=0.5, duration_ns=day))


def test_calibration_error_by_hand() -> None:
    right = np.array([True, False, True, True])
    sure = np.array([0.95, 0.95, 0.55, 0.55])
    assert metrics.calibration_error(right, sure, bins=10) == pytest.approx((0.45 + 0.45) / 2)
    assert metrics.calibration_error(np.array([True]), np.array([1.0])) == 0.0


def test_purity_by_hand() -> None:
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
    found = metrics.purity(vectors, np.array(["a", "a", "b", "b"]), neighbours=(1, 3, 9))
    assert found == {1: 1.0, 3: pytest.approx(1 / 3), 9: pytest.approx(1 / 3)}
    assert math.isnan(metrics.purity(vectors[:1], np.array(["a"]))[1])


def test_purity_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, truth = RNG.normal(size=(100, 4)), RNG.integers(0, 3, 100)
    whole = metrics.purity(vectors, truth)
    assert set(whole) == set(range(1, 20))
    monkeypatch.setattr(metrics, "CHUNK_ROWS", 7)
    assert metrics.purity(vectors, truth) == whole


def test_silhouette_beside_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CHUNK_ROWS", 16)
    vectors, truth = RNG.normal(size=(60, 3)), RNG.integers(0, 4, 60)
    truth[0] = 9  # alone in its class
    assert metrics.silhouette(vectors, truth) == pytest.approx(reference.silhouette_score(vectors, truth))
    assert math.isnan(metrics.silhouette(vectors, np.zeros(60)))


def test_adjusted_rand_beside_scikit_learn() -> None:
    assert metrics.adjusted_rand(TRUTH, ANSWERS) == pytest.approx(reference.adjusted_rand_score(TRUTH, ANSWERS))
    assert metrics.adjusted_rand(TRUTH, -TRUTH) == 1.0


def test_intervals_hold_the_mean_and_widen_with_groups() -> None:
    values = np.repeat(RNG.normal(size=20), 50)
    groups = np.repeat(np.arange(20), 50)

    def mean(rows: np.ndarray) -> float:
        return float(values[rows].mean())

    alone = metrics.interval(mean, 1000, rng=np.random.default_rng(0))
    grouped = metrics.interval(mean, 1000, rng=np.random.default_rng(0), groups=groups)
    assert alone[0] < values.mean() < alone[1]
    assert grouped[1] - grouped[0] > 3 * (alone[1] - alone[0])


def test_many_rows_are_drawn_at_once() -> None:
    low, high = metrics.interval(lambda rows: float(len(rows)), 5000, rng=np.random.default_rng(0), draws=3)
    assert low == high == 5000


def test_nearest_gives_the_lower_place_first() -> None:
    assert metrics.nearest(np.array([[1.0, 3.0, 3.0, 2.0]]), 3).tolist() == [[1, 2, 3]]
    assert metrics.nearest(np.array([[1.0, 3.0]]), 9).tolist() == [[1, 0]]


def test_roc_auc_with_ties() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(3)
    is_positive, score = rng.random(200) < 0.3, rng.integers(0, 20, 200).astype(np.float64)
    assert metrics.roc_auc(is_positive, score) == pytest.approx(roc_auc_score(is_positive, score))
    assert math.isnan(metrics.roc_auc(np.ones(3, np.bool_), np.arange(3.0)))


def test_true_positives_at_a_share_of_false_ones() -> None:
    is_positive = np.array([True, True, True, False, False, False, False])
    score = np.array([0.9, 0.6, 0.1, 0.8, 0.5, 0.4, 0.3])
    assert metrics.true_positives_at(is_positive, score, false_share=0.0) == pytest.approx(1 / 3)
    assert metrics.true_positives_at(is_positive, score, false_share=0.25) == pytest.approx(2 / 3)
    assert metrics.true_positives_at(is_positive, score, false_share=1.0) == 1.0
