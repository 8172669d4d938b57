"""The arms of the study of floods over one data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..material import Facts
from ..study import SCALES, Run, Scale

LABELS, UNSEEN, SAMPLED, OWN = "labels", "unseen kind", "sampled", "laboratory"
SHOTS = (1, 5, 10, 100)  # labelled attacks, not of each kind but in all
FEW = 10
SAMPLING = (100, 1000)
THRESHOLDS = ("static", "percentile", "ewma", "z-score", "entropy")
PRETRAINED, SCRATCH, FROZEN = "flowgen, pre-trained", "flowgen, from scratch", "flowgen, frozen"
LEARNED: dict[str, dict[str, Any]] = {
    "lightgbm": {"detector": "lightgbm"},
    "gru": {"detector": "gru"},
    PRETRAINED: {"detector": "flowgen", "pretrained": True, "frozen": False},
    SCRATCH: {"detector": "flowgen", "pretrained": False, "frozen": False},
    FROZEN: {"detector": "flowgen", "pretrained": True, "frozen": True},
}
CPU_S = {"lightgbm": 6.0, "gru": 12.0, PRETRAINED: 20.0, SCRATCH: 20.0, FROZEN: 15.0}


def all_runs(facts: Facts, scale: Scale) -> Iterator[Run]:
    if not facts.features["laid"]:
        untold = () if scale.seeds > 1 else (SCRATCH,)  # what pre-training is worth there can be told over seeds only
        for seed in range(scale.seeds):
            yield from _of(OWN, facts, seed, {}, [None], leave_out=untold)
        return
    kinds = facts.features["kinds"]
    for seed in range(scale.seeds):
        yield from _of(LABELS, facts, seed, {}, shots_of(scale))
        for kind in kinds:
            yield from _of(UNSEEN, facts, seed, {"kind": kind}, [FEW])
        for one_in in SAMPLING:
            yield from _of(SAMPLED, facts, seed, {"sampled": one_in}, [FEW], leave_out=(SCRATCH,))


def shots_of(scale: Scale) -> list[int]:
    """Those that were asked for, else those of this study."""
    is_default = scale.shots == SCALES[scale.name].shots
    return [one for one in scale.shots if one in SHOTS] if is_default else list(scale.shots)


def _of(
    question: str,
    facts: Facts,
    seed: int,
    values: dict[str, Any],
    shots: Sequence[int | None],
    leave_out: tuple[str, ...] = (),
) -> Iterator[Run]:
    shares = f"{question} {sorted(values.items())} {seed}"
    what = f"{values['kind']}: " if "kind" in values else f"1:{values['sampled']}: " if "sampled" in values else ""
    for name in THRESHOLDS:
        yield Run(
            question=question, data=facts.name, arm=what + name, seed=seed, values=values | {"detector": name},
            shares=shares, cpu_s=2.0,
        )  # fmt: skip
    for shown in shots:
        for name, about in LEARNED.items():
            if name not in leave_out:
                yield Run(
                    question=question, data=facts.name, arm=what + name, seed=seed, shots=shown,
                    values=values | about, shares=shares, cpu_s=CPU_S[name],
                )  # fmt: skip
