"""A step of many hosts through a detector: `python -m benchmarks.flood_scoring > FILE`.

Every host has traffic enough to be judged in every step: the worst case. Rates are made up, weights are random. Told
are a step in which every host is new, one in which a whole window must be looked at (as after a gap), steps that follow
one that is remembered, and one with which a window begins: every sixteenth.
"""

import argparse
import json
import resource
import time

import numpy as np
import pyarrow as pa
import torch

from flowlore.features.rates.columns import rates_schema
from flowlore.features.rates.settings import NS_PER_S
from flowlore.models.flowgen.detecting import Detecting
from flowlore.settings import settings_hash
from flowlore.tasks.ddos.bundles import FloodDetector, Tail
from flowlore.tasks.ddos.decoder import DecoderDetector, decoder_settings, fresh_on_signs
from flowlore.tasks.ddos.detector import CONTEXT, STRIDE
from flowlore.tasks.ddos.remembered import MOST_BYTES
from flowlore.tasks.ddos.settings import DetectionSettings
from flowlore.tasks.ddos.signs import SIGNS, Signs
from flowlore.tasks.ddos.watch import FloodWatch

from .machine import machine_class, our_versions

STEP_S = 10
LONG_WINDOW = CONTEXT + STRIDE - 3  # steps that are over: the third step after it is the last of a window
KINDS = ("new hosts", "a whole window", "remembered", "remembered", "a window begins")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2, help="of the decoder; all else has one")
    parser.add_argument("--most-bytes", type=int, default=MOST_BYTES, help="of what is remembered; 0 is nothing")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    watch = FloodWatch(detector(), most_bytes=options.most_bytes)
    rng = np.random.default_rng(0)
    taken = []
    for number, kind in enumerate(KINDS):
        table = made_up_step(options.hosts, number, rng)
        began, cpu = time.perf_counter(), time.process_time()
        rows = sum(part.num_rows for part in watch.add(table))
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        taken.append({"step": kind, "wall_s": round(wall_s, 2), "cpu_s": round(cpu_s, 2)})
        assert rows == options.hosts
        if number == 0:
            watch._done = LONG_WINDOW  # as if it had run for long
    print(
        json.dumps(
            {
                "hosts": options.hosts,
                "threads": options.threads,
                "steps": taken,
                "remembered_mb": round(watch.memory_bytes / 1e6),
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
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
