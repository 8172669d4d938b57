"""Smoothing and ARIMA of chosen form: known series get their own form back, and it forecasts them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from flowlore.features.rates.series import Series
from flowlore.tasks.forecast.arima import AutoArima, Orders, choose_orders
from flowlore.tasks.forecast.arima_fitting import fit_arima, recursion
from flowlore.tasks.forecast.arima_steps import errors_of
from flowlore.tasks.forecast.smoothing import AutoEts, choose_form

HOUR_NS = 3_600_000_000_000
STEPS = 480
Vector = npt.NDArray[np.float64]


def noise(seed: int = 0, steps: int = STEPS) -> Vector:
    return np.random.default_rng(seed).normal(size=steps)


def day() -> Vector:
    return np.sin(2 * np.pi * np.arange(STEPS) / 24)


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (50 + noise(), "ANN"),
        (100 + np.cumsum(noise()), "ANN"),
        (30 + 0.5 * np.arange(STEPS) + 2 * noise(), "AAN"),
        (100 + 20 * day() + noise(), "ANA"),
        ((100 + 0.3 * np.arange(STEPS)) * (1 + 0.5 * day()) * np.exp(0.03 * noise()), "MAM"),
    ],
    ids=["noise", "wandering", "trend", "season", "season in proportion"],
)
def test_smoothing_finds_the_form(values: Vector, form: str) -> None:
    assert choose_form(values, 24).form.name == form


def test_a_wandering_level_is_followed_and_noise_is_not() -> None:
    assert choose_form(100 + np.cumsum(noise()), 0).weights[0] > 0.9
    assert choose_form(50 + noise(), 0).weights[0] < 0.05


def test_arima_finds_weights_that_made_a_series() -> None:
    errors, values = noise(1, 2_000), np.zeros(2_000)
    for step in range(1, 2_000):
        values[step] = 0.8 * values[step - 1] + errors[step] - 0.4 * errors[step - 1]
    orders = Orders(values=1, errors=1, constant=True)
    fit = fit_arima(orders, 5 + values)
    assert fit.values == pytest.approx([0.8], abs=0.06) and fit.errors == pytest.approx([-0.4], abs=0.08)
    assert fit.mean == pytest.approx(5 + values.mean(), abs=0.3)
    assert fit.squares == pytest.approx((errors**2).sum(), rel=0.01)
    past, before, constant = recursion(orders, fit)
    told = errors_of(5 + values, *past, *before, constant)
    np.testing.assert_allclose(told[50:], errors[50:], atol=0.4)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (50 + noise(), Orders(constant=True)),
        (100 + np.cumsum(noise()), Orders(differences=1)),
        (20 + noise() + 0.7 * np.roll(noise(), 1), Orders(errors=1, constant=True)),
    ],
    ids=["noise", "wandering", "moving mean"],
)
def test_arima_finds_the_orders(values: Vector, wanted: Orders) -> None:
    assert choose_orders(values, 0).orders == wanted


def test_a_strong_season_is_differenced_and_forecast() -> None:
    values = 100 + 40 * day() + noise()
    assert choose_orders(values, 24).orders.season_differences == 1
    series = Series(names=("a",), start_ns=0, step_ns=HOUR_NS, values=values[None])
    for method in (AutoArima(), AutoEts()):
        method.fit(series, 400, (1, 12), np.random.default_rng(0))
        told = method.points(series, np.arange(400, 460))
        assert np.abs(told[0, :, 1] - (100 + 40 * day()[411:471])).mean() < 3


@pytest.mark.parametrize("method", [AutoArima, AutoEts])
@pytest.mark.parametrize(
    "values", [np.full(40, 7.0), np.zeros(40), np.r_[np.zeros(39), 5.0]], ids=["flat", "0", "jump"]
)
def test_series_that_teach_nothing_are_forecast_all_the_same(method: type, values: Vector) -> None:
    series = Series(names=("a",), start_ns=0, step_ns=HOUR_NS, values=values[None])
    made = method()
    made.fit(series, 40, (1, 3), np.random.default_rng(0))
    told = made.forecast(series, np.array([40]))
    assert np.isfinite(told).all()
    if values[0] == values[-1]:
        np.testing.assert_allclose(told, values[0], atol=1e-6)


def test_other_series_than_those_that_were_learnt_get_forms_of_their_own() -> None:
    learnt = Series(names=("a",), start_ns=0, step_ns=HOUR_NS, values=(50 + noise())[None])
    other = Series(names=("b",), start_ns=0, step_ns=HOUR_NS, values=(900 + np.cumsum(noise(3)))[None])
    for method in (AutoArima(), AutoEts()):
        method.fit(learnt, 400, (1,), np.random.default_rng(0))
        told = method.points(other, np.array([450]))
        assert told[0, 0, 0] == pytest.approx(other.values[0, 449], abs=3)
