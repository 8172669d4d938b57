"""One run: a forecaster learns from the steps that teach, here or elsewhere, and is asked at each later step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...settings import settings_values
from ...tasks.forecast import FORECASTERS
from ...tasks.forecast.backtest import rolling_scores
from ...tasks.forecast.flowgen import FlowgenForecaster
from ...tasks.forecast.forecaster import Forecaster, Values
from ...tasks.forecast.mixture import Mixture
from ...tasks.forecast.scores import mean_of
from ..bench import Bench, Made
from ..materials.series import Network, load_network
from ..study import Run
from .arms import FORECAST, HERE
from .recurrent_bits import recurrent_bits

PLANS = {"smoke": ("small", 1, 32), "small": ("default", 2, 1_024), "full": ("default", 3, 2_048)}
FARTHEST = 24  # steps, of whatever network
CONTEXT = 256


def executed(run: Run, bench: Bench) -> dict[str, Any]:
    network, others = bench.at_hand({"network": run.data}, lambda: load_network(bench.folder(run.data)))
    rng = bench.rng(run)
    taught, asked = _sides(network, run)
    forecaster = _forecaster(run, bench, others)
    _fit(forecaster, taught, run, rng)
    until = asked.until
    if isinstance(forecaster, FlowgenForecaster):
        forecaster.until = until
    each = rolling_scores(forecaster, asked.series, until, asked.series.steps, asked.horizons)
    found: dict[str, Any] = mean_of(each, asked.horizons)
    if isinstance(forecaster, FlowgenForecaster):
        found |= {
            "bits": _bits(forecaster.encoder, asked, run, rng),
            "oracle_bin_error": _oracle(forecaster.encoder, asked),
        }
        found["parameters"] = forecaster.encoder.parameters()
    return found


def _sides(network: Network, run: Run) -> tuple[Network, Network]:
    """The same network twice; or half of its series teach, and the others ask."""
    if run.values.get("series") != "half":
        return network, network
    names = np.array(network.series.names)[np.random.default_rng(run.seed).permutation(len(network.series))]
    teach, ask = sorted(names[: len(names) // 2].tolist()), sorted(names[len(names) // 2 :].tolist())
    return (
        replace(network, series=network.series.of(teach)),
        replace(network, series=network.series.of(ask)),
    )


def _forecaster(run: Run, bench: Bench, others: tuple[Network, ...]) -> Forecaster:
    method = run.values["method"]
    if method not in ("flowgen", "mixture"):
        made: Forecaster = FORECASTERS.load(method)()
        return made
    size, epochs, windows = PLANS[bench.scale.name]
    from ...models.flowgen.encoder import TRAINING, FlowgenEncoder
    from ...models.flowgen.settings import FlowgenSettings

    settings = FlowgenSettings(
        size=run.values.get("size", size), context=CONTEXT, farthest=FARTHEST, least_windows=windows
    )
    training = replace(TRAINING, epochs=epochs, least_steps=1)
    encoder = None
    if run.values.get("elsewhere"):
        words = {"data": run.data, "elsewhere": True, "seed": run.seed, "epochs": epochs}
        words |= {"settings": settings_values(settings)}

        def make() -> Made:
            fresh = FlowgenEncoder(settings)
            values, starts, step_ns = _pool(others)
            rng = bench.rng_for("elsewhere", run.data, seed=run.seed)
            fresh.learn(values[:, None], starts, step_ns, ("value",), rng, training=training)
            return fresh.state()

        arrays, values = bench.kept(words, make)
        encoder = FlowgenEncoder.from_state(arrays, values)
    decoder = FlowgenForecaster(encoder, settings, training, goes_on=encoder is not None and "here" in run.values)
    return decoder if method == "flowgen" else Mixture((decoder, FORECASTERS.load("lightgbm")()))


def _fit(forecaster: Forecaster, taught: Network, run: Run, rng: np.random.Generator) -> None:
    until = taught.until
    share = float(run.values.get("share", 1.0))
    first = int((1 - share) * until)
    series = taught.series.between(taught.series.start_ns + first * taught.series.step_ns, 2**62)
    forecaster.fit(series, until - first, taught.horizons, rng)


def _pool(others: tuple[Network, ...]) -> tuple[Values, npt.NDArray[np.int64], int]:
    """Series of several networks side by side, each at the end of as many steps as the longest has; when each of them
    begins, so that all know the hour of the day; and the length of a step."""
    steps = max(one.series.steps for one in others)
    rows, starts = [], []
    for one in others:
        values = one.series.values / np.maximum(np.nanmean(one.series.values, axis=1, keepdims=True), 1e-12)
        before = steps - one.series.steps
        rows.append(np.pad(values, ((0, 0), (before, 0)), constant_values=np.nan))
        starts.append(np.full(len(values), one.series.start_ns - before * one.series.step_ns))
    return np.concatenate(rows), np.concatenate(starts), others[0].series.step_ns


def _bits(encoder: Any, asked: Network, run: Run, rng: np.random.Generator) -> dict[str, float]:
    """Bits of the next bin over the steps that ask: of the decoder, how often a bin is, which follows which; and of a
    GRU, where the decoder was taught here like it.
    """
    from ...models.flowgen.representation import scales_of

    values = asked.series.values[:, None]
    scales = scales_of(values[:, :, : asked.until])
    inputs = encoder.inputs(values, np.full(len(values), asked.series.start_ns), asked.series.step_ns, scales)
    told = encoder.bits(inputs)[:, 0, asked.until :]
    tokens = encoder.bins.tokens(values / scales[:, :, None])[:, 0].astype(np.int64)
    count = encoder.bins.count
    taught, came = tokens[:, : asked.until], tokens[:, asked.until :]
    before = tokens[:, asked.until - 1 : -1]
    often = np.bincount(taught[taught < count], minlength=count) + 1.0
    pairs = np.full((count, count), 1.0 / count)
    known = (taught[:, 1:] < count) & (taught[:, :-1] < count)
    np.add.at(pairs, (taught[:, :-1][known], taught[:, 1:][known]), 1.0)
    asked_of = (came < count) & (before < count) & np.isfinite(told)
    if not asked_of.any():
        return {}
    chance = pairs[before[asked_of], came[asked_of]] / pairs[before[asked_of]].sum(axis=1)
    beside = {}
    if (run.question, run.arm) == (FORECAST, HERE):
        recurrent = recurrent_bits(tokens, asked.until, count, rng)[:, asked.until :]
        beside = {"gru": float(recurrent[asked_of].mean())}
    return beside | {
        "flowgen": float(told[asked_of].mean()),
        "frequency": float(-np.log2(often[came[asked_of]] / often.sum()).mean()),
        "transitions": float(-np.log2(chance).mean()),
    }


def _oracle(encoder: Any, asked: Network) -> float:
    """The error of one who knew every bin, as a share of the traffic."""
    from ...models.flowgen.representation import scales_of

    values = asked.series.values[:, None]
    scaled = values / scales_of(values[:, :, : asked.until])[:, :, None]
    scaled = scaled[:, :, asked.until :]
    return float(np.nansum(np.abs(encoder.bins.oracle(scaled) - scaled)) / max(float(np.nansum(scaled)), 1e-12))
