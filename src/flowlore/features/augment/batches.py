"""`FeatureBatch` → packet series and back, so that encoders can be shown augmented flows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..batch import Array, FeatureBatch
from ..quantities import quantities
from ..series import LARGEST
from .packets import PacketSeries, empty_series, sizes_and_headers
from .policy import Augmenter, Rows
from .statistics import Statistics, changed_statistics

NS_PER_US = 1000


def series_of_batch(batch: FeatureBatch) -> PacketSeries:
    """The packet series of every flow; a flow that has none has no packet."""
    direction = batch.channels.get("series.direction")
    if direction is None:
        return empty_series(len(batch), 1)
    direction = direction.astype(np.int32)
    channel = {name: _channel(batch, name, direction) for name in ("size", "payload", "gap_us", "flags", "window")}
    size, payload = np.abs(channel["size"]), np.abs(channel["payload"])
    has_size, has_payload = (batch.has(f"series.{name}")[:, None] for name in ("size", "payload"))
    counted, header = sizes_and_headers(size, payload, has_size, has_payload)
    return PacketSeries(
        direction=direction,
        size=counted,
        header=header,
        gap_ns=channel["gap_us"].astype(np.int64) * NS_PER_US,
        flags=channel["flags"],
        window=channel["window"],
        hidden=np.zeros(direction.shape, np.bool_),
    )


def batch_of_series(batch: FeatureBatch, series: PacketSeries) -> FeatureBatch:
    """The batch with other packets in its flows. Hidden packets are there, but nothing of them is known.

    Quantities follow from the packets as far as packets tell them; what they cannot tell any more is missing.
    """
    if "series.direction" not in batch.channels:
        return batch
    shown = series.is_packet & ~series.hidden
    values: dict[str, Array] = {
        "series.direction": series.direction,
        "series.size": series.direction * series.size,
        "series.payload": series.direction * series.payload,
        "series.gap_us": np.minimum(series.gap_ns // NS_PER_US, LARGEST),
        "series.flags": series.flags,
        "series.window": series.window,
    }
    channels = dict(batch.channels)
    for name, array in values.items():
        if name in channels:
            known = batch.has("series") if name == "series.direction" else batch.has(name)
            channels[name] = np.where(shown & known[:, None], array, 0).astype(channels[name].dtype)
    channels["series.is_packet"] = series.is_packet & batch.has("series")[:, None]
    if "quantities" in channels:
        channels["quantities"] = _quantities(batch, channels["quantities"], series)
    return replace(batch, channels=channels)


def augment_batch(
    batch: FeatureBatch, augmenter: Augmenter, rng: np.random.Generator, *, codes: Rows | None = None
) -> tuple[FeatureBatch, Rows]:
    """All flows with changed copies behind them (`copies` of each), and which given row each flow is.

    Flows without packets are not copied. `codes` are class numbers, for transforms that mix flows of a class.
    """
    series = series_of_batch(batch)
    able = np.flatnonzero(augmenter.can_change(series))
    if not augmenter.transforms or not len(able):
        return batch, np.arange(len(batch))
    copied = series.take(able)
    enlarged, rows = augmenter.enlarged(copied, rng, codes=None if codes is None else codes[able])
    fresh = np.arange(len(able), len(rows))
    origin = able[rows[fresh]]
    copies = batch_of_series(batch.take(origin), enlarged.take(fresh))
    return FeatureBatch.concat([batch, copies]), np.concatenate([np.arange(len(batch)), origin])


def _channel(batch: FeatureBatch, name: str, direction: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    values = batch.channels.get(f"series.{name}")
    return np.zeros(direction.shape, np.int32) if values is None else values.astype(np.int32)


def _quantities(batch: FeatureBatch, known: Array, series: PacketSeries) -> Array:
    """Each quantity again from the columns behind it."""
    chosen = quantities()
    if known.shape[1] != len(chosen):
        return known
    columns: Statistics = {
        one.column: known[:, place].astype(np.float64) / one.factor for place, one in enumerate(chosen) if not one.over
    }
    has = batch.has("series")
    before = series_of_batch(batch)
    changed = columns | changed_statistics(columns, before, series)
    out = known.copy()
    for place, one in enumerate(chosen):
        values = changed[one.column] * one.factor
        if one.over:
            below = changed[one.over]
            values = np.divide(changed[one.column], below, out=np.full(len(values), np.nan), where=below > 0)
        out[:, place] = np.where(has, values, known[:, place])
    return out
