"""The plain numbers of a flow in one row, for heads that look at them beside its vector.

They come from what an encoder is shown, so that an explanation may hide a part from both. The baselines' numbers
(`tasks/raw.py`) come from the flow table instead: what a learned answer is measured by depends on no setting of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .batch import FeatureBatch
from .quantities import quantities

Numbers = npt.NDArray[np.float32]

PACKETS = 20  # of each flow, from its first
MISSING = -1.0
FULL_SIZE_BYTES, LARGEST_LOG = 1500, 16


def plain_numbers(batch: FeatureBatch) -> Numbers:
    """`[flows, numbers]`, of one width for every source: logarithms of quantities (-1 where missing), then signed
    sizes and logarithms of gaps of the first packets (0 where there is none).

    Sizes are IP lengths, or the payload's where the source knows those only.
    """
    counted = batch.channels.get("quantities")
    if counted is None:
        counted = np.full((len(batch), len(quantities())), np.nan, np.float32)
    logs = np.sign(counted) * np.log1p(np.abs(counted))
    lengths = "series.size" if batch.has("series.size").any() else "series.payload"
    sizes = _first(batch, lengths) / FULL_SIZE_BYTES
    gaps = np.log1p(np.maximum(_first(batch, "series.gap_us"), 0.0)) / LARGEST_LOG
    return np.concatenate([np.where(np.isfinite(logs), logs, MISSING), sizes, gaps], axis=1).astype(np.float32)


def _first(batch: FeatureBatch, name: str) -> Numbers:
    found = np.zeros((len(batch), PACKETS), np.float32)
    held = batch.channels.get(name)
    if held is not None:
        width = min(PACKETS, held.shape[1])
        found[:, :width] = held[:, :width]
    return found
