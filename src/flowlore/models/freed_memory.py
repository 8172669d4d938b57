"""Memory that a step of training frees is kept for the next."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# `mallopt` of glibc, from malloc.h
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
MOST = 2**31 - 1
USUAL_MMAP_MAX = 65_536
USUAL_MMAP_THRESHOLD = 32 << 20  # glibc raises it to this by itself where large blocks come and go
OF_THE_USER = ("MALLOC_", "GLIBC_TUNABLES")

_inside = 0  # trainings that go on in this process, whose allocator is one


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep what is freed, and give it back to the system at the end of the last training that goes on.

    By itself glibc gives every block above 32 MiB back at once and gets it again page by page. A step of training takes
    and frees the same blocks as the step before: a third of a graph network's training went into that. Afterwards
    thresholds are those that glibc itself comes to where large blocks come and go. Nothing is changed without glibc, or
    where the environment tells its allocator what to do.
    """
    global _inside
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not hasattr(library, "malloc_trim") or any(one.startswith(OF_THE_USER) for one in os.environ):
        yield
        return
    _inside += 1
    library.mallopt(MMAP_MAX, 0)
    library.mallopt(TRIM_THRESHOLD, MOST)
    try:
        yield
    finally:
        _inside -= 1
        if not _inside:
            library.mallopt(MMAP_MAX, USUAL_MMAP_MAX)
            library.mallopt(MMAP_THRESHOLD, USUAL_MMAP_THRESHOLD)
            library.mallopt(TRIM_THRESHOLD, 2 * USUAL_MMAP_THRESHOLD)
            library.malloc_trim(0)
