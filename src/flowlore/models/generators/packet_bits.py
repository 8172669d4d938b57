"""Packets as numbers near -1 and 1, and back: the bits of their words, and the logarithm of the gap between them.

What carries noise to data knows no words, but every word is told by its bits (Chen et al., 2023).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...features.augment.packets import PacketSeries
from ...features.words import EXACT_SIZES, SIZES_A_SIDE
from .packet_words import GAPS, LARGE_WORDS, PacketWords, series_of, words_of

Floats = npt.NDArray[np.float32]

SIZE_BITS, FLAG_BITS, HEADER_BITS = 11, 8, 7
MARKS = 3  # is a packet, is an answer, waits at all
BITS = MARKS + SIZE_BITS + FLAG_BITS + HEADER_BITS
CHANNELS = BITS + 1
GAP_CENTRE, GAP_SPREAD = GAPS / 2, GAPS / 4


def bits_of(series: PacketSeries, packets: int) -> Floats:
    """`[B, T, CHANNELS]`: bits as -1 and 1, then the gap as a number about 0."""
    words = words_of(series, packets)
    is_packet = words.size > 0
    place = np.where(is_packet, words.size - 1, 0)
    is_answer = place >= SIZES_A_SIDE
    magnitude = np.where(is_answer, place - SIZES_A_SIDE, place)
    waits = words.gap >= 2
    out = np.zeros((*is_packet.shape, CHANNELS), np.float32)
    for channel, values in enumerate((is_packet, is_answer, waits)):
        out[..., channel] = np.where(values, 1, -1)
    first = MARKS
    flags, header = np.maximum(words.flags - 1, 0), np.maximum(words.header - 1, 0)
    for values, bits in ((magnitude, SIZE_BITS), (flags, FLAG_BITS), (header, HEADER_BITS)):
        for bit in range(bits):
            out[..., first + bit] = np.where(values >> bit & 1, 1, -1)
        first += bits
    out[..., BITS] = np.where(waits, (words.gap - GAP_CENTRE) / GAP_SPREAD, 0)
    return out


def series_of_bits(numbers: Floats, rng: np.random.Generator, large: npt.NDArray[np.int32]) -> PacketSeries:
    """Packets of the nearest bits. There is a first packet, and none behind the first place that is none."""
    is_set = numbers[..., :BITS] > 0
    is_packet = is_set[..., 0].copy()
    is_packet[:, :1] = True
    is_packet = np.logical_and.accumulate(is_packet, axis=1)
    first, found = MARKS, []
    for bits in (SIZE_BITS, FLAG_BITS, HEADER_BITS):
        weights = 1 << np.arange(bits)
        found.append((is_set[..., first : first + bits] * weights).sum(axis=-1))
        first += bits
    magnitude = np.minimum(found[0], EXACT_SIZES + LARGE_WORDS)
    gap = np.clip(np.rint(numbers[..., BITS] * GAP_SPREAD + GAP_CENTRE), 2, GAPS - 1).astype(np.int64)
    words = PacketWords(
        size=np.where(is_packet, 1 + magnitude + np.where(is_set[..., 1], SIZES_A_SIDE, 0), 0),
        gap=np.where(is_packet, np.where(is_set[..., 2], gap, 1), 0),
        flags=np.where(is_packet, 1 + found[1], 0),
        header=np.where(is_packet, 1 + found[2], 0),
    )
    return series_of(words, rng, large)
