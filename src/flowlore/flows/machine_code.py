"""Machine code of kernels: kept on disk, found again by what it was made from, loaded and called without Numba.

A kernel's file is named after everything that its machine code depends on: the kinds of its arguments, the code and the
constants of all functions that it calls, Numba, the processor. So it is never stale, and nothing has to be told that a
source was edited. It holds a checksum: the processor would run whatever a damaged file says.
"""

import ctypes
import hashlib
import json
import os
import platform
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy as np

FORMAT = 2
_BY_ROWS, _BY_COLUMNS = 0x1, 0x2  # NumPy's flags: C- and F-contiguous
_FLAGS = _BY_ROWS | 0x100 | 0x400  # with aligned and writeable
_MAKERS = ("front_end.py", "intrinsics.py")  # sources that say how machine code is made
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
        if not address:
            raise ValueError(f"no function `{made.symbol}` is in the machine code")
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
    """From the disk, or None where it was never compiled for these arguments, or is not as it was written."""
    for folder in _folders(entry):
        with suppress(OSError, ValueError, KeyError, TypeError):
            checksum, _, rest = (folder / _file_name(entry, kinds)).read_bytes().partition(b"\n")
            if checksum != _checksum(rest):
                continue
            head, _, code = rest.partition(b"\n")
            about = json.loads(head)
            return Loaded(ObjectCode(about["symbol"], about["results"], code), entry.__name__)
    return None


def save(entry: Any, kinds: Any, made: ObjectCode) -> None:
    """Keep it for the next time in place of what was made from older sources. Where that cannot be, do without."""
    name = _file_name(entry, kinds)
    data = json.dumps({"symbol": made.symbol, "results": made.results}).encode() + b"\n" + made.code
    for folder in _folders(entry):
        temporary = folder / f"{name}.{os.getpid()}"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(_checksum(data) + b"\n" + data)
                temporary.replace(folder / name)
            finally:
                temporary.unlink(missing_ok=True)
            for old in folder.glob(f"{name.rsplit('-', 1)[0]}-*"):
                if not old.name.startswith(name):  # another process may just write the same
                    old.unlink(missing_ok=True)
            return


def is_stored(entry: Any) -> bool:
    """Whether machine code made from these sources is on the disk, for whatever arguments."""
    ending = f"-{digest_of_sources(entry)}.kernel"
    start = f"{entry.__name__}-"
    return any(
        path.name.startswith(start) and path.name.endswith(ending)
        for folder in _folders(entry)
        if folder.is_dir()
        for path in folder.iterdir()
    )


@cache
def digest_of_sources(entry: Any) -> str:
    """Of a kernel's code, of all that it calls, and of all else that its machine code depends on but its arguments."""
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


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


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
    with suppress(RuntimeError):  # a user without a home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "flowlore")


def _file_name(entry: Any, kinds: Any) -> str:
    """Machines that share a folder have a file each: what one makes does not take the other's place."""
    words = f"{entry.function.__code__.co_filename} {_kinds_text(kinds)} {_processor()}"
    where = hashlib.sha256(words.encode()).hexdigest()[:12]
    return f"{entry.__name__}-{where}-{digest_of_sources(entry)}.kernel"


def _kinds_text(kinds: Any) -> str:
    if isinstance(kinds, tuple):
        return f"({', '.join(map(_kinds_text, kinds))})"
    if isinstance(kinds, np.dtype):
        return f"{kinds.descr} {kinds.itemsize}"
    if hasattr(kinds, "_fields"):
        return f"{kinds.__name__}{kinds._fields}"
    return kinds.__name__ if isinstance(kinds, type) else repr(kinds)


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
        parts += _add_value(name, function.__globals__.get(name), code.co_names, add)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        parts += _add_value(name, cell.cell_contents, code.co_names, add)
    return parts


def _add_value(name: str, value: Any, attributes: Collection[str], add: Callable[[bytes], None]) -> list[Any]:
    """The same for one name that a function reads. Of a module, all that it may read there: some of `attributes`."""
    if isinstance(value, ModuleType):
        add(f"{name} {value.__name__}".encode())
        held = vars(value)
        return [part for one in attributes if one in held for part in _add_value(one, held[one], (), add)]
    if isinstance(value, type):
        add(f"{name} {value.__name__}".encode())
    elif hasattr(value, "options"):
        add(f"{name} {value.__module__}.{value.__qualname__}".encode())
        return [value]
    elif hasattr(value, "place"):
        add(f"{name} {value.place}".encode())
    elif callable(value):
        add(f"{name} {getattr(value, '__name__', '')}".encode())
    elif isinstance(value, np.ndarray):
        add(f"{name} {value.dtype} {value.shape}".encode() + value.tobytes())
    else:
        add(f"{name} {value!r}".encode())
    return []


@cache
def _surroundings() -> str:
    """What machine code depends on beside the sources."""
    numba = find_spec("numba")
    release = Path(numba.origin).stat().st_mtime_ns if numba and numba.origin else 0
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("NUMBA_"))
    settings = [setting for setting in settings if not setting.startswith("NUMBA_CACHE_DIR=")]
    makers = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in _MAKERS]
    python = sys.version_info[:2]
    return repr((FORMAT, python, release, np.__version__, settings, makers, _processor()))


@cache
def _processor() -> str:
    llvm = _binding()
    return f"{platform.machine()} {llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"


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
