"""`PacketSeries`: the first packets of many flows as arrays of equal width, and how packets are moved in them.

Shape letters: B flows, T packets.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

USUAL_LARGEST_BYTES = 1500
USUAL_HEADER_BYTES = 40  # where only lengths of IP packets are known: IPv4 and TCP without options
USUAL_ROUND_TRIP_NS = 50_000_000  # where nothing answers
NEVER = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PacketSeries:
    """Arrays `[B, T]`, zeros after the last packet of a flow; its packets are at its first places.

    `size` counts `header` too, and payload is what is between them; where only payload lengths are known, it is 0.
    A hidden packet was sent, but may not be seen: tables leave it out, encoders get an unknown packet in its place.
    """

    direction: Integers  # +1 from who spoke first, -1 the answers, 0 no packet
    size: Integers  # bytes
    header: Integers  # bytes
    gap_ns: Times  # since the packet before, in either direction; 0 for the first
    flags: Integers
    window: Integers
    hidden: Mask

    def __len__(self) -> int:
        return len(self.direction)

    @property
    def width(self) -> int:
        return int(self.direction.shape[1])

    @property
    def is_packet(self) -> Mask:
        found: Mask = self.direction != 0
        return found

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Packets of each flow."""
        counts: npt.NDArray[np.int64] = self.is_packet.sum(axis=1, dtype=np.int64)
        return counts

    @property
    def payload(self) -> Integers:
        return self.size - self.header

    @property
    def times_ns(self) -> Times:
        """Since the first packet; after the last packet the time stands still."""
        times: Times = np.cumsum(self.gap_ns, axis=1)
        return times

    @property
    def largest(self) -> Integers:
        """Bytes that a packet of each flow may have, `[B, 1]`: its own largest, or an Ethernet frame's 1500."""
        if not self.width:
            return np.full((len(self), 1), USUAL_LARGEST_BYTES, np.int32)
        largest: Integers = np.maximum(self.size.max(axis=1, keepdims=True), np.int32(USUAL_LARGEST_BYTES))
        return largest

    def take(self, rows: npt.ArrayLike) -> PacketSeries:
        """The flows at these rows, in this order."""
        return PacketSeries(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})

    def cut(self, most: int) -> PacketSeries:
        """The first packets of each flow."""
        return PacketSeries(**{item.name: getattr(self, item.name)[:, :most] for item in fields(self)})

    def seen(self) -> PacketSeries:
        """Without hidden packets: what a meter would have written. Gaps reach over what is missing."""
        if not self.hidden.any():
            return self
        return in_order_of_time(self, self.times_ns, self.is_packet & ~self.hidden, self.width)


def empty_series(flows: int, packets: int) -> PacketSeries:
    """Flows without a packet."""
    none = np.zeros((flows, packets), np.int32)
    times = np.zeros((flows, packets), np.int64)
    return PacketSeries(
        direction=none, size=none, header=none, gap_ns=times, flags=none, window=none, hidden=none.astype(np.bool_)
    )


def sizes_and_headers(
    size: npt.NDArray[Any], payload: npt.NDArray[Any], has_size: Mask, has_payload: Mask
) -> tuple[Integers, Integers]:
    """What `PacketSeries` holds of lengths that are known or not, `[B, 1]`."""
    counted = np.where(has_size, size, payload)
    header = np.where(has_payload, counted - payload, np.minimum(counted, USUAL_HEADER_BYTES))
    return counted.astype(np.int32), np.maximum(header, 0).astype(np.int32)


def concat_series(parts: list[PacketSeries]) -> PacketSeries:
    """Flows of one part after the other; all have the same width."""
    return PacketSeries(
        **{item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(PacketSeries)}
    )


def side_by_side(left: PacketSeries, right: PacketSeries) -> PacketSeries:
    """The packets of both in one wider series, for `in_order_of_time` to choose from."""
    return PacketSeries(
        **{
            item.name: np.concatenate([getattr(left, item.name), getattr(right, item.name)], axis=1)
            for item in fields(left)
        }
    )


def chosen_rows(wanted: Mask, yes: PacketSeries, no: PacketSeries) -> PacketSeries:
    """`yes` where a flow is wanted, else `no`."""
    return PacketSeries(
        **{
            item.name: np.where(wanted[:, None], getattr(yes, item.name), getattr(no, item.name))
            for item in fields(yes)
        }
    )


def in_order_of_time(series: PacketSeries, times_ns: Times, keep: Mask, width: int) -> PacketSeries:
    """The kept packets, the earliest first, cut to `width`; equal times keep the order of places. Gaps follow."""
    keys = np.where(keep, times_ns, NEVER)
    order = np.argsort(keys, axis=1, kind="stable")[:, :width]
    is_there = np.take_along_axis(keep, order, 1)
    sorted_ns = np.take_along_axis(keys, order, 1)
    gaps = np.diff(sorted_ns, axis=1, prepend=sorted_ns[:, :1])
    moved = _gathered(series, order, is_there)
    return replace(moved, gap_ns=np.where(is_there, gaps, 0))


def in_order_of_places(series: PacketSeries, places: Places, is_there: Mask) -> PacketSeries:
    """The packets at `places`, each with its own gap. Only leading places may be there."""
    moved = _gathered(series, places, is_there)
    moved.gap_ns[:, :1] = 0
    return moved


def with_payload(series: PacketSeries, payload: npt.NDArray[Any]) -> PacketSeries:
    """Other payload lengths, brought to whole numbers within what a packet of the flow can hold.

    An empty packet stays empty, and one with payload keeps at least a byte, so that nothing changes its kind.
    """
    room = series.largest - series.header
    rounded = np.clip(np.rint(payload), 1, np.maximum(room, 1)).astype(np.int32)
    size = series.header + np.where(series.payload > 0, rounded, 0)
    return replace(series, size=np.where(series.is_packet, size, 0).astype(np.int32))


def with_gaps(series: PacketSeries, gaps_ns: npt.NDArray[Any]) -> PacketSeries:
    """Other gaps, brought to whole numbers at or above 0; the first is 0."""
    rounded = np.rint(np.clip(gaps_ns, 0, NEVER // max(series.width, 1))).astype(np.int64)
    rounded[:, :1] = 0
    return replace(series, gap_ns=np.where(series.is_packet, rounded, 0))


def drawn_window(series: PacketSeries, rng: np.random.Generator, share: float) -> tuple[Places, Places]:
    """First place and the place after the last, `[B, 1]`, of this share of the packets behind the first."""
    behind = series.lengths[:, None] - 1
    long = np.rint(share * behind).astype(np.int64)
    first = 1 + np.floor(rng.random((len(series), 1)) * (behind - long + 1)).astype(np.int64)
    return first, first + long


def round_trip_ns(series: PacketSeries) -> Times:
    """Time from the first packet to the first answer, `[B, 1]`."""
    answers = series.direction * series.direction[:, :1] < 0
    first = answers.argmax(axis=1)[:, None]
    waited = np.take_along_axis(series.times_ns, first, 1)
    return np.where(np.atleast_1d(answers.any(axis=1))[:, None], waited, USUAL_ROUND_TRIP_NS)


def _gathered(series: PacketSeries, places: Places, is_there: Mask) -> PacketSeries:
    taken = {}
    for item in fields(series):
        values = np.take_along_axis(getattr(series, item.name), places, 1)
        taken[item.name] = np.where(is_there, values, np.zeros((), values.dtype))
    return PacketSeries(**taken)
