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


def test_as_many_parts_as_threads_are_at_work_with_one_of_torch_each(three_threads: object) -> None:
    with parts_side_by_side(10 * PART_ROWS) as side_by_side:
        names = set()
        barrier = threading.Barrier(3, timeout=30)

        def work(begin: int, end: int) -> None:
            names.add(threading.get_ident())
            assert torch.get_num_threads() == 1
            if begin < 3 * PART_ROWS:
                barrier.wait()  # three are at work at the same time

        side_by_side(10 * PART_ROWS, work)
        assert len(names) == 3
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_every_thread_has_its_own_back_whoever_leaves_first(three_threads: object) -> None:
    counts: dict[str, int] = {}
    second_is_in, first_is_out = threading.Event(), threading.Event()

    def second() -> None:
        with parts_side_by_side(10 * PART_ROWS):
            second_is_in.set()
            assert first_is_out.wait(30)
            counts["inside"] = torch.get_num_threads()
        counts["second"] = torch.get_num_threads()

    other = threading.Thread(target=second)
    with parts_side_by_side(10 * PART_ROWS):
        other.start()
        assert second_is_in.wait(30)
    counts["first"] = torch.get_num_threads()
    first_is_out.set()
    other.join()
    last = threading.Thread(target=lambda: counts.update(later=torch.get_num_threads()))
    last.start()
    last.join()
    assert counts == {"first": 3, "inside": 1, "second": 3, "later": 3}


def test_what_goes_wrong_in_a_part_is_told(three_threads: object) -> None:
    def work(begin: int, end: int) -> None:
        if begin:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"), parts_side_by_side(3 * PART_ROWS) as side_by_side:
        side_by_side(3 * PART_ROWS, work)
    assert torch.get_num_threads() == 3
