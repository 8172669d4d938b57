"""The arms of the study: who makes flows up, told what, and what a network is taught with. Costs are estimates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...features.augment.settings import AugmentSettings
from ...settings import settings_values
from ..augmentation.arms import ASK_S, STACK, STEP_S, TREE_S, steps_of
from ..material import Facts
from ..study import ALL_LABELS, Run, Scale
from .scales import WGAN_EPOCHS

USE, FIDELITY, DOSE = "use", "fidelity", "dose and response"
GENERATORS = ("transformer", "diffusion", "wgan")
NONE, CRAFTED = "none", "hand-crafted"
REAL_ONLY, WITH_MADE, MADE_ONLY, ALL_THREE = "real only", "real and made", "made only", "hand-crafted and made"
HALF = 0.5  # of a step, where real and made-up flows teach together
# Modes: what a generator is told beside the class, and what it learns from.
PLAIN, LATENT, FROM_AUGMENTED, JOINT = "plain", "told where in latent space", "from augmented flows", "joint"
PLACES = ("thin", "boundary")
SHARES = (0.25, 0.5, 0.75, 1.0)
MAGNITUDES = (0.25, 0.5, 1.0)
TEMPERATURES = (0.7, 1.0, 1.3)
HAND_CRAFTED = AugmentSettings(transforms=STACK, combine="ensemble")
EPOCH_S = {"transformer": 0.0028, "diffusion": 0.003, "wgan": 0.0016}  # CPU seconds of a flow in an epoch


def all_runs(facts: Facts, scale: Scale) -> Iterator[Run]:
    if "series" not in facts.modalities:
        return
    for shots in scale.shots:
        for seed in range(scale.seeds):
            yield from _use(facts, scale, shots, seed)
        for seed in range(min(scale.seeds, scale.seeds_of_variants)):
            yield from _dose(facts, scale, shots, seed)


def _use(facts: Facts, scale: Scale, shots: int, seed: int) -> Iterator[Run]:
    yield _run(USE, facts, scale, NONE, shots, seed, {})
    yield _run(USE, facts, scale, CRAFTED, shots, seed, {"augmentation": HAND_CRAFTED})
    yield _run(USE, facts, scale, "extra-trees, none", shots, seed, {"method": "extra-trees"})
    for name in GENERATORS:
        teller: dict[str, Any] = {"generator": name, "mode": PLAIN}
        yield _run(FIDELITY, facts, scale, name, shots, seed, teller)
        yield _run(USE, facts, scale, f"{name}, {WITH_MADE}", shots, seed, teller | {"share": HALF})
        yield _run(USE, facts, scale, f"{name}, {MADE_ONLY}", shots, seed, teller | {"share": 1.0})
        both = teller | {"share": HALF, "augmentation": HAND_CRAFTED}
        yield _run(USE, facts, scale, f"{name}, {ALL_THREE}", shots, seed, both)
        trees = teller | {"share": HALF, "method": "extra-trees"}
        yield _run(USE, facts, scale, f"extra-trees, {name}", shots, seed, trees)
    for place in PLACES:
        teller = {"generator": GENERATORS[0], "mode": LATENT, "place": place, "share": HALF}
        yield _run(USE, facts, scale, f"{GENERATORS[0]} asked where it is {place}", shots, seed, teller)
    teller = {"generator": GENERATORS[0], "mode": FROM_AUGMENTED}
    yield _run(FIDELITY, facts, scale, f"{GENERATORS[0]} {FROM_AUGMENTED}", shots, seed, teller)
    yield _run(USE, facts, scale, f"{GENERATORS[0]} {FROM_AUGMENTED}", shots, seed, teller | {"share": HALF})
    for arm, made in (("joint: classifier with made flows", HALF), ("joint: classifier without", 0.0)):
        teller = {"generator": "wgan", "mode": JOINT, "joint_made": made}
        yield _run(USE, facts, scale, arm, shots, seed, teller)


def _dose(facts: Facts, scale: Scale, shots: int, seed: int) -> Iterator[Run]:
    """Variety: how strong changes are, or how wildly is told; and its share of every step."""
    yield _run(DOSE, facts, scale, REAL_ONLY, shots, seed, {"share": 0.0})
    for share in SHARES:
        for magnitude in MAGNITUDES:
            stack = tuple(name.partition(":")[0] for name in STACK)
            changed = AugmentSettings(transforms=stack, magnitude=magnitude, replaced=share)
            values = {"augmentation": changed, "dose": {"magnitude": magnitude, "share": share}}
            yield _run(DOSE, facts, scale, f"{CRAFTED} {magnitude:g}", shots, seed, values)
        for temperature in TEMPERATURES:
            told = {"generator": GENERATORS[0], "mode": PLAIN, "temperature": temperature, "share": share}
            values = told | {"dose": {"temperature": temperature, "share": share}}
            yield _run(DOSE, facts, scale, f"{GENERATORS[0]} {temperature:g}", shots, seed, values)


def _run(question: str, facts: Facts, scale: Scale, arm: str, shots: int, seed: int, values: Mapping[str, Any]) -> Run:
    """Runs of one seed share generators, so they are made in one process."""
    rows = facts.train if shots == ALL_LABELS else min(shots * facts.classes, facts.train)
    generator = values.get("generator")
    plain = {name: settings_values(one) if isinstance(one, AugmentSettings) else one for name, one in values.items()}
    cpu_s = 1.0 + facts.test * ASK_S
    if generator is not None and question == FIDELITY:
        cpu_s += 15.0
    if values.get("method"):
        cpu_s += TREE_S * rows * 2
    elif question != FIDELITY and values.get("mode") != JOINT:
        cpu_s += steps_of(rows, scale) * STEP_S
    if generator is not None and (arm == generator or values.get("mode") != PLAIN):
        cpu_s += rows * scale.epochs * EPOCH_S[generator] * (WGAN_EPOCHS if generator == "wgan" else 1)
    return Run(
        question=question,
        data=facts.name,
        arm=arm,
        seed=seed,
        shots=shots,
        values=plain,
        shares=f"{shots} {seed}",
        cpu_s=round(cpu_s, 2),
    )
