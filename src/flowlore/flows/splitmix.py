"""Numbers whose every bit depends on every bit of those that they are made from: the steps of SplitMix64."""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, by which its counter moves


def finished(words: Words) -> Words:
    """The finish of SplitMix64; 0 stays 0, and different words give different ones.

    >>> [f"{word:x}" for word in finished(STEP * np.arange(1, 3, dtype=np.uint64)).tolist()]  # of seed 0
    ['e220a8397b1dcdaf', '6e789e6aa1b965f4']
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
