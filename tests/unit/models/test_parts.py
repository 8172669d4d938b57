"""Parts of rows side by side: each row once, torch's threads as before."""

import threading

import pytest
import torch

from flowlore.models.parts import PART_ROWS, parts_side_by_side


@pytest.fixture
def three_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("rows", [0, 1, PART_ROWS, PART_ROWS + 1, 5 * PART_ROWS + 7])
def test_every_row_is_in_one_part(rows: int, three_threads: object) -> None:
    seen = torch.zeros(rows)

    def work(begin: int, end: int) -> None:
        assert torch.is_inference_mode_enabled() and 0 < end - begin <= PART_ROWS
        seen[begin:end] += 1

    with torch.inference_mode(), parts_side_by_side(rows) as side_by_side:
        side_by_side(rows, work)
    assert bool((seen == 1).all())
    assert torch.get_num_threads() == 3


def test_torch_has_one_thread_until_the_last_is_done(three_threads: object) -> None:
    with parts_side_by_side(10 * PART_ROWS):
        assert torch.get_num_threads() == 1
        with parts_side_by_side(10 * PART_ROWS) as side_by_side:
            names = set()
            barrier = threading.Barrier(3, timeout=30)

            def work(begin: int, end: int) -> None:
                names.add(threading.get_ident())
                if begin < 3 * PART_ROWS:
                    barrier.wait()  # three are at work at the same time

            side_by_side(10 * PART_ROWS, work)
            assert len(names) == 3
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_what_goes_wrong_in_a_part_is_told(three_threads: object) -> None:
    def work(begin: int, end: int) -> None:
        if begin:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"), parts_side_by_side(3 * PART_ROWS) as side_by_side:
        side_by_side(3 * PART_ROWS, work)
    assert torch.get_num_threads() == 3
