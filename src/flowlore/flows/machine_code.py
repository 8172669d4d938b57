"""Machine code of kernels: kept on disk, found again by what it was made from, loaded and called without Numba.

A kernel's file is named after everything that its machine code depends on: the kinds of its arguments, the code and the
constants of all functions that it calls, Numba, the processor. So it is never stale, and nothing has to be told that a
source was edited.
"""

import ctypes
import hashlib
import json
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy as np

FORMAT = 1
_BY_ROWS, _BY_COLUMNS = 0x1, 0x2  # NumPy's flags: C- and F-contiguous
_FLAGS = _BY_ROWS | 0x100 | 0x400  # with aligned and writeable
_lock = threading.Lock()


class ObjectCode(NamedTuple):
    """What a compilation gives."""

    symbol: str
    results: str  # i, u or b for each; in brackets where they are a tuple; empty where there are none
    code: bytes


def words_of(arguments: tuple[Any, ...], words: list[int]) -> tuple[Any, ...]:
    """Append the arguments as 64-bit words and tell their kinds: machine code is for one tuple of kinds."""
    kinds: list[Any] = []
    for value in arguments:
        kind = type(value)
        if kind is np.ndarray:
            words.append(value.ctypes.data)
            words.extend(value.shape)
            words.extend(value.strides)
            flags = value.flags.num
            kinds.append((value.dtype, value.ndim, flags & (_FLAGS if flags & _BY_ROWS else _FLAGS | _BY_COLUMNS)))
        elif kind is int or kind is bool:
            words.append(value)
            kinds.append(kind)
        elif isinstance(value, tuple):
            kinds.append((kind, words_of(value, words)))
        elif isinstance(value, np.integer | np.bool_):
            words.append(int(value))
            kinds.append(kind)
        else:
            raise TypeError(f"a kernel takes no {kind.__name__}")
    return tuple(kinds)


class Loaded:
    """Machine code that can be called."""

    def __init__(self, made: ObjectCode, name: str) -> None:
        with _lock:
            engine = _engine()
            engine.add_object_file(_binding().object_file.ObjectFileRef.from_data(made.code))
            engine.finalize_object()
            address = engine.get_function_address(made.symbol)
        self._call = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(address)
        self._name = name
        self._is_tuple = made.results.startswith("(")
        self._results = made.results.strip("()")

    def __call__(self, words: list[int]) -> Any:
        """`words` as `words_of` gives them. The interpreter lock is free meanwhile."""
        count = len(words)
        memory = (ctypes.c_int64 * (count + len(self._results)))(*words)
        if self._call(ctypes.addressof(memory)):
            raise RuntimeError(f"the kernel `{self._name}` has failed")
        found = tuple(map(_result, self._results, memory[count:]))
        if self._is_tuple:
            return found
        return found[0] if found else None


def load(entry: Any, kinds: Any) -> Loaded | None:
    """From the disk, or None where it was never compiled for these arguments."""
    for folder in _folders(entry):
        with suppress(OSError, ValueError, KeyError):
            head, _, code = (folder / _file_name(entry, kinds)).read_bytes().partition(b"\n")
            about = json.loads(head)
            return Loaded(ObjectCode(about["symbol"], about["results"], code), entry.__name__)
    return None


def save(entry: Any, kinds: Any, made: ObjectCode) -> None:
    """Keep it for the next time in place of what was made from older sources. Where that cannot be, do without."""
    name = _file_name(entry, kinds)
    head = json.dumps({"symbol": made.symbol, "results": made.results}).encode()
    for folder in _folders(entry):
        temporary = folder / f"{name}.{os.getpid()}"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(head + b"\n" + made.code)
                temporary.replace(folder / name)
            finally:
                temporary.unlink(missing_ok=True)
            for old in folder.glob(f"{name.rsplit('-', 1)[0]}-*"):
                if old.name != name:
                    old.unlink(missing_ok=True)
            return


def is_stored(entry: Any) -> bool:
    """Whether machine code made from these sources is on the disk, for whatever arguments."""
    ending = f"-{_digest_of_sources(entry)}.kernel"
    start = f"{entry.__name__}-"
    return any(
        path.name.startswith(start) and path.name.endswith(ending)
        for folder in _folders(entry)
        if folder.is_dir()
        for path in folder.iterdir()
    )


def _result(kind: str, word: int) -> Any:
    if kind == "b":
        return bool(word)
    return word & 0xFFFFFFFFFFFFFFFF if kind == "u" else word


def _folders(entry: Any) -> Iterator[Path]:
    """Where machine code may lie, the best first."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        yield Path(chosen, "flowlore")
        return
    yield Path(entry.function.__code__.co_filename).parent / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "flowlore")


def _file_name(entry: Any, kinds: Any) -> str:
    where = hashlib.sha256(f"{entry.function.__code__.co_filename} {_kinds_text(kinds)}".encode()).hexdigest()[:12]
    return f"{entry.__name__}-{where}-{_digest_of_sources(entry)}.kernel"


def _kinds_text(kinds: Any) -> str:
    if isinstance(kinds, tuple):
        return f"({', '.join(map(_kinds_text, kinds))})"
    if isinstance(kinds, np.dtype):
        return f"{kinds.descr} {kinds.itemsize}"
    return kinds.__name__ if isinstance(kinds, type) else repr(kinds)


@cache
def _digest_of_sources(entry: Any) -> str:
    found = hashlib.sha256(_surroundings().encode())
    seen: set[int] = set()
    waiting = [entry]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            found.update(repr(sorted(one.options.items())).encode())
            waiting.extend(_add_code(one.function.__code__, one.function, found.update))
    return found.hexdigest()[:24]


def _add_code(code: CodeType, function: Any, add: Callable[[bytes], None]) -> list[Any]:
    """Add what a function does and the constants that it reads; gives the parts that it calls."""
    add(code.co_code)
    parts = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            parts += _add_code(constant, function, add)
        else:
            add(repr(constant).encode())
    for name in code.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType | type):
            add(f"{name} {value.__name__}".encode())
        elif hasattr(value, "options"):
            parts.append(value)
            add(f"{name} {value.__module__}.{value.__qualname__}".encode())
        elif hasattr(value, "place"):
            add(f"{name} {value.place}".encode())
        elif callable(value):
            add(f"{name} {getattr(value, '__name__', '')}".encode())
        elif isinstance(value, np.ndarray):
            add(name.encode() + value.tobytes())
        else:
            add(f"{name} {value!r}".encode())
    return parts


@cache
def _surroundings() -> str:
    """What machine code depends on beside the sources."""
    numba = find_spec("numba")
    release = Path(numba.origin).stat().st_mtime_ns if numba and numba.origin else 0
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_"))
    settings = [setting for setting in settings if not setting.startswith("NUMBA_CACHE_DIR=")]
    intrinsics = Path(__file__).with_name("intrinsics.py").read_text(encoding="utf-8")
    llvm = _binding()
    processor = f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
    python = sys.version_info[:2]
    return repr((FORMAT, python, platform.machine(), release, np.__version__, settings, intrinsics, processor))


@cache
def _engine() -> Any:
    llvm = _binding()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def _binding() -> Any:
    from llvmlite import binding

    return binding
