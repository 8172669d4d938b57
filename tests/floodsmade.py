"""A small network over some hours, with floods whose times are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flowlore.features.rates.rates import Rates, rates
from flowlore.tasks.ddos.attacks import Attack
from ratesmade import DAWN, Flow, S, batch_of, host

STEP = 10 * S
FLOODS = {
    "syn-flood": Flow(flags=(0x02, 0), packets=(60, 0), bytes=(2_400, 0)),
    "udp-flood": Flow(protocol=17, dst_port=9999, packets=(60, 0), bytes=(60_000, 0), flags=(0, 0)),
}


def usual(rng: np.random.Generator, steps: int, servers: int = 6) -> list[Flow]:
    """Each server has a few clients in every step; the first is ten times as busy as the last."""
    made = []
    for step in range(steps):
        for server in range(servers):
            for _ in range(int(rng.integers(1, 4))):
                packets = int(rng.integers(20, 60) * (10 if server == 0 else 1))
                made.append(
                    Flow(
                        start=step * STEP + int(rng.integers(0, 9 * S)),
                        src=host(100 + int(rng.integers(40))),
                        dst=host(server),
                        packets=(packets, packets // 2),
                        bytes=(packets * 90, packets * 400),
                    )
                )
    return made


def flood(kind: str, server: int, first: int, steps: int, sources: int = 20) -> tuple[list[Flow], Attack]:
    """Flows of an attack, and what is known of it."""
    made = [
        replace(FLOODS[kind], start=step * STEP + 1_000 * source, src=host(70_000 + source), dst=host(server))
        for step in range(first, first + steps)
        for source in range(sources)
    ]
    begin = DAWN + first * STEP
    attack = Attack(
        victim=host(server), begin_ns=begin, end_ns=begin + steps * STEP, kind=kind, source=kind, times_usual=2.0
    )
    return made, attack


def attacked(seed: int = 0, steps: int = 400) -> tuple[list[Flow], list[Attack]]:
    """Eight floods of two kinds against four servers, half of them in the first half of the time."""
    flows, attacks = usual(np.random.default_rng(seed), steps), []
    for place in range(8):
        kind = list(FLOODS)[place % 2]
        own, attack = flood(kind, 1 + place % 4, 40 + place * (steps - 80) // 8, 6)
        flows += own
        attacks.append(attack)
    return sorted(flows, key=lambda one: one.start), attacks


def rates_of(flows: list[Flow]) -> Rates:
    return rates([batch_of(flows)], step="10s")
