"""The arms of the study of dynamics over rates by host of one network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..material import Facts
from ..study import Run, Scale
from .arms import ELSEWHERE, HERE, TUNED

HOSTS = "rates of hosts"
GRU_HERE, GRU_ELSEWHERE, GRU_TUNED = "GRU, trained here", "GRU, trained elsewhere", "GRU, trained elsewhere and here"
OFTEN_HERE, OFTEN_ELSEWHERE = "how often, counted here", "how often, counted elsewhere"
FOLLOWS_HERE, FOLLOWS_ELSEWHERE = "which follows which, counted here", "which follows which, counted elsewhere"
PLAIN = ("persistence", "ewma")
NUMBERS_A_S = 400_000.0  # that are asked of, beside what training takes


@dataclass(frozen=True, kw_only=True)
class HostPlan:
    """How a decoder and a GRU learn from rates of hosts at one scale."""

    size: str
    epochs: int
    windows: int  # of an epoch
    pieces: int  # of each network elsewhere, at most
    likelihood: float  # weight of the next step's beside the forecasts' error
    recurrent_steps: int


PLANS = {
    "smoke": HostPlan(size="small", epochs=1, windows=32, pieces=8, likelihood=5.0, recurrent_steps=20),
    "small": HostPlan(size="small", epochs=2, windows=1_024, pieces=64, likelihood=5.0, recurrent_steps=400),
    "full": HostPlan(size="default", epochs=4, windows=4_096, pieces=256, likelihood=5.0, recurrent_steps=2_000),
}
LEARNT_S = {"smoke": 3.0, "small": 25.0, "full": 400.0}
SIZES, SHARES = ("small", "default"), (0.25, 1.0)  # of the network, and of the pieces elsewhere


def host_runs(facts: Facts, scale: Scale) -> Iterator[Run]:
    """At scale `small` size and data are asked only of a network from which nothing is learnt."""
    plan = asdict(PLANS.get(scale.name, PLANS["small"]))
    learnt_s = LEARNT_S.get(scale.name, LEARNT_S["small"])
    asking_s = 2.0 + facts.features["numbers"] / NUMBERS_A_S
    has_others, here_too = bool(facts.features["others"]), not facts.features["transfer_only"]

    def run(arm: str, method: str, seed: int, cpu_s: float, **values: Any) -> Run:
        return Run(
            question=HOSTS,
            data=facts.name,
            arm=arm,
            seed=seed,
            values={"method": method, "pieces": plan["pieces"], **values},
            cpu_s=cpu_s,
            shares=f"elsewhere {method} {seed}" if values.get("elsewhere") else f"{arm} {seed}",
        )

    for seed in range(scale.seeds_of_variants):
        for name in PLAIN:
            yield run(name, name, seed, asking_s)
        for often, follows, where, is_there in (
            (OFTEN_HERE, FOLLOWS_HERE, "here", here_too),
            (OFTEN_ELSEWHERE, FOLLOWS_ELSEWHERE, "elsewhere", has_others),
        ):
            if is_there:
                yield run(often, "often", seed, 2.0, **{where: True})
                yield run(follows, "follows", seed, 2.0, **{where: True})
        for (here, elsewhere, tuned), method in (
            ((HERE, ELSEWHERE, TUNED), "flowgen"),
            ((GRU_HERE, GRU_ELSEWHERE, GRU_TUNED), "gru"),
        ):
            cost = asking_s + learnt_s
            if here_too:
                yield run(here, method, seed, cost, here=True, **plan)
            if has_others:
                yield run(elsewhere, method, seed, cost, elsewhere=True, **plan)
            if here_too and has_others:
                yield run(tuned, method, seed, cost, here=True, elsewhere=True, **plan)
        if has_others and (scale.name == "full" or (scale.name == "small" and not here_too)):
            for size in SIZES:
                for share in SHARES:
                    if (size, share) != (plan["size"], 1.0):  # that is the one above
                        values = plan | {"size": size, "share": share}
                        yield run(
                            scaling_arm(size, share), "flowgen", seed, asking_s + learnt_s, elsewhere=True, **values
                        )


def scaling_arm(size: str, share: float) -> str:
    return f"flowgen, trained elsewhere, {size}, {share:.0%} of the pieces"
