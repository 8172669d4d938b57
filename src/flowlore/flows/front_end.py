"""Numba as it makes machine code of kernels. Loaded only where something must be compiled.

Numba makes machine code of every function with all that it calls. For a part that only other kernels call, that is work
for nothing: parts stay unfinished, are optimised only inside of the kernels that Python calls, and these get a small
function around them that takes its arguments as words of 64 bits.

This leans on names that Numba keeps to itself. Where another release has them no more, kernels compile as all else.
"""

import ctypes
import hashlib
import re
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import njit as typed_njit
from numba import typeof as typed_typeof
from numba import types as typed_types
from numba.core import cgutils as typed_cgutils
from numba.core import codegen as typed_codegen
from numba.core import compiler as typed_compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target as typed_target
from numba.np import arrayobj as typed_arrays

from .machine_code import ObjectCode, digest_of_sources

# Their methods have no types.
njit: Any = typed_njit
typeof: Any = typed_typeof
types: Any = typed_types
arrays: Any = typed_arrays
building: Any = typed_cgutils
codegen: Any = typed_codegen
compiler: Any = typed_compiler
target: Any = typed_target
compiling: Any = global_compiler_lock

_ENVIRONMENT = "_ZN08NumbaEnv"  # how Numba's variables begin that hold a function's surroundings
_Library: Any = getattr(codegen, "JITCodeLibrary", object)
_OF_LIBRARY = (  # what a library must have
    "_codegen",
    "_final_module",
    "_finalize_final_module",
    "_finalized",
    "_get_module_for_linking",
    "_optimize_final_module",
    "_shared_module",
    "enable_object_caching",
)
_WORD = ir.IntType(64)


class UnknownNumba(Exception):
    """Machine code cannot stand for itself: this release keeps things in another way, or the kernel needs Numba."""


def whole(function: Callable[..., object], options: dict[str, Any]) -> Any:
    """Compiled, wrapped and kept on disk by Numba."""
    return njit(cache=True, nogil=True, **options)(function)


def plain(function: Callable[..., object]) -> Any:
    """The same for what makes no array."""
    return njit(cache=True, nogil=True, _nrt=False)(function)


def part(function: Callable[..., object], options: dict[str, Any]) -> Any:
    """Compiled for the kernels that call it, once for all arguments of the same types."""
    dispatcher = njit(
        nogil=True,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        _nrt=False,
        pipeline_class=PartCompiler,
        **options,
    )(function)
    return _for_plain_types(dispatcher)


def type_of_dispatcher(dispatcher: Any) -> Any:
    return types.Dispatcher(dispatcher)


def type_of_intrinsic(found: Any) -> Any:
    target.typing_context.refresh()  # so that it knows what was made since
    return target.typing_context.resolve_value_type(found)


def object_code(entry: Any, arguments: tuple[Any, ...]) -> ObjectCode:
    """Compile a kernel for these arguments."""
    kinds = tuple(typeof(value) for value in arguments)
    with compiling:
        entry.dispatcher.compile(kinds)
        made = entry.dispatcher.overloads[kinds]
        symbol = _symbol(entry, kinds)
        try:
            library = _ObjectLibrary(made.target_context.codegen(), symbol)
            module = library.create_ir_module(symbol)
            results = _write_adaptor(made.target_context, module, made.fndesc, symbol)
            library.add_ir_module(module)
            library.add_linking_library(made.library)
            library.finalize()
            return ObjectCode(symbol, results, library.object_code)
        except (AttributeError, TypeError) as error:
            raise UnknownNumba(str(error)) from error


def _symbol(entry: Any, kinds: tuple[Any, ...]) -> str:
    """A name that no other kernel has, for all machine code of a process lies in one room."""
    words = f"{entry.__module__} {digest_of_sources(entry)} {kinds}"
    return f"flowlore_{entry.__name__}_{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def _for_plain_types(dispatcher: Any) -> Any:
    """Let constants count as plain numbers when the version to call is looked up."""
    for_exact_types = dispatcher.get_call_template

    def for_plain_types(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        named = {name: types.unliteral(value) for name, value in keywords.items()}
        return for_exact_types(tuple(types.unliteral(value) for value in arguments), named)

    dispatcher.get_call_template = for_plain_types
    return dispatcher


class _PartLibrary(_Library):  # type: ignore[misc]  # Numba's classes have no types
    """The code of one part and of all that it calls, for other libraries to take in."""

    _final_module: Any
    _shared_module: Any

    def _optimize_final_module(self) -> None:
        """Not yet: the kernel that takes it in is optimised as a whole."""

    def _finalize_final_module(self) -> None:
        """Give the code away, and keep only the variables that Numba fills in for each function."""
        self._finalized = True
        self._shared_module = self._get_module_for_linking()
        variables = [one.name for one in self._final_module.global_variables if one.name.startswith(_ENVIRONMENT)]
        self._final_module = binding.parse_assembly(
            "\n".join([str(self._codegen._create_empty_module(self.name)), *map(_empty_variable, variables)])
        )
        super()._finalize_final_module()


class _ObjectLibrary(_Library):  # type: ignore[misc]  # Numba's classes have no types
    """A kernel and its parts, optimised together, as machine code that stands for itself."""

    _final_module: Any
    object_code: bytes

    def _optimize_final_module(self) -> None:
        for held in (self._final_module.functions, self._final_module.global_variables):
            for one in held:
                if not one.is_declaration and one.name != self.name:
                    one.linkage = "internal"
        super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalized = True
        every_process = ctypes.CDLL(None)
        for one in self._final_module.functions:
            if one.is_declaration and not one.name.startswith("llvm.") and not hasattr(every_process, one.name):
                raise UnknownNumba(f"`{one.name}` is in Numba only: whoever loads the code without it would be ended")
        self.object_code = self._codegen._tm.emit_object(self._final_module)


class PartCompiler(compiler.Compiler):  # type: ignore[misc]  # Numba's classes have no types
    """Compiles into a library of a part."""

    state: Any

    def compile_extra(self, func: Callable[..., object]) -> Any:
        library = _new_library(self.state, func.__qualname__)
        if library is not None:
            self.state.library = library
            library.enable_object_caching()
        return super().compile_extra(func)


def _new_library(state: Any, name: str) -> Any:
    """A library for one part, or None where this Numba keeps its own in another way."""
    try:
        library = _PartLibrary(state.targetctx.codegen(), name)
    except (AttributeError, TypeError):
        return None
    can_give_empty = hasattr(getattr(library, "_codegen", None), "_create_empty_module")
    return library if can_give_empty and all(hasattr(library, known) for known in _OF_LIBRARY) else None


def _empty_variable(name: str) -> str:
    """Eight empty bytes: a number, for how a pointer is written changes between releases of LLVM."""
    quoted = re.sub(r'["\\]', lambda found: f"\\{ord(found[0]):02x}", name)
    return f'@"{quoted}" = common global i64 0, align 8'


def _write_adaptor(context: Any, module: Any, about: Any, symbol: str) -> str:
    """A function that takes the words of the arguments and writes the results behind them; gives their kinds."""
    function = ir.Function(module, ir.FunctionType(ir.IntType(32), [_WORD.as_pointer()]), symbol)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    words = _Words(builder, function.args[0])
    values = [_value(context, builder, kind, words) for kind in about.argtypes]
    callee = context.declare_function(module, about)
    status, result = context.call_conv.call_function(builder, callee, about.restype, about.argtypes, values)
    kinds = _write_results(builder, about.restype, result, words)
    builder.ret(builder.zext(status.is_error, ir.IntType(32)))
    return kinds


class _Words:
    """Reads, and then writes, one word after the other."""

    def __init__(self, builder: Any, start: Any) -> None:
        self._builder = builder
        self._start = start
        self._count = 0

    def take(self) -> Any:
        return self._builder.load(self._next())

    def put(self, value: Any) -> None:
        self._builder.store(value, self._next())

    def _next(self) -> Any:
        place = self._builder.gep(self._start, [ir.Constant(_WORD, self._count)])
        self._count += 1
        return place


def _value(context: Any, builder: Any, kind: Any, words: _Words) -> Any:
    """One argument as kernels have it."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder)
        item = context.get_data_type(kind.dtype)
        data = builder.inttoptr(words.take(), item.as_pointer())
        shape, strides = ([words.take() for _ in range(kind.ndim)] for _ in range(2))
        arrays.populate_array(
            array,
            data=data,
            shape=building.pack_array(builder, shape),
            strides=building.pack_array(builder, strides),
            itemsize=context.get_constant(types.intp, context.get_abi_sizeof(item)),
            meminfo=None,
        )
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        return context.make_tuple(builder, kind, [_value(context, builder, one, words) for one in kind])
    if isinstance(kind, types.Boolean):
        return builder.icmp_unsigned("!=", words.take(), ir.Constant(_WORD, 0))
    if isinstance(kind, types.Integer):
        number = words.take()
        return number if kind.bitwidth == 64 else builder.trunc(number, ir.IntType(kind.bitwidth))
    raise TypeError(f"a kernel takes no {kind}")


def _write_results(builder: Any, kind: Any, result: Any, words: _Words) -> str:
    if isinstance(kind, types.NoneType):
        return ""
    if isinstance(kind, types.BaseTuple):
        found = [
            _write_results(builder, one, builder.extract_value(result, place), words) for place, one in enumerate(kind)
        ]
        return f"({''.join(found)})"
    if isinstance(kind, types.Boolean):
        words.put(builder.zext(result, _WORD))
        return "b"
    if isinstance(kind, types.Integer):
        widen = builder.sext if kind.signed else builder.zext
        words.put(result if kind.bitwidth == 64 else widen(result, _WORD))
        return "i" if kind.signed else "u"
    raise TypeError(f"a kernel gives no {kind}")
