"""Where more flows are asked for: in the thin parts of a class, and near the boundary to another."""

import numpy as np
import pytest

from flowlore.errors import TaskError
from flowlore.tasks.thin_places import ShownVectors, weights


def fan(degrees: list[float]) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


# A dense heap at 0°, one that is alone at 40°, and another class at 60°.
DEGREES = [0, 1, 2, 3, 4, 5, 6, 40, 60, 61, 62, 63, 64, 65]
CODES = np.array([0] * 8 + [1] * 6)
SHOWN = ShownVectors.of(fan(DEGREES), CODES)


def test_what_is_alone_is_thin_and_what_is_near_another_class_is_at_the_boundary() -> None:
    thin, boundary = (weights(SHOWN.vectors, CODES, where) for where in ("thin", "boundary"))
    assert thin[CODES == 0].argmax() == 7 and thin[7] > 10 * thin[0]
    assert boundary[CODES == 0].argmax() == 7 and boundary[7] > 10 * boundary[0]
    assert weights(SHOWN.vectors, CODES, "as-learnt").tolist() == [1.0] * 14


def test_classes_keep_their_shares_and_places_move() -> None:
    both = np.array([True, True])
    rng = np.random.default_rng(0)
    plain, codes = SHOWN.asked(both, 4000, rng, "as-learnt")
    assert abs((codes == 0).mean() - 8 / 14) < 0.03
    thin, thin_codes = SHOWN.asked(both, 4000, rng, "thin")
    assert abs((thin_codes == 0).mean() - 8 / 14) < 0.03

    def far(vectors: np.ndarray, codes: np.ndarray) -> float:
        angles = np.degrees(np.arctan2(vectors[codes == 0, 1], vectors[codes == 0, 0]))
        return float((angles > 15).mean())

    assert far(thin, thin_codes) > 0.5 > 0.2 > far(plain, codes)


def test_only_wanted_classes_and_a_class_with_one_flow() -> None:
    rng = np.random.default_rng(0)
    _, codes = SHOWN.asked(np.array([False, True]), 50, rng, "boundary")
    assert set(codes.tolist()) == {1}
    alone = ShownVectors.of(fan([0, 10, 20]), np.array([0, 1, 1]))
    vectors, codes = alone.asked(np.array([True, False]), 10, rng, "thin")
    assert np.allclose(vectors, alone.vectors[0]) and not codes.any()


def test_lengths_do_not_matter() -> None:
    assert np.allclose(ShownVectors.of(7 * fan(DEGREES), CODES).vectors, SHOWN.vectors)
    assert np.allclose(np.linalg.norm(SHOWN.vectors, axis=1), np.sqrt(2))


def test_an_unknown_place_is_told() -> None:
    with pytest.raises(TaskError, match="`thick` is no place to ask for"):
        SHOWN.asked(np.array([True, True]), 3, np.random.default_rng(0), "thick")  # type: ignore[arg-type]  # what is refused
