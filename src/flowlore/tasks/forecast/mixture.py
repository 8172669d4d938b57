"""Several methods at once: their quantiles' mean, which is seldom worse than the best of them and often better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...features.rates.series import Series
from . import FORECASTERS
from .forecaster import Forecaster, Places, Values

MEMBERS = ("flowgen", "lightgbm")


class Mixture(Forecaster):
    """The decoder and boosted trees, each as heavy as the other: they err differently.

    Members that `have_learnt` elsewhere are taken as they are.
    """

    def __init__(self, members: Sequence[Forecaster] = (), *, have_learnt: bool = False) -> None:
        super().__init__()
        self.members: tuple[Forecaster, ...] = tuple(members)
        self.have_learnt = have_learnt

    def fit(self, series: Series, until: int, horizons: Sequence[int], rng: np.random.Generator) -> None:
        self.horizons = tuple(horizons)
        self.members = self.members or tuple(FORECASTERS.load(name)() for name in MEMBERS)
        for member in self.members if not self.have_learnt else ():
            member.fit(series, until, horizons, rng)

    def forecast(self, series: Series, origins: Places) -> Values:
        parts = [member.forecast(series, origins) for member in self.members]
        return np.asarray(sum(parts[1:], parts[0]) / len(parts))
