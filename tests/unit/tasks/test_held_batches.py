"""Batches wait for their flows, which are answered in any order."""

import numpy as np
import pytest

from flowlore.tasks.held_batches import HeldBatches


@pytest.mark.parametrize("seed", range(5))
def test_batches_come_back_in_order_when_all_their_flows_were_answered(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 5, 30).tolist()
    batches = HeldBatches[np.ndarray]()
    answers = rng.permutation(sum(sizes))
    owner = np.repeat(np.arange(30), sizes)
    for number, size in enumerate(sizes):
        batches.add(np.full(size, number), size)
    back: list[np.ndarray] = list(batches.complete())
    for rows in np.array_split(answers, 7):
        for held, here, places in batches.of(rows):
            assert (owner[rows[here]] == held[places]).all()
            held[places] = -1
        batches.answered(rows)
        back += batches.complete()
        assert all((held == -1).all() for held in back), "none comes back before its last flow"
    assert [len(held) for held in back] == sizes


def test_a_batch_without_flows_waits_for_those_before_it() -> None:
    batches = HeldBatches[str]()
    batches.add("first", 1)
    batches.add("none", 0)
    assert list(batches.complete()) == []
    assert [(held, places.tolist()) for held, _, places in batches.of(np.array([0]))] == [("first", [0])]
    batches.answered(np.array([0]))
    assert list(batches.complete()) == ["first", "none"]
    batches.add("last", 2)
    assert [held for held, _, _ in batches.of(np.array([2, 1]))] == ["last"]
