"""Transforms that put another path between the same two hosts: longer, later, or with smaller packets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .packets import PacketSeries, Places, Times, empty_series, round_trip_ns, with_gaps
from .transform import Transform

MOST_STRETCH = 0.5  # of each gap
LARGEST_SHIFT_NS = 1_000_000_000
LARGEST_SEGMENT_BYTES = 1460
SMALLEST_SEGMENT_BYTES = 536
BUFFERED_SHARE = 0.5  # of a round trip: the longest that a sender holds bytes back


def change_rtt(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Makes the path shorter or longer: all gaps of a flow times one number."""
    return with_gaps(
        series, series.gap_ns * (1.0 + magnitude * rng.uniform(-MOST_STRETCH, MOST_STRETCH, (len(series), 1)))
    )


def time_shift(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """All packets behind the first come earlier or later; none comes before the first."""
    shift = (magnitude * LARGEST_SHIFT_NS * rng.uniform(-1.0, 1.0, (len(series), 1))).astype(np.int64)
    times = np.maximum(series.times_ns + shift, 0)
    times[:, :1] = 0
    return with_gaps(series, np.diff(times, axis=1, prepend=0))


def mtu(series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries) -> PacketSeries:
    """Cuts bursts into segments of another size; what follows within a part of a round trip is of the same burst."""
    flows, width = series.size.shape
    lowest = LARGEST_SEGMENT_BYTES - magnitude * (LARGEST_SEGMENT_BYTES - SMALLEST_SEGMENT_BYTES)
    segment = rng.integers(round(lowest), LARGEST_SEGMENT_BYTES + 1, (flows, 1))
    patience = (magnitude * BUFFERED_SHARE * rng.random((flows, 1)) * round_trip_ns(series)).astype(np.int64)
    goes_on = np.zeros_like(series.is_packet)
    goes_on[:, 1:] = (
        (series.direction[:, 1:] == series.direction[:, :-1])
        & (series.gap_ns[:, 1:] <= patience)
        & (series.payload[:, 1:] > 0)
        & (series.payload[:, :-1] > 0)
    )
    burst = (np.arange(flows)[:, None] * width + np.cumsum(~goes_on, axis=1) - 1)[series.is_packet]
    places = np.flatnonzero(series.is_packet.ravel())
    payload, times = series.payload.ravel()[places], series.times_ns.ravel()[places]
    total = np.bincount(burst, weights=payload, minlength=flows * width).astype(np.int64)
    is_burst = np.bincount(burst, minlength=flows * width) > 0
    head = np.zeros(flows * width, np.int64)
    head[burst[::-1]] = places[::-1]
    first, last = np.zeros(flows * width, np.int64), np.zeros(flows * width, np.int64)
    first[burst[::-1]], last[burst] = times[::-1], times
    segments = np.where(is_burst, np.maximum(-(-total // np.repeat(segment[:, 0], width)), 1), 0)
    return _cut(series, head, total, segments, first, last)


def _cut(
    series: PacketSeries,
    head: Places,
    total: npt.NDArray[np.int64],
    segments: npt.NDArray[np.int64],
    first_ns: Times,
    last_ns: Times,
) -> PacketSeries:
    """Each burst as packets of almost equal payload, spread evenly over its time, with header and flags of its head."""
    flows, width = series.size.shape
    burst = np.repeat(np.arange(flows * width), segments)
    ordinal = np.arange(len(burst)) - np.repeat(np.cumsum(segments) - segments, segments)
    row = burst // width
    in_row = np.arange(len(burst)) - np.searchsorted(row, row)
    fits = in_row < width
    burst, ordinal, row, place = burst[fits], ordinal[fits], row[fits], in_row[fits]
    count, source = segments[burst], head[burst]
    payload = (total[burst] * (ordinal + 1)) // count - (total[burst] * ordinal) // count
    room = np.maximum(series.largest[row, 0] - series.header.ravel()[source], 1)
    times = first_ns[burst] + (last_ns[burst] - first_ns[burst]) * ordinal // np.maximum(count - 1, 1)
    blank = empty_series(flows, width)
    out = {
        name: np.array(getattr(blank, name)) for name in ("direction", "size", "header", "flags", "window", "hidden")
    }
    for name in ("direction", "header", "flags", "window", "hidden"):
        out[name][row, place] = getattr(series, name).ravel()[source]
    out["size"][row, place] = out["header"][row, place] + np.minimum(payload, room)
    gaps = np.zeros_like(series.gap_ns)
    gaps[row, place] = np.where(place > 0, np.diff(times, prepend=0), 0)
    return replace(blank, **out, gap_ns=gaps)


CHANGE_RTT = Transform("change-rtt", change_rtt, family="path", meaning="gaps of a flow times a number from 0.5 to 1.5")
TIME_SHIFT = Transform("time-shift", time_shift, family="path", meaning="up to one second earlier or later")
MTU = Transform(
    "mtu",
    mtu,
    family="path",
    fewest_packets=1,
    meaning="segments of 536 to 1460 bytes, bursts held back for up to half a round trip",
)
