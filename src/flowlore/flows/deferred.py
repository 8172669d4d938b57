"""Parts of kernels stay unfinished: only the kernel that is called from Python is made machine code.

Numba makes machine code of every function with all that it calls. For a part that only other kernels call, that is work
for nothing. Each part is optimised as ever, so what the kernels become is the same.

This leans on names that Numba keeps to itself. Where another release has them no more, parts compile as all else does.
"""

import re
from collections.abc import Callable
from typing import Any

from llvmlite import binding
from numba.core import codegen as typed_codegen
from numba.core import compiler as typed_compiler

codegen: Any = typed_codegen  # their methods have no types
compiler: Any = typed_compiler

_ENVIRONMENT = "_ZN08NumbaEnv"  # how Numba's variables begin that hold a function's surroundings
_Library: Any = getattr(codegen, "JITCodeLibrary", object)
_OF_LIBRARY = (  # what a library must have
    "_codegen",
    "_final_module",
    "_finalize_final_module",
    "_finalized",
    "_get_module_for_linking",
    "_shared_module",
    "enable_object_caching",
)


class _PartLibrary(_Library):  # type: ignore[misc]
    """The code of one part and of all that it calls, for other libraries to take in."""

    _final_module: Any
    _shared_module: Any

    def _finalize_final_module(self) -> None:
        """Give the code away, and keep only the variables that Numba fills in for each function."""
        self._finalized = True
        self._shared_module = self._get_module_for_linking()
        variables = [one.name for one in self._final_module.global_variables if one.name.startswith(_ENVIRONMENT)]
        self._final_module = binding.parse_assembly(
            "\n".join([str(self._codegen._create_empty_module(self.name)), *map(_empty_variable, variables)])
        )
        super()._finalize_final_module()


class PartCompiler(compiler.Compiler):  # type: ignore[misc]
    """Compiles into such a library."""

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
