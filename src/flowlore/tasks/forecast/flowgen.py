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
    """A causal decoder that weighs simple forecasts. One that is given was trained before, and is not trained again."""

    def __init__(self, encoder: Any = None, settings: Any = None, training: Any = None) -> None:
        super().__init__()
        self.encoder, self.settings, self.training = encoder, settings, training
        self.report: Any = None

    def fit(self, series: Series, until: int, horizons: Sequence[int], rng: np.random.Generator) -> None:
        from ...models.flowgen.encoder import TRAINING, FlowgenEncoder
        from ...models.flowgen.identities import entity_numbers
        from ...models.flowgen.settings import FlowgenSettings

        self.horizons, self._until = tuple(horizons), until
        if self.encoder is not None:
            return
        settings = self.settings or FlowgenSettings(farthest=max(horizons))
        self.encoder = FlowgenEncoder(settings)
        values = series.values[:, None, :until]
        kept = _later_windows(values, series, settings.context)
        self.report = self.encoder.learn(
            values if kept is None else values[:, :, : until - until // KEPT],
            np.full(len(series), series.start_ns),
            series.step_ns,
            (series.feature,),
            rng,
            entities=entity_numbers(series.names),
            validation=kept,
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
        until = min(self._until, int(origins.min()))
        values = np.full((len(series), len(encoder.features), series.steps), np.nan)
        values[:, feature] = series.values
        scales = scales_of(values[:, :, :until])
        starts, entities = np.full(len(series), series.start_ns), entity_numbers(series.names)
        inputs = encoder.inputs(values, starts, series.step_ns, scales, entities=entities)
        said = encoder.quantiles(inputs, np.maximum(origins - 1, 0))[:, feature]
        return _between(said, encoder.horizons, self.horizons) * scales[:, feature, None, None, None]


def _later_windows(
    values: npt.NDArray[np.float64], series: Series, context: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]] | None:
    """The last part in windows [series of all windows, 1, steps], and when each begins; None where it is too short."""
    until = values.shape[2]
    first, length = until - until // KEPT, min(context, until // KEPT)
    if length < FEWEST_STEPS:
        return None
    begins = range(first, until - length + 1, length)
    windows = np.concatenate([values[:, :, begin : begin + length] for begin in begins])
    starts = np.repeat([series.start_ns + begin * series.step_ns for begin in begins], len(values))
    return windows, starts


def _between(said: npt.NDArray[np.float32], known: Sequence[int], wanted: Sequence[int]) -> Values:
    """Quantiles at the wanted horizons; between two heads they are interpolated."""
    right = np.searchsorted(known, wanted)
    left = np.maximum(right - 1, 0)
    span = np.maximum(np.take(known, right) - np.take(known, left), 1)
    share = np.where(right == left, 1.0, (np.asarray(wanted) - np.take(known, left)) / span)[None, None, :, None]
    return np.asarray((1 - share) * said[:, :, left] + share * said[:, :, right], np.float64)
