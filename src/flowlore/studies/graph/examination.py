"""One run: some flows are shown with their labels among all others, the later or other ones are asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...tasks.metrics import scores
from ..bench import Bench
from ..representations.encoders import Encoded
from ..representations.fine_tuning import held_out_rows
from ..representations.methods import few_of_each_are_meant, made_method
from ..study import Run
from .asked import Asked, Floats, Rows, asked_of, numbers_of, scored, shown_rows
from .encoders import encoded, teaching_rows

SHOTS_OF_SHARES = 10**9  # a share of labels has as many of a class as there are


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What answers: `sure` gives probabilities of rows of numbers."""

    model: Any
    classes: npt.NDArray[Any]
    train_s: float

    def sure(self, numbers: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = self.model.predict_proba(numbers)
        return found


def examine(run: Run, bench: Bench) -> dict[str, Any]:
    """Scores over all asked flows and over those without a twin, and the costs."""
    material = bench.material(run.data)
    asked = asked_of(material, run.values["truth"])
    shown = shown_rows(asked, run, bench)
    if run.values.get("tuned"):
        taught, numbers, more = _tuned(run, bench, asked, shown)
    else:
        numbers, more = seen(run, bench)
        taught = teach(run, bench, numbers, asked, shown)
    began = time.process_time()
    sure = taught.sure(numbers[asked.test])
    ask_s = time.process_time() - began
    return scored(material, asked, taught.classes, sure) | {
        "shown": len(shown),
        "classes": len(taught.classes),
        "train_s": round(taught.train_s, 3),
        "ask_s": round(ask_s, 3),
        **more,
    }


def seen(run: Run, bench: Bench) -> tuple[Floats, dict[str, Any]]:
    """The row of numbers that the run's method sees of each flow: a vector, numbers of flow and window, or both."""
    material = bench.material(run.data)
    parts: list[Floats] = []
    more: dict[str, Any] = {}
    if "encoder" in run.values:
        whole = encoded(bench, run)
        parts.append(whole.vectors)
        more = _costs(whole, len(material.batch))
    if "windows" in run.values:
        windows = bool(run.values["windows"])
        teaching = teaching_rows(material)
        words = {"numbers": windows, "data": run.data}
        parts.append(bench.at_hand(words, lambda: numbers_of(material.batch, teaching, windows=windows)))
    return np.concatenate(parts, axis=1), more


def teach(run: Run, bench: Bench, numbers: Floats, asked: Asked, shown: Rows) -> Taught:
    """A head on vectors, or a method on numbers, taught by the shown rows."""
    material = bench.material(run.data)
    labels = asked.truth[shown]
    rng = bench.rng(run)
    name = run.values.get("head") or run.values["method"]
    began = time.process_time()
    if name == "mlp":
        model: Any = _Perceptron(rng, bench).fit(numbers[shown], labels)
    else:
        model = made_method(name, rng, bench.scale)
        with few_of_each_are_meant():
            reference = [numbers[teaching_rows(material)]] if name == "probe" else []
            model.fit(numbers[shown], labels, *reference)
    return Taught(model=model, classes=np.asarray(model.classes_), train_s=time.process_time() - began)


def _tuned(run: Run, bench: Bench, asked: Asked, shown: Rows) -> tuple[Taught, Floats, dict[str, Any]]:
    """The whole network follows the labels from the probe on, unless the probe does better on flows held out."""
    from ...models.settings import FineTuningSettings
    from ...tasks.classify.probe import ProbeHead

    material, whole = bench.material(run.data), encoded(bench, run)
    labels = asked.truth.astype(str)
    learn, held = held_out_rows(shown, np.zeros(0, np.int64), labels, run.shots or SHOTS_OF_SHARES)
    classes = np.unique(labels[shown])
    codes = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    reference = whole.vectors[teaching_rows(material)]
    began = time.process_time()
    with few_of_each_are_meant():
        probe = ProbeHead().fit(whole.vectors[learn], labels[learn], reference)
    before = scores(labels[held], probe.predict(whole.vectors[held])).macro_f1
    settings = FineTuningSettings(
        epochs=2 * bench.scale.epochs,
        least_steps=2 * bench.scale.network_steps,
        least_steps_a_round=max(1, bench.scale.network_steps // 8),
    )
    encoder, linear, training = whole.encoder.fine_tuned_among(
        material.batch, codes, learn, held, probe.linear(classes), bench.rng(run), training=settings
    )
    vectors = encoder.embed(material.batch)
    after = scores(labels[held], ProbeHead.from_linear(linear, classes).predict(vectors[held])).macro_f1
    is_tuned = after >= before
    vectors = vectors if is_tuned else whole.vectors
    with few_of_each_are_meant():  # with all labelled flows again, as nothing has to be held out any more
        head = ProbeHead().fit(vectors[shown], labels[shown], vectors[teaching_rows(material)])
    taught = Taught(model=head, classes=np.asarray(head.classes_), train_s=time.process_time() - began)
    more = _costs(whole, len(vectors)) | {
        "held_out": len(held),
        "probe_held_out_macro_f1": round(before, 4),
        "tuned_held_out_macro_f1": round(after, 4),
        "kept": "tuned" if is_tuned else "probe",
        "rounds": training.epochs,
    }
    return taught, vectors, more


def _costs(whole: Encoded, rows: int) -> dict[str, Any]:
    return {
        "encoder_parameters": dict(whole.parameters),
        "pretrain_s": whole.pretrain_s,
        "embedded_per_cpu_s": round(rows / max(whole.embed_s, 1e-9)),
    }


class _Perceptron:
    """The supervised perceptron behind `fit` and `predict_proba` of rows."""

    def __init__(self, rng: np.random.Generator, bench: Bench) -> None:
        from ...tasks.supervised.classifier import SupervisedNetwork

        scale = bench.scale
        self._network = SupervisedNetwork("perceptron", rng, epochs=scale.network_epochs, steps=scale.network_steps)

    def fit(self, numbers: Floats, labels: npt.NDArray[Any]) -> _Perceptron:
        self._network.fit({"numbers": numbers}, labels)
        self.classes_ = self._network.classes_
        return self

    def predict_proba(self, numbers: Floats) -> npt.NDArray[np.float64]:
        return self._network.predict_proba({"numbers": numbers})
