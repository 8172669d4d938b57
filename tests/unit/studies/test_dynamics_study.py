"""The study of dynamics over made-up networks: here, elsewhere, on new series; and what is too short to learn from."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

import flowlore.studies
from flowlore.errors import InputError
from flowlore.registry import Registry
from flowlore.studies.conduct import Order, conduct
from flowlore.studies.dynamics.arms import ELSEWHERE, FORECAST, HERE, NEW_SERIES, TRANSFER, TUNED
from flowlore.studies.material import Places
from flowlore.studies.materials.series import abilene, germany50


@pytest.fixture(autouse=True)
def materials(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"tiny-network": "made_up_floods:tiny_network", "tiny-days": "made_up_floods:tiny_days"}
    monkeypatch.setattr(flowlore.studies, "MATERIALS", Registry("material", named, with_plugins=False))
    studies = {"dynamics": "flowlore.studies.dynamics:DynamicsStudy"}
    monkeypatch.setattr(flowlore.studies, "STUDIES", Registry("study", studies, with_plugins=False, plural="studies"))


def test_the_study_of_dynamics(order: Callable[..., Order]) -> None:
    asked = order("dynamics", sets=("tiny-network", "tiny-days"), seeds=1)
    done = conduct(asked)
    assert not done.failed
    held = {}
    for path in (asked.output / "runs").glob("*.json"):
        one = json.loads(path.read_text())
        held[one["configuration"]["data"], one["configuration"]["question"], one["configuration"]["arm"]] = one[
            "result"
        ]
    here = held["tiny-network", FORECAST, HERE]
    assert here["wape"] < 1.5 * held["tiny-network", FORECAST, "persistence"]["wape"]  # of two steps of training
    assert all(0 < bits < 8 for bits in here["bits"].values()) and 0 < here["oracle_bin_error"] < 0.1
    for arm in (ELSEWHERE, TUNED):
        assert np.isfinite(held["tiny-network", TRANSFER, arm]["wape"])
    assert ("tiny-network", NEW_SERIES, HERE) in held
    assert ("tiny-days", TRANSFER, ELSEWHERE) in held and ("tiny-days", FORECAST, HERE) not in held
    text = (asked.output / "report.md").read_text()
    for words in ("Networks that were never seen", "Likelihood", "What was aimed at", "within 10 % of trained here"):
        assert words in text


@pytest.mark.shared_data
def test_public_networks_are_split_as_they_say(shared_data, tmp_path) -> None:  # type: ignore[no-untyped-def]
    made = abilene(Places(data=shared_data))
    assert (len(made.network.series), made.network.until) == (132, 3_168)
    assert {one.name for one in made.others} == {"esnet", "isp"}
    days = germany50(Places(data=shared_data))
    assert days.transfer_only and days.network.series.steps == 28 and len(days.network.series) > 400
    with pytest.raises(InputError, match="is not below"):
        abilene(Places(data=tmp_path))
