"""What augmentation is worth with few labels and on a long tail: networks and trees that are given the same flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .arms import SPEED, all_runs, later_cpu_s, later_runs
from .scales import SCALES

if TYPE_CHECKING:
    from ..bench import Bench
    from ..evidence import Evidence
    from ..material import Facts
    from ..report import Report
    from ..study import Run, Scale


class Augmentation:
    """Every transform and policy is screened; the best by validation flows, none, and trees go on to every regime."""

    name: ClassVar[str] = "augmentation"
    question: ClassVar[str] = (
        "Which changes of the few labelled flows that there are let a network name later flows better, and is it then "
        "better than trees?"
    )
    materials: ClassVar[tuple[str, ...]] = ("fgnet", "iot-sentinel", "laboratory-attacks")
    scales: ClassVar[Mapping[str, Scale]] = SCALES

    def runs(self, facts: Facts, scale: Scale) -> list[Run]:
        return list(all_runs(facts, scale))

    def later(self, facts: Sequence[Facts], scale: Scale, evidence: Evidence) -> list[Run]:
        return list(later_runs(facts, scale, evidence))

    def later_cpu_s(self, facts: Sequence[Facts], scale: Scale) -> float:
        return later_cpu_s(facts, scale)

    def execute(self, run: Run, bench: Bench) -> dict[str, Any]:
        from .examination import examine
        from .speed import measure_speed

        return measure_speed(run, bench) if run.question == SPEED else examine(run, bench)

    def report(self, evidence: Evidence) -> Report:
        from .report import written

        return written(evidence, self.question)
