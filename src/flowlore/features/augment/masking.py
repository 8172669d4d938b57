"""Transforms that hide packets: they were sent, but a model may not see them. The first packet is always seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .packets import PacketSeries, drawn_window
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


BERNOULLI_MASK = Transform(
    "bernoulli-mask", bernoulli_mask, family="masking", meaning="each packet is hidden with probability 0.8"
)
WINDOW_MASK = Transform("window-mask", window_mask, family="masking", meaning="eight tenths of the packets are hidden")
