"""Are learnt representations worth it? The autoencoder beside each modality, all together, and simple methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .arms import GEOMETRY, all_runs

if TYPE_CHECKING:
    from ..bench import Bench
    from ..evidence import Evidence
    from ..material import Facts
    from ..report import Report
    from ..study import Run, Scale


class Representations:
    """Labelled with few and many flows a class: frozen, fine-tuned and fresh encoders beside what is simple."""

    name: ClassVar[str] = "representations"
    question: ClassVar[str] = (
        "Does an embedding that was learnt without labels name traffic better, from few labels and from many, than the "
        "numbers that it was made from?"
    )
    materials: ClassVar[tuple[str, ...]] = (
        "fgnet",
        "fgnet-days",
        "iot-sentinel",
        "laboratory",
        "ndpi",
        "luflow",
        "cic-ids2017",
    )

    def runs(self, facts: Facts, scale: Scale) -> list[Run]:
        return list(all_runs(facts, scale))

    def execute(self, run: Run, bench: Bench) -> dict[str, Any]:
        from .examination import examine
        from .geometry import measure

        return measure(run, bench) if run.question == GEOMETRY else examine(run, bench)

    def report(self, evidence: Evidence) -> Report:
        from .report import written

        return written(evidence, self.question)
