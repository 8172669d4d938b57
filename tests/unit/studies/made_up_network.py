"""Two towns of clients and servers, and captures of two applications: networks that a study of graphs can be run on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from flowlore.flows.schema import flow_batch
from flowlore.flows.table import Flows
from flowlore.studies.material import Gathered, Places
from flowlore.studies.materials.networks import NEIGHBOURS, NOBODY, by_capture, by_time, kinds_of_attack
from flowlore.tasks.raw import texts
from flowlore.tasks.splits import Split

START_NS = 1_600_000_000 * 10**9
SCANNER, GUESSER = 66, 67


def town(places: Places) -> Gathered:
    """Ten minutes with a scan of many hosts, and later another that guesses at one."""
    return by_time(town_flows(900, seed=0), [], "ours", title="A made-up town")


def elsewhere(places: Places) -> Gathered:
    """Another town, of which nothing is asked."""
    flows = town_flows(600, seed=1)
    labelled = np.flatnonzero(texts(flows, "label") != None)  # noqa: E711 - an array, element by element
    return Gathered(
        title="Another town",
        flows=flows,
        split=Split(by="run", train=labelled, validation=NOBODY, test=NOBODY),
        groups=np.full(len(flows), "town"),
        split_by="nothing",
        proof="another town",
        features=NEIGHBOURS,
        checksum="e" * 64,
        is_network=True,
    )


def captures(places: Places) -> Gathered:
    """Twelve captures of chat and mail, whose flows differ in size; some flows have no label."""
    flows = town_flows(720, seed=2)
    capture = np.array([f"c{number:02}" for number in np.arange(720) // 60])
    labels = np.where(np.arange(720) // 60 % 2 == 0, "chat", "mail").astype(object)
    labels[::9] = None
    return by_capture(flows, capture, labels, [], "ours", title="Made-up captures")


def town_flows(rows: int, seed: int) -> Flows:
    """A third of the flows has no label. The last half minute has the other kind of attack only."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.uniform(0, 600, rows))
    is_attack = rng.random(rows) < 0.08
    is_guess = is_attack & (seconds > 450)
    sources = np.where(is_guess, GUESSER, np.where(is_attack, SCANNER, rng.integers(10, 20, rows)))
    targets = np.where(is_attack & ~is_guess, rng.integers(100, 200, rows), rng.integers(1, 3, rows))
    labels = np.where(is_guess, "guessing", np.where(is_attack, "scan", "benign")).astype(object)
    labels[rng.random(rows) < 0.3] = None
    size = np.where(is_attack, 60, rng.integers(500, 1500, rows)) + 400 * (np.arange(rows) // 60 % 2)
    columns: dict[str, Any] = {
        "start": pa.array(START_NS + (seconds * 1e9).astype(np.int64), pa.timestamp("ns", tz="UTC")),
        "duration_ns": pa.array(np.where(is_attack, 0, 10**8), pa.int64()),
        "src_ip": [_address(int(last)) for last in sources],
        "dst_ip": [_address(int(last)) for last in targets],
        "dst_port": pa.array(np.where(is_attack, 23, 443), pa.uint16()),
        "protocol": pa.array(np.full(rows, 6), pa.uint8()),
        "packets_fwd": pa.array(np.where(is_attack, 1, rng.integers(5, 20, rows)), pa.uint64()),
        "packets_rev": pa.array(np.where(is_attack, 0, rng.integers(5, 20, rows)), pa.uint64()),
        "bytes_fwd": pa.array(size, pa.uint64()),
        "bytes_rev": pa.array(np.where(is_attack, 0, 20_000), pa.uint64()),
        "flow_id": [(seed << 32 | number).to_bytes(16, "big") for number in range(1, rows + 1)],
        "part": pa.array(np.zeros(rows), pa.uint32()),
        "label": kinds_of_attack(labels).tolist(),
    }
    return Flows(flow_batch(columns, rows))


def _address(last: int) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes([10, 0, 0, last])
