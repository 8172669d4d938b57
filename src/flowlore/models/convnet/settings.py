"""What the convolutional network sees of a packet, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...settings import Settings, setting

Sizes = Literal["scaled", "words"]


@dataclass(frozen=True, kw_only=True)
class ConvnetSettings(Settings):
    """The network of the augmentation study: 115,061 numbers with 53 classes, or more with a vector for each size."""

    packets: int = setting(20, "first packets that it sees; more are cut, fewer padded", minimum=4, maximum=1000)
    sizes: Sizes = setting(
        "scaled", "sizes as numbers, as in the study; or each signed size as a word with a vector of its own"
    )
    word: int = setting(32, "numbers in the vector of a size", minimum=1, maximum=1024)
    width: int = setting(64, "channels of the first block; the second has twice as many", minimum=4, maximum=1024)
    label_smoothing: float = setting(0.05, "share of the truth that is given to all classes", minimum=0, maximum=0.5)
