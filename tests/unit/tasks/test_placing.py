"""Vectors on scales of their own."""

import numpy as np

from flowlore.tasks.classify.placing import ROWS_A_NUMBER, Placing

WIDTH = 6


def leaning(rows: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    turn = rng.normal(size=(WIDTH, WIDTH))
    return rng.normal(size=(rows, WIDTH)) * np.array([3.0, 2.5, 2.0, 2.0, 1.5, 1.0]) @ np.linalg.qr(turn)[0] + 7


def test_many_vectors_are_spread_alike_in_every_direction() -> None:
    vectors = leaning(ROWS_A_NUMBER * WIDTH * 20)
    placed = Placing.fit(vectors).apply(vectors)
    assert np.abs(placed.mean(axis=0)).max() < 1e-9
    spread = np.linalg.eigvalsh(np.cov(placed.T))
    before = np.linalg.eigvalsh(np.cov(vectors.T))
    assert spread.max() / spread.min() < 0.35 * before.max() / before.min()


def test_of_few_vectors_no_direction_is_made_up() -> None:
    placing = Placing.fit(leaning(5))
    assert np.count_nonzero(placing.turn - np.diag(np.diag(placing.turn))) == 0
    one = Placing.fit(leaning(1))
    assert np.isfinite(one.turn).all() and (one.apply(leaning(1)) == 0).all()


def test_noise_is_not_made_loud() -> None:
    vectors = leaning(2000)
    vectors[:, 0] = 1e-9 * np.random.default_rng(1).normal(size=2000)
    assert np.abs(Placing.fit(vectors).turn).max() < 10
