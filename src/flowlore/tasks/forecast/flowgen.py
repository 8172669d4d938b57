"""The decoder as a `Forecaster`: trained on the series at hand, or as it came from a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import TaskError
from ...features.rates.series import Series
from .forecaster import QUANTILES, Forecaster, Places, Values

FEWEST_STEPS = 64
KEPT = 8  # the last of so many parts of the time that teaches says when to stop


class FlowgenForecaster(Forecaster):
    """A causal decoder that weighs simple forecasts. One that is given was trained before, and is trained on only
    where it `goes_on`."""

    def __init__(
        self, encoder: Any = None, settings: Any = None, training: Any = None, *, goes_on: bool = False
    ) -> None:
        super().__init__()
        self.encoder, self.settings, self.training, self.goes_on = encoder, settings, training, goes_on
        self.until = 0  # steps that say how large a series is
        self.report: Any = None

    def fit(self, series: Series, until: int, horizons: Sequence[int], rng: np.random.Generator) -> None:
        from ...models.flowgen.encoder import TRAINING, FlowgenEncoder, HeldOut
        from ...models.flowgen.identities import entity_numbers
        from ...models.flowgen.representation import scales_of
        from ...models.flowgen.settings import FlowgenSettings

        self.horizons, self.until = tuple(horizons), until
        if self.encoder is not None and not self.goes_on:
            return
        self.encoder = self.encoder or FlowgenEncoder(self.settings or FlowgenSettings(farthest=max(horizons)))
        values, starts_ns = series.values[:, None, :until], np.full(len(series), series.start_ns)
        learnt, entities, held_out = until, entity_numbers(series.names), None
        if until // KEPT >= FEWEST_STEPS:
            learnt = until - until // KEPT
            held_out = HeldOut(
                values=values,
                starts_ns=starts_ns,
                steps_ns=series.step_ns,
                scales=scales_of(values[:, :, :learnt]),
                entities=entities,
                since=learnt,
            )
        self.report = self.encoder.learn(
            values[:, :, :learnt],
            starts_ns,
            series.step_ns,
            (series.feature,),
            rng,
            entities=entities,
            go_on=self.goes_on,
            validation=held_out,
            training=self.training or TRAINING,
        )

    def forecast(self, series: Series, origins: Places) -> Values:
        from ...models.flowgen.identities import entity_numbers
        from ...models.flowgen.network import QUANTILES as SAID
        from ...models.flowgen.representation import scales_of

        assert SAID == QUANTILES
        encoder = self.encoder
        if max(self.horizons) > max(encoder.horizons):
            raise TaskError(
                f"forecast: this model looks {max(encoder.horizons):,} steps ahead, not {max(self.horizons):,}",
                hint="a shorter `--horizon`, a coarser `--step`, or a model trained with a larger `farthest`",
            )
        feature = encoder.features.index(series.feature) if series.feature in encoder.features else 0
        until = min(self.until, int(origins.min()))
        values = np.full((len(series), len(encoder.features), series.steps), np.nan)
        values[:, feature] = series.values
        scales = scales_of(values[:, :, :until])
        starts, entities = np.full(len(series), series.start_ns), entity_numbers(series.names)
        inputs = encoder.inputs(values, starts, series.step_ns, scales, entities=entities)
        said = encoder.quantiles(inputs, np.maximum(origins - 1, 0))[:, feature]
        return _between(said, encoder.horizons, self.horizons) * scales[:, feature, None, None, None]


def _between(said: npt.NDArray[np.float32], known: Sequence[int], wanted: Sequence[int]) -> Values:
    """Quantiles at the wanted horizons; between two heads they are interpolated."""
    right = np.searchsorted(known, wanted)
    left = np.maximum(right - 1, 0)
    span = np.maximum(np.take(known, right) - np.take(known, left), 1)
    share = np.where(right == left, 1.0, (np.asarray(wanted) - np.take(known, left)) / span)[None, None, :, None]
    return np.asarray((1 - share) * said[:, :, left] + share * said[:, :, right], np.float64)
