"""What is freed in training is there for the next step, and given back after it."""

import ctypes
import resource
import sys
from pathlib import Path

import pytest
import torch

from flowlore.models import freed_memory
from flowlore.models.freed_memory import freed_memory_kept

FLOATS = 48 << 20  # 192 MiB: above what glibc keeps by itself
EVERY_PAGE = FLOATS * 4 // resource.getpagesize()
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def pages_fetched() -> int:
    """Pages that the system had to give while a large block came and went."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(FLOATS).sum().item()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.fixture(autouse=True)
def of_glibc_and_small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("the allocator is not glibc's")
    if HUGE_PAGES.is_file() and "[always]" in HUGE_PAGES.read_text():
        pytest.skip("pages are huge, so that few are fetched anyway")
    monkeypatch.setattr(freed_memory.os, "environ", {})


def test_blocks_are_fetched_once() -> None:
    with freed_memory_kept():
        inside = [pages_fetched() for _ in range(8)]
    outside = [pages_fetched() for _ in range(3)]
    assert min(inside) < EVERY_PAGE // 20, "a small block may lie in the way of some"
    assert min(outside) > EVERY_PAGE // 2, "given back when training ended"


def test_a_training_within_another_gives_nothing_back() -> None:
    with freed_memory_kept():
        with freed_memory_kept():
            pass
        assert min(pages_fetched() for _ in range(8)) < EVERY_PAGE // 20


def test_who_told_the_allocator_what_to_do_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freed_memory.os, "environ", {"MALLOC_ARENA_MAX": "2"})
    with freed_memory_kept():
        assert min(pages_fetched() for _ in range(3)) > EVERY_PAGE // 2
