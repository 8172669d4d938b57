"""Numbers of a packet as words: each exact signed size, gaps and windows in bins of half an octave, flags as they are.

A network gives every word a vector of its own, beside the number: applications repeat exact sizes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int32]

EXACT_SIZES = 1500  # each size up to this has its own word; larger ones share bins of half an octave
SIZES_A_SIDE = EXACT_SIZES + 1 + 14  # 0 … 1500, then up to 65,535 and beyond
SIZE_WORDS = 1 + 2 * SIZES_A_SIDE  # word 0 is "no packet, or not known"
HALF_OCTAVES = 64
GAP_WORDS = 1 + HALF_OCTAVES
WINDOW_WORDS = 1 + 34
FLAG_WORDS = 1 + 256


def size_words(sizes: Integers, direction: Integers) -> Integers:
    """Words of signed sizes. `direction` (+1, -1, 0: no packet) tells whose an empty packet is.

    >>> size_words(np.array([0, 1, 0, -1, 0], np.int32), np.array([1, 1, -1, -1, 0], np.int32)).tolist()
    [1, 2, 1516, 1517, 0]
    """
    magnitude = np.abs(sizes)
    over = magnitude > EXACT_SIZES
    if over.any():
        beyond = EXACT_SIZES + 1 + half_octaves(magnitude // EXACT_SIZES, SIZES_A_SIDE - EXACT_SIZES - 2)
        magnitude = np.where(over, beyond, magnitude)
    words = magnitude + np.where(direction < 0, np.int32(1 + SIZES_A_SIDE), np.int32(1))
    return np.where(direction == 0, np.int32(0), words).astype(np.int32, copy=False)


def half_octaves(values: Integers, largest: int) -> Integers:
    """0 for 0, 1 for 1, then one more for every factor √2, at most `largest`.

    >>> half_octaves(np.array([0, 1, 2, 4, 1000], np.int32), 63).tolist()
    [0, 1, 3, 5, 20]
    """
    bins = (1 + 2 * np.log2(np.maximum(values, 1).astype(np.float32))).astype(np.int32)
    return np.minimum(np.where(values > 0, bins, np.int32(0)), np.int32(largest))
