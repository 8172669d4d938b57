"""What an embedding withstands and gives away: disguised traffic, unknown classes, membership, reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .arms import ADVERSARIAL, MEMBERSHIP, RECONSTRUCTION, UNKNOWN, all_runs

if TYPE_CHECKING:
    from ..bench import Bench
    from ..evidence import Evidence
    from ..material import Facts
    from ..report import Report
    from ..study import Run, Scale


class Audit:
    """Attacks on classifiers and on embeddings, each beside simple methods that are attacked in the same way."""

    name: ClassVar[str] = "audit"
    question: ClassVar[str] = (
        "What does a classifier on a learnt embedding withstand, does it know what it does not know, and what does the "
        "embedding give away of the flows?"
    )
    materials: ClassVar[tuple[str, ...]] = ("fgnet", "iot-sentinel", "laboratory", "cic-ids2017")

    def runs(self, facts: Facts, scale: Scale) -> list[Run]:
        return list(all_runs(facts, scale))

    def execute(self, run: Run, bench: Bench) -> dict[str, Any]:
        from .adversarial import attack
        from .membership import infer_members
        from .reconstruction import reconstruct
        from .unknown import find_unknown

        asked = {
            ADVERSARIAL: attack,
            UNKNOWN: find_unknown,
            MEMBERSHIP: infer_members,
            RECONSTRUCTION: reconstruct,
        }
        return asked[run.question](run, bench)

    def report(self, evidence: Evidence) -> Report:
        from .report import written

        return written(evidence, self.question)
