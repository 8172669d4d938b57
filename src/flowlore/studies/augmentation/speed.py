"""How many flows a second a network learns from, and how many runs an hour: as the campaign does it, and plainly."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from ...features.augment.packets import PacketSeries
from ...features.augment.policy import Augmenter
from ...features.augment.settings import AugmentSettings
from ..bench import Bench
from ..study import Run
from .arms import SCREENED, STACK, steps_of
from .examination import BATCH_ROWS, train_network
from .shown import flows_for

STEPS = 60
CHANGED = AugmentSettings(transforms=STACK, combine="ensemble")


def measure_speed(run: Run, bench: Bench) -> dict[str, Any]:
    """Processor seconds of some steps with augmentation, after one call that warms up.

    The plain loop changes one flow after the other, as the published study did, in float32.
    """
    wanted = replace(run, shots=bench.scale.shots[0], values={**run.values, "share": None})
    flows = flows_for(wanted, bench)
    shown, codes = flows.series.take(flows.shown), flows.codes[flows.shown]
    rows, bf16 = min(BATCH_ROWS, len(shown)), bool(run.values.get("bf16"))

    def learn(steps: int, settings: AugmentSettings) -> float:
        began = time.process_time()
        train_network(shown, codes, flows.classes, SCREENED, settings, steps, np.random.default_rng(0), bf16=bf16)
        return time.process_time() - began

    per_epoch = -(-len(shown) // rows)
    steps = per_epoch * max(1, round(STEPS / per_epoch))
    learn(per_epoch, AugmentSettings())
    if run.values.get("plain"):
        seconds = learn(steps, AugmentSettings()) + _one_by_one_s(shown.take(np.arange(rows)), steps)
    else:
        seconds = learn(steps, CHANGED)
    whole = steps_of(len(shown), bench.scale)
    return {
        "flows_per_s": round(steps * rows / seconds),
        "runs_per_hour": round(3600 / (seconds / steps * whole), 1),
        "steps": steps,
    }


def _one_by_one_s(series: PacketSeries, steps: int) -> float:
    """Processor seconds of changing half of the flows of so many steps, each alone; one step is measured."""
    augmenter, rng = Augmenter(CHANGED), np.random.default_rng(0)
    began = time.process_time()
    for row in range(0, len(series), 2):
        augmenter.changed(series.take(np.array([row])), rng)
    return (time.process_time() - began) * steps
