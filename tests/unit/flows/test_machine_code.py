"""Kernels that Python calls: machine code from the disk, without Numba; made anew when anything in it has changed."""

import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flowlore.flows.compiled import Entry, borrowing, inlined, kernel, prefetch, room

Pair = namedtuple("Pair", "numbers factor")

KERNELS = """
import numpy as np
from constants import FACTOR
from flowlore.flows.compiled import borrowing, kernel

@kernel
def times(number):
    return FACTOR * number

@borrowing
def all_times(numbers):
    for place in range(len(numbers)):
        numbers[place] = times(numbers[place])
"""

OF_A_MODULE = KERNELS.replace("from constants import FACTOR", "import constants").replace("FACTOR", "constants.FACTOR")

DIFFERENCES = """
from typing import NamedTuple
from flowlore.flows.compiled import borrowing

class Pair(NamedTuple):
    FIELDS

@borrowing
def difference(pair):
    return pair.high - pair.low
"""

OF_CHANCE = """
import numpy as np
from flowlore.flows.compiled import borrowing

@borrowing
def any_number():
    return np.random.randint(0, 1)
"""

USE = """
import sys
import numpy as np
import kernels
numbers = np.arange(3)
kernels.all_times(numbers)
print(numbers.tolist(), "numba" in sys.modules)
"""


@kernel
def twice(number):  # type: ignore[no-untyped-def]
    return 2 * number


@inlined
def is_even(number):  # type: ignore[no-untyped-def]
    return number % 2 == 0


@borrowing
def everything(numbers, matrix, pair, is_doubled, small):  # type: ignore[no-untyped-def]
    """The sum of all, whether it is even, and the largest number that 64 bits hold."""
    rest = room(2, np.int64)
    rest[0] = small
    rest[1] = pair.factor
    total = rest[0] + rest[1]
    for place in range(len(numbers)):
        prefetch(numbers, place + 1)
        total += twice(numbers[place]) if is_doubled else numbers[place]
    for row in range(matrix.shape[0]):
        for column in range(matrix.shape[1]):
            total += matrix[row, column]
    for place in range(len(pair.numbers)):
        total += pair.numbers[place]
    return total, is_even(total), ~np.uint64(0)


@borrowing
def write(records):  # type: ignore[no-untyped-def]
    for place in range(len(records)):
        records[place].size = records[place].name * 2


@borrowing
def fail(number):  # type: ignore[no-untyped-def]
    if number > 0:
        raise ValueError("no")
    return number


@pytest.mark.parametrize("is_doubled", [False, True])
def test_arrays_tuples_and_numbers_go_in_and_numbers_come_out(is_doubled: bool) -> None:
    numbers, matrix = np.arange(5), np.arange(6, dtype=np.uint8).reshape(2, 3)
    found = everything(numbers, matrix, Pair(np.array([7, 8]), 100), is_doubled, np.uint16(1000))
    total = (20 if is_doubled else 10) + 15 + 15 + 100 + 1000
    assert found == (total, total % 2 == 0, 2**64 - 1)
    assert [type(one) for one in found] == [int, bool, int]


def test_each_kind_of_array_has_machine_code_of_its_own() -> None:
    pair = Pair(np.array([0]), 0)
    wide, turned = np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3).T
    every_second, held = np.arange(6)[::2], np.arange(3)
    held.flags.writeable = False
    for numbers, matrix in ((every_second, wide), (held, turned), (held[:1], wide[:, 1:])):
        expected = int(numbers.sum() + matrix.sum())
        assert everything(numbers, matrix, pair, False, 0) == (expected, expected % 2 == 0, 2**64 - 1)


def test_records_are_written_in_place() -> None:
    records = np.array([(1, 0), (5, 0)], [("name", np.uint8), ("size", np.int64)])
    assert write(records) is None
    assert records["size"].tolist() == [2, 10]


def test_what_a_kernel_raises_is_not_lost() -> None:
    assert fail(-1) == -1
    with pytest.raises(RuntimeError, match="the kernel `fail` has failed"):
        fail(1)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match="a kernel takes no str"):
        fail("text")


def test_the_second_process_needs_no_numba_until_a_constant_changes(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "constants.py").write_text("FACTOR = 2\n")
    assert [run(tmp_path, USE) for _ in range(2)] == ["[0, 2, 4] True", "[0, 2, 4] False"]
    (tmp_path / "constants.py").write_text("FACTOR = 3\n")
    assert [run(tmp_path, USE) for _ in range(2)] == ["[0, 3, 6] True", "[0, 3, 6] False"]
    stored = list((tmp_path / "cache").rglob("all_times-*"))
    assert len(stored) == 1


def test_a_constant_that_is_read_from_its_module_counts_too(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(OF_A_MODULE)
    for factor, expected in ((2, "[0, 2, 4]"), (3, "[0, 3, 6]")):
        (tmp_path / "constants.py").write_text(f"FACTOR = {factor}\n")
        assert [run(tmp_path, USE) for _ in range(2)] == [f"{expected} True", f"{expected} False"]


def test_fields_in_another_order_are_other_arguments(tmp_path: Path) -> None:
    for fields in ("high: int; low: int", "low: int; high: int"):
        (tmp_path / "kernels.py").write_text(DIFFERENCES.replace("FIELDS", fields))
        assert run(tmp_path, "from kernels import *; print(difference(Pair(high=7, low=3)))") == "4"


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def with_a_bit_turned(data: bytes) -> bytes:
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


def without_checksum(data: bytes) -> bytes:
    return data.partition(b"\n")[2]


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"[]\n", cut, with_a_bit_turned, without_checksum])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "constants.py").write_text("FACTOR = 2\n")
    run(tmp_path, USE)
    for stored in (tmp_path / "cache").rglob("all_times-*"):
        stored.write_bytes(damage(stored.read_bytes()))
    assert [run(tmp_path, USE) for _ in range(2)] == ["[0, 2, 4] True", "[0, 2, 4] False"]


def test_machines_that_share_a_folder_keep_their_own(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "constants.py").write_text("FACTOR = 2\n")
    other = f"from flowlore.flows import machine_code; machine_code._processor = lambda: 'another'\n{USE}"
    assert [run(tmp_path, code)[-5:].strip() for code in (USE, other, USE, other)] == ["True", "True", "False", "False"]


def test_kernels_of_one_name_are_told_apart() -> None:
    def made(factor: int) -> Entry:
        def times(number):  # type: ignore[no-untyped-def]
            return 2 * number if is_first else 3 * number

        is_first = factor == 2
        return Entry(times)

    assert [made(factor)(7) for factor in (2, 3)] == [14, 21]


def test_a_user_without_a_home_compiles_each_time(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "constants.py").write_text("FACTOR = 2\n")
    (tmp_path / "__pycache__").write_text("a file where the folder should be")
    homeless = """
import os, pathlib
del os.environ["NUMBA_CACHE_DIR"]
def nowhere():
    raise RuntimeError("no home")
pathlib.Path.home = nowhere
"""
    assert run(tmp_path, f"{homeless}{USE}") == "[0, 2, 4] True"


def test_where_nothing_can_be_kept_it_is_compiled_each_time(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "constants.py").write_text("FACTOR = 2\n")
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert run(tmp_path, USE) == "[0, 2, 4] True"


@pytest.mark.parametrize(
    "another_numba",
    [
        "front_end._OF_LIBRARY += ('_renamed',)",
        "front_end._PartLibrary = type('Library', (), {})",
        "front_end._ObjectLibrary._finalize_final_module = None",
    ],
)
def test_where_numba_has_other_names_kernels_compile_as_all_else(tmp_path: Path, another_numba: str) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "constants.py").write_text("FACTOR = 2\n")
    assert run(tmp_path, f"from flowlore.flows import front_end; {another_numba}\n{USE}") == "[0, 2, 4] True"


def test_a_kernel_that_calls_into_numba_stays_with_it(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(OF_CHANCE)
    use = "import sys, kernels; print(kernels.any_number(), 'numba' in sys.modules)"
    assert [run(tmp_path, use) for _ in range(2)] == ["0 True", "0 True"]


def test_whether_it_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    def negative(number):  # type: ignore[no-untyped-def]
        return -number

    entry = Entry(negative)
    assert not entry.is_stored()
    assert entry(3) == -3
    assert entry.is_stored()


def run(folder: Path, code: str) -> str:
    """What a script prints in a process of its own."""
    modules = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": modules}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()
