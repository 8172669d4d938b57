"""`FeatureBatch`: named arrays over the same flows, and which modality each flow has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MODALITIES = ("quantities", "series", "payload", "entities")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FeatureBatch:
    """What an encoder may see of `length` flows: the first axis of every array is the flow.

    `channels` hold `quantities` (float32, NaN is missing), `series.*`, `payload.*` and `entities.*`; `present` says by
    the name of a modality, or of one channel of it, which flows have it. What a flow lacks is 0 in integer channels.
    `context` (int64, 0 is unknown) is no modality: training may use it to know which flows belong together.
    """

    length: int
    channels: Mapping[str, Array]
    present: Mapping[str, npt.NDArray[np.bool_]]

    def __post_init__(self) -> None:
        for name, array in (*self.channels.items(), *self.present.items()):
            if array.shape[:1] != (self.length,):
                raise ValueError(f"`{name}` has {array.shape[:1]} rows in a batch of {self.length}")

    def __len__(self) -> int:
        return self.length

    def has(self, name: str) -> npt.NDArray[np.bool_]:
        """Which flows have a modality or a channel; none where the batch does not know it."""
        known = self.present.get(name)
        return np.zeros(self.length, np.bool_) if known is None else known

    def take(self, indices: npt.ArrayLike) -> FeatureBatch:
        """The flows at these places, in this order, or those where a mask is true."""
        places = np.asarray(indices)
        if places.dtype == np.bool_:
            places = np.flatnonzero(places)
        places = places.astype(np.int64, copy=False)
        return FeatureBatch(
            length=len(places),
            channels={name: array[places] for name, array in self.channels.items()},
            present={name: array[places] for name, array in self.present.items()},
        )

    def rows(self, first: int, last: int) -> FeatureBatch:
        """The flows from `first` up to `last`, without a copy."""
        part = slice(first, min(last, self.length))
        return FeatureBatch(
            length=max(part.stop - first, 0),
            channels={name: array[part] for name, array in self.channels.items()},
            present={name: array[part] for name, array in self.present.items()},
        )

    def without(self, *names: str) -> FeatureBatch:
        """The same flows as if a source did not know these modalities (`series`) or channels (`series.size`)."""
        gone = {key for key in (*self.channels, *self.present) if key in names or key.partition(".")[0] in names}
        return FeatureBatch(
            length=self.length,
            channels={name: array for name, array in self.channels.items() if name not in gone},
            present={name: array for name, array in self.present.items() if name not in gone},
        )

    @staticmethod
    def concat(batches: Sequence[FeatureBatch]) -> FeatureBatch:
        """All flows one after the other. A channel that a batch lacks is missing for its flows."""
        if len(batches) == 1:
            return batches[0]
        examples: dict[str, Array] = {}
        for batch in batches:
            for name, array in batch.channels.items():
                known = examples.setdefault(name, array)
                if known.shape[1:] != array.shape[1:] or known.dtype != array.dtype:
                    raise ValueError(f"`{name}` has shape {known.shape[1:]} and {array.shape[1:]}: other settings")
        names = list(dict.fromkeys(name for batch in batches for name in batch.present))
        return FeatureBatch(
            length=sum(batch.length for batch in batches),
            channels={
                name: np.concatenate([batch.channels.get(name, _missing(batch.length, example)) for batch in batches])
                for name, example in examples.items()
            },
            present={name: np.concatenate([batch.has(name) for batch in batches]) for name in names},
        )


def _missing(rows: int, example: Array) -> Array:
    """Rows of what stands for nothing: NaN for numbers, 0 for the rest."""
    nothing = np.nan if example.dtype.kind == "f" else 0
    return np.full((rows, *example.shape[1:]), nothing, example.dtype)
