"""Transforms that hide packets: they were sent, but a model may not see them. The first packet is always seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .packets import PacketSeries
from .transform import Transform

MOST_HIDDEN = 0.8


def bernoulli_mask(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Hides each packet on its own."""
    hidden = series.hidden | (series.is_packet & (rng.random(series.size.shape) < MOST_HIDDEN * magnitude))
    hidden[:, :1] = False
    return replace(series, hidden=hidden)


def window_mask(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Hides packets in a row, wherever they begin."""
    first, last = drawn_window(series, rng, MOST_HIDDEN * magnitude)
    places = np.arange(series.width)
    return replace(series, hidden=series.hidden | ((places >= first) & (places < last)))


def drawn_window(
    series: PacketSeries, rng: np.random.Generator, share: float
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """First place and the place after the last, `[B, 1]`, of this share of the packets behind the first."""
    behind = series.lengths[:, None] - 1
    long = np.rint(share * behind).astype(np.int64)
    first = 1 + np.floor(rng.random((len(series), 1)) * (behind - long + 1)).astype(np.int64)
    return first, first + long


BERNOULLI_MASK = Transform(
    "bernoulli-mask", bernoulli_mask, family="masking", meaning="each packet is hidden with probability 0.8"
)
WINDOW_MASK = Transform("window-mask", window_mask, family="masking", meaning="eight tenths of the packets are hidden")
