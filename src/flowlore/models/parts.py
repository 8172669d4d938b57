"""Parts of many rows at the same time, a thread each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

PART_ROWS = 1024  # states of so many rows stay in the cache of one core
SideBySide = Callable[[int, Callable[[int, int], None]], None]

_lock = threading.Lock()
_inside, _usual = 0, 1  # how many have torch's threads now, and how many each thread had before the first of them


@contextmanager
def parts_side_by_side(rows: int) -> Iterator[SideBySide]:
    """Gives a function that calls another with the begin and end of every part of some rows, nothing learnt.

    As many at a time as torch has threads; each is one, and for the caller torch has one meanwhile. For not more than
    one part nothing is changed.
    """
    threads = max(torch.get_num_threads(), _usual if _inside else 1)
    if rows <= PART_ROWS or threads < 2:
        yield _one_by_one
        return
    with _one_for_torch(), ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:

        def side_by_side(count: int, work: Callable[[int, int], None]) -> None:
            def part(begin: int) -> None:
                with torch.inference_mode():  # a thread's own
                    work(begin, min(begin + PART_ROWS, count))

            for _ in pool.map(part, range(0, count, PART_ROWS)):
                pass

        yield side_by_side


def _one_by_one(count: int, work: Callable[[int, int], None]) -> None:
    for begin in range(0, count, PART_ROWS):
        work(begin, min(begin + PART_ROWS, count))


@contextmanager
def _one_for_torch() -> Iterator[None]:
    """Torch counts threads for each thread of the process, and a new one begins with what was set last by any: one
    that first met torch in the meantime is given as many as the others have.
    """
    global _inside, _usual
    with _lock:
        mine = torch.get_num_threads()
        if _inside:
            mine = max(mine, _usual)
        else:
            _usual = mine
        _inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            torch.set_num_threads(mine)
