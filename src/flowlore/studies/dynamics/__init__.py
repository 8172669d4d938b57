"""How well does a decoder of rates say what comes next: here, on series and networks that it never saw?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..material import SERIES
from .arms import all_runs
from .host_arms import HOSTS, host_runs

if TYPE_CHECKING:
    from ..bench import Bench
    from ..evidence import Evidence
    from ..material import Facts
    from ..report import Report
    from ..study import Run, Scale


class DynamicsStudy:
    """Forecasts beside simple methods, trees and a recurrent network; transfer between networks; size and data."""

    name: ClassVar[str] = "dynamics"
    question: ClassVar[str] = (
        "How well does a decoder of rates say what comes next, on later time, on series and on networks that it never "
        "saw, beside methods that are simpler?"
    )
    materials: ClassVar[tuple[str, ...]] = (
        *("abilene", "esnet", "germany50"),
        *("luflow-rates", "exposed-rates", "laboratory-rates", "honeypot-rates"),
    )
    asks: ClassVar[str] = SERIES

    def runs(self, facts: Facts, scale: Scale) -> list[Run]:
        return list(host_runs(facts, scale) if facts.features.get("hosts") else all_runs(facts, scale))

    def execute(self, run: Run, bench: Bench) -> dict[str, Any]:
        if run.question == HOSTS:
            from .host_execution import executed_on_hosts

            return executed_on_hosts(run, bench)
        from .execution import executed

        return executed(run, bench)

    def report(self, evidence: Evidence) -> Report:
        from .report import written

        return written(evidence, self.question)
