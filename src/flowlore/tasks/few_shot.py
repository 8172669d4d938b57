"""Teach a bundle classes from a few labelled flows, and examine it on others, beside simple methods."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ..errors import TaskError
from .calibrate import Calibration, OpenSet, out_of_fold
from .classify.episodes import Episode, draw_episode, labelled
from .metrics import calibration_error, rounded, scores
from .predictor import Embedding, Predictor, Support, flow_id_bytes
from .raw import raw_matrix, starts_ns, texts
from .splits import (
    Split,
    novel,
    split_at_random_which_leaks,
    split_by_capture,
    split_by_host,
    split_by_network,
    split_by_time,
    twin_keys,
)

if TYPE_CHECKING:
    from ..features.augment.settings import AugmentSettings

SplitBy = Literal["capture", "time", "host", "network", "random-which-leaks"]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Labelled flows with their vectors and raw numbers, and who teaches and who examines."""

    flows: Any
    embedding: Embedding
    labels: npt.NDArray[Any]
    raw: npt.NDArray[np.float64]
    twins: npt.NDArray[np.int64]
    split: Split
    among: Any = None  # all flows that were given, neighbours for an encoder that looks at neighbours
    places: npt.NDArray[np.int64] | None = None  # of `flows` in them


def prepare(
    predictor: Predictor,
    flows: Any,
    *,
    by: str,
    rng: np.random.Generator,
    test_share: float = 0.5,
    validation_share: float = 0.0,
) -> Lesson:
    """Embed labelled flows and split them. Flows without a label, or with nothing to look at, are left out."""
    labels = texts(flows, "label")
    if not labelled(labels).any():
        raise TaskError(
            "tasks: no flow has a label, so there is nothing to learn from",
            hint="`--labels FILE`, or `flowlore annotate FLOWS LABELS -o labelled.parquet`",
        )
    embedding = predictor.embed_where(flows, labelled(labels), with_numbers=True)
    among, places = flows, np.flatnonzero(labelled(labels))
    flows = flows[labelled(labels)]
    if embedding.is_blank.any():
        flows, places = flows[~embedding.is_blank], places[~embedding.is_blank]
        embedding = embedding.take(~embedding.is_blank)
    labels = texts(flows, "label")
    return Lesson(
        flows=flows,
        embedding=embedding,
        labels=labels,
        raw=raw_matrix(flows),
        twins=twin_keys(flows),
        split=split_flows(flows, by, rng=rng, classes=labels, test_share=test_share, validation_share=validation_share),
        among=among,
        places=places,
    )


def split_flows(
    flows: Any,
    by: str,
    *,
    rng: np.random.Generator,
    classes: npt.NDArray[Any],
    test_share: float = 0.5,
    validation_share: float = 0.0,
) -> Split:
    """The split that a word asks for, over a flow table."""
    check_split(by)
    shares = {"test_share": test_share, "validation_share": validation_share}
    if by == "random-which-leaks":
        return split_at_random_which_leaks(len(classes), rng=rng, **shares)
    if by == "time":
        from .raw import numbers

        start = starts_ns(flows)
        lasts = np.nan_to_num(numbers(flows, ("duration_ns",))[:, 0]).astype(np.int64)
        return split_by_time(start, end_ns=start + lasts, **shares)
    if by == "capture":
        captures = texts(flows, "capture")
        return split_by_capture(captures, starts_ns(flows), classes=classes, **shares)
    by_place = split_by_host if by == "host" else split_by_network
    return by_place(texts(flows, "src_ip"), rng=rng, classes=classes, **shares)


def check_split(by: str) -> None:
    """Refuse a word that names no split."""
    if by not in get_args(SplitBy):
        raise TaskError(f"tasks: flows cannot be split by `{by}`", hint=f"choose from {', '.join(get_args(SplitBy))}")


def teach(
    predictor: Predictor,
    lesson: Lesson,
    *,
    shots: int | None,
    rng: np.random.Generator,
    head: str = "probe",
    coverage: float = 0.9,
    drop_small_classes: bool = False,
    augmentation: AugmentSettings | None = None,
    share: float | None = None,
) -> tuple[Predictor, Episode]:
    """The predictor with a head that saw `shots` flows of each class, calibrated on answers given without the flow.

    No `shots` means that all labelled flows of the training side are shown, or a `share` of them. With `augmentation`
    the head sees changed copies of the flows that are shown too. Calibration does not: a copy would give away its
    original.
    """
    from . import HEADS

    if not 0 < coverage < 1:
        raise TaskError(f"tasks: answer sets cannot hold {coverage} of the truth", hint="a share such as 0.9")
    episode = draw_episode(
        lesson.labels,
        shots,
        rng=rng,
        train=lesson.split.train,
        test=lesson.split.test,
        drop_small_classes=drop_small_classes,
        share=share,
    )
    made = HEADS.load(head)()
    shown = lesson.embedding.take(episode.support)
    labels = lesson.labels[episode.support].astype(str)
    vectors, reference = shown.seen_by(made), lesson.embedding.take(lesson.split.train).seen_by(made)
    with _few_of_each_is_meant():
        guessed, asked, classes = out_of_fold(made, vectors, labels, reference=reference)
        if augmentation is None or not augmentation.transforms:
            made.fit(vectors, labels, reference)
        else:
            copies, of_copies = _copies(predictor, lesson.flows, episode.support, augmentation, rng)
            more = copies.seen_by(made)
            made.fit(np.concatenate([vectors, more]), np.concatenate([labels, of_copies]), reference)
    taught = replace(
        predictor,
        head_name=head,
        head=made,
        calibration=Calibration.fit(guessed, np.searchsorted(classes, labels[asked]), coverage=coverage),
        open_set=OpenSet.fit(shown.vectors, lesson.embedding.vectors[lesson.split.train]),
        support=Support(vectors=shown.vectors, labels=labels, flow_ids=flow_id_bytes(lesson.flows)[episode.support]),
    )
    return taught, episode


def examine(
    predictor: Predictor,
    lesson: Lesson,
    episode: Episode,
    *,
    rng: np.random.Generator,
    baselines: Sequence[str] = ("nearest", "extra-trees", "lightgbm"),
) -> dict[str, Any]:
    """Scores of the head and of each baseline taught by the same flows, over all asked flows and over novel ones.

    Novel flows are those without a near duplicate among the flows that were shown.
    """
    from . import BASELINES

    if not len(episode.query):
        raise TaskError("tasks: no labelled flow is left to be asked", hint="fewer `--shots`, or more labelled flows")
    shown = replace(lesson.split, train=episode.support, test=episode.query)
    is_novel = novel(shown, lesson.twins)
    truth = lesson.labels[episode.query].astype(str)
    taught = lesson.labels[episode.support].astype(str)
    head = predictor.taught()
    assert predictor.calibration is not None
    asked = lesson.embedding.take(episode.query)
    sure = predictor.calibration.confidences(head.predict_proba(asked.seen_by(head)))
    answers = {predictor.head_name: head.classes_[sure.argmax(axis=1)]}
    for name in baselines:
        with _few_of_each_is_meant():
            model = BASELINES.load(name)(rng).fit(lesson.raw[episode.support], taught)
        answers[name] = model.predict(lesson.raw[episode.query])
    table = {
        name: {
            "natural": rounded(scores(truth, given).as_json()),
            "novel": rounded(scores(truth[is_novel], given[is_novel]).as_json()),
        }
        for name, given in answers.items()
    }
    best = max(table, key=lambda name: float(table[name]["natural"]["macro_f1"]))
    return {
        "classes": len(head.classes_),
        "shown": len(episode.support),
        "asked": len(episode.query),
        "novel": int(is_novel.sum()),
        "split": lesson.split.as_json(),
        "dropped_classes": list(episode.dropped_classes),
        "absent_classes": list(episode.absent_classes),
        "not_asked": episode.not_asked,
        "asked_in_vain": episode.asked_in_vain,
        "scores": table,
        "best": best,
        "calibration_error": round(calibration_error(answers[predictor.head_name] == truth, sure.max(axis=1)), 4),
    }


def _copies(
    predictor: Predictor,
    flows: Any,
    rows: npt.NDArray[np.int64],
    augmentation: AugmentSettings,
    rng: np.random.Generator,
) -> tuple[Embedding, npt.NDArray[Any]]:
    """Vectors and labels of changed copies of the flows at these rows."""
    import pyarrow as pa

    from ..features.augment.policy import Augmenter
    from ..features.augment.tables import augment_table

    shown = flows.to_arrow().take(pa.array(rows))
    batches, _ = augment_table(shown, Augmenter(augmentation), rng, keep_originals=False)
    copies = pa.Table.from_batches(batches, schema=shown.schema)
    return predictor.embed(copies, with_numbers=True), texts(copies, "label").astype(str)


@contextmanager
def _few_of_each_is_meant() -> Iterator[None]:
    """scikit-learn takes one or two flows of each class for a regression, and warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
        yield
