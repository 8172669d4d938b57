"""What no Python function can say, as code for kernels."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, errors
from numba.extending import intrinsic
from numba.np import arrayobj

# Numba carries no types here.
_build: Any = cgutils
_arrays: Any = arrayobj


def _prefetch(_context: Any, array: Any, place: Any) -> Any:
    """Ask the processor for the cache line in which `array[place]` begins."""

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


def _room(_context: Any, count: Any, kind: Any) -> Any:
    """An array on the stack."""
    if not isinstance(count, types.IntegerLiteral):
        raise errors.RequireLiteralValue("the size of an array on the stack must be a constant")
    array_type = types.Array(kind.dtype, 1, "C")
    size = count.literal_value

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        item = context.get_data_type(array_type.dtype)
        length = context.get_constant(types.intp, size)
        item_bytes = context.get_constant(types.intp, context.get_abi_sizeof(item))
        array = context.make_array(array_type)(context, builder)
        _arrays.populate_array(
            array,
            data=_build.alloca_once(builder, item, size=length),
            shape=_build.pack_array(builder, [length]),
            strides=_build.pack_array(builder, [item_bytes]),
            itemsize=item_bytes,
            meminfo=None,
        )
        return array._getvalue()

    return array_type(count, kind), generate


_intrinsic: Any = intrinsic
prefetch: Any = _intrinsic(_prefetch)
room: Any = _intrinsic(_room)
