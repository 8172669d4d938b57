"""Confidence, answer sets and unknowns, against draws whose truth is known."""

import numpy as np
import pytest

from flowlore.tasks.calibrate import Calibration, OpenSet, conformal_floor, fit_temperature, out_of_fold, tempered
from flowlore.tasks.classify.head import softmax
from flowlore.tasks.classify.prototypes import PrototypesHead
from flowlore.tasks.metrics import calibration_error


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and truths drawn from them."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(size=(rows, 4)) * 1.5)
    return probabilities, (probabilities.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)


def test_the_temperature_is_found_again() -> None:
    probabilities, codes = drawn(6000, 0)
    overconfident = tempered(probabilities, 1 / 3)
    assert fit_temperature(overconfident, codes) == pytest.approx(3.0, rel=0.1)
    assert fit_temperature(probabilities[:0], codes[:0]) == 1.0


def test_calibrated_confidence_is_right_as_often_as_it_says_and_sets_cover() -> None:
    probabilities, codes = drawn(6000, 1)
    overconfident = tempered(probabilities, 0.25)
    calibration = Calibration.fit(overconfident[:3000], codes[:3000], coverage=0.9)
    asked, truth = overconfident[3000:], codes[3000:]
    sure = calibration.confidences(asked)
    right = sure.argmax(axis=1) == truth
    before = calibration_error(right, asked.max(axis=1))
    assert calibration_error(right, sure.max(axis=1)) < before / 4
    sets = calibration.sets(asked)
    assert sets[np.arange(3000), truth].mean() == pytest.approx(0.9, abs=0.02)
    assert 1.0 <= sets.sum(axis=1).mean() < 4.0


def test_too_few_flows_for_the_coverage_allow_every_class() -> None:
    assert conformal_floor(np.array([0.9] * 5), 0.9) == 0.0
    assert conformal_floor(np.linspace(0.1, 0.9, 9), 0.9) == pytest.approx(0.1)
    assert conformal_floor(np.linspace(0.01, 1.0, 100), 0.9) == pytest.approx(0.1)


def test_out_of_fold_is_given_without_the_flow_itself() -> None:
    labels = np.array(["a", "b"] * 20)
    vectors = np.random.default_rng(0).normal(size=(40, 3))
    found, asked, classes = out_of_fold(PrototypesHead(), vectors, labels)
    assert asked.tolist() == list(range(40))
    assert classes.tolist() == ["a", "b"]
    assert np.allclose(found.sum(axis=1), 1.0)
    assert np.mean(classes[found.argmax(axis=1)] == labels) < 0.75  # nothing is there to be learnt
    alone, _, _ = out_of_fold(PrototypesHead(), vectors[:3], np.array(["a", "a", "z"]))
    assert alone[2].tolist() == [1.0, 0.0]


def test_unknown_is_what_is_like_nothing_labelled() -> None:
    rng = np.random.default_rng(0)
    known = np.array([1.0, 0, 0]) + 0.05 * rng.normal(size=(200, 3))
    new = np.array([0, 1.0, 0]) + 0.05 * rng.normal(size=(50, 3))
    opened = OpenSet.fit(known, false_unknown_share=0.05)
    assert not opened.is_unknown(known).any()
    assert opened.is_unknown(new).all()
    again = np.array([1.0, 0, 0]) + 0.05 * rng.normal(size=(500, 3))
    assert opened.is_unknown(again).mean() < 0.12
    assert not OpenSet.fit(known[:1]).is_unknown(new).any()


def test_of_many_flows_one_fold_is_asked() -> None:
    labels = np.array(["a", "b"] * 3000)
    vectors = np.eye(2)[np.arange(6000) % 2] + 0.1 * np.random.default_rng(0).normal(size=(6000, 2))
    found, asked, _ = out_of_fold(PrototypesHead(), vectors, labels)
    assert len(found) == len(asked) == 1200
    assert (found.argmax(axis=1) == asked % 2).all()
