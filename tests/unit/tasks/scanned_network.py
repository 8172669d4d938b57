"""A small network in which one host scans, for tests of graph networks."""

import numpy as np
import pyarrow as pa

from flowlore.flows.schema import flow_batch
from flowlore.flows.table import Flows

START_NS = 1_600_000_000 * 10**9
SCANNER, SERVER = 66, 1


def address(last: int) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes([10, 0, 0, last])


def network(rows: int = 400, seed: int = 0, scans: int = 40) -> Flows:
    """Clients ask a server all day; one host knocks at many doors in between. A third of the flows have no label."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.uniform(0, rows / 4, rows))
    is_scan = np.zeros(rows, np.bool_)
    is_scan[rng.choice(rows, scans, replace=False)] = True
    client = rng.integers(10, 20, rows)
    sources = np.where(is_scan, SCANNER, client)
    targets = np.where(is_scan, rng.integers(100, 200, rows), SERVER)
    labels = np.where(is_scan, "scan", "benign").astype(object)
    labels[rng.random(rows) < 0.3] = None
    size = np.where(is_scan, 40, rng.integers(800, 1500, rows))
    return Flows(
        flow_batch(
            {
                "start": pa.array(START_NS + (seconds * 1e9).astype(np.int64), pa.timestamp("ns", tz="UTC")),
                "duration_ns": pa.array(np.where(is_scan, 0, 10**8), pa.int64()),
                "src_ip": [address(int(last)) for last in sources],
                "dst_ip": [address(int(last)) for last in targets],
                "dst_port": pa.array(np.where(is_scan, 23, 443), pa.uint16()),
                "protocol": pa.array(np.full(rows, 6), pa.uint8()),
                "packets_fwd": pa.array(np.where(is_scan, 1, 10), pa.uint64()),
                "packets_rev": pa.array(np.where(is_scan, 0, 8), pa.uint64()),
                "bytes_fwd": pa.array(size, pa.uint64()),
                "bytes_rev": pa.array(np.where(is_scan, 0, 20_000), pa.uint64()),
                "flow_id": [number.to_bytes(16, "big") for number in range(1, rows + 1)],
                "part": pa.array(np.zeros(rows), pa.uint32()),
                "label": labels.tolist(),
            },
            rows,
        )
    )
