"""How kernels are declared: a few typed decorators, so that every kernel has the same promises.

Kernels run without the interpreter lock, are kept on disk as machine code, and do not check bounds (the tests run them
again with `NUMBA_BOUNDSCHECK=1`), so each guards its own reads. Numba is loaded only where one must be compiled: it
takes longer to load than most captures take to read.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property, update_wrapper
from importlib import import_module
from typing import Any, TypeVar, cast

from .machine_code import Loaded, load, save, words_of

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile by Numba on the first call, with all that it can. May be called from Python, and may make arrays."""
    return cast(F, Whole(function))


def summing(function: F) -> F:
    """The same, free to add numbers up in another order: many at a time, where the processor can."""
    return cast(F, Whole(function, fastmath={"reassoc", "contract", "nsz"}))


def borrowing(function: F) -> F:
    """A kernel that Python calls. It makes no array, keeps none and gives none back: references are not counted.

    It takes arrays, whole numbers, truth values and named tuples of them, and gives whole numbers, truth values, a
    tuple of them or nothing.
    """
    return cast(F, Entry(function))


def kernel(function: F) -> F:
    """A part that only other kernels call, compiled once for all arguments of the same types. It makes no array.

    Numba would compile a function anew for every constant that a caller writes, and wrap each for the interpreter; over
    a hundred small functions that made the first call three times as long.
    """
    return cast(F, Part(function))


def inlined(function: F) -> F:
    """The same for a small function on a hot path: its code is put into that of its callers."""
    return cast(F, Part(function, forceinline=True))


class Compilable(ABC):
    """A function that Numba meets as a global of another one; it is asked for only then."""

    def __init__(self, function: Callable[..., object]) -> None:
        update_wrapper(cast(Any, self), function)
        self.function = function

    @property
    def _numba_type_(self) -> Any:
        from .front_end import type_of_dispatcher

        return type_of_dispatcher(self.dispatcher)

    @property
    @abstractmethod
    def dispatcher(self) -> Any:
        """What Numba makes of the function."""


class Whole(Compilable):
    """Compiled, wrapped and kept on disk by Numba itself."""

    def __init__(self, function: Callable[..., object], **options: Any) -> None:
        super().__init__(function)
        self.options = options

    def __call__(self, *arguments: Any) -> Any:
        return self.dispatcher(*arguments)

    @cached_property
    def dispatcher(self) -> Any:
        from .front_end import whole

        return whole(self.function, self.options)


class Part(Compilable):
    """Compiled into the kernels that call it."""

    def __init__(self, function: Callable[..., object], **options: Any) -> None:
        super().__init__(function)
        self.options = options

    @cached_property
    def dispatcher(self) -> Any:
        from .front_end import part

        return part(self.function, self.options)


class Entry(Part):
    """A part that Python may call too: machine code for each kind of arguments, from the disk or compiled now."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)
        self._loaded: dict[Any, Loaded] = {}
        self._plain: Any = None  # Numba's own way, where it has changed too much for ours
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> Any:
        words: list[int] = []
        kinds = words_of(arguments, words)
        loaded = self._loaded.get(kinds)
        if loaded is None:
            with self._lock:
                loaded = self._loaded.get(kinds) or self._ready(kinds, arguments)
            if loaded is None:
                return self._plain(*arguments)
        return loaded(words)

    def is_stored(self) -> bool:
        """Whether machine code for any kind of arguments is on the disk."""
        from .machine_code import is_stored

        return is_stored(self)

    def _ready(self, kinds: Any, arguments: tuple[Any, ...]) -> Loaded | None:
        if self._plain is not None:
            return None
        loaded = load(self, kinds)
        if loaded is None:
            from .front_end import UnknownNumba, object_code, plain

            try:
                made = object_code(self, arguments)
            except UnknownNumba:
                self._plain = plain(self.function)
                return None
            save(self, kinds, made)
            loaded = Loaded(made, self.function.__name__)
        self._loaded[kinds] = loaded
        return loaded


class Intrinsic:
    """Code that no Python function can say, in a module that loads Numba: `module:attribute`."""

    def __init__(self, place: str) -> None:
        self.place = place

    @cached_property
    def _numba_type_(self) -> Any:
        from .front_end import type_of_intrinsic

        module, _, name = self.place.partition(":")
        return type_of_intrinsic(getattr(import_module(module), name))


# Ask the processor for the cache line in which `array[place]` begins. Reads nothing, so any place is safe.
prefetch: Any = Intrinsic(f"{__package__}.intrinsics:prefetch")

# An array of so many (a constant) numbers of NumPy's kind, on the stack, filled with whatever lay there. It ends with
# the function that asked for it: hand it down, never back.
room: Any = Intrinsic(f"{__package__}.intrinsics:room")
