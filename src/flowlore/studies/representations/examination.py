"""One run: flows are shown with their labels, the test side is asked, and the answers are scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.batch import FeatureBatch
from ...tasks.metrics import calibration_error, interval, rounded, scores
from ...tasks.raw import starts_ns
from ..bench import Bench
from ..material import Material
from ..study import Run
from .encoders import encoded
from .fine_tuning import fine_tuned
from .inputs import Numbers
from .methods import Taught, shown_rows, teach_branches, teach_on_numbers

BOOTSTRAP_DRAWS = 100
NS_PER_DAY = 86_400 * 10**9


def examine(run: Run, bench: Bench) -> dict[str, Any]:
    """Scores over all test flows (natural) and over those without a twin in training (novel), and the costs."""
    material = bench.material(run.data)
    assert run.shots is not None
    shown = shown_rows(material.train, material.labels, run.shots, bench.rng_for("shown", run.data, seed=run.seed))
    rng = bench.rng(run)
    if run.values.get("tuned"):
        taught, more = fine_tuned(run, bench, shown, rng)
    elif "encoder" in run.values:
        taught, more = _on_vectors(run, bench, shown, rng)
    else:
        taught, more = _on_raw(run, bench, shown, rng)
    if "encoder" in run.values:
        from ...models.training import gains_by_bf16

        more = more | {"bf16": gains_by_bf16("cpu")}
    return scored(taught, material, shown, rng) | more


def scored(
    taught: Taught, material: Material, shown: npt.NDArray[np.int64], rng: np.random.Generator
) -> dict[str, Any]:
    truth, answers = material.labels[material.test], taught.answers
    groups = material.groups[material.test]
    low, high = interval(
        lambda rows: scores(truth[rows], answers[rows]).macro_f1,
        len(truth),
        rng=rng,
        groups=groups if len(np.unique(groups)) > 1 else None,
        draws=BOOTSTRAP_DRAWS,
    )
    is_novel = material.is_novel
    return {
        "natural": rounded(scores(truth, answers).as_json()),
        "novel": rounded(scores(truth[is_novel], answers[is_novel]).as_json()) if is_novel.any() else None,
        "by_day": _by_day(material, truth, answers),
        "macro_f1_interval": [round(low, 4), round(high, 4)],
        "calibration_error": round(calibration_error(answers == truth, taught.probabilities.max(axis=1)), 4),
        "shown": len(shown),
        "asked": len(truth),
        "parameters": taught.parameters,
        "train_s": round(taught.train_s, 3),
        "flows_per_cpu_s": round(len(truth) / max(taught.ask_s, 1e-9)),
    }


def _by_day(material: Material, truth: npt.NDArray[Any], answers: npt.NDArray[Any]) -> list[dict[str, Any]]:
    """Scores of each day (UTC) that has test flows, where there are several."""
    days = starts_ns(material.flows)[material.test] // NS_PER_DAY
    found = []
    for day in np.unique(days):
        is_its = days == day
        macro_f1 = scores(truth[is_its], answers[is_its]).macro_f1
        name = str(np.datetime64(int(day), "D"))
        found.append({"day": name, "flows": int(is_its.sum()), "macro_f1": round(macro_f1, 4)})
    return found if len(found) > 1 else []


def joined_numbers(batch: FeatureBatch, modalities: list[str], material: Material) -> npt.NDArray[np.float32]:
    """One row of numbers a flow, placed by what the teaching side is like."""
    return Numbers(batch.take(material.train), modalities).joined(batch)


def _on_raw(
    run: Run, bench: Bench, shown: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[Taught, dict[str, Any]]:
    material = bench.material(run.data)
    if "branches" in run.values:
        names = run.values["branches"]
        parts = bench.at_hand(
            {"branches": names, "data": run.data},
            lambda: Numbers(material.batch.take(material.train), names).parts(material.batch),
        )
        taught = teach_branches(parts, material.labels, shown, material.test, rng=rng, scale=bench.scale)
        return taught, {}
    values = run.values
    words = {"numbers": values["numbers"], "source": values.get("source"), "data": run.data}
    batch = material.netflow_batch if values.get("source") == "netflow" else material.batch
    numbers = bench.at_hand(words, lambda: joined_numbers(batch, values["numbers"], material))
    taught = teach_on_numbers(
        values["method"],
        numbers,
        material.labels,
        shown,
        material.test,
        reference=material.train,
        rng=rng,
        scale=bench.scale,
    )
    return taught, {"width": int(numbers.shape[1])}


def _on_vectors(
    run: Run, bench: Bench, shown: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[Taught, dict[str, Any]]:
    """A head on frozen vectors; the flows that are asked may be shown less of than those that teach."""
    material = bench.material(run.data)
    asked = encoded(bench, run)
    vectors = asked.vectors
    if "taught" in run.values:
        teaching = encoded(bench, run, use=run.values["taught"])
        vectors = vectors.copy()
        vectors[material.train] = teaching.vectors[material.train]
    if "numbers" in run.values:
        words = {"numbers": run.values["numbers"], "source": None, "data": run.data}
        numbers = bench.at_hand(words, lambda: joined_numbers(material.batch, run.values["numbers"], material))
        vectors = np.concatenate([vectors, numbers], axis=1)
    taught = teach_on_numbers(
        run.values["method"],
        vectors,
        material.labels,
        shown,
        material.test,
        reference=material.train,
        rng=rng,
        scale=bench.scale,
    )
    embed_s = asked.embed_s * len(material.test) / max(len(vectors), 1)
    return taught, {
        "width": int(vectors.shape[1]),
        "encoder_parameters": dict(asked.parameters),
        "pretrain_s": asked.pretrain_s,
        "embedded_per_cpu_s": round(len(vectors) / max(asked.embed_s, 1e-9)),
        "flows_per_cpu_s": round(len(material.test) / max(embed_s + taught.ask_s, 1e-9)),
    }
