"""Small arrays on the stack, for kernels that must not ask for memory."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import types
from numba.core import cgutils, errors
from numba.extending import intrinsic
from numba.np import arrayobj

# Numba carries no types here.
_build: Any = cgutils
_arrays: Any = arrayobj


def _room(_context: Any, count: Any, kind: Any) -> Any:
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


# An array of so many (a constant) numbers of NumPy's kind, filled with whatever lay there. It ends with the function
# that asked for it: hand it down, never back.
room: Callable[[int, type[np.generic]], Any] = cast(Any, intrinsic)(_room)
