"""Networks that are taught from the first step."""

import numpy as np
import pytest

from flowlore.errors import TaskError
from flowlore.tasks.supervised.classifier import SupervisedNetwork


def flows(rows: int, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    kind = rng.integers(0, 2, rows)
    series = rng.normal(size=(rows, 8, 3)).astype(np.float32) + kind[:, None, None]
    payload = np.where(rng.random((rows, 32)) < 0.1, -1, rng.random((rows, 32))).astype(np.float32)
    numbers = rng.normal(size=(rows, 4)).astype(np.float32)
    return {"series": series, "payload": payload, "quantities": numbers}, np.array(["web", "mail"])[kind]


def test_it_learns_and_repeats() -> None:
    rng = np.random.default_rng(0)
    arrays, labels = flows(200, rng)
    asked, truth = flows(100, rng)
    first, second = (
        SupervisedNetwork("multi-modal", np.random.default_rng(1), epochs=4, steps=20).fit(arrays, labels)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.predict_proba(asked), second.predict_proba(asked))
    assert np.mean(first.predict(asked) == truth) > 0.9
    np.testing.assert_allclose(first.predict_proba(asked).sum(axis=1), 1, rtol=1e-5)
    assert 100_000 < first.parameters() < 1_000_000


def test_a_perceptron() -> None:
    arrays, labels = flows(200, np.random.default_rng(0))
    numbers = {"numbers": arrays["series"].reshape(200, -1)}
    network = SupervisedNetwork("perceptron", np.random.default_rng(1), epochs=4, steps=20).fit(numbers, labels)
    assert np.mean(network.predict(numbers) == labels) > 0.9
    assert network.parameters() == (24 + 1) * 512 + (512 + 1) * 256 + (256 + 1) * 2


def test_one_class_teaches_nothing() -> None:
    arrays, labels = flows(10, np.random.default_rng(0))
    with pytest.raises(TaskError, match="two classes"):
        SupervisedNetwork("multi-modal", np.random.default_rng(1)).fit(arrays, np.full(len(labels), "web"))
