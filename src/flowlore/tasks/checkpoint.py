"""Where a training's checkpoints lie: one file in a folder, replaced as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..flows.place import output_errors

FILE = "checkpoint.safetensors"


class CheckpointFolder:
    """A `CheckpointPlace` on a disk. After a kill the file is the last one that was whole."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        with output_errors(str(folder)):
            self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> Path:
        return self.folder / FILE

    def save(self, arrays: dict[str, npt.NDArray[Any]], values: dict[str, Any]) -> None:
        from safetensors.numpy import save

        made = self.path.with_suffix(".part")
        with output_errors(str(self.path)):
            made.write_bytes(
                save({name: np.ascontiguousarray(one) for name, one in arrays.items()}, {"values": json.dumps(values)})
            )
            made.replace(self.path)

    def load(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]] | None:
        from safetensors import SafetensorError, safe_open

        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "np") as held:
                values = json.loads(held.metadata()["values"])
                return {name: held.get_tensor(name) for name in held.keys()}, values  # noqa: SIM118 - `held` is no dictionary
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"models: the checkpoint `{self.path}` is damaged: {error}",
                hint="delete it, and training begins anew",
            ) from error
