"""Parts have no machine code of their own, and kernels that call them, or find them in the cache, still work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = """
from flowlore.flows.compiled import borrowing, kernel

@kernel
def twice(number):
    return 2 * number

@borrowing
def four_times(number):
    return twice(twice(number))

@borrowing
def six_times(number):
    return twice(3 * number)
"""


def test_a_part_is_compiled_into_its_callers(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    assert (
        run(tmp_path, "k.four_times(3), *(part.library.get_pointer_to_function(n) for n in part_names())") == "(12, 0)"
    )
    assert run(tmp_path, "k.six_times(3), sum(k.twice.stats.cache_hits.values())") == "(18, 1)"


@pytest.mark.parametrize(
    "another_numba",
    [
        "deferred._OF_LIBRARY += ('_renamed',)",
        "deferred._PartLibrary = type('Library', (), {})",
        "deferred._PartLibrary = type('Library', (), {'__init__': lambda self, one: None})",
    ],
)
def test_where_numba_has_other_names_parts_are_compiled_as_all_else(tmp_path: Path, another_numba: str) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    pointers = "k.four_times(3), all(part.library.get_pointer_to_function(n) for n in part_names())"
    assert run(tmp_path, pointers, first=f"from flowlore.flows import deferred; {another_numba}") == "(12, True)"
    assert run(tmp_path, "k.six_times(3), sum(k.twice.stats.cache_hits.values())") == "(18, 1)"


def run(folder: Path, expression: str, *, first: str = "") -> str:
    """What an expression gives in a process of its own, in which `part` is the compiled `twice`, once there is one."""
    code = f"""
{first}
import kernels as k
k.four_times(1) if {"four" in expression} else k.six_times(1)
part = next(iter(k.twice.overloads.values()))
def part_names():
    return [part.fndesc.llvm_func_name]
print(({expression}))
"""
    modules = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": modules}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()
