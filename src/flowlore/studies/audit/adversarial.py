"""Disguised traffic: a sender that sees answers only tries some disguises within its budget, and keeps the best."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ...flows.table import Flows
from ...tasks.metrics import scores
from ..bench import Bench
from ..study import Run
from .classifiers import victim_of
from .disguise import disguised, overhead

TRIES = 8  # disguises of a flow that the attacker may ask about
MOST_FLOWS = 1000


def attack(run: Run, bench: Bench) -> dict[str, Any]:
    """Macro F1 before, under a random disguise, and under the worst of several for each flow."""
    material = bench.material(run.data)
    victim = victim_of(run, bench, material.train)
    rng = bench.rng_for("attack", run.data, str(run.values["disguise"]), str(run.values["budget"]), seed=run.seed)
    chosen = np.sort(rng.permutation(material.test)[: min(MOST_FLOWS, bench.scale.probed_rows)])
    table = material.flows.to_arrow().take(pa.array(chosen))
    truth = material.labels[chosen]
    before = victim.ask_numbers(victim.numbers_of_all[chosen])
    known = np.isin(truth, victim.classes)
    column = np.searchsorted(victim.classes, truth).clip(max=len(victim.classes) - 1)
    sure = np.where(known, before[np.arange(len(truth)), column], 0.0)
    worst, worst_answers = sure.copy(), victim.classes[before.argmax(axis=1)]
    at_random, costs = [], []
    for _ in range(TRIES):
        changed = disguised(table, run.values["disguise"], run.values["budget"], rng)
        found = victim.ask(Flows(changed))
        answers = victim.classes[found.argmax(axis=1)]
        at_random.append(scores(truth, answers).macro_f1)
        costs.append(overhead(table, changed))
        of_truth = np.where(known, found[np.arange(len(truth)), column], 0.0)
        better = of_truth < worst
        worst = np.where(better, of_truth, worst)
        worst_answers = np.where(better, answers, worst_answers)
    first = victim.classes[before.argmax(axis=1)]
    was_right = first == truth
    return {
        "flows": len(truth),
        "tries": TRIES,
        "before": round(scores(truth, first).macro_f1, 4),
        "at_random": round(float(np.mean(at_random)), 4),
        "attacked": round(scores(truth, worst_answers).macro_f1, 4),
        "evaded": round(float(np.mean(worst_answers[was_right] != truth[was_right])), 4) if was_right.any() else None,
        "overhead": {name: round(float(np.mean([one[name] for one in costs])), 4) for name in costs[0]},
    }
