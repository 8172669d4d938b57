"""Does it help to know whom a flow's hosts talk to, and to have learnt that elsewhere, without labels?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .arms import DISTURBED, LINKS, UNLABELLED, all_runs

if TYPE_CHECKING:
    from ..bench import Bench
    from ..evidence import Evidence
    from ..material import Facts
    from ..report import Report
    from ..study import Run, Scale


class Graph:
    """The graph network pre-trained here, elsewhere or never, beside methods that know the same windows."""

    name: ClassVar[str] = "graph"
    question: ClassVar[str] = (
        "Does a network over who talks to whom, taught without labels in other networks, tell attacks, bots, devices "
        "and applications from few labels better than simple methods that know the same flows and windows?"
    )
    materials: ClassVar[tuple[str, ...]] = (
        "unsw-nb15",
        "exposed-hosts",
        "iot-23",
        "laboratory-network",
        "laboratory-elsewhere",
        "iot-sentinel-network",
        "ndpi-network",
    )

    def runs(self, facts: Facts, scale: Scale) -> list[Run]:
        return list(all_runs(facts, scale))

    def execute(self, run: Run, bench: Bench) -> dict[str, Any]:
        from .disturbance import examine_disturbed
        from .examination import examine
        from .links import judge
        from .strangeness import find_strange

        asked = {DISTURBED: examine_disturbed, LINKS: judge, UNLABELLED: find_strange}
        return asked.get(run.question, examine)(run, bench)

    def report(self, evidence: Evidence) -> Report:
        from .report import written

        return written(evidence, self.question)
