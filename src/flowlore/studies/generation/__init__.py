"""What made-up flows are worth: how faithful they are, what a network learns from them, and how much is good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .arms import FIDELITY, all_runs
from .scales import SCALES

if TYPE_CHECKING:
    from ..bench import Bench
    from ..evidence import Evidence
    from ..material import Facts
    from ..report import Report
    from ..study import Run, Scale


class Generation:
    """Every generator and mode sees the labels that the classifier sees, and no others."""

    name: ClassVar[str] = "generation"
    question: ClassVar[str] = (
        "Do flows that a generator makes up from few labelled ones help a network more than flows that are changed by "
        "hand-crafted rules, and how much variety helps before it harms?"
    )
    materials: ClassVar[tuple[str, ...]] = ("fgnet",)
    scales: ClassVar[Mapping[str, Scale]] = SCALES

    def runs(self, facts: Facts, scale: Scale) -> list[Run]:
        return list(all_runs(facts, scale))

    def execute(self, run: Run, bench: Bench) -> dict[str, Any]:
        from .examination import examine, how_faithful

        return how_faithful(run, bench) if run.question == FIDELITY else examine(run, bench)

    def report(self, evidence: Evidence) -> Report:
        from .report import written

        return written(evidence, self.question)
