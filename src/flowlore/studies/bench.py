"""Where a run is executed: data, expensive work that runs have in common, and randomness that is the run's own."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .material import Material, facts_of, load
from .study import Run, Scale, configuration_hash

Arrays = Mapping[str, npt.NDArray[Any]]
Made = tuple[Arrays, dict[str, Any]]
VALUES = "_values"  # the array that holds the JSON of what is kept
AT_HAND = 6  # pieces of work that stay in memory


class Bench:
    """One for each process. Nothing in it decides a result: a bench that is thrown away costs time only."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        self.scale = scale
        self._folder = folder
        self._materials: dict[str, Material] = {}
        self._at_hand: dict[str, Any] = {}

    def material(self, name: str) -> Material:
        """A data set of the plan; the one used last stays in memory."""
        if name not in self._materials:
            self._materials = {name: load(self.folder(name))}
            self._at_hand = {}
        return self._materials[name]

    def beside(self, name: str) -> Material:
        """Another data set that a run learns from, which does not stay in memory."""
        return self._materials[name] if name in self._materials else load(self.folder(name))

    def folder(self, name: str) -> Path:
        """Where what was prepared of a data set is kept."""
        return self._folder / "data" / name

    def rng(self, run: Run) -> np.random.Generator:
        """Depends on the question, data, labels and seed, but not on the arm: all arms are shown the same flows."""
        return self.rng_for(run.question, run.data, str(run.shots), seed=run.seed)

    def rng_for(self, *words: str, seed: int) -> np.random.Generator:
        return np.random.default_rng([seed, zlib.crc32("/".join(words).encode())])

    def at_hand(self, words: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """What `make` gives, kept in memory for the next runs of this process."""
        key = configuration_hash(words)
        if key not in self._at_hand:
            while len(self._at_hand) >= AT_HAND:
                self._at_hand.pop(next(iter(self._at_hand)))
            self._at_hand[key] = make()
        return self._at_hand[key]

    def kept(self, words: Mapping[str, Any], make: Callable[[], Made]) -> Made:
        """Arrays and JSON that `make` gives, kept on disk for every process and for a resumed study.

        `words` say all that it depends on; of the data sets that `data` names the checksums are added.
        """
        path = self._folder / "kept" / f"{configuration_hash({**words, 'checksum': self._checksum(words)})}.npz"
        if path.is_file():
            with np.load(path, allow_pickle=False) as held:
                stored = {name: held[name] for name in held.files}
            return stored, json.loads(bytes(stored.pop(VALUES)).decode())
        arrays, values = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.stem}.part.npz")
        everything: dict[str, Any] = {**arrays, VALUES: np.frombuffer(json.dumps(values).encode(), np.uint8)}
        np.savez(part, **everything)
        part.replace(path)
        return arrays, values

    def _checksum(self, words: Mapping[str, Any]) -> str | list[str]:
        names = words.get("data")
        if isinstance(names, list | tuple):
            return [facts_of(self.folder(name)).checksum for name in names]
        return facts_of(self.folder(names)).checksum if isinstance(names, str) else ""
