"""A decoder of rates from its bundle: vectors, oddness, forecasts, samples; and what `flowlore.load` opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import flowlore
from floodsmade import STEP, rates_of, usual
from flowlore.errors import BundleError, SettingError
from flowlore.features.rates.rates import Rates
from flowlore.features.rates.series import Series
from flowlore.models.flowgen.settings import FlowgenSettings
from flowlore.models.settings import TrainingSettings
from flowlore.tasks.dynamics import Dynamics
from flowlore.tasks.forecast.bundles import pretrain_flowgen
from flowlore.tasks.pretraining import pretrain
from ratesmade import DAWN, Flow, batch_of, host

FEATURES = ("in_packets", "in_bytes")


@pytest.fixture(scope="module")
def town() -> Rates:
    odd = [Flow(start=150 * STEP, src=host(5), dst=host(2), packets=(90_000, 0), bytes=(9_000_000, 0))]
    return rates_of(sorted(usual(np.random.default_rng(0), 200) + odd, key=lambda one: one.start))


@pytest.fixture(scope="module")
def dynamics(town: Rates, tmp_path_factory: pytest.TempPathFactory) -> Dynamics:
    first = town.series(FEATURES[0], entities=6)
    series = {name: town.series(name).of(first.names) for name in FEATURES}
    encoder, card = pretrain_flowgen(
        series,
        rng=np.random.default_rng(0),
        settings=FlowgenSettings(size="small", context=64, bins=16, farthest=6, least_windows=1),
        training=TrainingSettings(epochs=3, least_steps=30, batch_rows=8, learning_rate=3e-3),
    )
    folder = tmp_path_factory.mktemp("bundles") / "dynamics"
    Dynamics(encoder=encoder, data=card).save(folder)
    assert "how rates move" in (folder / "card.md").read_text()
    made = flowlore.load(folder)
    assert isinstance(made, Dynamics) and made.data["features"] == list(FEATURES)
    return made


def test_hosts_become_vectors_and_an_odd_step_is_the_oddest(dynamics: Dynamics, town: Rates) -> None:
    vectors = dynamics.embed(town, entities=6)
    assert vectors.vectors.shape == (6, dynamics.encoder.width) and set(vectors.names) == {
        host(one) for one in range(6)
    }
    told = dynamics.oddness(town, entities=6)
    oddest = told.filter(np.asarray(told["entity"].to_pylist()) == host(2))
    at = int(np.argmax(oddest["bits"].to_numpy()))
    assert (oddest["step"].cast("int64").to_numpy()[at] - DAWN) // STEP in (150, 151)
    assert set(told["oddest"].to_pylist()) <= set(FEATURES)


def test_it_forecasts_and_samples_what_it_knows(dynamics: Dynamics, town: Rates) -> None:
    ahead = dynamics.forecast(town.series("in_packets", entities=3), 4)
    assert ahead.table().num_rows == 3 * 4 and (ahead.quantiles >= 0).all()
    with pytest.raises(BundleError, match="knows no `in_peers`"):
        dynamics.forecast(town.series("in_peers", entities=3), 4)
    names, paths = dynamics.sample(town, 5, 2, rng=np.random.default_rng(0), entities=4)
    assert len(names) == 4 and paths.shape == (4, 2, 2, 5) and (paths >= 0).all()


def test_a_decoder_with_identities_knows_names_and_keeps_none(town: Rates, tmp_path: Path) -> None:
    series = town.series("in_packets", entities=4)
    encoder, card = pretrain_flowgen(
        {"in_packets": series},
        rng=np.random.default_rng(0),
        settings=FlowgenSettings(size="small", context=32, bins=8, farthest=2, least_windows=1, identities=3),
        training=TrainingSettings(epochs=1, least_steps=8, batch_rows=8, learning_rate=1e-2),
    )
    made = flowlore.load(Dynamics(encoder=encoder, data=card).save(tmp_path / "known"))
    assert made.data["entities"] == "3 with a vector of their own, by keyed hashes of their names"
    assert not any(host(one) in (tmp_path / "known" / "bundle.json").read_text() for one in range(6))
    strangers = Series(**(vars(series) | {"names": tuple(f"stranger-{place}" for place in range(4))}))
    apart = made.forecast(series, 2).quantiles != made.forecast(strangers, 2).quantiles
    assert apart.any(axis=(1, 2)).sum() == 3  # the fourth was too small to have a vector


def test_other_steps_features_and_tasks_are_told(dynamics: Dynamics) -> None:
    flows = usual(np.random.default_rng(0), 60)
    with pytest.raises(BundleError, match="learnt from steps of 10s, and these rates have 1m"):
        dynamics.embed(flowlore.rates([batch_of(flows)], step="1m"))
    with pytest.raises(SettingError, match="learns from rates"):
        pretrain("flowgen", flowlore.Flows(batch_of(flows)), rng=np.random.default_rng(0))


def test_a_bundle_of_flows_is_still_a_predictor() -> None:
    from flowlore.tasks.predictor import Predictor

    assert isinstance(flowlore.load("laboratory"), Predictor)
