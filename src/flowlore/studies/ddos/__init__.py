"""Are floods found early, by kinds and on hosts that nobody taught, and is it better than what operators run?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..material import FLOODS
from .arms import all_runs

if TYPE_CHECKING:
    from ..bench import Bench
    from ..evidence import Evidence
    from ..material import Facts
    from ..report import Report
    from ..study import Run, Scale


class Ddos:
    """Detectors that learn from few attacks beside thresholds: real attacks over real traffic, and a laboratory."""

    name: ClassVar[str] = "ddos"
    question: ClassVar[str] = (
        "Does a decoder that was pre-trained on unlabelled rates find floods sooner, with fewer labelled attacks and "
        "of kinds that nobody showed it, than thresholds, boosted trees and a recurrent network?"
    )
    materials: ClassVar[tuple[str, ...]] = ("floods", "laboratory-floods")
    asks: ClassVar[str] = FLOODS

    def runs(self, facts: Facts, scale: Scale) -> list[Run]:
        return list(all_runs(facts, scale))

    def execute(self, run: Run, bench: Bench) -> dict[str, Any]:
        from .execution import executed

        return executed(run, bench)

    def report(self, evidence: Evidence) -> Report:
        from .report import written

        return written(evidence, self.question)
