"""Small flow tables made by hand."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from flowlore.flows.addresses import parse_addresses
from flowlore.flows.schema import flow_batch

NOON = 1_592_654_400_000_000_000  # 2020-06-20T12:00:00Z


@pytest.fixture
def make_flows() -> Callable[..., pa.RecordBatch]:
    """Flows with as many rows as times given (s after noon of 2020-06-20); columns given by name, addresses as text."""

    def make(times_s: list[float | None], **columns: Any) -> pa.RecordBatch:
        rows = len(times_s)
        known: dict[str, Any] = {
            "start": [None if time is None else NOON + round(time * 1e9) for time in times_s],
            "duration_ns": [1_000_000_000] * rows,
            "part": [0] * rows,
            "src_ip": ["10.0.0.1"] * rows,
            "dst_ip": ["192.0.2.1"] * rows,
            "src_port": [40_000 + row % 20_000 for row in range(rows)],
            "dst_port": [443] * rows,
            "protocol": [6] * rows,
            "flow_id": [row.to_bytes(16, "big") for row in range(rows)],
            "packets_fwd": [3] * rows,
            "packets_rev": [2] * rows,
            "bytes_fwd": [300] * rows,
            "bytes_rev": [200] * rows,
            **columns,
        }
        for name in ("src_ip", "dst_ip"):
            known[name] = parse_addresses(pa.array(known[name], pa.string()))[0]
        return flow_batch(known, rows)

    return make
