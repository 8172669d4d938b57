"""What is freed in training is there for the next step, and given back after it."""

import resource
import sys

import pytest
import torch

from flowlore.models.freed_memory import freed_memory_kept

FLOATS = 48 << 20  # 192 MiB: above what glibc keeps by itself
PAGE = resource.getpagesize()


def pages_fetched() -> int:
    """Pages that the system had to give while a large block came and went."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(FLOATS).sum().item()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is meant")
def test_blocks_are_fetched_once() -> None:
    every_page = FLOATS * 4 // PAGE
    with freed_memory_kept():
        inside = [pages_fetched() for _ in range(8)]
    outside = [pages_fetched() for _ in range(3)]
    assert min(inside) < every_page // 20, "a small block may lie in the way of some"
    assert min(outside) > every_page // 2, "given back when training ended"
