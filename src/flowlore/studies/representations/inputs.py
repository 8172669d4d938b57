"""Each modality of a flow as plain numbers, for methods that learn no representation. Fitted on training flows only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ...features.batch import FeatureBatch
from ...features.scaling import Scaling

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Placing = Callable[[FeatureBatch], Floats]
TOKENS_KNOWN = 128  # the most frequent ones of the training side
SIGNED = ("series.size", "series.payload")
LOGARITHMIC = ("series.gap_us", "series.window")
CHOSEN_PACKETS = 20
FLAGS = (0, 1, 2, 3, 4)  # bits: FIN, SYN, RST, PSH, ACK


class Numbers:
    """What was learnt of training flows to make numbers of any: `series` is [flows, packets, channels] in `parts`.

    Beside the modalities there are `chosen` numbers, of the series.
    """

    def __init__(self, train: FeatureBatch, modalities: Sequence[str]) -> None:
        fitted = {
            "quantities": _quantities,
            "series": _series,
            "payload": _payload,
            "entities": _entities,
            "chosen": _chosen,
        }
        self._placings = {name: fitted[name](train) for name in modalities}

    def parts(self, batch: FeatureBatch) -> dict[str, Floats]:
        """An array for each modality."""
        return {name: placing(batch) for name, placing in self._placings.items()}

    def joined(self, batch: FeatureBatch) -> Floats:
        """All numbers in one row a flow."""
        return np.concatenate([part.reshape(len(batch), -1) for part in self.parts(batch).values()], axis=1)


def _quantities(train: FeatureBatch) -> Placing:
    """Scaled logarithms; what is missing is 0, and a column of its own says so where that varies."""
    values = train.channels["quantities"]
    scaling = Scaling.fit(values)
    missing = np.isnan(values)
    known, varies = ~missing.all(axis=0), missing.any(axis=0) & ~missing.all(axis=0)

    def placing(batch: FeatureBatch) -> Floats:
        scaled = scaling.apply(batch.channels["quantities"])
        is_missing = np.isnan(scaled)
        numbers = np.where(is_missing, np.float32(0), scaled)[:, known]
        return np.concatenate([numbers, is_missing[:, varies].astype(np.float32)], axis=1)

    return placing


def _series(train: FeatureBatch) -> Placing:
    """Signed sizes by 1,500, logarithms of gaps and windows, flags by bit, directions; 0 where there is no packet."""
    names = [name for name in train.channels if name.startswith("series.") and train.has(name).any()]

    def placing(batch: FeatureBatch) -> Floats:
        found: list[Floats] = [batch.channels["series.direction"].astype(np.float32)]
        for name in names:
            array = batch.channels[name]
            if name in SIGNED:
                found.append((array / 1500).astype(np.float32))
            elif name in LOGARITHMIC:
                found.append((np.log1p(np.maximum(array, 0)) / 16).astype(np.float32))
            elif name == "series.flags":
                found += [((array >> bit) & 1).astype(np.float32) for bit in FLAGS]
        return np.stack(found, axis=2)

    return placing


def _chosen(train: FeatureBatch) -> Placing:
    """What trees do best with: signed sizes of the first packets, and few statistics of these, for each direction."""
    name = "series.size" if train.has("series.size").any() else "series.payload"

    def placing(batch: FeatureBatch) -> Floats:
        sizes = batch.channels[name][:, :CHOSEN_PACKETS].astype(np.float32)
        gaps = batch.channels["series.gap_us"][:, :CHOSEN_PACKETS].astype(np.float32)
        direction = batch.channels["series.direction"][:, :CHOSEN_PACKETS]
        found = [gaps.sum(1), gaps.mean(1), gaps.std(1), gaps.max(1)]
        for side in (1, -1):
            is_its = direction == side
            its, count = np.abs(sizes) * is_its, is_its.sum(1)
            mean = its.sum(1) / count.clip(1)
            spread = np.sqrt((((its - mean[:, None]) * is_its) ** 2).sum(1) / count.clip(1))
            found += [its.sum(1), count.astype(np.float32), mean, spread, its.max(1)]
        return np.concatenate([sizes, np.stack(found, axis=1)], axis=1).astype(np.float32)

    return placing


def _payload(train: FeatureBatch) -> Placing:
    """First bytes of each direction by 255; -1 where there is none."""

    def placing(batch: FeatureBatch) -> Floats:
        sides = [
            np.where(batch.channels[f"payload.{side}_is_byte"], batch.channels[f"payload.{side}"] / np.float32(255), -1)
            for side in ("fwd", "rev")
        ]
        return np.concatenate(sides, axis=1).astype(np.float32)

    return placing


def _entities(train: FeatureBatch) -> Placing:
    """Which of the tokens that are most frequent in training a flow has."""
    tokens = _tokens(train)
    names, counts = np.unique(tokens[tokens > 0], return_counts=True)
    known = np.sort(names[np.argsort(-counts, kind="stable")][:TOKENS_KNOWN])

    def placing(batch: FeatureBatch) -> Floats:
        held = _tokens(batch)
        found = np.zeros((len(batch), len(known)), np.float32)
        if not len(known):
            return found
        for place in range(held.shape[1]):
            at = np.searchsorted(known, held[:, place]).clip(max=len(known) - 1)
            hit = np.flatnonzero(known[at] == held[:, place])
            found[hit, at[hit]] = 1
        return found

    return placing


def _tokens(batch: FeatureBatch) -> npt.NDArray[np.int32]:
    held = [array for name, array in sorted(batch.channels.items()) if name.startswith("entities.")]
    return np.concatenate(held, axis=1)
