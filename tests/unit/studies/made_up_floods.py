"""A few hours of two small networks and two kinds of attack, as materials of the study of floods; and two of series."""

from __future__ import annotations

import numpy as np

from floodsmade import STEP, attacked
from flowlore.features.rates.series import Series
from flowlore.flows.table import Flows
from flowlore.studies.ddos.episodes import side_of
from flowlore.studies.material import Places
from flowlore.studies.materials.floods import ASKING, TEACHING, Background, FloodMaterial, GatheredFloods, slim
from flowlore.studies.materials.series import GatheredNetwork, Network
from flowlore.tasks.ddos.attacks import Attack
from flowlore.tasks.ddos.overlay import attack_source
from ratesmade import DAWN, Flow, S, batch_of, host

STEPS = 1_300


def tiny_floods(places: Places) -> GatheredFloods:
    backgrounds = tuple(
        Background(name=f"day-{place}", side=TEACHING if place < 2 else ASKING, flows=_day(place)) for place in range(4)
    )
    sources = tuple(
        attack_source(Flows(batch_of(_packets(kind, place))), f"{kind}-{place}", kind)
        for kind in ("syn-flood", "udp-flood")
        for place in range(2)
    )
    return GatheredFloods(
        title="Tiny floods", material=FloodMaterial(backgrounds=backgrounds, sources=sources), checksum="d" * 64,
        split_by="capture", proof="none is on two sides",
    )  # fmt: skip


def tiny_laboratory(places: Places) -> GatheredFloods:
    flows, attacks = attacked(steps=400)
    known = tuple(Attack(**(vars_of(one) | {"source": "run"})) for one in attacks)
    background = Background(name="run", side=ASKING, flows=slim(Flows(batch_of(flows)).to_arrow()))
    return GatheredFloods(
        title="Tiny laboratory", material=FloodMaterial(backgrounds=(background,), attacks=known), checksum="e" * 64,
        split_by="time", proof="none",
    )  # fmt: skip


def tiny_network(places: Places) -> GatheredNetwork:
    network = Network(name="here", series=_waves(6, 400, 0), until=300, horizons=(1, 3))
    other = Network(name="there", series=_waves(5, 300, 1), until=300, horizons=(1, 3))
    return GatheredNetwork(title="Tiny network", network=network, others=(other,), checksum="f" * 64)


def tiny_days(places: Places) -> GatheredNetwork:
    network = Network(name="short", series=_waves(4, 28, 2), until=20, horizons=(1, 2))
    other = Network(name="there", series=_waves(5, 300, 1), until=300, horizons=(1, 2))
    return GatheredNetwork(title="Tiny days", network=network, others=(other,), checksum="a" * 64, transfer_only=True)


def vars_of(attack: Attack) -> dict[str, object]:
    return {name: getattr(attack, name) for name in Attack.__dataclass_fields__}


def _day(place: int) -> object:
    """Hosts of the day's own side only, each with traffic in most steps."""
    rng = np.random.default_rng(place)
    side = TEACHING if place < 2 else ASKING
    hosts = [name for name in map(host, range(60)) if side_of(name) == side][:8]
    flows = [
        Flow(
            start=step * STEP + int(rng.integers(0, 9 * S)),
            src=host(200 + int(rng.integers(30))),
            dst=name,
            packets=(int(rng.integers(10, 60)), 9),
            bytes=(4_000, 9_000),
        )
        for step in range(STEPS)
        for name in hosts
        if rng.random() < 0.7
    ]
    return slim(Flows(batch_of(sorted(flows, key=lambda one: one.start))).to_arrow())


def _packets(kind: str, place: int) -> list[Flow]:
    made = []
    for one in range(200):
        udp = kind == "udp-flood"
        made.append(
            Flow(
                start=one * S // 100,
                src=host(40_000 + 500 * place + one),
                dst=host(9),
                protocol=17 if udp else 6,
                packets=(1, 0),
                bytes=(900 if udp else 40, 0),
                flags=(0 if udp else 2, 0),
            )
        )
    return made


def _waves(rows: int, steps: int, seed: int) -> Series:
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(5, 1, (rows, 1)))
    values = size * (1 + 0.5 * np.sin(2 * np.pi * np.arange(steps) / 24)) * np.exp(0.1 * rng.normal(size=(rows, steps)))
    names = tuple(f"series-{place}" for place in range(rows))
    return Series(names=names, start_ns=DAWN, step_ns=3_600 * S, values=values)
