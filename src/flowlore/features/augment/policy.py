"""`Augmenter`: transforms put together as settings say, and applied by one of three policies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import SettingError
from . import AUGMENTATIONS
from .mixing import draw_partners
from .packets import PacketSeries, concat_series
from .settings import AugmentSettings
from .transform import Transform

Rows = npt.NDArray[np.int64]


class Augmenter:
    """Whatever it is given, it is given as training flows: it has no way to see others.

    Settings without transforms are no augmentation: training loops then go on with the flows as they are.
    """

    def __init__(self, settings: AugmentSettings) -> None:
        self.settings = settings
        self.transforms = [_named(text, settings.magnitude) for text in settings.transforms]

    @property
    def needs_partners(self) -> bool:
        """Whether flows are mixed with others of their class, which takes labels."""
        return any(transform.needs_partners for transform, _ in self.transforms)

    def can_change(self, series: PacketSeries) -> npt.NDArray[np.bool_]:
        """Which flows are long enough for one of the transforms at least."""
        can = np.zeros(len(series), np.bool_)
        for transform, _ in self.transforms:
            can |= transform.can_change(series)
        return can

    def changed(
        self, series: PacketSeries, rng: np.random.Generator, partners: PacketSeries | None = None
    ) -> PacketSeries:
        """Every flow, changed once."""
        if not self.transforms or not len(series):
            return series
        if self.settings.combine == "ensemble":
            picked = rng.integers(0, len(self.transforms), len(series))
            for place, (transform, magnitude) in enumerate(self.transforms):
                series = _on_some(series, picked == place, transform, magnitude, rng, partners)
            return series
        if self.settings.combine == "random-stack":
            for place in rng.permutation(len(self.transforms)):
                transform, magnitude = self.transforms[place]
                series = transform(series, rng, magnitude, partners)
            return series
        for transform, magnitude in self.transforms:
            some = rng.random(len(series)) < self.settings.stack_probability
            series = _on_some(series, some, transform, magnitude, rng, partners)
        return series

    def step(
        self,
        series: PacketSeries,
        rng: np.random.Generator,
        *,
        codes: Rows | None = None,
        pool: tuple[PacketSeries, Rows] | None = None,
    ) -> tuple[PacketSeries, Rows]:
        """The flows of a training step, and which of the given rows each of them is.

        `codes` are class numbers, and `pool` the training flows with theirs, from which flows to mix with are drawn
        (else those of the step). What the policy `pre-augment` does was done before training: its steps are left alone.
        """
        rows = np.arange(len(series))
        if not self.transforms or self.settings.policy == "pre-augment":
            return series, rows
        if pool is None and codes is not None:
            pool = (series, codes)
        if self.settings.policy == "replace":
            some = np.flatnonzero(rng.random(len(series)) < self.settings.replaced)
            theirs = self._partners(None if codes is None else codes[some], pool, rng)
            return _put(series, some, self.changed(series.take(some), rng, theirs)), rows
        parts = [series]
        for _ in range(self.settings.copies):
            parts.append(self.changed(series, rng, self._partners(codes, pool, rng)))
        return concat_series(parts), np.tile(rows, len(parts))

    def enlarged(
        self,
        series: PacketSeries,
        rng: np.random.Generator,
        *,
        codes: Rows | None = None,
        names: tuple[str, ...] = (),
    ) -> tuple[PacketSeries, Rows]:
        """A training set with its changed copies behind it, and which given row each flow is. For `pre-augment`.

        `names` are those of the classes, for errors.
        """
        rows = np.arange(len(series))
        if not self.transforms:
            return series, rows
        parts = [series]
        for _ in range(self.settings.copies):
            theirs = None
            if self.needs_partners and codes is not None:
                theirs = series.take(draw_partners(codes, rng, names=names))
            parts.append(self.changed(series, rng, theirs))
        return concat_series(parts), np.tile(rows, len(parts))

    def _partners(
        self, codes: Rows | None, pool: tuple[PacketSeries, Rows] | None, rng: np.random.Generator
    ) -> PacketSeries | None:
        """A flow of the pool for each class number; None where no transform wants one, or no classes are known."""
        if not self.needs_partners or codes is None or pool is None:
            return None
        flows, theirs = pool
        return flows.take(draw_partners(codes, rng, theirs))


def _named(text: str, magnitude: float) -> tuple[Transform, float]:
    """`mtu` or `mtu:0.3`, with the magnitude checked."""
    name, colon, own = text.partition(":")
    transform: Transform = AUGMENTATIONS.load(name)
    if not colon:
        return transform, transform.checked(magnitude)
    try:
        return transform, transform.checked(float(own))
    except ValueError as error:
        raise SettingError(
            f"augment: `{own}` in `{text}` is no magnitude; a number from {transform.lowest:g} to "
            f"{transform.highest:g} is",
            hint=f"for example `{name}:{transform.usual:g}`",
        ) from error


def _on_some(
    series: PacketSeries,
    wanted: npt.NDArray[np.bool_],
    transform: Transform,
    magnitude: float,
    rng: np.random.Generator,
    partners: PacketSeries | None,
) -> PacketSeries:
    rows = np.flatnonzero(wanted)
    if not len(rows):
        return series
    theirs = None if partners is None else partners.take(rows)
    return _put(series, rows, transform(series.take(rows), rng, magnitude, theirs))


def _put(series: PacketSeries, rows: Rows, changed: PacketSeries) -> PacketSeries:
    """The same flows with some of them exchanged."""
    if not len(rows):
        return series
    places = np.arange(len(series))
    places[rows] = len(series) + np.arange(len(rows))
    return concat_series([series, changed]).take(places)
