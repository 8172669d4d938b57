"""The arms of the study of dynamics over one network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..material import Facts
from ..study import Run, Scale

FORECAST, TRANSFER, NEW_SERIES, SCALING = "forecast", "network never seen", "series never seen", "size and data"
PLAIN = ("persistence", "seasonal-naive", "ewma", "linear", "auto-ets")
CHOSEN = ("auto-arima",)  # costs what trees cost, and has no chance in it
LEARNED = ("lightgbm", "gru")
HERE, ELSEWHERE, TUNED = "flowgen, trained here", "flowgen, trained elsewhere", "flowgen, trained elsewhere and here"
MIXTURE = "flowgen and lightgbm, their mean"
SIZES = ("small", "default")
SHARES = (0.25, 1.0)


def all_runs(facts: Facts, scale: Scale) -> Iterator[Run]:
    if "until" not in facts.features:
        return
    learnt_s = {"smoke": 8.0, "small": 90.0, "full": 400.0}[scale.name]
    trees_s = min(40.0, 2.0 + facts.train / 10_000)
    for name in PLAIN:
        yield _run(FORECAST, facts, name, 0, {"method": name}, 2.0)
    if not facts.features["transfer_only"]:
        for name in CHOSEN:
            yield _run(FORECAST, facts, name, 0, {"method": name}, trees_s)
    for seed in range(scale.seeds_of_variants):
        if facts.features["others"]:
            yield _run(
                TRANSFER, facts, ELSEWHERE, seed, {"method": "flowgen", "elsewhere": True}, learnt_s, "elsewhere"
            )
        if facts.features["transfer_only"]:
            continue
        for name in LEARNED:
            yield _run(FORECAST, facts, name, seed, {"method": name}, trees_s)
        yield _run(FORECAST, facts, HERE, seed, {"method": "flowgen", "here": True}, learnt_s)
        yield _run(FORECAST, facts, MIXTURE, seed, {"method": "mixture", "here": True}, learnt_s + trees_s)
        if facts.features["others"]:
            values = {"method": "flowgen", "elsewhere": True, "here": True}
            yield _run(TRANSFER, facts, TUNED, seed, values, learnt_s, "elsewhere")
        for arm, about in (("ewma", {"method": "ewma"}), (HERE, {"method": "flowgen", "here": True})):
            yield _run(NEW_SERIES, facts, arm, seed, about | {"series": "half"}, learnt_s if about.get("here") else 2.0)
        if scale.name != "smoke":
            for size in SIZES:
                for share in SHARES:
                    if (size, share) != ("default", 1.0):  # that is the one above
                        values = {"method": "flowgen", "here": True, "size": size, "share": share}
                        yield _run(SCALING, facts, f"{size}, {share:.0%} of the time", seed, values, learnt_s / 2)


def _run(
    question: str, facts: Facts, arm: str, seed: int, values: dict[str, Any], cpu_s: float, shares: str = ""
) -> Run:
    return Run(
        question=question,
        data=facts.name,
        arm=arm,
        seed=seed,
        values=values,
        cpu_s=cpu_s,
        shares=f"{shares or arm} {seed}",
    )
