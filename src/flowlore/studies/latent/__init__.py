"""How classes lie in the latent space of a network, before and after augmentation, and where changed flows land."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from ..augmentation.arms import SCREENED, is_screened, network_run, screened
from ..augmentation.scales import SCALES

if TYPE_CHECKING:
    from ..bench import Bench
    from ..evidence import Evidence
    from ..material import Facts
    from ..report import Report
    from ..study import Run, Scale

LATENT = "latent"
PLACED_S = 3.0  # CPU seconds of placing flows on two pictures


class Latent:
    """The screened arms of the campaign with the fewest labels, measured and drawn."""

    name: ClassVar[str] = "latent"
    question: ClassVar[str] = (
        "Does augmentation let classes lie further apart, where do changed flows land, and does any measure without "
        "test labels tell beforehand what an augmentation will gain?"
    )
    materials: ClassVar[tuple[str, ...]] = ("fgnet",)
    scales: ClassVar[Mapping[str, Scale]] = SCALES

    def runs(self, facts: Facts, scale: Scale) -> list[Run]:
        """The first seed of every arm is drawn, too."""
        if "series" not in facts.modalities or not is_screened(facts):
            return []
        found = []
        for arm, settings in screened(scale):
            for seed in range(min(scale.seeds, scale.seeds_of_variants)):
                run = network_run(facts, scale, SCREENED, arm, settings, seed, shots=scale.shots[0])
                drawn = {"drawn": True} if seed == 0 else {}
                cpu_s = run.cpu_s + (PLACED_S if drawn else 0.0)
                found.append(replace(run, question=LATENT, values={**run.values, **drawn}, cpu_s=cpu_s))
        return found

    def execute(self, run: Run, bench: Bench) -> dict[str, Any]:
        from ..augmentation.examination import examine

        return examine(run, bench)

    def report(self, evidence: Evidence) -> Report:
        from .report import written

        return written(evidence, self.question)
