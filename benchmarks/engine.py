"""The warm engine: packets per second from the page cache to Arrow batches, one feature group after another.

python -m benchmarks.engine CAPTURE REPEATS      prints JSON; pin it to one core or two from outside
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

NOTHING_MORE = {"max_packets": 0, "names": False, "community_id": False}
GROUPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("counters and statistics", NOTHING_MORE),
    ("and series of 32 packets", {"names": False, "community_id": False}),
    ("and Community ID", {"names": False}),
    ("and names: everything", {}),
)


def measure_engine(path: Path, repeats: int) -> dict[str, Any]:
    """Each row: what was on, and the seconds of every warm repeat. The first, cold one is thrown away."""
    rows = [
        _row("read and walk records", lambda: _read_only(path), repeats),
        _row("and parse headers", lambda: _parse_only(path), repeats),
    ]
    for name, changes in GROUPS:
        rows.append(_row(name, lambda changes=changes: _meter(path, changes), repeats))  # type: ignore[misc]
    return {"cores": len(os.sched_getaffinity(0)), "repeats": repeats, "rows": rows}


def _row(name: str, act: Callable[[], dict[str, Any]], repeats: int) -> dict[str, Any]:
    act()
    walls, found = [], []
    for _ in range(repeats):
        begin = time.perf_counter()
        found.append(act())
        walls.append(time.perf_counter() - begin)
    wall_s = {"min": min(walls), "median": median(walls), "max": max(walls)}
    row: dict[str, Any] = {
        "name": name,
        "wall_s": wall_s,
        "packets": found[0]["packets"],
        "flows": found[0].get("flows"),
    }
    if "batches_s" in found[0]:
        row["batches_s"] = median(each["batches_s"] for each in found)
    row["packets_per_s"] = row["packets"] / wall_s["median"]
    return row


def _chunks(path: Path) -> Iterator[Any]:
    from flowlore.sources.inputs import gather_inputs
    from flowlore.sources.packets.captures.merge import merge_captures

    return iter(merge_captures(gather_inputs([path]), read_ahead=False))


def _read_only(path: Path) -> dict[str, Any]:
    return {"packets": sum(len(chunk.frames) for chunk in _chunks(path))}


def _parse_only(path: Path) -> dict[str, Any]:
    from flowlore.sources.packets.headers.frames import NOTES, new_fragment_table, parse_frames
    from flowlore.sources.packets.layout import PACKET

    packets = np.zeros(32_768, PACKET)
    fragments, notes = new_fragment_table(8192), np.zeros(len(NOTES), np.int64)
    count = 0
    for chunk in _chunks(path):
        for start in range(0, len(chunk.frames), 8192):
            frames = chunk.frames[start : start + 8192]
            parse_frames(chunk.data, frames, packets[: len(frames)], fragments, notes, 8, True)
            count += len(frames)
    return {"packets": count}


def _meter(path: Path, changes: dict[str, Any]) -> dict[str, Any]:
    from flowlore.sources.packets.meter import meter as module
    from flowlore.sources.packets.pipeline import PacketPipeline
    from flowlore.sources.packets.settings import MeterSettings, PacketSettings
    from flowlore.sources.source import Account

    account = Account()
    pipeline = PacketPipeline(PacketSettings(), replace(MeterSettings(), **changes), account, source="packets")
    original, spent = module.drain, [0.0]

    def timed(*arguments: Any, **named: Any) -> Any:
        begin = time.perf_counter()
        result = original(*arguments, **named)
        spent[0] += time.perf_counter() - begin
        return result

    module.drain = timed
    try:
        for _ in pipeline.batches(_chunks(path)):
            pass
    finally:
        module.drain = original
    return {"packets": account.packets, "flows": account.flows, "batches_s": spent[0]}


if __name__ == "__main__":
    print(json.dumps(measure_engine(Path(sys.argv[1]), int(sys.argv[2]))))
