"""Attacks found without any label: every method learns from all flows of the teaching side, attacks among them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bench import Bench
from ..study import Run
from .arms import MOST_STRANGE
from .asked import ATTACK_WORD, asked_of, detected, numbers_of
from .encoders import encoder_of, teaching_rows

Scores = npt.NDArray[np.float64]


def find_strange(run: Run, bench: Bench) -> dict[str, Any]:
    """Scores; none where more than a fifth of either side is attack: there, attacks are no strangers."""
    material = bench.material(run.data)
    asked = asked_of(material, run.values["truth"])
    is_attack = asked.truth == ATTACK_WORD
    shares = [round(float(is_attack[rows].mean()), 4) for rows in (asked.train, asked.test)]
    if max(shares) > MOST_STRANGE:
        return {"left_out": f"{max(shares):.0%} of the flows of one side are attacks", "attack_share": shares[1]}
    judge = {
        "surprise": _surprise,
        "ensemble": _ensemble,
        "reconstructed graph": _reconstructed,
        "isolation": _isolated,
    }
    began = time.process_time()
    strangeness, parameters = judge[run.values["judge"]](run, bench)
    spent = time.process_time() - began
    scores = np.nan_to_num(strangeness[asked.test], nan=0.0)
    return detected(material, is_attack[asked.test], scores, asked.test) | {
        "taught_attack_share": shares[0],
        "parameters": parameters,
        "cpu_s": round(spent, 2),
    }


def _surprise(run: Run, bench: Bench) -> tuple[Scores, int]:
    encoder, _ = encoder_of(bench, run, accustomed=False)
    found = encoder.surprise(bench.material(run.data).batch)
    return found, int(encoder.parameters()["all"])


def _ensemble(run: Run, bench: Bench) -> tuple[Scores, int]:
    from ...tasks.anomaly.ensemble import AutoencoderEnsemble

    material, scale = bench.material(run.data), bench.scale
    teaching = teaching_rows(material)
    numbers = numbers_of(material.batch, teaching, windows=run.values["windows"])
    made = AutoencoderEnsemble(bench.rng(run), epochs=scale.epochs, steps=2 * scale.pretrain_steps)
    return made.fit(numbers[teaching]).score(numbers), made.parameters()


def _reconstructed(run: Run, bench: Bench) -> tuple[Scores, int]:
    from ...tasks.anomaly.reconstructed_graph import ReconstructedGraph

    material, scale = bench.material(run.data), bench.scale
    made = ReconstructedGraph(bench.rng(run), epochs=scale.epochs, steps=scale.pretrain_steps)
    made.fit(material.batch.take(teaching_rows(material)))
    return made.score(material.batch), made.parameters()


def _isolated(run: Run, bench: Bench) -> tuple[Scores, int]:
    from sklearn.ensemble import IsolationForest

    material = bench.material(run.data)
    teaching = teaching_rows(material)
    numbers = numbers_of(material.batch, teaching, windows=run.values["windows"])
    forest = IsolationForest(n_estimators=bench.scale.trees, random_state=int(bench.rng(run).integers(2**31)))
    forest.fit(numbers[teaching])
    return -np.asarray(forest.score_samples(numbers), np.float64), sum(one.tree_.node_count for one in forest)
