"""The arms of the campaign, round by round, and about what each run costs.

The first number of labels is where arms are screened. The order of rounds is: every arm, then the best of them by
validation flows with more seeds, other networks, trees, regimes and data sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, Any, Literal

from ...features.augment import AUGMENTATIONS
from ...features.augment.settings import AugmentSettings
from ...settings import settings_values
from ..material import Facts
from ..statistics import mean_of
from ..study import ALL_LABELS, Run, Scale

if TYPE_CHECKING:
    from ..evidence import Evidence, Result

FEW, TAIL, SPEED = "few labels", "long tail", "speed"
NONE = "none"
SCREENED: Literal["words"] = "words"  # the network with a vector for each size
PUBLISHED: Literal["scaled"] = "scaled"  # the published study's
ENCODER: Literal["encoder"] = "encoder"  # the autoencoder's, from fresh weights
NetworkName = Literal["words", "scaled", "encoder"]
FINALISTS = 5
ENCODERS_ARMS = 3  # none and the two best, at small scale
SEEDS_OF_OTHERS = 5  # networks and data, at full scale
SHARES = (0.02, 0.1)  # of the training captures of each class
STACK = ("translation", "wrap", "bernoulli-mask:0.25", "change-rtt:1")
TREE_COPIES = 4
SEARCHED = "searched"
FINALS_ONLY = ("iot-sentinel", "laboratory-attacks")
CANDIDATES = 9  # of the search, which costs as much as ten runs
STEP_S = 0.013  # CPU seconds of a step of 128 flows
ASK_S, NEAREST_S, TREE_S, BOOST_S = 0.00015, 0.0003, 0.001, 0.017  # of a flow: asking, and teaching or boosting trees
ALSO_ASKED = 3000  # flows: validation, and those that are measured


def all_runs(facts: Facts, scale: Scale) -> Iterator[Run]:
    """The first round over one data set: the screening, and what finalists are compared with."""
    if "series" not in facts.modalities:
        return
    if is_screened(facts):
        for arm, settings in screened(scale):
            for seed in range(min(scale.seeds, scale.seeds_of_variants)):
                yield network_run(facts, scale, SCREENED, arm, settings, seed, shots=scale.shots[0])
        for seed in range(min(scale.seeds, scale.seeds_of_variants) if scale.name == "full" else 1):
            yield network_run(facts, scale, SCREENED, SEARCHED, AugmentSettings(), seed, shots=scale.shots[0])
        for arm, values in (("float32", {"bf16": False}), ("bf16", {"bf16": True}), ("plain loop", {"plain": True})):
            yield Run(question=SPEED, data=facts.name, arm=arm, seed=0, values=values, shares="speed", cpu_s=8.0)
    for regime in regimes(scale):
        for method in ("1-nn", "extra-trees", "lightgbm"):
            for seed in range(_seeds(facts, scale, regime, method)):
                yield tree_run(facts, scale, method, NONE, AugmentSettings(), seed, **regime)


def later_runs(facts: Sequence[Facts], scale: Scale, evidence: Evidence) -> Iterator[Run]:
    """No augmentation and the finalists, in every regime and network, with all seeds; trees given the same flows."""
    arms = [(NONE, AugmentSettings()), *finalists(evidence, scale)]
    if len(arms) > 1:
        for one in facts:
            if "series" in one.modalities:
                yield from _final_runs(one, scale, arms)


def later_cpu_s(facts: Sequence[Facts], scale: Scale) -> float:
    """As if the first transforms were the finalists."""
    arms = list(screened(scale))[: FINALISTS + 1]
    runs = [run for one in facts if "series" in one.modalities for run in _final_runs(one, scale, arms)]
    declared = {_key(run) for one in facts for run in all_runs(one, scale) if run.arm == f"{SCREENED}, {NONE}"}
    return sum(run.cpu_s for run in runs if _key(run) not in declared)


def screened(scale: Scale) -> Iterator[tuple[str, AugmentSettings]]:
    """Nothing, every transform, stacks and policies. The full scale tries every transform at three magnitudes."""
    yield NONE, AugmentSettings()
    magnitudes = (0.25, 0.5, 1.0) if scale.name == "full" else (0.5,)
    for name in AUGMENTATIONS.names():
        for magnitude in magnitudes:
            yield f"{name} {magnitude:g}", AugmentSettings(transforms=(name,), magnitude=magnitude)
    for probability in (0.3, 0.7):
        yield (
            f"masked stack {probability:g}",
            AugmentSettings(
                transforms=STACK, combine="masked-stack", stack_probability=probability, replaced=1.0, policy="replace"
            ),
        )
    yield "random stack", AugmentSettings(transforms=STACK, combine="random-stack")
    yield "ensemble", AugmentSettings(transforms=STACK, combine="ensemble")
    yield "ensemble, inject", AugmentSettings(transforms=STACK, combine="ensemble", policy="inject")
    yield (
        "ensemble, pre-augment",
        AugmentSettings(transforms=STACK, combine="ensemble", policy="pre-augment", copies=TREE_COPIES),
    )


def finalists(evidence: Evidence, scale: Scale) -> list[tuple[str, AugmentSettings]]:
    """The best screened arms by macro F1 on validation flows, the best first. Test flows are not looked at."""
    results = screening(evidence, FEW, scale.shots[0], scale.seeds_of_variants)
    means = {}
    for arm, settings in screened(scale):
        mean = mean_of([one.number("validation.macro_f1") for one in of_arm(results, SCREENED, arm)])
        if arm != NONE and mean.values:
            means[arm] = (mean.mean, settings)
    best = sorted(means, key=lambda arm: -means[arm][0])[:FINALISTS]
    return [(arm, means[arm][1]) for arm in best]


def screening(evidence: Evidence, question: str, shots: int, seeds: int) -> list[Result]:
    """What arms are compared by: the screened network on data that all arms see, with the seeds that all arms have."""
    return [
        one
        for one in evidence.of(question, shots=shots)
        if is_network(one.arm, SCREENED) and one.data not in FINALS_ONLY and one.seed < seeds
    ]


def of_arm(results: Sequence[Result], method: str, arm: str) -> list[Result]:
    return [one for one in results if one.arm == f"{method}, {arm}"]


def is_network(arm: str, network: str) -> bool:
    return arm.startswith(f"{network}, ")


def is_screened(facts: Facts) -> bool:
    """Other data sets see the finalists only."""
    return facts.name not in FINALS_ONLY


def regimes(scale: Scale) -> list[dict[str, Any]]:
    """What is shown: so many flows of each class, or a share of the captures of each with its flows as they are."""
    found: list[dict[str, Any]] = [{"shots": shots} for shots in scale.shots]
    found += [{"share": share} for share in SHARES]
    return found


def network_run(
    facts: Facts,
    scale: Scale,
    network: str,
    arm: str,
    settings: AugmentSettings,
    seed: int,
    *,
    shots: int | None = None,
    share: float | None = None,
) -> Run:
    rows = _rows(facts, shots, share)
    steps = steps_of(rows, scale)
    factor = 1.0 + (settings.copies if settings.policy == "inject" else 0)
    if arm == SEARCHED:
        factor += CANDIDATES / 3
    return Run(
        question=TAIL if share else FEW,
        data=facts.name,
        arm=f"{network}, {arm}",
        seed=seed,
        shots=shots,
        values={"network": network, "augmentation": settings_values(settings), "share": share}
        | ({"searched": CANDIDATES} if arm == SEARCHED else {}),
        shares=f"{network} {shots} {share} {seed}",
        cpu_s=round(factor * steps * STEP_S + (facts.test + ALSO_ASKED) * ASK_S + 1.0, 2),
    )


def tree_run(
    facts: Facts,
    scale: Scale,
    method: str,
    arm: str,
    settings: AugmentSettings,
    seed: int,
    *,
    shots: int | None = None,
    share: float | None = None,
) -> Run:
    """Trees get what a network gets in its steps as copies."""
    rows = _rows(facts, shots, share) * (1 + TREE_COPIES if settings.transforms else 1)
    price = {"1-nn": NEAREST_S, "extra-trees": TREE_S, "lightgbm": BOOST_S}[method]
    return Run(
        question=TAIL if share else FEW,
        data=facts.name,
        arm=f"{method}, {arm}",
        seed=seed,
        shots=shots,
        values={"method": method, "augmentation": settings_values(settings), "share": share},
        shares=f"{method} {shots} {share} {seed}",
        cpu_s=round(0.5 + price * rows + facts.test * ASK_S, 2),
    )


def steps_of(rows: int, scale: Scale) -> int:
    """Of training a network: as many as the scale says for a thousand flows, and with the root of more."""
    return max(1, round(scale.network_steps * sqrt(max(rows, 1) / 1000)))


def _final_runs(facts: Facts, scale: Scale, arms: Sequence[tuple[str, AugmentSettings]]) -> Iterator[Run]:
    is_full = scale.name == "full"
    for regime in regimes(scale):
        for network in (SCREENED, PUBLISHED, ENCODER):
            if network != SCREENED and "share" in regime and not is_full:
                continue
            for arm, settings in arms if is_full or network != ENCODER else arms[:ENCODERS_ARMS]:
                for seed in range(_seeds(facts, scale, regime, network)):
                    yield network_run(facts, scale, network, arm, settings, seed, **regime)
        if regime.get("shots") != ALL_LABELS:
            for arm, settings in arms[1:] if is_full else arms[1:3]:
                for seed in range(_seeds(facts, scale, regime, "augmented trees")):
                    yield tree_run(facts, scale, "extra-trees", arm, settings, seed, **regime)
        if "share" in regime:
            best, settings = arms[1]
            sampled = {
                "sampler ½": AugmentSettings(class_weight=0.5),
                "sampler 1": AugmentSettings(class_weight=1.0),
                f"{best}, sampler ½": replace(settings, class_weight=0.5),
            }
            for arm, settings in sampled.items():
                for seed in range(_seeds(facts, scale, regime, SCREENED)):
                    yield network_run(facts, scale, SCREENED, arm, settings, seed, **regime)


def _seeds(facts: Facts, scale: Scale, regime: dict[str, Any], method: str) -> int:
    """All seeds where arms are screened, for the screened network, single trees and 1-NN; at small scale fewer
    elsewhere."""
    is_full, variants = scale.name == "full", min(scale.seeds, scale.seeds_of_variants)
    if regime.get("shots") == ALL_LABELS:
        return min(scale.seeds, scale.seeds_with_all_labels)
    if "share" in regime:
        return variants if is_full or regime["share"] < max(SHARES) else 1
    if method in ("lightgbm", "augmented trees"):
        return variants
    if is_screened(facts) and method not in (PUBLISHED, ENCODER) and (is_full or regime["shots"] == scale.shots[0]):
        return scale.seeds
    return min(scale.seeds, SEEDS_OF_OTHERS) if is_full else variants


def _rows(facts: Facts, shots: int | None, share: float | None) -> int:
    if share is not None:
        return max(round(share * facts.train), facts.classes)
    return facts.train if shots in (None, ALL_LABELS) else min(int(shots or 0) * facts.classes, facts.train)


def _key(run: Run) -> tuple[Any, ...]:
    return run.question, run.data, run.arm, run.seed, run.shots, run.values["share"]
