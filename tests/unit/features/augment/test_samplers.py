"""How often a class is drawn."""

import numpy as np
import pytest

from flowlore.features.augment.samplers import class_weights, draw_rows


def test_samplers_weigh_classes_by_the_exponent() -> None:
    codes = np.repeat([0, 1, 2], [900, 90, 10])
    rng = np.random.default_rng(0)
    shares = {one: np.bincount(codes[draw_rows(codes, 30_000, one, rng)]) / 30_000 for one in (0.0, 0.5, 1.0)}
    assert shares[0.0].round(3).tolist() == [0.9, 0.09, 0.01]
    roots = np.sqrt([900, 90, 10])
    assert np.allclose(shares[0.5], roots / roots.sum(), atol=0.02)
    assert np.allclose(shares[1.0], 1 / 3, atol=0.02)
    assert class_weights(codes, 0.5).sum() == pytest.approx(1.0)
    assert sorted(draw_rows(codes, 1000, 0.0, rng).tolist()) == list(range(1000))
