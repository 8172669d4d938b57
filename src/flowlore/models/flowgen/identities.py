"""Which entities the decoder has a vector for: keyed hashes of their names, never the names.

Whoever has a bundle and guesses a name can test whether it is among them: the key lies beside the hashes, and only
keeps tables of several bundles from being joined.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError

Entities = npt.NDArray[np.uint64]
UNKNOWN = 0  # the number of nobody, and the row of those who were never seen
KEY_BYTES = 16


def entity_numbers(names: Sequence[str]) -> Entities:
    """A number for each name, by which batches tell entities apart."""
    hashed = [hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest() for name in names]
    return np.frombuffer(b"".join(hashed), np.uint64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Identities:
    """`known` ascends; the vector of `known[place]` is in row `place + 1`."""

    key: bytes
    known: Entities

    @classmethod
    def of(
        cls, entities: Entities | None, sizes: npt.NDArray[np.float64], most: int, rng: np.random.Generator
    ) -> Identities:
        """Of the largest, where there are more than `most`."""
        key = rng.bytes(KEY_BYTES)
        if entities is None:
            return cls(key=key, known=np.zeros(0, np.uint64))
        largest = np.argsort(-sizes, kind="stable")
        chosen = list(dict.fromkeys(one for one in entities[largest].tolist() if one != UNKNOWN))[:most]
        return cls(key=key, known=np.unique(_keyed(np.array(chosen, np.uint64), key)))

    def rows(self, entities: Entities | None, series: int) -> npt.NDArray[np.int64]:
        """The row of each of so many series; `UNKNOWN` for entities that are not given or were never seen."""
        if entities is None or not len(self.known):
            return np.zeros(series, np.int64)
        if len(entities) != series:
            raise ModelError(f"models: {len(entities)} entities were given for {series} series")
        hashed = _keyed(entities, self.key)
        place = np.minimum(np.searchsorted(self.known, hashed), len(self.known) - 1)
        return np.where((self.known[place] == hashed) & (entities != UNKNOWN), place + 1, UNKNOWN)

    def state(self) -> dict[str, Any]:
        return {"key": self.key.hex(), "known": [f"{one:016x}" for one in self.known.tolist()]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], most: int) -> Identities:
        known = np.array([int(one, 16) for one in state["known"]], np.uint64)
        if len(known) > most or (np.diff(known.astype(object)) <= 0).any():
            raise ValueError("its entities do not fit its table")
        return cls(key=bytes.fromhex(state["key"]), known=known)


def _keyed(entities: Entities, key: bytes) -> Entities:
    hashed = [hashlib.blake2b(one.tobytes(), key=key, digest_size=8).digest() for one in entities]
    return np.frombuffer(b"".join(hashed), np.uint64)
