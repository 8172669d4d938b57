"""The first packets of each flow as integers, one row a flow, zeros after the last packet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..flows.compiled import compiled
from .batch import Array

Integers = npt.NDArray[np.int32]
Presence = dict[str, npt.NDArray[np.bool_]]

LARGEST = np.iinfo(np.int32).max


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One integer channel of the packet series, and the column that it comes from."""

    name: str
    unit: str
    formula: str
    column: str
    is_signed: bool = False
    divisor: int = 1


CHANNELS = (
    Channel(
        name="series.size",
        unit="bytes, signed",
        formula="`packet_direction` * `packet_bytes` (IP total length)",
        column="packet_bytes",
        is_signed=True,
    ),
    Channel(
        name="series.payload",
        unit="bytes, signed",
        formula="`packet_direction` * `packet_payload_bytes` (transport payload)",
        column="packet_payload_bytes",
        is_signed=True,
    ),
    Channel(
        name="series.gap_us",
        unit="us",
        formula="`packet_gap_ns` / 1000, rounded down",
        column="packet_gap_ns",
        divisor=1000,
    ),
    Channel(name="series.flags", unit="bit set", formula="`packet_tcp_flags`", column="packet_tcp_flags"),
    Channel(name="series.window", unit="raw", formula="`packet_window`", column="packet_window"),
)


def extract_series(table: pa.RecordBatch, packets: int) -> tuple[dict[str, Array], Presence]:
    """Every channel as int32 `[flows, packets]`, `series.direction` (+1, -1, 0) and `series.is_packet`.

    A flow has a channel when its column is not null there; it has the series when it has a direction and a length.
    """
    rows = table.num_rows
    direction, lengths, has_direction = _padded(table, "packet_direction", packets, 1)
    is_packet = np.arange(packets) < lengths[:, None]
    channels: dict[str, Array] = {}
    present: Presence = {}
    has_length = np.zeros(rows, np.bool_)
    for channel in CHANNELS:
        values, _, has = _padded(table, channel.column, packets, channel.divisor)
        has &= has_direction & (lengths > 0)
        if channel.is_signed:
            values = values * direction
            has_length |= has
        channels[channel.name] = np.where(is_packet & has[:, None], values, np.int32(0))
        present[channel.name] = has
    channels["series.direction"] = np.where(is_packet & has_length[:, None], direction, np.int32(0))
    channels["series.is_packet"] = is_packet & has_length[:, None]
    present["series"] = has_length
    return channels, present


def _padded(
    table: pa.RecordBatch, column: str, packets: int, divisor: int
) -> tuple[Integers, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """A list column as rows of equal width, the length of each list, and which rows are not null."""
    rows = table.num_rows
    held = table.column(column) if column in table.schema.names else None
    if held is None or held.null_count == rows:
        return np.zeros((rows, packets), np.int32), np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    held = held.cast(pa.large_list(held.type.value_type))
    offsets = held.offsets.to_numpy(zero_copy_only=False)
    items = held.values
    if items.null_count:
        items = items.fill_null(0)
    numbers = items.to_numpy(zero_copy_only=False)
    if divisor != 1:
        numbers = numbers // divisor
    if numbers.dtype.itemsize >= 4 and numbers.dtype != np.int32:
        numbers = np.clip(numbers, 0, LARGEST)
    is_there = held.is_valid().to_numpy(zero_copy_only=False)
    lengths = np.where(is_there, np.diff(offsets), 0)
    out = np.zeros((rows, packets), np.int32)
    _fill(np.ascontiguousarray(numbers, np.int32), offsets[:-1].astype(np.int64), lengths.astype(np.int64), out)
    return out, lengths, is_there


@compiled
def _fill(
    numbers: npt.NDArray[np.int32], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], out: Integers
) -> None:
    for row in range(len(starts)):
        first = starts[row]
        for place in range(min(lengths[row], out.shape[1], len(numbers) - first)):
            out[row, place] = numbers[first + place]
