"""The arms of the audit over one data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..material import Facts
from ..representations.encoders import encoder_values
from ..study import Run, Scale

ADVERSARIAL, UNKNOWN, MEMBERSHIP, RECONSTRUCTION = "adversarial", "unknown", "membership", "reconstruction"
DISGUISES = ("padding", "delays", "dummies", "all three")
BUDGETS = (0.05, 0.2)  # of a flow's bytes, time and packets, in the sender's direction
SECRETS = ("src_network", "dst_network", "dst_port", "server_name", "payload")
ENCODER_S_A_THOUSAND = 0.7  # CPU seconds of an epoch over a thousand flows


def all_runs(facts: Facts, scale: Scale) -> Iterator[Run]:
    for seed in range(scale.seeds_of_variants):
        for arm, values in _classifiers("all"):
            if "series" in facts.modalities:
                for disguise in DISGUISES:
                    for budget in BUDGETS:
                        yield _run(
                            ADVERSARIAL,
                            facts,
                            scale,
                            f"{arm}, {disguise}, {budget:.0%}",
                            seed,
                            values | {"disguise": disguise, "budget": budget, "of": arm},
                            own_s=12.0,
                        )
        if facts.classes >= 3:
            for arm, values in _judges():
                yield _run(UNKNOWN, facts, scale, arm, seed, values, own_s=6.0)
        if facts.groups >= 4:
            for arm, values in (*_classifiers("members"), *_attackers()):
                yield _run(MEMBERSHIP, facts, scale, arm, seed, values, own_s=6.0)
        for secret in SECRETS:
            if _has(secret, facts):
                for arm, values in _windows(facts):
                    yield _run(
                        RECONSTRUCTION,
                        facts,
                        scale,
                        f"{secret} from {arm}",
                        seed,
                        values | {"secret": secret, "of": arm},
                        own_s=5.0,
                    )


def _classifiers(part: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "autoencoder, probe", {"encoder": encoder_values(taught_by=part), "method": "probe"}
    yield "1-nn", {"method": "1-nn"}
    yield "extra-trees", {"method": "extra-trees"}
    yield "lightgbm", {"method": "lightgbm"}


def _judges() -> Iterator[tuple[str, dict[str, Any]]]:
    """What tells that a flow is of no known class."""
    encoder = {"encoder": encoder_values(taught_by="known classes")}
    yield "autoencoder: distance to the nearest labelled", encoder | {"judge": "distance"}
    yield "autoencoder: confidence of the probe", encoder | {"judge": "confidence", "method": "probe"}
    yield "raw numbers: distance to the nearest labelled", {"judge": "distance"}
    yield "raw numbers: isolation forest", {"judge": "isolation"}
    yield "extra-trees: confidence", {"judge": "confidence", "method": "extra-trees"}
    yield "lightgbm: confidence", {"judge": "confidence", "method": "lightgbm"}


def _attackers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Who sees vectors only, and learns from flows of which it knows whether they were members."""
    yield "vectors of the autoencoder", {"encoder": encoder_values(taught_by="members"), "attack": "vectors"}
    yield "raw numbers, as a control", {"attack": "vectors"}


def _windows(facts: Facts) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the attacker looks through."""
    yield "nothing (the most frequent)", {"window": "nothing"}
    yield "raw numbers", {"window": "raw"}
    yield "fresh encoder", {"window": "vectors", "encoder": encoder_values(pretrained=False)}
    yield "autoencoder", {"window": "vectors", "encoder": encoder_values()}
    if facts.identity:
        shown = ", ".join(setting.removeprefix("use_") for setting in facts.identity)
        values = {"window": "vectors", "encoder": encoder_values(identity=list(facts.identity))}
        yield f"autoencoder shown {shown}", values


def _has(secret: str, facts: Facts) -> bool:
    needs = {"dst_port": "use_ports", "server_name": "use_names"}
    if secret == "payload":
        return "payload" in facts.modalities
    return needs.get(secret, "use_addresses") in facts.identity


def _run(
    question: str, facts: Facts, scale: Scale, arm: str, seed: int, values: dict[str, Any], *, own_s: float
) -> Run:
    encoder = values.get("encoder")
    is_trained = encoder is not None and encoder["pretrained"]
    shared = facts.train / 1000 * scale.epochs * ENCODER_S_A_THOUSAND / 8 if is_trained else 0.0
    thinness = min(1.0, (facts.train + facts.test) / 20_000)
    return Run(
        question=question,
        data=facts.name,
        arm=arm,
        seed=seed,
        values=values,
        shares=f"{sorted(encoder.items())} {seed}" if encoder else f"raw {values.get('method')} {seed}",
        cpu_s=round(0.5 + own_s * thinness + shared, 2),
    )
