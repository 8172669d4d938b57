"""What is compared with what over one network, and about what each run costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..material import Facts
from ..study import Run, Scale
from .encoders import encoder_values

SHOTS, SHARE, UNLABELLED, ABLATION, DISTURBED, LINKS = (
    "labels",
    "share of labels",
    "no labels",
    "ablation",
    "disturbed",
    "links",
)
CORPUS = "laboratory-elsewhere"
FEW_SHOTS = (1, 5, 10, 20)
SHARES = {"full": (0.01, 0.05, 0.1)}
SHARE_OF_SMALLER = (0.05,)
FEWEST_TO_TUNE = 5  # labelled flows a class: one in five says when to stop
MOST_STRANGE = 0.2  # share of attacks beyond which nothing is strange about them
ATTACKS, CLASSES = "attacks", "classes"

# What is asked of each set, by the word of the target that it counts for.
TASKS: dict[str, dict[str, str]] = {
    "unsw-nb15": {"intrusion": ATTACKS},
    "exposed-hosts": {"intrusion": ATTACKS},
    "iot-23": {"bot": ATTACKS},
    "laboratory-network": {"bot": ATTACKS, "application": CLASSES},
    "iot-sentinel-network": {"application": CLASSES},
    "ndpi-network": {"application": CLASSES},
}
ASKING_LINKS: dict[str, Any] = {"link_weight": 1.0, "mask_weight": 1.0}
DISTURBANCES = ("none", "1 in 10 lost", "half lost", "a third delayed", "sampled 1:10", "sampled 1:100", "noise")

ELSEWHERE, HERE, NEVER = "pre-trained elsewhere", "pre-trained here", "never trained"
OWN_PAST = "pre-trained here as its own past"
SCRATCH = "from scratch"
WITH_WINDOWS = ("LightGBM with windows", "extra trees with windows", "MLP with windows")
WITHOUT_WINDOWS = ("LightGBM", "extra trees", "MLP")
SURPRISE_HERE, SURPRISE_ELSEWHERE = "surprise, pre-trained here", "surprise, pre-trained elsewhere"
KITSUNE = "ensemble of autoencoders (Kitsune-style)"


def other_networks(data: str) -> tuple[str, ...]:
    """All networks of the study but this one."""
    return tuple(name for name in (*TASKS, CORPUS) if name != data)


def all_runs(facts: Facts, scale: Scale) -> Iterator[Run]:
    """Nothing is asked of the corpus, which teaches only."""
    tasks = TASKS.get(facts.name, {CLASSES: CLASSES} if facts.name != CORPUS else {})
    shares = SHARES.get(scale.name, SHARE_OF_SMALLER)
    for task, truth in tasks.items():
        asked: dict[str, Any] = {"task": task, "truth": truth}
        for arm, values, price in _arms():
            for shots in (one for one in scale.shots if one in FEW_SHOTS):
                if not values.get("tuned") or shots >= FEWEST_TO_TUNE:
                    yield from _runs(SHOTS, facts, scale, arm, values | asked, price, scale.seeds, shots=shots)
            for share in shares:
                more = asked | {"share": share}
                yield from _runs(SHARE, facts, scale, arm, values | more, price, scale.seeds)
        for arm, values in _ablated():
            more = asked | {"share": shares[-1], "head": "probe"}
            yield from _runs(ABLATION, facts, scale, arm, values | more, 1.0, scale.seeds_of_variants)
        if truth == ATTACKS:
            for arm, values, price in _strange():
                yield from _runs(UNLABELLED, facts, scale, arm, values | asked, price, scale.seeds)
            for arm, values, price in _arms():
                if arm in (f"{HERE}, probe", f"{ELSEWHERE}, probe", *WITH_WINDOWS[:2]):
                    for disturbance in DISTURBANCES:
                        more = asked | {"share": shares[-1], "disturbance": disturbance}
                        yield from _runs(
                            DISTURBED, facts, scale, arm, values | more, 1 + price, scale.seeds_of_variants
                        )
    if tasks:
        for arm, values in (
            (HERE, {"encoder": encoder_values(**ASKING_LINKS)}),
            (ELSEWHERE, {"encoder": encoder_values(taught="elsewhere", **ASKING_LINKS)}),
        ):
            yield from _runs(LINKS, facts, scale, arm, values, 8.0, scale.seeds_of_variants)


def _arms() -> Iterator[tuple[str, dict[str, Any], float]]:
    """Arm, values, price by ten thousand flows."""
    for words, taught in ((ELSEWHERE, "elsewhere"), (HERE, "here"), (NEVER, "never")):
        encoder = {"encoder": encoder_values(taught=taught)}
        yield f"{words}, probe", encoder | {"head": "probe"}, 0.7
        tuned = SCRATCH if taught == "never" else f"{words}, fine-tuned"
        yield tuned, encoder | {"tuned": True}, 7.0
    yield f"{OWN_PAST}, probe", {"encoder": encoder_values(own_past=True), "head": "probe"}, 0.7
    encoder = {"encoder": encoder_values(taught="elsewhere")}
    yield f"{ELSEWHERE}, extra trees", encoder | {"head": "extra-trees", "windows": False}, 1.2  # `fit --head forest`
    yield f"{ELSEWHERE}, extra trees with windows", encoder | {"head": "extra-trees", "windows": True}, 1.2
    for name, method, price in (
        ("LightGBM", "lightgbm", 0.6),
        ("extra trees", "extra-trees", 0.8),
        ("MLP", "mlp", 1.0),
    ):
        yield name, {"method": method, "windows": False}, price
        yield f"{name} with windows", {"method": method, "windows": True}, price


def _strange() -> Iterator[tuple[str, dict[str, Any], float]]:
    yield SURPRISE_HERE, {"encoder": encoder_values(), "judge": "surprise"}, 3.0
    yield SURPRISE_ELSEWHERE, {"encoder": encoder_values(taught="elsewhere"), "judge": "surprise"}, 3.0
    yield KITSUNE, {"judge": "ensemble", "windows": True}, 4.0
    yield "the same without windows", {"judge": "ensemble", "windows": False}, 4.0
    yield "GraphIDS re-stated", {"judge": "reconstructed graph"}, 20.0
    yield "isolation forest with windows", {"judge": "isolation", "windows": True}, 1.0


def _ablated() -> Iterator[tuple[str, dict[str, Any]]]:
    changes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("whole", {}),
        (
            "as the paper has it",
            {"keeps_own": False, "number_steps": 0, "contrast_weight": 0.0, "link_weight": 1.0},
        ),
        ("with link prediction", {"link_weight": 1.0}),
        ("with masked numbers", {"mask_weight": 1.0}),
        ("with services told from states too", {"company_weight": 1.0}),
        ("with sources hidden in training", {"hidden_sources": 0.5}),
        ("without edges through time", {"through_time": False}),
        ("without edges through space", {"through_space": False}),
        ("without numbers of the window", {"window_numbers": False}),
        ("windows of 1 s", {"windows.window_s": 1.0}),
        ("windows of 30 s", {"windows.window_s": 30.0}),
        ("one weight for all types of edge", {"kind": "lean"}),
    )
    for arm, settings in changes:
        yield arm, {"encoder": encoder_values(**settings)}


def _runs(
    question: str,
    facts: Facts,
    scale: Scale,
    arm: str,
    values: dict[str, Any],
    price: float,
    seeds: int,
    *,
    shots: int | None = None,
) -> Iterator[Run]:
    encoder = values.get("encoder")
    taught = encoder["taught"] if encoder else ""
    thousands = (facts.whole_train + facts.whole_test) / 10_000
    shared = {"here": 0.1, "elsewhere": 0.1}.get(taught, 0.0) * scale.pretrain_steps
    for seed in range(seeds):
        yield Run(
            question=question,
            data=facts.name,
            arm=arm,
            seed=seed,
            shots=shots,
            values=values,
            beside=other_networks(facts.name) if taught == "elsewhere" else (),
            shares=f"encoder {sorted(encoder.items(), key=str)} {seed}" if encoder else f"numbers {seed}",
            cpu_s=round(0.3 + price * thousands + shared / 12, 2),
        )
