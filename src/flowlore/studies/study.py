"""What a study is: a question, and the runs that answer it, each a declared configuration with one result.

A later study writes a class that keeps the `Study` promise, names it in the registry, and has plan, resumption,
processes, statistics and report from here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from ..errors import SettingError
from ..registry import nearest_name_hint

if TYPE_CHECKING:
    from .bench import Bench
    from .evidence import Evidence
    from .material import Facts
    from .report import Report

HASH_LETTERS = 16
ALL_LABELS = 0  # shots: every label of the training side
ScaleName = Literal["smoke", "small", "full"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How much of the data is used, and how often everything is repeated."""

    name: str
    train_rows: int  # most flows of the training side, drawn at random; 0 is all
    unlabelled_rows: int  # of the rest of the training side, which encoders see without labels; of no thinning, nothing
    test_rows: int  # most flows of the test side
    seeds: int
    seeds_with_all_labels: int  # full labels cost most, and vary least
    seeds_of_variants: int  # for ablations and other arms that need an encoder of their own
    shots: tuple[int, ...]  # labels a class; `ALL_LABELS` is every one
    epochs: int  # of pre-training
    pretrain_steps: int  # of pre-training, at least
    network_epochs: int  # of a network taught with labels
    network_steps: int  # likewise, at least
    trees: int  # of a forest
    probed_rows: int  # flows looked at for purity, clusters and neighbours

    def changed(self, *, seeds: int | None = None, shots: Sequence[int] | None = None) -> Scale:
        made = self
        if seeds is not None:
            fewer = {name: min(seeds, getattr(made, name)) for name in ("seeds_with_all_labels", "seeds_of_variants")}
            made = replace(made, seeds=seeds, **fewer)
        return replace(made, shots=tuple(shots)) if shots is not None else made


SCALES: dict[str, Scale] = {
    "smoke": Scale(
        name="smoke",
        train_rows=600,
        unlabelled_rows=300,
        test_rows=300,
        seeds=2,
        seeds_with_all_labels=1,
        seeds_of_variants=1,
        shots=(1, 5, ALL_LABELS),
        epochs=1,
        pretrain_steps=4,
        network_epochs=1,
        network_steps=8,
        trees=10,
        probed_rows=150,
    ),
    "small": Scale(
        name="small",
        train_rows=6_000,
        unlabelled_rows=30_000,
        test_rows=2_000,
        seeds=3,
        seeds_with_all_labels=1,
        seeds_of_variants=1,
        shots=(1, 5, 10, 20, 100, ALL_LABELS),
        epochs=12,
        pretrain_steps=300,
        network_epochs=5,
        network_steps=100,
        trees=100,
        probed_rows=1_500,
    ),
    "full": Scale(
        name="full",
        train_rows=0,
        unlabelled_rows=0,
        test_rows=0,
        seeds=5,
        seeds_with_all_labels=5,
        seeds_of_variants=5,
        shots=(1, 5, 10, 20, 100, ALL_LABELS),
        epochs=40,
        pretrain_steps=400,
        network_epochs=15,
        network_steps=1_000,
        trees=300,
        probed_rows=10_000,
    ),
}


def scale_called(name: str, study: type[Study] | None = None) -> Scale:
    """A scale that all studies share, or the one of this name that a study has of its own (`scales`)."""
    scales: Mapping[str, Scale] = getattr(study, "scales", SCALES)
    if name not in scales:
        raise SettingError(
            f"studies: no scale is called `{name}`",
            hint=nearest_name_hint(name, list(scales)) or f"choose from {', '.join(scales)}",
        )
    return scales[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One piece of evidence to be made. Equal configurations have equal hashes on every machine."""

    question: str  # which part of the study it answers
    data: str
    arm: str
    seed: int
    shots: int | None = None  # labels a class; None where labels play no part
    values: Mapping[str, Any] = field(default_factory=dict)  # of the arm: plain JSON
    also: tuple[str, ...] = ()  # other data sets that it learns from; where one is not here, there is no such run
    beside: tuple[str, ...] = ()  # the same, but those that are here will do, one at least
    shares: str = ""  # runs of one data set with equal words have an expensive part in common, and go to one process
    cpu_s: float = 1.0  # estimate

    def configuration(self, study: str, scale: Scale, checksums: Mapping[str, str]) -> dict[str, Any]:
        """Everything that decides the result: two runs with equal configurations are one run."""
        decisive = {name: value for name, value in asdict(scale).items() if name not in _COUNTS}
        return {
            "study": study,
            "question": self.question,
            "data": self.data,
            "checksum": checksums[self.data],
            "arm": self.arm,
            "seed": self.seed,
            "shots": self.shots,
            "values": dict(self.values),
            "scale": decisive,
            **({"also": {name: checksums[name] for name in self.also}} if self.also else {}),
        }


_COUNTS = (
    "name",
    "seeds",
    "seeds_with_all_labels",
    "seeds_of_variants",
    "shots",
)  # how many runs there are, not what one of them is


def configuration_hash(configuration: Mapping[str, Any]) -> str:
    text = json.dumps(configuration, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LETTERS]


class Study(Protocol):
    """A declared experiment. `execute` is called in any process and order, and must not know of other runs."""

    name: ClassVar[str]
    question: ClassVar[str]
    materials: ClassVar[tuple[str, ...]]

    def runs(self, facts: Facts, scale: Scale) -> list[Run]:
        """All runs over one data set, of which `facts` says size, classes and modalities."""
        ...

    def execute(self, run: Run, bench: Bench) -> dict[str, Any]:
        """The result, as plain JSON values. The bench hands out data, kept work and the run's own randomness."""
        ...

    def report(self, evidence: Evidence) -> Report:
        """From the result files alone."""
        ...


@runtime_checkable
class StudyInRounds(Study, Protocol):
    """A study whose last runs depend on the results of the first: finalists, say."""

    def later(self, facts: Sequence[Facts], scale: Scale, evidence: Evidence) -> list[Run]:
        """What is run when every declared run was tried. Only scores of validation flows may decide it."""
        ...

    def later_cpu_s(self, facts: Sequence[Facts], scale: Scale) -> float:
        """About how long that takes, before anybody knows what it is."""
        ...
