"""Measures of a latent space against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import davies_bouldin_score

from flowlore.errors import TaskError
from flowlore.tasks.latent import davies_bouldin, landing, latent_measures


def clouds(apart: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(4), 60)
    means = apart * np.eye(4, 8)
    return (means[codes] + rng.normal(0, 0.3, (240, 8))).astype(np.float32), codes


def test_davies_bouldin_is_that_of_scikit_learn() -> None:
    vectors, codes = clouds(1.0)
    assert davies_bouldin(vectors, codes) == pytest.approx(davies_bouldin_score(vectors, codes), rel=1e-6)


def test_classes_that_lie_apart_measure_better() -> None:
    near, far = (latent_measures(*clouds(apart)) for apart in (0.3, 3.0))
    for name in ("silhouette", "purity", "inter"):
        assert far[name] > near[name], name
    for name in ("davies_bouldin", "alignment", "intra", "ratio"):
        assert far[name] < near[name], name


def test_alignment_and_uniformity_by_hand() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0], [0, -1]], np.float32)
    found = latent_measures(vectors, np.array([0, 0, 1, 1]))
    assert found["alignment"] == pytest.approx(2.0, abs=1e-6)
    squared = np.array([2, 0, 2, 2, 4, 2])
    assert found["uniformity"] == pytest.approx(np.log(np.exp(-2 * squared).mean()), abs=1e-6)
    assert found["inter"] == pytest.approx((0 + np.sqrt(2) + np.sqrt(2) + 2) / 4, abs=1e-6)


def test_where_augmented_flows_land() -> None:
    train = np.array([[1, 0], [0, 1]], np.float32)
    test = np.array([[0.8, 0.6], [0, 1]], np.float32)
    augmented = np.array([[0.85, 0.53], [0.6, 0.8]], np.float32)
    classes = np.array(["a", "b"])
    found = landing(augmented, classes, train, classes, test, classes)
    assert found["kept"] == 1.0
    assert found["toward_test"] == 0.5 and found["reach"] == 0.5
    wrong = landing(augmented[:1], np.array(["b"]), train, classes, test, classes)
    assert wrong["kept"] == 0.0


def test_one_class_has_no_measure() -> None:
    with pytest.raises(TaskError, match="but there is 1"):
        latent_measures(np.ones((3, 2), np.float32), np.zeros(3, int))
