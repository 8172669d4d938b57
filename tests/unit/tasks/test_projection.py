"""Places on a plane: alike stays close, the same gives the same, and what is said of it is what scikit-learn says."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from flowlore.errors import TaskError
from flowlore.tasks.metrics import normalised
from flowlore.tasks.projection import COPIES_REACH, faith, nearest_rows, project


def three_kinds(rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    kinds = np.arange(rows) % 3
    return (np.eye(3, 16)[kinds] * 4 + rng.normal(0, 0.4, (rows, 16))).astype(np.float32), kinds


def test_kinds_stand_apart() -> None:
    vectors, kinds = three_kinds()
    places = project(vectors, rng=np.random.default_rng(1)).places
    middles = np.array([places[kinds == kind].mean(axis=0) for kind in range(3)])
    own = np.linalg.norm(places - middles[kinds], axis=1)
    others = np.array([np.linalg.norm(middles - place, axis=1) for place in places])
    others[np.arange(len(kinds)), kinds] = np.inf
    assert (own < others.min(axis=1)).all()


def test_better_than_the_main_components() -> None:
    vectors = np.random.default_rng(2).normal(size=(400, 3))
    rolled = np.stack(
        [np.cos(3 * vectors[:, 0]), np.sin(3 * vectors[:, 0]), *np.tanh(vectors.T), vectors[:, 1]], axis=1
    )
    made = project(rolled, rng=np.random.default_rng(0))
    assert made.faith.trustworthiness > made.faith_of_components.trustworthiness
    assert made.faith.trustworthiness > 0.9


def test_the_same_seed_gives_the_same_map() -> None:
    vectors, _ = three_kinds()
    first, again, other = (project(vectors, rng=np.random.default_rng(seed)).places for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_copies_lie_around_one_place() -> None:
    vectors, _ = three_kinds(60)
    doubled = np.concatenate([vectors, np.repeat(vectors[:1], 500, axis=0)])
    made = project(doubled, rng=np.random.default_rng(0))
    assert len(made.known) == 60
    away = np.linalg.norm(made.places[60:] - made.places[0], axis=1)
    assert away.max() <= COPIES_REACH + 1e-5
    assert len(np.unique(made.places.round(6), axis=0)) == len(doubled)


def test_new_vectors_find_their_kind() -> None:
    vectors, kinds = three_kinds(300)
    further, further_kinds = three_kinds(90, seed=9)
    made = project(vectors, rng=np.random.default_rng(0))
    placed = made.place(further)
    nearest = np.linalg.norm(placed[:, None] - made.places[None], axis=2).argmin(axis=1)
    assert (kinds[nearest] == further_kinds).mean() > 0.95


def test_a_new_vector_stands_where_its_copy_stands_and_alone() -> None:
    vectors, _ = three_kinds()
    made = project(vectors, rng=np.random.default_rng(0))
    np.testing.assert_allclose(made.place(vectors[:20]), made.known_places[:20])
    further, _ = three_kinds(12, seed=4)
    together, alone = made.place(further), np.concatenate([made.place(one[None]) for one in further])
    np.testing.assert_allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5, 20])
def test_few_vectors_have_places_too(rows: int) -> None:
    vectors, _ = three_kinds(max(rows, 1))
    made = project(vectors[:rows], rng=np.random.default_rng(0))
    assert made.places.shape == (rows, 2)
    assert np.isfinite(made.places).all()
    assert made.place(vectors[:rows]).shape == (rows, 2)


def test_all_the_same() -> None:
    made = project(np.ones((40, 8)), rng=np.random.default_rng(0))
    assert np.isfinite(made.places).all()
    assert np.linalg.norm(made.places, axis=1).max() <= COPIES_REACH + 1e-5


def test_no_numbers_are_told() -> None:
    with pytest.raises(TaskError, match="NaN"):
        project(np.full((5, 3), np.nan), rng=np.random.default_rng(0))


def test_faith_is_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(150, 6))
    places = vectors[:, :2] + rng.normal(0, 0.3, (150, 2))
    found = faith(vectors, places, rng=rng, neighbours=10)
    assert found.trustworthiness == pytest.approx(trustworthiness(vectors, places, n_neighbors=10), abs=1e-9)
    assert found.continuity == pytest.approx(trustworthiness(places, vectors, n_neighbors=10), abs=1e-9)


def test_nearest_rows_are_the_nearest() -> None:
    unit = normalised(np.random.default_rng(0).normal(size=(700, 12)))
    rows, alike = nearest_rows(unit, unit, 5, is_self=True)
    every = unit @ unit.T
    np.fill_diagonal(every, -np.inf)
    np.testing.assert_array_equal(rows, np.argsort(-every, axis=1, kind="stable")[:, :5])
    np.testing.assert_allclose(alike, -np.sort(-every, axis=1)[:, :5], atol=1e-6)
