"""How good a taught bundle is on labelled flows that it was not shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import TaskError
from .alarms import RECALL, alarm_scores, check_benign
from .classify.episodes import labelled
from .metrics import (
    adjusted_rand,
    calibration_error,
    f1_by_class,
    interval,
    pr_auc,
    purity,
    rounded,
    scores,
    silhouette,
)
from .predictor import Predictor, flow_id_bytes
from .raw import numbers, starts_ns, texts

MOST_ROWS_FOR_PURITY = 5000
INTERVAL_DRAWS = 200


def evaluate(
    predictor: Predictor,
    flows: Any,
    *,
    rng: np.random.Generator,
    benign: Sequence[str] = (),
    recall: float = RECALL,
) -> dict[str, Any]:
    """Scores with intervals (whole captures are drawn), confidence, answer sets, unknowns, and the embedding's purity.

    Flows that the head learnt from are left out, and counted. A label that the bundle does not know counts as wrong in
    the scores, and tells how well "unknown" is told. With `benign` classes, flows of all others are alarms, as likely
    as they are of none of these; `alarms` says how well they are found, at the threshold that finds `recall` of them.
    """
    head = predictor.taught()
    check_benign(benign, head.classes_)
    assert predictor.support is not None and predictor.open_set is not None and predictor.calibration is not None
    labels = texts(flows, "label")
    is_labelled = labelled(labels)
    was_shown = _is_among(flow_id_bytes(flows), predictor.support.flow_ids)
    asked = is_labelled & ~was_shown
    if not asked.any():
        raise TaskError(
            f"tasks: none of the {len(flows):,} flows can be asked ({int((~is_labelled).sum()):,} have no label, "
            f"{int((is_labelled & was_shown).sum()):,} were shown in training)",
            hint="`flowlore annotate` joins labels; give captures that the bundle was not taught with",
        )
    embedding = predictor.embed_where(flows, asked)
    flows = flows[asked]
    truth = texts(flows, "label").astype(str)
    raw = head.predict_proba(embedding.seen_by(head))
    sure = predictor.calibration.confidences(raw)
    classes = head.classes_.astype(str)
    answers = classes[sure.argmax(axis=1)]
    is_known = np.isin(truth, classes)
    sets = predictor.calibration.sets(raw)
    columns = np.searchsorted(classes, truth[is_known])
    unknown = predictor.open_set.is_unknown(embedding.vectors)
    captures = np.array([str(name) for name in texts(flows, "capture")])
    low, high = interval(
        lambda rows: scores(truth[rows], answers[rows]).macro_f1,
        len(truth),
        rng=rng,
        groups=captures if len(set(captures)) > 1 else None,
        draws=INTERVAL_DRAWS,
    )
    each, asked_of = f1_by_class(truth, answers)
    likely = dict(zip(classes.tolist(), sure.T.astype(np.float64), strict=True))
    alarms = None
    if benign:
        harmful = 1.0 - sum(likely[name] for name in set(benign))
        alarms = alarm_scores(~np.isin(truth, list(benign)), harmful, duration_ns=_lasted_ns(flows), recall=recall)
    chosen = rng.permutation(len(truth))[:MOST_ROWS_FOR_PURITY]
    vectors = embedding.vectors[chosen]
    return {
        "asked": len(truth),
        "shown_before": int((is_labelled & was_shown).sum()),
        "unlabelled": int((~is_labelled).sum()),
        "masked": list(embedding.masked),
        **rounded(scores(truth, answers).as_json()),
        "macro_f1_interval": [round(low, 4), round(high, 4)],
        "f1_by_class": rounded(each),
        "pr_auc_by_class": rounded({name: pr_auc(truth == name, likely[name]) for name in asked_of if name in likely}),
        "flows_by_class": asked_of,
        "alarms": alarms,
        "calibration_error": round(calibration_error(answers == truth, sure.max(axis=1)), 4),
        "set_coverage": _mean(sets[is_known][np.arange(len(columns)), columns]),
        "set_size": _mean(sets.sum(axis=1)),
        "known_called_unknown": _mean(unknown[is_known]),
        "unknown_found": _mean(unknown[~is_known]),
        "classes_never_shown": sorted(set(truth[~is_known].tolist())),
        "purity": {str(count): round(share, 4) for count, share in purity(vectors, truth[chosen]).items()},
        "silhouette": round(silhouette(vectors, truth[chosen]), 4),
        "adjusted_rand": _clusters_agree(vectors, truth[chosen], rng),
    }


def _clusters_agree(vectors: Any, truth: Any, rng: np.random.Generator) -> float | None:
    """How well as many clusters as there are classes, made without a label, are the classes."""
    from sklearn.cluster import KMeans

    classes = len(np.unique(truth))
    if not 2 <= classes < len(truth) or len(np.unique(vectors, axis=0)) < classes:
        return None
    clusters = KMeans(classes, n_init=2, random_state=int(rng.integers(2**31))).fit_predict(vectors)
    return round(adjusted_rand(truth, clusters), 4)


def _lasted_ns(flows: Any) -> int:
    """From the first start to the last end; 0 where no flow says when it was."""
    starts = starts_ns(flows)
    ends = starts + np.nan_to_num(numbers(flows, ("duration_ns",))[:, 0]).astype(np.int64)
    is_timed = starts > 0
    return int(ends[is_timed].max() - starts[is_timed].min()) if is_timed.any() else 0


def _is_among(ids: Any, known: Any) -> Any:
    """Which rows of [flows, 16] are among others; a flow without an id (zeros) is none of them."""
    wanted = {row.tobytes() for row in known}
    wanted.discard(bytes(ids.shape[1]))
    return np.array([row.tobytes() in wanted for row in ids], np.bool_)


def _mean(values: Any) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None
