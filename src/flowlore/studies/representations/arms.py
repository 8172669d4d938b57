"""The arms of the study: what is compared with what, over one data set, and about what each run costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..material import Facts
from ..study import ALL_LABELS, Run, Scale
from .encoders import encoder_values

LABELS, GEOMETRY, ABLATION, SOURCES, DAYS = "labels", "geometry", "ablation", "cross-source", "days"
OVER_DAYS = ("fgnet-days",)  # sets that are asked about this alone
FEW = (10, ALL_LABELS)  # labels a class where an arm is one of many
CHOSEN = "extra-trees, chosen numbers"
SERIES_AND_PAYLOAD = ("series", "payload")


def all_runs(facts: Facts, scale: Scale) -> Iterator[Run]:
    """Every run over one data set; those over one encoder share it."""
    if facts.name in OVER_DAYS:
        for arm, values, price in _over_days(facts):
            yield from _runs(DAYS, facts, scale, arm, values, ALL_LABELS, price)
        return
    for arm, values, price in [*_labelled(facts), *_tuned()]:
        fewest = 5 if values.get("tuned") else 1  # one flow in five is held out to say when to stop
        for shots in shots_of(facts, scale):
            if shots == ALL_LABELS or shots >= fewest:
                yield from _runs(LABELS, facts, scale, arm, values, shots, price)
    for arm, values in _seen():
        for seed in range(scale.seeds):
            yield Run(
                question=GEOMETRY,
                data=facts.name,
                arm=arm,
                seed=seed,
                values=values,
                shares=_shares(values, seed),
                cpu_s=4.0 + _encoder_s(values, facts, scale) / 20,
            )
    few = [shots for shots in FEW if shots in scale.shots] or [scale.shots[0]]
    for question, arms in ((ABLATION, _ablated(facts)), (SOURCES, _sources(facts))):
        for arm, values in arms:
            for shots in few:
                if shots == ALL_LABELS or shots in shots_of(facts, scale):
                    yield from _runs(question, facts, scale, arm, values, shots, 1.0)


def shots_of(facts: Facts, scale: Scale) -> list[int]:
    """Numbers of labels a class that the data set can give to most of its classes."""
    most = facts.most_shots or facts.train // facts.classes
    return [shots for shots in scale.shots if shots == ALL_LABELS or shots <= max(most, 1)]


def _labelled(facts: Facts) -> Iterator[tuple[str, dict[str, Any], float]]:
    """Frozen representations with simple heads, and methods of their own: (arm, values, price by the thousand rows)."""
    every = list(facts.modalities)
    for modality in every:
        yield f"{modality} alone", {"numbers": [modality], "method": "probe"}, 1.0
    for head in ("probe", "knn"):
        yield f"concatenation, {head}", {"numbers": every, "method": head}, 1.5
    for method, price in (("1-nn", 0.2), ("random-forest", 1.0), ("extra-trees", 0.7), ("lightgbm", 6.0), ("mlp", 1.5)):
        yield method, {"numbers": every, "method": method}, price
    if "series" in every:
        yield CHOSEN, {"numbers": ["chosen"], "method": "wide-extra-trees"}, 0.7
    yield "multi-modal network", {"branches": every}, 8.0
    for head in ("probe", "knn", "prototypes"):
        yield f"autoencoder, {head}", {"encoder": encoder_values(), "method": head}, 0.5
    beside = {"encoder": encoder_values(), "numbers": every, "method": "extra-trees"}
    yield "autoencoder beside numbers, extra-trees", beside, 0.8
    yield "fresh encoder, probe", {"encoder": encoder_values(pretrained=False), "method": "probe"}, 0.5
    for modality in every:
        yield (
            f"autoencoder, only {modality}",
            {"encoder": encoder_values(), "use": {"only": [modality]}, "method": "probe"},
            0.5,
        )


def _tuned() -> Iterator[tuple[str, dict[str, Any], float]]:
    yield "autoencoder, fine-tuned", {"encoder": encoder_values(), "tuned": True}, 6.0
    yield "fresh encoder, fine-tuned", {"encoder": encoder_values(pretrained=False), "tuned": True}, 6.0


def _over_days(facts: Facts) -> Iterator[tuple[str, dict[str, Any], float]]:
    every = list(facts.modalities)
    yield "extra-trees", {"numbers": every, "method": "extra-trees"}, 0.7
    yield CHOSEN, {"numbers": ["chosen"], "method": "wide-extra-trees"}, 0.7
    yield "lightgbm", {"numbers": every, "method": "lightgbm"}, 6.0
    yield "autoencoder, knn", {"encoder": encoder_values(), "method": "knn"}, 0.5
    yield "autoencoder, probe", {"encoder": encoder_values(), "method": "probe"}, 0.5
    yield from _tuned()
    beside = {"encoder": encoder_values(), "numbers": every, "method": "extra-trees"}
    yield "autoencoder beside numbers, extra-trees", beside, 0.8


def _seen() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "concatenation", {"numbers": "all"}
    yield "autoencoder", {"encoder": encoder_values()}
    yield "fresh encoder", {"encoder": encoder_values(pretrained=False)}


def _ablated(facts: Facts) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "whole", {"encoder": encoder_values(), "method": "probe"}
    if len(facts.modalities) > 1:
        for modality in facts.modalities:
            yield f"without {modality}", {"encoder": encoder_values(without=[modality]), "method": "probe"}
    if "series" in facts.modalities:
        yield "without exact sizes", {"encoder": encoder_values(exact_sizes=False), "method": "probe"}
    if facts.context != "nothing":
        yield "without context", {"encoder": encoder_values(context=False), "method": "probe"}
    for setting in facts.identity:
        words = setting.removeprefix("use_")
        yield f"with {words}", {"encoder": encoder_values(identity=[setting]), "method": "probe"}


def _sources(facts: Facts) -> Iterator[tuple[str, dict[str, Any]]]:
    """Trained with everything or with NetFlow's columns, used with either. Sets of counters only have one source."""
    if not set(SERIES_AND_PAYLOAD) & set(facts.modalities) or "quantities" not in facts.modalities:
        return
    everything, netflow = encoder_values(), encoder_values(source="netflow")
    yield "everything → everything", {"encoder": everything, "method": "probe"}
    yield "everything → netflow", {"encoder": everything, "use": {"source": "netflow"}, "method": "probe"}
    yield (
        "everything → netflow, head taught on everything",
        {"encoder": everything, "use": {"source": "netflow"}, "taught": {"source": "everything"}, "method": "probe"},
    )
    yield "netflow → netflow", {"encoder": netflow, "method": "probe"}
    yield "netflow → everything", {"encoder": netflow, "use": {"source": "everything"}, "method": "probe"}
    yield "extra-trees on netflow", {"numbers": ["quantities"], "source": "netflow", "method": "extra-trees"}


def _runs(
    question: str, facts: Facts, scale: Scale, arm: str, values: dict[str, Any], shots: int, price: float
) -> Iterator[Run]:
    seeds = scale.seeds_with_all_labels if shots == ALL_LABELS else scale.seeds
    if question != LABELS:
        seeds = min(seeds, scale.seeds_of_variants)
    rows = facts.train if shots == ALL_LABELS else min(shots * facts.classes, facts.train)
    for seed in range(seeds):
        own = 0.6 + price * rows / 1000 * (1 + facts.classes / 30)
        shared = _encoder_s(values, facts, scale) / max(len(scale.shots), 1) / 4
        yield Run(
            question=question,
            data=facts.name,
            arm=arm,
            seed=seed,
            shots=shots,
            values=values,
            shares=_shares(values, seed),
            cpu_s=round(own + shared, 2),
        )


def _shares(values: dict[str, Any], seed: int) -> str:
    """Runs over one encoder, or over one matrix of numbers."""
    if "encoder" in values:
        return f"encoder {sorted(values['encoder'].items())} {seed}"
    return f"numbers {seed}"


def _encoder_s(values: dict[str, Any], facts: Facts, scale: Scale) -> float:
    """CPU seconds of pre-training: about 5,000 flows a second, each seen twice in a step."""
    if "encoder" not in values or not values["encoder"]["pretrained"]:
        return 0.0
    rows = facts.train + facts.unlabelled
    return 2.0 + max(rows * scale.epochs, scale.pretrain_steps * min(rows, 512)) / 5000
