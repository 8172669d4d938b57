"""Areas, delays and false alarms as they would be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from flowlore.tasks.ddos.attacks import Attack
from flowlore.tasks.ddos.examination import average_precision, examined
from flowlore.tasks.ddos.settings import DetectionSettings
from flowlore.tasks.ddos.signs import SIGNS, Signs
from ratesmade import DAWN, S

STEP = 10 * S


def made_signs(hosts: int, steps: int) -> Signs:
    nothing = np.zeros((hosts, steps))
    return Signs(
        names=tuple(f"host-{one}" for one in range(hosts)), start_ns=DAWN, step_ns=STEP,
        values=np.zeros((hosts, len(SIGNS), steps), np.float32), packets=nothing, bytes=nothing, scores=nothing,
    )  # fmt: skip


def attack(victim: str, first: int, last: int, source: str, times_usual: float, *, late_ns: int = 0) -> Attack:
    return Attack(
        victim=victim, begin_ns=DAWN + first * STEP + late_ns, end_ns=DAWN + last * STEP, kind=source, source=source,
        times_usual=times_usual,
    )  # fmt: skip


def test_the_area_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    positive, quiet = rng.normal(1, 1, 200).round(1), rng.normal(0, 1, 2_000).round(1)
    truth = np.concatenate([np.ones(200), np.zeros(2_000)])
    expected = average_precision_score(truth, np.concatenate([positive, quiet]))
    assert average_precision(positive, np.ones(200), np.sort(quiet)) == pytest.approx(expected)
    weights = rng.integers(0, 4, 200).astype(float)
    weighted = average_precision_score(
        truth, np.concatenate([positive, quiet]), sample_weight=np.concatenate([weights, np.ones(2_000)])
    )
    assert average_precision(positive, weights, np.sort(quiet)) == pytest.approx(weighted)


def test_delays_alarms_and_strata_are_counted() -> None:
    rng = np.random.default_rng(1)
    signs = made_signs(4, 8_640)
    scores, quiet = rng.random((4, 8_640)), rng.random((4, 8_640))
    attacks = [
        attack("host-1", 1_000, 1_012, "x", 2.0, late_ns=3 * S),
        attack("host-2", 3_000, 3_010, "y", 2.5),
        attack("host-3", 5_000, 5_010, "y", 15.0),
    ]
    scores[1, 1_002:1_012] = 5.0  # found in its third step: 27 s after the onset
    scores[3, 5_000:5_010] = 5.0  # found at the end of its first step; that of host-2 is missed
    scores[0, [100, 101, 4_000]] = 9.0  # two false alarms
    found = examined(scores, signs, attacks, quiet, rng, settings=DetectionSettings())
    assert found["at"]["1"]["false_alarms_a_day"] == pytest.approx(2.0)
    every, weak = found["strata"]["all"], found["strata"]["1 to 3"]
    assert every["attacks"] == 3 and every["at"]["1"]["found"] == pytest.approx(2 / 3, abs=1e-4)
    assert every["at"]["1"]["median_delay_s"] == 27.0
    assert weak["at"]["1"]["median_delay_s"] is None  # half of them are missed
    assert found["strata"]["10 to 20"]["at"]["1"]["median_delay_s"] == 10.0
    assert "3 to 10" not in found["strata"]
    assert found["strata"]["10 to 20"]["pr_auc"] > 0.75 > weak["pr_auc"]
    assert weak["pr_auc_low"] <= weak["pr_auc"] <= weak["pr_auc_high"]
    assert every["prevalence"] == pytest.approx(32 / (32 + found["quiet_steps"]), rel=0.05)
