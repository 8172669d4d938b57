"""How the parts of the sniffer are compiled: like every kernel, but only for other kernels to call."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit
from numba.core import types

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile a part that Python never calls, once for all arguments of the same types. It asks for no memory.

    Numba would compile a function anew for every constant that a caller writes, and wrap each for the interpreter; for
    some ninety small functions that made the first call three times as long.
    """
    compile_for: Any = njit
    plain: Any = types.unliteral
    dispatcher: Any = compile_for(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(
        function
    )
    for_exact_types = dispatcher.get_call_template

    def for_plain_types(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        named = {name: plain(value) for name, value in keywords.items()}
        return for_exact_types(tuple(plain(value) for value in arguments), named)

    dispatcher.get_call_template = for_plain_types
    return cast(F, dispatcher)
