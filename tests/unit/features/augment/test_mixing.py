"""Which flow each flow is mixed with, and classes that have no other."""

import numpy as np
import pytest

from flowlore.errors import TaskError
from flowlore.features.augment.mixing import draw_partners

CODES = np.arange(400) % 4


def test_partners_are_others_of_the_class() -> None:
    partners = draw_partners(CODES, np.random.default_rng(0))
    assert (partners != np.arange(400)).all() and (CODES[partners] == CODES).all()
    assert len(np.unique(partners)) > 200
    from_pool = draw_partners(np.array([3, 1]), np.random.default_rng(0), np.array([1, 3, 3]))
    assert from_pool[1] == 0 and from_pool[0] in (1, 2)


def test_all_classes_with_one_flow_are_named() -> None:
    with pytest.raises(TaskError, match="one flow of `dns`, `o'clock`, but mixing takes two") as caught:
        draw_partners(np.array([2, 0, 0, 1]), np.random.default_rng(0), names=("web", "dns", "o'clock"))
    assert "label not in ('dns', 'o''clock')" in str(caught.value.hint)
    with pytest.raises(TaskError, match="there is no other flow of `number 2`"):
        draw_partners(np.array([2]), np.random.default_rng(0), np.array([0, 1]))
