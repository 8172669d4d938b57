"""The whole encoder follows labels from the linear probe on, and only where it does better than the probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import TaskError
from .calibrate import Calibration, OpenSet
from .classify.episodes import Episode
from .classify.probe import ProbeHead
from .metrics import scores
from .predictor import Predictor, Support, flow_id_bytes
from .raw import starts_ns, taken, texts
from .splits import split_by_capture

if TYPE_CHECKING:
    from ..models.settings import FineTuningSettings
    from ..models.training import Progress
    from .few_shot import Lesson

HELD_OUT = 0.2
FEWEST_HELD_OUT = 2  # flows for each class, on the average


def fine_tune(
    predictor: Predictor,
    lesson: Lesson,
    episode: Episode,
    *,
    rng: np.random.Generator,
    settings: FineTuningSettings,
    coverage: float = 0.9,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[Predictor, Lesson, dict[str, Any]]:
    """The predictor with a tuned encoder, the lesson in its vectors, and what came of it.

    Some of the labelled flows (the split's validation, else whole captures of the shown) say when to stop, and whether
    the tuned network is better than a probe taught by the same flows. If it is not, all stays as it was, and is told.
    """
    from ..features.extract import extract

    if not hasattr(predictor.encoder, "fine_tuned"):
        raise TaskError(
            f"tasks: model `{predictor.model}` cannot be fine-tuned", hint="leave out `--fine-tune`: the head is taught"
        )
    learn, held, held_by = _held_out(lesson, episode)
    labels = lesson.labels.astype(str)
    classes = np.unique(labels[episode.support])
    probe = ProbeHead().fit(
        lesson.embedding.vectors[learn], labels[learn], lesson.embedding.vectors[lesson.split.train]
    )
    before = scores(labels[held], probe.predict(lesson.embedding.vectors[held])).macro_f1
    batch = extract(taken(lesson.flows, np.concatenate([learn, held])), predictor.features)
    codes = np.searchsorted(classes, labels)
    encoder, head, training = predictor.encoder.fine_tuned(
        batch.rows(0, len(learn)),
        codes[learn],
        probe.linear(classes),
        rng,
        validation=batch.rows(len(learn), len(batch)),
        validation_codes=codes[held],
        training=settings,
        progress=progress,
    )
    tuned = replace(predictor, encoder=encoder)
    found = ProbeHead.from_linear(head, classes)
    vectors = encoder.embed(batch)[len(learn) :]
    after = scores(labels[held], found.predict(vectors)).macro_f1
    report = {
        "held_out": len(held),
        "held_out_by": held_by,
        "probe_macro_f1": round(before, 4),
        "tuned_macro_f1": round(after, 4),
        "epochs": training.epochs,
        "seconds": round(training.seconds, 1),
        "kept": "tuned" if after > before else "probe",
    }
    if after <= before:
        return predictor, lesson, report
    embedding = tuned.embed(lesson.flows)
    support = Support(
        vectors=embedding.vectors[episode.support],
        labels=labels[episode.support],
        flow_ids=flow_id_bytes(lesson.flows)[episode.support],
    )
    taught = replace(
        tuned,
        head_name="probe",
        head=found,
        calibration=Calibration.fit(found.predict_proba(vectors), codes[held], coverage=coverage),
        open_set=OpenSet.fit(support.vectors, embedding.vectors[lesson.split.train]),
        support=support,
    )
    return taught, replace(lesson, embedding=embedding), report


def _held_out(lesson: Lesson, episode: Episode) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], str]:
    """Rows that teach, rows that say when to stop, and what keeps them apart."""
    labels = lesson.labels.astype(str)
    known = np.unique(labels[episode.support])
    held = lesson.split.validation
    held = held[np.isin(labels[held], known)]
    if len(held) >= FEWEST_HELD_OUT * len(known):
        return episode.support, held, lesson.split.by
    shown = taken(lesson.flows, episode.support)
    try:
        split = split_by_capture(
            texts(shown, "capture"), starts_ns(shown), classes=labels[episode.support], test_share=HELD_OUT
        )
        learn, held = episode.support[split.train], episode.support[split.test]
        held = held[np.isin(labels[held], labels[learn])]
        is_whole = len(np.unique(labels[learn])) == len(known)
        if is_whole and len(held) >= len(known) // 2:
            return learn, held, "capture"
    except TaskError:
        pass
    order = np.argsort(labels[episode.support], kind="stable")
    is_held = np.zeros(len(order), np.bool_)
    _, firsts, counts = np.unique(labels[episode.support][order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(firsts, counts)
    is_held[order] = rank % round(1 / HELD_OUT) == round(1 / HELD_OUT) - 1
    if not is_held.any():
        raise TaskError(
            f"tasks: {counts.max()} flows of each class are too few to fine-tune with: none can be kept back to say "
            "when to stop",
            hint=f"`--shots {round(1 / HELD_OUT)}` or more, or leave out `--fine-tune`",
        )
    return episode.support[~is_held], episode.support[is_held], "flow"
