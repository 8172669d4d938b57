"""How fast flows become graphs, and how fast the graph network learns and embeds: `python -m benchmarks.graphs`.

Traffic is made up: hosts of skewed popularity, flows of skewed length, 2,000 flows a second. Each figure is the best of
several turns in one process, in flows a second of wall clock, with the processor time beside it.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flowlore.features.batch import FeatureBatch
from flowlore.features.graphs.ends import mixed
from flowlore.features.graphs.settings import GraphSettings
from flowlore.features.graphs.stream import GraphStream
from flowlore.features.quantities import quantities
from flowlore.settings import settings_hash

from .machine import load, machine_class, our_versions

RESULTS = Path(__file__).parent / "results"
FLOWS_A_SECOND = 2_000
HOSTS = 2_000
BATCH_FLOWS = 65_536


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.graphs")
    parser.add_argument("--flows", type=int, default=1_000_000, help="flows for building (default: a million)")
    parser.add_argument("--learning-flows", type=int, default=100_000, help="flows for learning and embedding")
    parser.add_argument(
        "--day-flows",
        type=int,
        default=0,
        help="flows of a day that is embedded as a stream, a tenth of them to hosts; 0: none",
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--output", type=Path, default=RESULTS / "graphs.json")
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "part": "graphs",
        "command": f"python -m benchmarks.graphs --flows {arguments.flows} --day-flows {arguments.day_flows}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine_class(),
        "versions": our_versions(),
        "config_hash": settings_hash(GraphSettings()),
        "load_before": load(),
        "building": building(arguments.flows, arguments.turns),
    }
    if arguments.learning_flows:
        result["learning"] = learning(arguments.learning_flows, arguments.turns, arguments.threads)
    if arguments.day_flows:
        result["day"] = day(arguments.day_flows, arguments.threads)
        result["hosts_of_a_day"] = hosts_of_a_day(arguments.day_flows // 10, arguments.threads)
    if arguments.learning_flows:
        result["plain"] = plain(arguments.turns, arguments.threads)  # last: what it leaves is not memory of ours
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def building(rows: int, turns: int) -> dict[str, Any]:
    """Flows in batches to graphs of closed windows; features of flows are taken elsewhere."""
    flows = made_up(rows, with_numbers=False)
    batches = [flows.take(np.arange(first, min(first + BATCH_FLOWS, rows))) for first in range(0, rows, BATCH_FLOWS)]

    def build() -> GraphStream:
        stream = GraphStream()
        for batch in batches:
            for _ in stream.add(batch):
                pass
        for _ in stream.finish():
            pass
        return stream

    build()
    best = _best(build, turns)
    counts = build().counts
    return {
        "flows": rows,
        "flows_per_s": round(rows / best["wall_s"]),
        "flows_per_cpu_s": round(rows / best["cpu_s"]),
        "copies_per_flow": round(counts["nodes"] / rows, 4),
        "counts": dict(counts),
    }


def learning(rows: int, turns: int, threads: int) -> dict[str, Any]:
    """A training pass over all flows, and embedding them; both from feature batches, graphs included in embedding.

    `all_asked` is taught by hidden edges, hidden numbers and services; `as_is` by what settings say, services.
    """
    import torch

    from flowlore.models.graph.encoder import GraphEncoder
    from flowlore.models.graph.settings import GraphEncoderSettings
    from flowlore.models.training import TrainingSettings

    torch.set_num_threads(threads)
    flows = made_up(rows, with_numbers=True)
    found: dict[str, Any] = {"flows": rows, "threads": threads}
    for kind in ("reference", "lean"):
        settings = GraphEncoderSettings(kind=kind)
        asked = {"as_is": settings, "all_asked": replace(settings, link_weight=1.0, mask_weight=1.0)}
        encoder = GraphEncoder(settings)
        encoder.prepare([flows], np.random.default_rng(0))
        embedding = _best(partial(encoder.embed, flows), turns)
        training = TrainingSettings(batch_rows=1, epochs=1, least_steps=1)  # each flow once
        taught = {
            name: max(
                rows / GraphEncoder(one).fit([flows], np.random.default_rng(0), training=training).seconds
                for _ in range(turns)
            )
            for name, one in asked.items()
        }
        found[kind] = {
            "parameters": encoder.parameters(),
            "training_flows_per_s": {name: round(speed) for name, speed in taught.items()},
            "embedding_flows_per_s": round(rows / embedding["wall_s"]),
            "embedding_flows_per_cpu_s": round(rows / embedding["cpu_s"]),
            "config_hash": settings_hash(settings),
        }
    return found


def plain(turns: int, threads: int) -> dict[str, Any]:
    """What this machine does with a bare network of that size: two layers of SAGE, 128 wide, on random states.

    20,000 flows in one graph with their two hosts, one port and one earlier flow, seven types of edge. It reads no
    flow, builds no graph and asks no question; a step of training is its products forth and back and AdamW.
    """
    import torch

    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    nodes = {"flow": 20_000, "host": 2_000, "port": 500}
    flows = torch.arange(nodes["flow"])

    def skewed(kind: str) -> torch.Tensor:
        return torch.from_numpy(np.minimum(rng.zipf(1.3, nodes["flow"]) - 1, nodes[kind] - 1))

    edges = [("flow", "flow", torch.roll(flows, 1), flows)]
    for kind in ("host", "host", "port"):
        others = skewed(kind)
        edges += [(kind, "flow", others, flows), ("flow", kind, flows, others)]
    counts = [torch.bincount(into, minlength=nodes[to]).clamp(min=1)[:, None] for _, to, _, into in edges]
    width = 128
    near = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(2 * len(edges)))
    own = torch.nn.ModuleList(torch.nn.Linear(width, width, bias=False) for _ in range(2 * len(edges)))
    weights = [*near.parameters(), *own.parameters()]
    optimizer = torch.optim.AdamW(weights)
    states = {kind: torch.randn(count, width) for kind, count in nodes.items()}

    def forward() -> torch.Tensor:
        now = states
        for layer in range(2):
            after: dict[str, torch.Tensor] = {}
            for place, (start, to, out_of, into) in enumerate(edges):
                number = layer * len(edges) + place
                empty = torch.zeros(nodes[to], width)
                mean = empty.index_add(0, into, now[start].index_select(0, out_of)) / counts[place]
                told = near[number](mean) + own[number](now[to])
                after[to] = after[to] + told if to in after else told
            now = {kind: torch.relu(one) for kind, one in after.items()}
        return now["flow"]

    def step() -> None:
        optimizer.zero_grad()
        forward().square().mean().backward()
        optimizer.step()

    learnt = _best(step, 4 * turns)
    with torch.inference_mode():
        embedded = _best(forward, 4 * turns)
    return {
        "parameters": sum(weight.numel() for weight in weights),
        "training_flows_per_s": round(nodes["flow"] / learnt["wall_s"]),
        "embedding_flows_per_s": round(nodes["flow"] / embedded["wall_s"]),
    }


def day(rows: int, threads: int) -> dict[str, Any]:
    """Flows of 24 hours through the embedder, a batch a minute: the memory it takes after an hour, and at the end."""
    import torch

    from flowlore.models.graph.encoder import GraphEncoder

    torch.set_num_threads(threads)
    encoder = GraphEncoder()
    encoder.prepare([made_up(10_000, with_numbers=True)], np.random.default_rng(0))
    embedder = encoder.embedder()
    batch_rows = max(1, rows // (24 * 60))
    held, embedded, began = [], 0, time.perf_counter()
    for minute in range(24 * 60):
        batch = made_up(
            batch_rows, with_numbers=True, seed=minute, first_ns=minute * 60 * 10**9, a_second=batch_rows / 60
        )
        embedded += sum(len(part.rows) for part in embedder.add(batch))
        held.append(resident_mb())
    embedded += sum(len(part.rows) for part in embedder.finish())
    return {
        "flows": embedded,
        "hosts_a_day": HOSTS,
        "wall_s": round(time.perf_counter() - began, 1),
        "resident_mb_after_an_hour": round(held[59]),
        "resident_mb_after_a_day": round(held[-1]),
        "held_at_the_end": dict(embedder.counts),
    }


def hosts_of_a_day(rows: int, threads: int) -> dict[str, Any]:
    """Flow tables of 24 hours to verdicts on hosts, a batch a minute: memory grows with hosts, not with flows."""
    import torch

    from flowlore.models.training import TrainingSettings
    from flowlore.tasks.hosts import HostWatch
    from flowlore.tasks.pretraining import pretrain

    torch.set_num_threads(threads)
    training = TrainingSettings(epochs=1, least_steps=1)
    flows = as_table(made_up(10_000, with_numbers=True), 0)
    learnt = pretrain("graph", flows, rng=np.random.default_rng(0), training=training)
    watch = HostWatch(learnt)
    batch_rows = max(1, rows // (24 * 60))
    held, given, spent_s = [], 0, 0.0
    for minute in range(24 * 60):
        made = made_up(
            batch_rows, with_numbers=True, seed=minute, first_ns=minute * 60 * 10**9, a_second=batch_rows / 60
        )
        table = as_table(made, minute * batch_rows)
        began = time.perf_counter()
        given += sum(len(surprise) for _, surprise in watch.add(table))
        spent_s += time.perf_counter() - began
        held.append(resident_mb())
    began = time.perf_counter()
    given += sum(len(surprise) for _, surprise in watch.finish())
    report = watch.report()
    spent_s += time.perf_counter() - began
    return {
        "flows": given,
        "hosts": len(report.verdicts),
        "flows_per_s": round(given / spent_s),
        "flows_held_at_the_end": watch.kept_flows,
        "resident_mb_after_an_hour": round(held[59]),
        "resident_mb_after_a_day": round(held[-1]),
    }


def resident_mb() -> float:
    """What the process holds now: the highest mark would be that of earlier parts."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def as_table(flows: FeatureBatch, first: int) -> Any:
    """Made-up flows as a table that a reader would give."""
    import pyarrow as pa

    ends, times = flows.channels["graph.ends"], flows.channels["graph.times_ns"]
    rows = len(flows)
    mapped = np.frombuffer(bytes(8) + b"\0\0\xff\xff", np.uint32)
    columns: dict[str, Any] = {}
    for place, name in enumerate(("src_ip", "dst_ip")):
        words = np.empty((rows, 4), np.uint32)
        words[:, :3], words[:, 3] = mapped, ends[:, place] & np.uint64(0xFFFFFFFF)
        columns[name] = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(words)])
    numbers = np.zeros((rows, 2), np.uint64)
    numbers[:, 0] = np.arange(first + 1, first + rows + 1)
    columns["flow_id"] = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(numbers)])
    columns["part"] = pa.array(np.zeros(rows, np.uint32))
    columns["start"] = pa.array(times[:, 0]).cast(pa.timestamp("ns", tz="UTC"))
    columns["duration_ns"] = pa.array(times[:, 1] - times[:, 0])
    columns["protocol"] = pa.array(np.full(rows, 6, np.uint8))
    columns["dst_port"] = pa.array(flows.channels["graph.service"].astype(np.uint16))
    for place, name in enumerate(("packets_fwd", "packets_rev", "bytes_fwd", "bytes_rev")):
        columns[name] = pa.array(flows.channels["quantities"][:, place].astype(np.uint64))
    return pa.table(columns)


def made_up(
    rows: int, *, with_numbers: bool, seed: int = 5, first_ns: int = 0, a_second: float = FLOWS_A_SECOND
) -> FeatureBatch:
    """Flows between hosts of skewed popularity in order of their end; one in ten is a further slice of another."""
    rng = np.random.default_rng(seed)
    hosts = mixed(np.arange(1, HOSTS + 1, dtype=np.uint64))
    popular = np.minimum(rng.zipf(1.3, (rows, 2)) - 1, HOSTS - 1)
    chosen = np.where(rng.random((rows, 2)) < 0.3, rng.integers(0, HOSTS, (rows, 2)), popular)
    end = first_ns + np.sort(rng.integers(0, max(1, int(rows * 1e9 / a_second)), rows))
    copy = mixed(np.arange(1, rows + 1, dtype=np.uint64))
    slices = np.flatnonzero(rng.random(rows) < 0.1)
    earlier = np.maximum(slices - rng.integers(1, 20_000, len(slices)), 0)
    copy[slices], chosen[slices] = copy[earlier], chosen[earlier]
    channels: dict[str, Any] = {
        "graph.ends": hosts[chosen],
        "graph.times_ns": np.stack([end - rng.integers(0, 10**9, rows), end], axis=1),
        "graph.copy": copy,
        "graph.service": rng.integers(1, 500, rows).astype(np.int32),
        "graph.protocol": rng.integers(0, 5, rows).astype(np.int32),
    }
    channels["context"] = (popular[:, 1] * 500 + channels["graph.service"] % 4).astype(np.int64) + 1
    present = {"graph": np.ones(rows, np.bool_)}
    if with_numbers:
        channels["quantities"] = np.exp(rng.normal(4, 2, (rows, len(quantities())))).astype(np.float32)
        present["quantities"] = present["graph"]
    return FeatureBatch(length=rows, channels=channels, present=present)


def _best(run: Callable[[], Any], turns: int) -> dict[str, float]:
    best = {"wall_s": float("inf"), "cpu_s": float("inf")}
    for _ in range(turns):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        best = {
            "wall_s": min(best["wall_s"], time.perf_counter() - wall),
            "cpu_s": min(best["cpu_s"], time.process_time() - cpu),
        }
    return best


if __name__ == "__main__":
    main()
