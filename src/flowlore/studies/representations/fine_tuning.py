"""The whole encoder follows the labels, from the probe on; a few of the labelled flows say when to stop."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from ...tasks.metrics import scores
from ..bench import Bench
from ..study import ALL_LABELS, Run
from .encoders import encoded, seen_by
from .methods import Taught

HELD_OUT = 5  # one labelled flow in so many


def fine_tuned(
    run: Run, bench: Bench, shown: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[Taught, dict[str, Any]]:
    """Where the tuned network is no better than the probe on the flows held out, the probe answers, and it is told."""
    from ...models.settings import FineTuningSettings
    from ...models.training import gains_by_bf16
    from ...tasks.classify.probe import ProbeHead
    from ...tasks.fine_tuning import tuned_head

    material = bench.material(run.data)
    labels = material.labels
    whole = encoded(bench, run)
    batch = seen_by(bench, run, run.values["encoder"])
    learn, held = held_out_rows(shown, material.validation, labels, run.shots or ALL_LABELS)
    classes = np.unique(labels[shown])
    codes = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    began = time.process_time()
    probe = ProbeHead().fit(whole.vectors[learn], labels[learn], whole.vectors[material.train])
    before = scores(labels[held], probe.predict(whole.vectors[held])).macro_f1
    settings = FineTuningSettings(
        epochs=min(FineTuningSettings().epochs, 2 * bench.scale.epochs),
        least_steps=bench.scale.network_steps,
        bf16=gains_by_bf16("cpu"),
    )
    encoder, linear, training = whole.encoder.fine_tuned(
        batch.take(learn),
        codes[learn],
        probe.linear(classes),
        rng,
        validation=batch.take(held),
        validation_codes=codes[held],
        training=settings,
    )
    vectors = encoder.embed(batch.take(held))
    head = tuned_head(
        linear,
        classes,
        encoder.embed(batch.take(learn)),
        codes[learn],
        reference=whole.vectors[material.train],
        held=vectors,
        held_codes=codes[held],
    )
    after = scores(labels[held], head.predict(vectors)).macro_f1
    is_tuned = after > before
    if not is_tuned:  # with all labelled flows again, as nothing has to be held out any more
        encoder = whole.encoder
        head = ProbeHead().fit(whole.vectors[shown], labels[shown], whole.vectors[material.train])
    taught_s = time.process_time() - began
    began = time.process_time()
    probabilities = head.predict_proba(encoder.embed(batch.take(material.test)))
    weight = encoder.parameters()
    parameters = weight["layers"] + weight["tables"] + sum(getattr(head, name).size for name in head.LEARNT)
    taught = Taught(
        classes=np.asarray(head.classes_),
        probabilities=probabilities,
        parameters=int(parameters),
        train_s=taught_s,
        ask_s=time.process_time() - began,
    )
    return taught, {
        "encoder_parameters": weight,
        "neighbours_share": getattr(head, "share", 0.0),
        "pretrain_s": whole.pretrain_s,
        "held_out": len(held),
        "probe_held_out_macro_f1": round(before, 4),
        "tuned_held_out_macro_f1": round(after, 4),
        "kept": "tuned" if is_tuned else "probe",
        "rounds": training.epochs,
    }


def held_out_rows(
    shown: npt.NDArray[np.int64], validation: npt.NDArray[np.int64], labels: npt.NDArray[Any], shots: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows that teach, and rows that say when to stop.

    With all labels those are the validation side; with few no label but of those shown may be looked at.
    """
    known = np.unique(labels[shown])
    if shots == ALL_LABELS:
        held = validation[np.isin(labels[validation], known)]
        if len(held) >= 2 * len(known):
            return shown, held
    order = shown[np.argsort(labels[shown], kind="stable")]
    _, firsts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(firsts, counts)
    is_held = rank % HELD_OUT == HELD_OUT - 1
    if not is_held.any():  # every class has fewer: the last of each that has two
        is_held = (rank > 0) & (rank == np.repeat(counts, counts) - 1)
    return np.sort(order[~is_held]), np.sort(order[is_held])
