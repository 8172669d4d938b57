"""Classifiers that are attacked, behind one call: flows in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.extract import extract
from ...flows.table import Flows
from ..bench import Bench
from ..representations.encoders import encoded
from ..representations.inputs import Numbers
from ..representations.methods import HEADS, few_of_each_are_meant, made_method
from ..study import Run

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Victim:
    """A taught classifier. `numbers` makes what it sees of flows; `numbers_of_all` are those of the material's rows."""

    classes: npt.NDArray[Any]
    numbers: Callable[[Flows], Floats]
    numbers_of_all: Floats
    model: Any

    def ask(self, flows: Flows) -> npt.NDArray[np.float64]:
        return self.ask_numbers(self.numbers(flows))

    def ask_numbers(self, numbers: Floats) -> npt.NDArray[np.float64]:
        probabilities: npt.NDArray[np.float64] = self.model.predict_proba(numbers)
        return probabilities


def victim_of(run: Run, bench: Bench, shown: Rows) -> Victim:
    """Taught with the labels of these rows: a head on vectors, or a method on all raw numbers."""
    numbers, of_all = view_of(run, bench, shown)
    material = bench.material(run.data)
    method = run.values["method"]
    words = {"victim": run.values.get("encoder"), "method": method, "data": run.data, "seed": run.seed, "n": len(shown)}

    def teach() -> Any:
        model = made_method(method, bench.rng_for("victim", run.data, seed=run.seed), bench.scale)
        labels = material.labels[shown]
        with few_of_each_are_meant():
            return model.fit(of_all[shown], labels, *([of_all[shown]] if method in HEADS else []))

    model = bench.at_hand(words, teach)
    return Victim(classes=np.asarray(model.classes_), numbers=numbers, numbers_of_all=of_all, model=model)


def view_of(run: Run, bench: Bench, shown: Rows) -> tuple[Callable[[Flows], Floats], Floats]:
    """How flows are seen: by an encoder where the run has one, else as raw numbers; and the numbers of all rows."""
    material = bench.material(run.data)
    if "encoder" in run.values:
        made = encoded(bench, run)
        return (lambda flows: made.encoder.embed(extract(flows, material.features))), made.vectors
    words = {"raw": "numbers", "data": run.data, "first": int(shown[0]), "n": len(shown), "seed": run.seed}
    numbers = bench.at_hand(words, lambda: Numbers(material.batch.take(shown), material.facts.modalities))
    of_all = bench.at_hand(words | {"of": "all"}, lambda: numbers.joined(material.batch))
    return (lambda flows: numbers.joined(extract(flows, material.features))), of_all
