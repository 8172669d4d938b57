"""`Transform`: one way to change packet series, with a magnitude in a known range."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from ...errors import SettingError, TaskError
from .packets import Mask, PacketSeries, chosen_rows

Family = Literal["amplitude", "masking", "sequence", "retransmission", "path", "mixing"]
Change = Callable[[PacketSeries, np.random.Generator, float, PacketSeries], PacketSeries]


class Transform:
    """A pure function of packet series, a generator and a magnitude. Flows that are too short for it stay as they are.

    The function is given `partners` too: for each flow another of its class, or the flows themselves where
    `needs_partners` is false. A magnitude of `lowest` changes nothing; `meaning` says what the highest does.
    """

    def __init__(
        self,
        name: str,
        change: Change,
        *,
        family: Family,
        meaning: str,
        fewest_packets: int = 2,
        needs_partners: bool = False,
        lowest: float = 0.0,
        highest: float = 1.0,
        usual: float = 0.5,
    ) -> None:
        self.name, self.family, self.meaning = name, family, meaning
        self.fewest_packets, self.needs_partners = fewest_packets, needs_partners
        self.lowest, self.highest, self.usual = lowest, highest, usual
        self._change = change
        self.__doc__ = change.__doc__

    def __repr__(self) -> str:
        return f"<augmentation `{self.name}`>"

    def checked(self, magnitude: float | None) -> float:
        """The magnitude itself, the usual one for None, or an error that names the range."""
        if magnitude is None:
            return self.usual
        if not self.lowest <= magnitude <= self.highest:  # NaN is not, either
            wanted = "" if math.isfinite(magnitude) else "a number "
            raise SettingError(
                f"augment: the magnitude of `{self.name}` is {magnitude:g}, but must be {wanted}from {self.lowest:g} "
                f"to {self.highest:g}",
                hint=f"at {self.highest:g}: {self.meaning}; {self.usual:g} is usual",
            )
        return float(magnitude)

    def can_change(self, series: PacketSeries) -> Mask:
        """Which flows have enough packets."""
        return np.asarray(series.lengths >= self.fewest_packets)

    def __call__(
        self,
        series: PacketSeries,
        rng: np.random.Generator,
        magnitude: float | None = None,
        partners: PacketSeries | None = None,
    ) -> PacketSeries:
        strength = self.checked(magnitude)
        if self.needs_partners and partners is None:
            raise TaskError(
                f"augment: `{self.name}` mixes each flow with another of its class, but no classes were given",
                hint="give labelled flows, or choose a transform that needs none",
            )
        partners = series if partners is None else partners
        if partners.direction.shape != series.direction.shape:
            raise ValueError(f"partners have shape {partners.direction.shape}, flows {series.direction.shape}")
        can = self.can_change(series)
        if not can.any() or strength == self.lowest:
            return series
        changed = self._change(series, rng, strength, partners)
        return changed if can.all() else chosen_rows(can, changed, series)
