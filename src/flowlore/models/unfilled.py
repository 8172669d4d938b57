"""Networks whose weights come from a file: made without drawing any, which would take time and global randomness."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def unfilled() -> Iterator[None]:
    """Modules that are made here have weights of any value: `load_state_dict` comes next.

    The meta device would do the same, but its kernels in Python import all of `torch._dynamo`: 1.5 s.
    """
    with torch.random.fork_rng(devices=[]), _WithoutDraws():
        yield


class _WithoutDraws(TorchFunctionMode):
    """`torch.nn.init` does nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
