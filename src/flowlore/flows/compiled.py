"""How kernels are compiled: one typed decorator over Numba, so that every kernel has the same promises."""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile to machine code on the first call, keep it on disk, and run without the interpreter lock.

    Kernels do not check bounds (the tests run them again with `NUMBA_BOUNDSCHECK=1`), so each guards its own reads.
    """
    return cast(F, njit(cache=True, nogil=True)(function))
