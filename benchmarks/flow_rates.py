"""How many flows a second become rates, on one core: `python -m benchmarks.flow_rates > benchmarks/results/rates.json`.

Flows are made up: hosts of very unequal weight that each talk to a dozen others. Processor time of this process, best
of several; the flow table is in memory already.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import pyarrow as pa

from flowlore.features.rates.builder import RateBuilder
from flowlore.features.rates.settings import RateSettings
from flowlore.flows.schema import flow_batch
from flowlore.settings import settings_hash

from .machine import machine_class, our_versions

BATCH_FLOWS = 65_536
FRIENDS = 12
START_NS = 1_700_006_400_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=2_000_000)
    parser.add_argument("--hosts", type=int, default=20_000)
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    flows = made_up_flows(options.flows, options.hosts, options.minutes)
    settings = RateSettings(lateness_s=60.0)
    _count(flows.slice(0, BATCH_FLOWS), "host", "1m", settings)
    rows = []
    for by in ("host", "prefix", "link", "application"):
        for step in ("10s", "1m"):
            runs = [_count(flows, by, step, settings) for _ in range(options.repeats)]
            best = min(runs, key=lambda run: float(run["cpu_s"]))
            rate = round(options.flows / best["cpu_s"])
            rows.append({"by": by, "step": step, **best, "flows_per_cpu_s": rate})
    million = _a_million_hosts()
    print(
        json.dumps(
            {
                "machine": machine_class(),
                "versions": our_versions(),
                "settings_hash": settings_hash(settings),
                "flows": options.flows,
                "hosts": options.hosts,
                "rows": rows,
                "a_million_hosts": million,
            },
            indent=1,
        )
    )


def made_up_flows(count: int, hosts: int, minutes: int, seed: int = 0) -> pa.RecordBatch:
    """Flows in order of start."""
    rng = np.random.default_rng(seed)
    senders = np.minimum((rng.pareto(1.1, count) * 30).astype(np.int64), hosts - 1)
    friends = rng.integers(0, hosts, (hosts, FRIENDS))
    chosen = np.minimum((rng.pareto(1.0, count) * 2).astype(np.int64), FRIENDS - 1)
    start = np.sort(rng.integers(0, minutes * 60 * 10**9, count)) + START_NS
    return flow_batch(
        {
            "start": start.view("M8[ns]"),
            "duration_ns": rng.exponential(3e9, count).astype(np.int64),
            "part": np.zeros(count, np.uint32),
            "src_ip": _addresses(senders),
            "dst_ip": _addresses(friends[senders, chosen]),
            "src_port": rng.integers(1024, 65_535, count).astype(np.uint16),
            "dst_port": rng.choice([80, 443, 53, 22, 8000], count, p=[0.2, 0.5, 0.25, 0.02, 0.03]).astype(np.uint16),
            "protocol": rng.choice([6, 17], count).astype(np.uint8),
            **{
                f"{name}_{side}": rng.integers(1, most, count).astype(np.uint64)
                for name, most in (("packets", 50), ("bytes", 50_000))
                for side in ("fwd", "rev")
            },
            **{f"tcp_flags_{side}": rng.integers(0, 64, count).astype(np.uint8) for side in ("fwd", "rev")},
        },
        count,
    )


def _addresses(numbers: Any) -> pa.Array:
    octets = np.zeros((len(numbers), 16), np.uint8)
    octets[:, 10:12], octets[:, 12] = 255, 10
    for place, shift in ((13, 16), (14, 8), (15, 0)):
        octets[:, place] = numbers >> shift & 255
    return pa.Array.from_buffers(pa.binary(16), len(numbers), [None, pa.py_buffer(octets)])


def _count(flows: pa.RecordBatch, by: str, step: str, settings: RateSettings) -> dict[str, Any]:
    builder = RateBuilder(by, step, settings)
    began, rows = time.process_time(), 0
    for first in range(0, flows.num_rows, BATCH_FLOWS):
        rows += sum(batch.num_rows for batch in builder.add(flows.slice(first, BATCH_FLOWS)))
    rows += sum(batch.num_rows for batch in builder.finish())
    return {"cpu_s": round(time.process_time() - began, 3), "rows": rows}


def _a_million_hosts() -> dict[str, Any]:
    """A million hosts in one minute: what memory it takes."""
    count = 1_000_000
    rng = np.random.default_rng(1)
    flows = made_up_flows(count, 20_000, 1)
    place = flows.schema.names.index("src_ip")
    flows = flows.set_column(place, flows.schema.field(place), _addresses(rng.permutation(count) + 100_000))
    builder = RateBuilder("host", "1m", RateSettings())
    began = time.process_time()
    for first in range(0, count, BATCH_FLOWS):
        builder.add(flows.slice(first, BATCH_FLOWS))
    return {
        "memory_mb": round(builder.memory_bytes / 1e6),
        "cpu_s": round(time.process_time() - began, 3),
        "rows": sum(batch.num_rows for batch in builder.finish()),
    }


if __name__ == "__main__":
    main()
