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
from .classify.joined import JoinedHead
from .classify.probe import ProbeHead
from .metrics import scores
from .predictor import Embedding, Predictor, Support, flow_id_bytes
from .raw import starts_ns, taken, texts
from .splits import split_by_capture

if TYPE_CHECKING:
    from ..features.settings import FeatureSettings
    from ..models.encoder import LinearHead
    from ..models.settings import FineTuningSettings
    from ..models.training import Progress, TrainingReport
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
    learn, held, held_by = _held_out_where_it_can(predictor, lesson, episode)
    labels = lesson.labels.astype(str)
    classes = np.unique(labels[episode.support])
    probe = ProbeHead().fit(
        lesson.embedding.vectors[learn], labels[learn], lesson.embedding.vectors[lesson.split.train]
    )
    before = scores(labels[held], probe.predict(lesson.embedding.vectors[held])).macro_f1
    codes = np.searchsorted(classes, labels)
    encoder, head, training = _tuned(
        predictor.encoder,
        lesson,
        predictor.features,
        learn=learn,
        held=held,
        codes=codes,
        head=probe.linear(classes),
        rng=rng,
        settings=settings,
        progress=progress,
    )
    tuned = replace(predictor, encoder=encoder)
    embedding = _embedding(tuned, lesson, np.arange(len(labels)))
    vectors = embedding.vectors[held]
    found = tuned_head(
        head,
        classes,
        embedding.vectors[learn],
        codes[learn],
        reference=lesson.embedding.vectors[lesson.split.train],
        held=vectors,
        held_codes=codes[held],
    )
    after = scores(labels[held], found.predict(vectors)).macro_f1
    report = {
        "held_out": len(held),
        "held_out_by": held_by,
        "probe_macro_f1": round(before, 4),
        "tuned_macro_f1": round(after, 4),
        "epochs": training.epochs,
        "seconds": round(training.seconds, 1),
        "kept": "tuned" if after > before else "probe",
        "neighbours_share": found.share if isinstance(found, JoinedHead) else 0.0,
    }
    if after <= before:
        return predictor, lesson, report
    support = Support(
        vectors=embedding.vectors[episode.support],
        labels=labels[episode.support],
        flow_ids=flow_id_bytes(lesson.flows)[episode.support],
    )
    reference = embedding.vectors[lesson.split.train]
    if hasattr(encoder, "fine_tuned_among"):  # of few labels, none is to be missed by the head
        found = ProbeHead().fit(embedding.vectors[learn], labels[learn], reference)
        head_of_all = ProbeHead().fit(support.vectors, support.labels, reference)
    else:
        head_of_all = found
    taught = replace(
        tuned,
        head_name="joined" if isinstance(head_of_all, JoinedHead) else "probe",
        head=head_of_all,
        calibration=Calibration.fit(found.predict_proba(vectors), codes[held], coverage=coverage),
        open_set=OpenSet.fit(support.vectors, reference),
        support=support,
    )
    return taught, replace(lesson, embedding=embedding), report


def tuned_head(
    linear: LinearHead,
    classes: npt.NDArray[Any],
    vectors: npt.NDArray[np.float32],
    codes: npt.NDArray[np.int64],
    *,
    reference: npt.NDArray[np.float32],
    held: npt.NDArray[np.float32],
    held_codes: npt.NDArray[np.int64],
) -> ProbeHead | JoinedHead:
    """What answers from tuned vectors. `reference` are vectors of before, which an encoder that has grown still gives
    first: by them the nearest of the flows that taught answer too, as far as flows held out are the better for it.
    """
    columns = reference.shape[1]
    if vectors.shape[1] == columns:
        return ProbeHead.from_linear(linear, classes)
    head = JoinedHead.from_linear(linear, classes, vectors, codes, reference=reference, columns=columns)
    head.choose_share(held, held_codes)
    return head


def _held_out_where_it_can(
    predictor: Predictor, lesson: Lesson, episode: Episode
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], str]:
    if not (hasattr(predictor.encoder, "fine_tuned") or hasattr(predictor.encoder, "fine_tuned_among")):
        raise TaskError(
            f"tasks: model `{predictor.model}` cannot be fine-tuned", hint="leave out `--fine-tune`: the head is taught"
        )
    return _held_out(lesson, episode)


def _tuned(
    encoder: Any,
    lesson: Lesson,
    features: FeatureSettings,
    *,
    learn: npt.NDArray[np.int64],
    held: npt.NDArray[np.int64],
    codes: npt.NDArray[np.int64],
    head: LinearHead,
    rng: np.random.Generator,
    settings: FineTuningSettings,
    progress: Callable[[Progress], None] | None,
) -> tuple[Any, LinearHead, TrainingReport]:
    """A copy of the encoder that followed labels. One that looks at neighbours is shown all flows, labelled or not."""
    from ..features.extract import extract

    more: Any = {"training": settings, "progress": progress}
    if hasattr(encoder, "fine_tuned_among") and lesson.places is not None:
        batch, places = extract(lesson.among, features), lesson.places
        all_codes = np.full(len(batch), -1, np.int64)
        all_codes[places] = codes
        found = encoder.fine_tuned_among(batch, all_codes, places[learn], places[held], head, rng, **more)
    else:
        batch = extract(taken(lesson.flows, np.concatenate([learn, held])), features)
        validation = batch.rows(len(learn), len(batch))
        batch = batch.rows(0, len(learn))
        found = encoder.fine_tuned(
            batch, codes[learn], head, rng, validation=validation, validation_codes=codes[held], **more
        )
    made: tuple[Any, LinearHead, TrainingReport] = found
    return made


def _embedding(predictor: Predictor, lesson: Lesson, rows: npt.NDArray[np.int64]) -> Embedding:
    """Vectors of these flows of the lesson, among their neighbours where the encoder looks at those."""
    with_numbers = lesson.embedding.numbers is not None
    if not hasattr(predictor.encoder, "embedder") or lesson.places is None:
        return predictor.embed(taken(lesson.flows, rows), with_numbers=with_numbers)
    return predictor.embed(lesson.among, with_numbers=with_numbers).take(lesson.places[rows])


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
