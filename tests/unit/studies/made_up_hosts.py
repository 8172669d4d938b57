"""Half a day of two small networks that differ in size and rhythm, as materials of the study of dynamics."""

from __future__ import annotations

import numpy as np

from flowlore.flows.table import Flows
from flowlore.studies.material import Places
from flowlore.studies.materials.floods import slim
from flowlore.studies.materials.hostrates import GatheredHosts, Source
from flowlore.studies.materials.stretches import COUNTS, FEATURES, stretch_of
from ratesmade import MINUTE, Flow, batch_of, host

STEPS = 300


def tiny_rates(places: Places) -> GatheredHosts:
    return GatheredHosts(name="tiny-rates", source=source(0), others={"other-rates": source(1)})


def tiny_sessions(places: Places) -> GatheredHosts:
    """Of a third network, counts and peers only, from which nothing is learnt."""
    return GatheredHosts(
        name="tiny-sessions", source=source(2, features=COUNTS), others={"other-rates": source(1)}, transfer_only=True
    )


def source(place: int, *, features: tuple[str, ...] = FEATURES) -> Source:
    stretch = stretch_of(f"made-up-{place}", slim(Flows(batch_of(talk(place))).to_arrow()), "1m", features=features)
    return Source(title=f"Made-up hosts {place}", stretches=(stretch,), files=(f"file-{place}",))


def talk(place: int) -> list[Flow]:
    """Hosts that talk every few minutes, each in its own rhythm."""
    rng = np.random.default_rng(place)
    flows = []
    for one in range(10):
        rhythm, size = int(rng.integers(2, 6)), int(rng.integers(500, 5_000)) * (place + 1)
        flows += [
            Flow(
                start=step * MINUTE + int(rng.integers(MINUTE // 2)),
                duration=int(rng.integers(MINUTE // 4)),
                src=host(100 * place + one),
                dst=host(100 * place + 50 + step % 3),
                packets=(int(rng.integers(2, 9)), 4),
                bytes=(size, int(rng.integers(100, 900))),
            )
            for step in range(one % rhythm, STEPS, rhythm)
        ]
    return sorted(flows, key=lambda flow: flow.start)
