"""Parts of kernels stay unfinished: only the kernel that is called from Python is made machine code.

Numba makes machine code of every function with all that it calls. For a part that only other kernels call, that is work
for nothing. Each part is optimised as ever, so what the kernels become is the same.
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


class _PartLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]
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
        self.state.library = _PartLibrary(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        return super().compile_extra(func)


def _empty_variable(name: str) -> str:
    quoted = re.sub(r'["\\]', lambda found: f"\\{ord(found[0]):02x}", name)
    return f'@"{quoted}" = common global ptr null, align 8'
