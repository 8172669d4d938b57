"""Forecasts: no method sees what comes, scores are what they say, bands hold, and what is doubtful is flagged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowlore.errors import BundleError, FlowloreError, TaskError
from flowlore.features.rates.series import Series, flagged
from flowlore.models.flowgen.settings import FlowgenSettings
from flowlore.models.training import TrainingSettings
from flowlore.tasks.forecast import FORECASTERS
from flowlore.tasks.forecast.backtest import backtest
from flowlore.tasks.forecast.bundles import check_features, load_flowgen, pretrain_flowgen, save_flowgen
from flowlore.tasks.forecast.flowgen import FlowgenForecaster
from flowlore.tasks.forecast.forecaster import MEDIAN, QUANTILES, Forecaster, filled, truth_at
from flowlore.tasks.forecast.mixture import Mixture
from flowlore.tasks.forecast.outlook import outlook
from flowlore.tasks.forecast.scores import scores_at

HOUR_NS = 3_600_000_000_000
SMALL = FlowgenSettings(size="small", context=48, bins=16, farthest=24, least_windows=1)
SHORT = TrainingSettings(epochs=1, batch_rows=8, learning_rate=3e-3)


def made_up(rows: int = 6, steps: int = 240, seed: int = 0) -> Series:
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(5, 1, (rows, 1)))
    turn = 1 + 0.8 * np.sin(2 * np.pi * np.arange(steps) / 24 + rng.random((rows, 1)))
    values = size * turn * np.exp(0.1 * rng.normal(size=(rows, steps)))
    return Series(names=tuple(f"link{row}" for row in range(rows)), start_ns=0, step_ns=HOUR_NS, values=values)


def method(name: str) -> Forecaster:
    if name == "flowgen":
        return FlowgenForecaster(settings=SMALL, training=SHORT)
    if name == "mixture":
        return Mixture([method("flowgen"), method("lightgbm")])
    made: Forecaster = FORECASTERS.load(name)(*([20] if name == "gru" else []))
    return made


@pytest.mark.parametrize("name", [*FORECASTERS.names()])
def test_no_method_sees_what_comes(name: str) -> None:
    series, until, horizons = made_up(), 180, (1, 6, 24)
    forecaster = method(name)
    forecaster.fit(series, until, horizons, np.random.default_rng(0))
    origins = np.arange(180, 200)
    told = forecaster.forecast(series, origins)
    assert told.shape == (6, 20, 3, len(QUANTILES))
    assert (np.diff(told, axis=-1) >= -1e-6).all() and (told >= 0).all()
    changed = Series(
        names=series.names,
        start_ns=0,
        step_ns=HOUR_NS,
        values=np.concatenate([series.values[:, :190], 9 * series.values[:, 190:]], axis=1),
    )
    np.testing.assert_allclose(forecaster.forecast(changed, origins)[:, :11], told[:, :11], rtol=1e-5)
    truth = truth_at(series, origins, horizons)
    assert np.abs(told[..., MEDIAN] - truth).sum() < 0.8 * truth.sum()


def test_simple_methods_say_what_their_names_say() -> None:
    series = made_up()
    origins = np.array([100, 150])
    for name, wanted in (
        ("persistence", series.values[:, origins - 1][:, :, None].repeat(2, axis=2)),
        ("seasonal-naive", np.stack([series.values[:, origins - 24], series.values[:, origins + 5 - 24]], axis=2)),
    ):
        forecaster = method(name)
        forecaster.fit(series, 90, (1, 6), np.random.default_rng(0))
        np.testing.assert_allclose(forecaster.forecast(series, origins)[..., MEDIAN], wanted)


def test_scores_are_what_they_say() -> None:
    series = Series(names=("a",), start_ns=0, step_ns=HOUR_NS, values=np.array([[1.0, 3.0, 1.0, 3.0]]))
    told = np.tile(np.array([[[4.0]]]), (1, 2, len(QUANTILES)))
    told[..., :MEDIAN], told[..., MEDIAN + 1 :] = 3.0, 5.0
    scores = scores_at(told, np.array([[5.0, np.nan]]), series, 4)
    assert scores["wape"] == pytest.approx(1 / 5) and scores["mase"] == pytest.approx(1 / 2)
    assert scores["coverage_80"] == 1.0
    assert scores_at(told, np.array([[6.0, 2.0]]), series, 4)["coverage_80"] == 0.0


def test_a_backtest_ranks_what_knows_the_day_above_what_does_not() -> None:
    found = backtest(
        made_up(), 168, (6, 12), methods=["persistence", "seasonal-naive", "linear"], rng=np.random.default_rng(0)
    )
    assert found["linear"]["wape"] < found["seasonal-naive"]["wape"] < 0.5 * found["persistence"]["wape"]
    assert 0.6 < found["linear"]["coverage_80"] < 0.95
    assert set(found["linear"]["by_horizon"]) == {"6", "12"}


def test_an_outlook_tells_what_is_doubtful() -> None:
    series = made_up(steps=700)
    values = series.values.copy()
    values[0] = 5.0
    values[1, 100:400] = np.nan
    values[2, 430:] = np.nan
    doubtful = flagged(Series(names=series.names, start_ns=0, step_ns=HOUR_NS, values=values))
    found = outlook(doubtful, 24, rng=np.random.default_rng(0), capacities={"link0": 4.0, "link3": 1e12})
    assert found.horizons == (1, 2, 3, 6, 9, 12, 24)
    assert found.flags["link0"] == ("constant",)
    assert "gap-longer-than-context" in found.flags["link1"] and "capacity-missing" in found.flags["link1"]
    assert "nothing-known-of-late" in found.flags["link2"]
    over = found.over_capacity()
    assert (over[0] > 0.9).all() and (over[3] < 0.01).all() and np.isnan(over[1]).all()
    table = found.table()
    assert table.num_rows == 6 * 7 and table["over_capacity"].null_count == 4 * 7
    assert np.isfinite(found.quantiles).all()


def test_a_decoder_travels_in_a_bundle(tmp_path: Path) -> None:
    series = made_up()
    encoder, card = pretrain_flowgen({"value": series}, rng=np.random.default_rng(0), settings=SMALL, training=SHORT)
    assert card["parameters"] == encoder.parameters() and 0 < card["oracle_bin_error"] < 0.2
    save_flowgen(encoder, card, tmp_path / "loads")
    again = load_flowgen(tmp_path / "loads")
    first, second = (
        outlook(series, 12, method=FlowgenForecaster(one), rng=np.random.default_rng(0)) for one in (encoder, again)
    )
    np.testing.assert_array_equal(first.quantiles, second.quantiles)
    with pytest.raises(TaskError, match="looks 24 steps ahead"):
        outlook(series, 48, method=FlowgenForecaster(again), rng=np.random.default_rng(0))
    check_features(again, ("in_bytes",))
    again.features = ("in_bytes", "out_bytes")
    with pytest.raises(BundleError, match="knows no `in_flows`"):
        check_features(again, ("in_flows",))


@pytest.mark.parametrize(
    ("steps", "horizon", "words"),
    [(20, 1, "too short for a horizon"), (240, 200, "too short for a horizon"), (240, 0, "at least one step")],
)
def test_mistakes_are_named(steps: int, horizon: int, words: str) -> None:
    with pytest.raises(FlowloreError, match=words):
        outlook(made_up(steps=steps), horizon, rng=np.random.default_rng(0))


def test_unknown_steps_are_the_last_known_ones() -> None:
    np.testing.assert_array_equal(
        filled(np.array([[np.nan, 1, np.nan, 3], [2, np.nan, np.nan, 4]])), [[0, 1, 1, 3], [2, 2, 2, 4]]
    )
    with pytest.raises(TaskError, match="a capacity is given for `nobody`"):
        outlook(made_up(), 6, rng=np.random.default_rng(0), capacities={"nobody": 1.0})
