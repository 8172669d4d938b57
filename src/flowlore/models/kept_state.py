"""A network's weights as arrays, and back: what every model does when it is kept and read again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..errors import ModelError


def arrays_of(network: nn.Module) -> dict[str, npt.NDArray[Any]]:
    return {name: weight.detach().numpy().copy() for name, weight in network.state_dict().items()}


def weights_of(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


@contextmanager
def reading_state(model: str, values: Mapping[str, Any], *formats: int) -> Iterator[None]:
    """Within it a model is made of a state; one of another format, or that does not fit together, is a `ModelError`."""
    if values.get("format") not in formats:
        read = " and ".join(map(str, formats))
        raise ModelError(
            f"models: this {model} was written in format {values.get('format')}, this build reads {read}",
            hint="train it again, or use the version of flowlore that wrote it",
        )
    try:
        yield
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"models: the state of this {model} is damaged: {str(error).partition(chr(10))[0]}",
            hint="take the bundle from where it came from again, or train anew",
        ) from error
