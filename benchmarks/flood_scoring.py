"""A step of many hosts through a detector: `python -m benchmarks.flood_scoring > flood-scoring.json`.

Every host has traffic enough to be judged in every step: the worst case. Rates are made up, weights are random.
"""

import argparse
import json
import time

import numpy as np
import pyarrow as pa

from flowlore.features.rates.columns import rates_schema
from flowlore.features.rates.settings import NS_PER_S
from flowlore.models.flowgen.detecting import Detecting
from flowlore.settings import settings_hash
from flowlore.tasks.ddos.bundles import FloodDetector, Tail
from flowlore.tasks.ddos.decoder import DecoderDetector, decoder_settings, fresh_on_signs
from flowlore.tasks.ddos.detector import CONTEXT
from flowlore.tasks.ddos.settings import DetectionSettings
from flowlore.tasks.ddos.signs import SIGNS, Signs
from flowlore.tasks.ddos.watch import FloodWatch

from .machine import machine_class, our_versions

STEP_S = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    watch = FloodWatch(detector())
    rng = np.random.default_rng(0)
    taken: list[tuple[float, float]] = []
    for step in range(options.steps):
        table = made_up_step(options.hosts, step, rng)
        began, cpu = time.perf_counter(), time.process_time()
        rows = sum(part.num_rows for part in watch.add(table))
        taken.append((time.perf_counter() - began, time.process_time() - cpu))
        assert rows == options.hosts
        watch._done += CONTEXT if step == 0 else 0  # as if it had run for long: every step looks at whole windows
    print(
        json.dumps(
            {
                "hosts": options.hosts,
                "wall_s": [round(wall, 2) for wall, _ in taken],
                "cpu_s": [round(cpu, 2) for _, cpu in taken],
                "memory_mb": round(watch.memory_bytes / 1e6),
                "settings_hash": settings_hash(decoder_settings()),
                "machine": machine_class(),
                "versions": our_versions(),
            },
            indent=1,
        )
    )


def detector() -> FloodDetector:
    values = np.abs(np.random.default_rng(1).normal(1, 0.3, (8, len(SIGNS), 128))).astype(np.float32)
    nothing = np.ones((8, 128))
    signs = Signs(
        names=tuple(map(str, range(8))), start_ns=0, step_ns=STEP_S * NS_PER_S, values=values, packets=nothing,
        bytes=nothing, scores=nothing,
    )  # fmt: skip
    decoder = DecoderDetector(fresh_on_signs([signs], np.random.default_rng(0)))
    decoder.kinds, decoder._module = ("syn-flood", "udp-flood"), Detecting(decoder.encoder.network, 2).eval()
    tail = Tail(start=0.0, excess=1.0, steps_a_host_day=86.0)
    return FloodDetector(
        detector=decoder, settings=DetectionSettings(), step_ns=STEP_S * NS_PER_S, shift=0.0, tail=tail
    )


def made_up_step(hosts: int, step: int, rng: np.random.Generator) -> pa.Table:
    columns = {}
    for field in rates_schema():
        if field.name == "step":
            columns[field.name] = pa.array(np.full(hosts, step * STEP_S * NS_PER_S), pa.int64()).cast(field.type)
        elif field.name == "entity":
            columns[field.name] = pa.array([f"host-{one}" for one in range(hosts)])
        elif pa.types.is_integer(field.type):
            columns[field.name] = pa.array(rng.integers(1_000, 5_000, hosts))
        else:
            columns[field.name] = pa.array(rng.random(hosts).astype(np.float32))
    return pa.table(columns)


if __name__ == "__main__":
    main()
