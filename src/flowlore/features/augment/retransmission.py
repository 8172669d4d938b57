"""Transforms that show what loss does to a sender that repeats itself, as TCP and QUIC do.

A packet with payload gets lost. Behind the meter it is seen twice (duplicate); before the meter it is seen late
(permute). It is sent again when a timer ends, or as soon as three later packets have told that it is missing.
"""

from __future__ import annotations

import numpy as np

from .packets import Mask, PacketSeries, Times, in_order_of_time, round_trip_ns, side_by_side
from .transform import Transform

MOST_LOST = 0.3
SHORTEST_TIMEOUT_NS = 200_000_000
LATER_PACKETS = 3


def duplicate_timeout(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Packets are seen again when the sender's timer has ended."""
    lost = _lost(series, rng, magnitude)
    return _sent_again(series, lost, _after_timeout(series, rng), stays=True)


def permute_timeout(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Packets are seen only when the sender's timer has ended."""
    lost = _lost(series, rng, magnitude)
    return _sent_again(series, lost, _after_timeout(series, rng), stays=False)


def duplicate_fast_retransmit(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Packets are seen again a round trip after the third packet behind them."""
    times, is_told = _after_three_more(series)
    return _sent_again(series, _lost(series, rng, magnitude) & is_told, times, stays=True)


def permute_fast_retransmit(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Packets are seen only a round trip after the third packet behind them."""
    times, is_told = _after_three_more(series)
    return _sent_again(series, _lost(series, rng, magnitude) & is_told, times, stays=False)


def _lost(series: PacketSeries, rng: np.random.Generator, magnitude: float) -> Mask:
    lost: Mask = series.is_packet & (series.payload > 0) & (rng.random(series.size.shape) < MOST_LOST * magnitude)
    lost[:, :1] = False
    return lost


def _sent_again(series: PacketSeries, lost: Mask, again_ns: Times, *, stays: bool) -> PacketSeries:
    keep = np.concatenate([series.is_packet & (~lost | stays), lost], axis=1)
    times = np.concatenate([series.times_ns, again_ns], axis=1)
    return in_order_of_time(side_by_side(series, series), times, keep, series.width)


def _after_timeout(series: PacketSeries, rng: np.random.Generator) -> Times:
    timeout = (round_trip_ns(series) + SHORTEST_TIMEOUT_NS) * rng.uniform(1.0, 1.5, (len(series), 1))
    return series.times_ns + timeout.astype(np.int64)


def _after_three_more(series: PacketSeries) -> tuple[Times, Mask]:
    """When each packet is sent again, and whether three packets with payload follow it in its direction."""
    rows = np.arange(len(series))[:, None]
    again, is_told = np.zeros_like(series.gap_ns), np.zeros_like(series.is_packet)
    for side in (1, -1):
        mine = (series.direction == side) & (series.payload > 0)
        rank = np.cumsum(mine, axis=1)
        by_rank = np.full((len(series), series.width + LATER_PACKETS + 1), -1, np.int64)
        by_rank[np.broadcast_to(rows, mine.shape)[mine], rank[mine]] = series.times_ns[mine]
        third = np.take_along_axis(by_rank, rank + LATER_PACKETS, 1)
        again = np.where(mine, third, again)
        is_told |= mine & (third >= 0)
    return again + round_trip_ns(series), is_told


_HIGHEST = "three in ten packets with payload are lost once"
DUPLICATE_TIMEOUT = Transform("duplicate-timeout", duplicate_timeout, family="retransmission", meaning=_HIGHEST)
PERMUTE_TIMEOUT = Transform("permute-timeout", permute_timeout, family="retransmission", meaning=_HIGHEST)
DUPLICATE_FAST_RETRANSMIT = Transform(
    "duplicate-fast-retransmit",
    duplicate_fast_retransmit,
    family="retransmission",
    fewest_packets=5,
    meaning=_HIGHEST,
)
PERMUTE_FAST_RETRANSMIT = Transform(
    "permute-fast-retransmit", permute_fast_retransmit, family="retransmission", fewest_packets=5, meaning=_HIGHEST
)
