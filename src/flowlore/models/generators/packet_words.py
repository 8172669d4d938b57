"""Packets as four words each, and back: signed size, gap, TCP flags, header length.

Sizes up to 1500 bytes are exact; larger ones fall into half octaves, and come back as one that training saw there;
gaps fall into eighths of an octave of microseconds and come back anywhere in theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...features.augment.packets import PacketSeries
from ...features.words import EXACT_SIZES, SIZE_WORDS, SIZES_A_SIDE, size_words

Words = npt.NDArray[np.int64]

END = SIZE_WORDS  # the word in the place of a size behind the last packet
SIZES = SIZE_WORDS + 1
STEPS_AN_OCTAVE = 8
OCTAVES = 32  # up to 71 minutes
GAPS = 2 + STEPS_AN_OCTAVE * OCTAVES
FLAGS = 1 + 256  # no packet, then every octet
HEADERS = 1 + 128  # no packet, then bytes; longer ones are as the longest
NS_PER_US = 1000
LARGE_WORDS = SIZES_A_SIDE - EXACT_SIZES - 1
REMEMBERED = 64  # sizes of each word above 1500


@dataclass(frozen=True, kw_only=True, slots=True)
class PacketWords:
    """Words `[B, T]`; 0 stands behind the last packet everywhere."""

    size: Words
    gap: Words
    flags: Words
    header: Words


def words_of(series: PacketSeries, packets: int) -> PacketWords:
    """The first packets of each flow. Hidden packets are left out."""
    seen = series.seen()
    direction = _fitted(seen.direction, packets)
    signed = (direction * _fitted(seen.size, packets)).astype(np.int32)
    is_packet = direction != 0
    gaps_us = _fitted(seen.gap_ns, packets) // NS_PER_US
    octaves = np.log2(np.maximum(gaps_us, 1).astype(np.float64))
    gap = np.where(gaps_us > 0, 2 + np.floor(octaves * STEPS_AN_OCTAVE), 1)
    return PacketWords(
        size=size_words(signed, direction.astype(np.int32)).astype(np.int64),
        gap=np.where(is_packet, np.minimum(gap, GAPS - 1), 0).astype(np.int64),
        flags=np.where(is_packet, 1 + (_fitted(seen.flags, packets) & 0xFF), 0).astype(np.int64),
        header=np.where(is_packet, 1 + np.minimum(_fitted(seen.header, packets), HEADERS - 2), 0).astype(np.int64),
    )


def large_sizes(series: PacketSeries) -> npt.NDArray[np.int32]:
    """What sizes above 1500 there were, evenly drawn, `[LARGE_WORDS, REMEMBERED]`; 1501 where there was none."""
    sizes = np.sort(series.size[series.size > EXACT_SIZES])
    words = size_words(sizes, np.ones_like(sizes)) - (2 + EXACT_SIZES)
    found = np.full((LARGE_WORDS, REMEMBERED), EXACT_SIZES + 1, np.int32)
    for word in np.unique(words):
        here = sizes[words == word]
        found[word] = here[np.linspace(0, len(here) - 1, REMEMBERED).astype(np.int64)]
    return found


def series_of(words: PacketWords, rng: np.random.Generator, large: npt.NDArray[np.int32]) -> PacketSeries:
    """Packets of these words. What follows the first word that is no packet is cut off; the first packet goes forth."""
    size_word = np.where(words.size >= END, 0, words.size)
    is_packet = np.logical_and.accumulate(size_word > 0, axis=1)
    place = np.where(is_packet, size_word - 1, 0)
    direction = np.where(place >= SIZES_A_SIDE, -1, 1)
    direction = direction * direction[:, :1]
    magnitude = np.where(place >= SIZES_A_SIDE, place - SIZES_A_SIDE, place)
    drawn = large[np.maximum(magnitude - EXACT_SIZES - 1, 0), rng.integers(0, REMEMBERED, magnitude.shape)]
    size = np.where(magnitude > EXACT_SIZES, drawn, magnitude)
    header = np.minimum(np.maximum(words.header - 1, 0), size)
    step = np.maximum(words.gap - 2, 0)
    gaps_us = np.floor(2.0 ** ((step + rng.random(step.shape)) / STEPS_AN_OCTAVE))
    gaps_us = np.where(words.gap >= 2, np.maximum(gaps_us, 1), 0)
    gaps_us[:, :1] = 0
    cut = is_packet.astype(np.int64)
    return PacketSeries(
        direction=(direction * cut).astype(np.int32),
        size=(size.astype(np.int64) * cut).astype(np.int32),
        header=(header.astype(np.int64) * cut).astype(np.int32),
        gap_ns=gaps_us.astype(np.int64) * NS_PER_US * cut,
        flags=(np.maximum(words.flags - 1, 0) * cut).astype(np.int32),
        window=np.zeros(cut.shape, np.int32),
        hidden=np.zeros(cut.shape, np.bool_),
    )


def _fitted(values: npt.NDArray[np.generic], packets: int) -> npt.NDArray[np.int64]:
    wide = np.zeros((len(values), packets), np.int64)
    width = min(packets, values.shape[1])
    wide[:, :width] = values[:, :width]
    return wide
