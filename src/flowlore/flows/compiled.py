"""How kernels are compiled: a few typed decorators over Numba, so that every kernel has the same promises.

Kernels run without the interpreter lock, are kept on disk, and do not check bounds (the tests run them again with
`NUMBA_BOUNDSCHECK=1`), so each guards its own reads.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba import njit as typed_njit
from numba.core import types
from numba.extending import intrinsic

from .deferred import PartCompiler

F = TypeVar("F", bound=Callable[..., object])

njit: Any = typed_njit  # its stubs know neither `_nrt` nor the wrappers


def compiled(function: F) -> F:
    """Compile to machine code on the first call. May be called from Python, and may make arrays."""
    return cast(F, njit(cache=True, nogil=True)(function))


def borrowing(function: F) -> F:
    """The same for a function that makes no array, keeps none and gives none back: references are not counted."""
    return cast(F, njit(cache=True, nogil=True, _nrt=False)(function))


def kernel(function: F) -> F:
    """Compile a part that only other kernels call, once for all arguments of the same types. It makes no array.

    Numba would compile a function anew for every constant that a caller writes, and wrap each for the interpreter; over
    a hundred small functions that made the first call three times as long.
    """
    return cast(F, _for_plain_types(njit(**_PART)(function)))


def inlined(function: F) -> F:
    """The same for a small function on a hot path: its code is put into that of its callers."""
    return cast(F, _for_plain_types(njit(forceinline=True, **_PART)(function)))


_PART: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
    "pipeline_class": PartCompiler,
}


def _for_plain_types(dispatcher: Any) -> Any:
    """Let constants count as plain numbers when the version to call is looked up."""
    plain: Any = types.unliteral
    for_exact_types = dispatcher.get_call_template

    def for_plain_types(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        named = {name: plain(value) for name, value in keywords.items()}
        return for_exact_types(tuple(plain(value) for value in arguments), named)

    dispatcher.get_call_template = for_plain_types
    return dispatcher


def _prefetch(_context: Any, array: Any, place: Any) -> Any:
    """Ask the processor for the cache line in which `array[place]` begins. Reads nothing, so any place is safe."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type, _ = signature.args
        view = context.make_array(array_type)(context, builder, arguments[0])
        item_bytes = ir.Constant(ir.IntType(64), context.get_abi_sizeof(context.get_data_type(array_type.dtype)))
        start = builder.ptrtoint(view.data, ir.IntType(64))
        address = builder.add(start, builder.mul(arguments[1], item_bytes))
        byte_pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte_pointer, number, number, number])
        name = "llvm.prefetch.p0i8" if not getattr(byte_pointer, "is_opaque", False) else "llvm.prefetch.p0"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        to_write, keep_close, data_cache = (ir.Constant(number, value) for value in (1, 3, 1))
        builder.call(function, [builder.inttoptr(address, byte_pointer), to_write, keep_close, data_cache])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


prefetch: Any = intrinsic(_prefetch)  # its stub shows the first argument, which Numba fills in
