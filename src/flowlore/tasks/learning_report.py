"""Few labels from beginning to end: taught, examined, mapped and explained, with the numbers that a page shows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .explanation import Explanation, explain
from .few_shot import examine, prepare, teach
from .flow_map import FlowMap, map_flows
from .metrics import confusion, f1_by_class
from .predictor import Predictor

if TYPE_CHECKING:
    from ..flows.table import Flows

CONFIDENCE_BINS = 10
EVERY_PACKET = 64  # parts of a kind that are kept, so that pictures show what each packet was worth
BASELINES = ("nearest", "extra-trees", "lightgbm")


@dataclass(frozen=True, kw_only=True)
class LearningReport:
    """What came of it. `truth`, `answers` and `confidence` have a row for each flow that was asked."""

    shots: int
    seed: int
    head: str
    examination: dict[str, Any]  # as `few_shot.examine` gives it
    truth: npt.NDArray[Any]
    answers: npt.NDArray[Any]
    confidence: npt.NDArray[np.float64]
    unknown: npt.NDArray[np.bool_]
    flow_map: FlowMap
    explanations: tuple[Explanation, ...]
    explained: Flows
    seconds: dict[str, float]  # of each step

    def classes(self) -> list[str]:
        return sorted({*self.truth.tolist(), *self.answers.tolist()})

    def confusion(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        classes, counts = confusion(self.truth, self.answers)
        return [str(name) for name in classes], counts

    def f1(self) -> dict[str, tuple[float, int]]:
        """F1 of each class and how many flows of it were asked, the best first."""
        values, support = f1_by_class(self.truth, self.answers)
        return {str(name): (values[name], support[name]) for name in sorted(values, key=lambda name: -values[name])}

    def reliability(self) -> list[tuple[float, float, int]]:
        """For each bin of confidence that is not empty: mean confidence, share right, flows."""
        places = np.clip((self.confidence * CONFIDENCE_BINS).astype(np.int64), 0, CONFIDENCE_BINS - 1)
        right = self.truth == self.answers
        return [
            (float(self.confidence[places == place].mean()), float(right[places == place].mean()), int(count))
            for place, count in enumerate(np.bincount(places, minlength=CONFIDENCE_BINS))
            if count
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "shots": self.shots,
            "seed": self.seed,
            "head": self.head,
            **self.examination,
            "f1_by_class": {name: round(value, 4) for name, (value, _) in self.f1().items()},
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "map": self.flow_map.as_json(),
            "explained": [one.as_json() for one in self.explanations],
        }


def learn_and_report(
    predictor: Predictor,
    flows: Flows,
    *,
    shots: int,
    seed: int = 0,
    by: str = "time",
    head: str = "probe",
    drop_small_classes: bool = False,
    baselines: Sequence[str] = BASELINES,
    examples: int = 8,
) -> tuple[Predictor, LearningReport]:
    """Teach a bundle from `shots` labelled flows of each class, and tell everything about it.

    `flows` hold labels where they are known; those without take part in the map only.
    """
    rng = np.random.default_rng(seed)
    seconds: dict[str, float] = {}
    lesson = _timed(seconds, "embed", lambda: prepare(predictor, flows, by=by, rng=rng))
    taught, episode = _timed(
        seconds,
        "learn",
        lambda: teach(predictor, lesson, shots=shots, rng=rng, head=head, drop_small_classes=drop_small_classes),
    )
    examination = _timed(seconds, "examine", lambda: examine(taught, lesson, episode, rng=rng, baselines=baselines))
    taught = replace(taught, metrics=examination | {"shots": shots, "seed": seed, "head": head})
    truth = lesson.labels[episode.query].astype(str)
    asked = _rows(lesson.flows, episode.query)
    answers = taught.predict_embedded(asked, lesson.embedding.take(episode.query))
    labels = np.array(answers.column("label").to_pylist()).astype(str)
    sure = answers.column("confidence").to_numpy().astype(np.float64)
    flow_map = _timed(seconds, "map", lambda: map_flows(taught, flows, rng=np.random.default_rng(seed)))
    explained = _rows(asked, _examples(truth, labels, sure, examples))
    explanations = _timed(seconds, "explain", lambda: explain(taught, explained, most_of_each=EVERY_PACKET))
    return taught, LearningReport(
        shots=shots,
        seed=seed,
        head=head,
        examination=examination,
        truth=truth,
        answers=labels,
        confidence=sure,
        unknown=answers.column("unknown").to_numpy(zero_copy_only=False),
        flow_map=flow_map,
        explanations=tuple(explanations),
        explained=explained,
        seconds=seconds,
    )


def _examples(
    truth: npt.NDArray[Any], answers: npt.NDArray[Any], sure: npt.NDArray[np.float64], most: int
) -> npt.NDArray[np.int64]:
    """Flows worth explaining: the surest of each of the most frequent classes, and the surest mistakes."""
    right = truth == answers
    names, counts = np.unique(truth[right], return_counts=True)
    frequent = names[np.argsort(-counts, kind="stable")]
    wrong = np.flatnonzero(~right)
    mistakes = wrong[np.argsort(-sure[wrong], kind="stable")][: most // 4]
    good = [int(np.flatnonzero(right & (truth == name))[sure[right & (truth == name)].argmax()]) for name in frequent]
    return np.array([*good[: most - len(mistakes)], *mistakes.tolist()], np.int64)


def _rows(flows: Flows, rows: npt.NDArray[np.int64]) -> Flows:
    import pyarrow as pa

    from ..flows.table import Flows

    return Flows(flows.to_arrow().take(pa.array(rows, pa.int64())))


def _timed(seconds: dict[str, float], step: str, action: Any) -> Any:
    began = time.perf_counter()
    found = action()
    seconds[step] = time.perf_counter() - began
    return found
