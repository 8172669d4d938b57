"""Flows made by hand for tests of rates, and rates counted the slow way to compare with."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from flowlore.flows.addresses import address_bytes
from flowlore.flows.schema import flow_batch

S = 1_000_000_000
MINUTE = 60 * S
DAWN = 1_700_006_400 * S  # midnight UTC


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Times in ns after `DAWN`."""

    start: int = 0
    duration: int = 0
    src: str | None = "10.0.0.1"
    dst: str | None = "10.0.0.2"
    protocol: int = 6
    src_port: int = 40_000
    dst_port: int = 443
    packets: tuple[int, int] = (1, 1)
    bytes: tuple[int, int] = (100, 1000)
    flags: tuple[int, int] = (0x1B, 0x1B)
    part: int = 0


def batch_of(flows: list[Flow], **columns: list[Any]) -> pa.RecordBatch:
    """The flow table of these flows, with more columns where wanted."""
    known: dict[str, Any] = {
        "start": np.array([DAWN + one.start for one in flows], "M8[ns]"),
        "duration_ns": np.array([one.duration for one in flows], np.int64),
        "part": np.array([one.part for one in flows], np.uint32),
        "src_ip": pa.array([one.src and address_bytes(one.src) for one in flows], pa.binary(16)),
        "dst_ip": pa.array([one.dst and address_bytes(one.dst) for one in flows], pa.binary(16)),
        "src_port": np.array([one.src_port for one in flows], np.uint16),
        "dst_port": np.array([one.dst_port for one in flows], np.uint16),
        "protocol": np.array([one.protocol for one in flows], np.uint8),
    }
    for place, side in enumerate(("fwd", "rev")):
        known[f"packets_{side}"] = np.array([one.packets[place] for one in flows], np.uint64)
        known[f"bytes_{side}"] = np.array([one.bytes[place] for one in flows], np.uint64)
        known[f"tcp_flags_{side}"] = np.array([one.flags[place] for one in flows], np.uint8)
    return flow_batch(known | columns, len(flows))


def counted_slowly(flows: list[Flow], step_ns: int) -> dict[tuple[int, str], dict[str, int]]:
    """Counters by step (begin, ns) and host, flow by flow and step by step."""
    rows: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    peers: dict[tuple[int, str, str], set[str]] = defaultdict(set)
    ports: dict[tuple[int, str, str], set[int]] = defaultdict(set)
    for flow in flows:
        start = DAWN + flow.start
        end = start + flow.duration
        last = (end - 1 if flow.duration else end) // step_ns
        for step in range(start // step_ns, last + 1):
            for place in (0, 1):
                if not (flow.packets[place] or flow.bytes[place]):
                    continue
                for host, other, side in (
                    (flow.src, flow.dst, "out" if place == 0 else "in"),
                    (flow.dst, flow.src, "in" if place == 0 else "out"),
                ):
                    if host is None:
                        continue
                    row = rows[step * step_ns, host]
                    row[f"{side}_active_flows"] += 1
                    for name, amount in (("packets", flow.packets[place]), ("bytes", flow.bytes[place])):
                        row[f"{side}_{name}"] += portion(amount, step, start, flow.duration, step_ns)
                    row[f"{side}_flows"] += place == 0 and step == start // step_ns and flow.part == 0
                    row[f"{side}_syn_packets"] += (
                        flow.protocol == 6 and step == start // step_ns and (flow.flags[place] >> 1) & 1
                    )
                    if other is not None:
                        peers[step * step_ns, host, side].add(other)
                    if flow.dst_port and flow.protocol in (6, 17):
                        ports[step * step_ns, host, side].add(flow.dst_port)
    for (step, host, side), found in peers.items():
        rows[step, host][f"{side}_peers"] = len(found)
    for (step, host, side), asked in ports.items():
        rows[step, host][f"{side}_ports"] = len(asked)
    return rows


def portion(amount: int, step: int, start: int, duration: int, step_ns: int) -> int:
    def until(time: int) -> int:
        elapsed = time - start
        if elapsed >= duration:
            return amount
        return min(int(amount * (max(elapsed, 0) / duration)), amount)

    before = 0 if step * step_ns <= start else until(step * step_ns)
    return until((step + 1) * step_ns) - before


def host(number: int) -> str:
    return str(ipaddress.ip_address(0x0A000000 + number))
