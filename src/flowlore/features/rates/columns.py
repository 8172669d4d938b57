"""The table of rates: every column with its unit and meaning, and how cells become rows of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...flows.arrays import plain_array
from .layout import (
    ACTIVE,
    BYTES,
    FIN,
    FLOWS,
    HALF_OPEN,
    ICMP,
    IN,
    OUT,
    PACKETS,
    PEERS,
    PORTS,
    RST,
    SERVICE_NAMES,
    SERVICES,
    SYN,
    TCP,
    UDP,
)

INSTANT = pa.timestamp("ns", tz="UTC")
SIDES = ("in", "out")
COUNTED = {
    "flows": (FLOWS, "flows", "flows begun"),
    "active_flows": (ACTIVE, "flows", "flows that lasted at some time of the step"),
    "packets": (PACKETS, "packets", "packets, each flow's spread evenly over the time it lasted"),
    "bytes": (BYTES, "bytes", "IP bytes (where unknown, bytes on the wire or payload), spread likewise"),
    "peers": (PEERS, "hosts", "distinct hosts at the other side"),
    "new_peers": (-1, "hosts", "peers that the entity had not met in any earlier step that is remembered"),
    "ports": (PORTS, "ports", "distinct ports that flows asked for"),
    "syn_packets": (SYN, "packets", "packets with SYN (where unknown, flows with one), in the first step of a flow"),
    "fin_packets": (FIN, "packets", "packets with FIN, in the last step of a flow"),
    "rst_packets": (RST, "packets", "packets with RST, in the last step of a flow"),
    "half_open_flows": (HALF_OPEN, "flows", "flows whose TCP packets of this direction have SYN and never ACK"),
}
PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP}


def rates_columns() -> list[tuple[str, pa.DataType, str, str]]:
    """Name, type, unit and meaning of every column of the table, in order."""
    rows: list[tuple[str, pa.DataType, str, str]] = [
        ("step", INSTANT, "UTC", "when the step begins"),
        ("entity", pa.string(), "text", "host, prefix, interface …"),
    ]
    for side, words in zip(SIDES, ("towards the entity", "from the entity"), strict=True):
        rows += [(f"{side}_{name}", pa.int64(), unit, f"{text}, {words}") for name, (_, unit, text) in COUNTED.items()]
        rows.append((f"{side}_mean_packet_bytes", pa.float32(), "bytes", f"bytes a packet, {words}"))
        for name in PROTOCOLS:
            rows.append((f"{side}_{name}_share", pa.float32(), "0 to 1", f"share of {name.upper()} packets, {words}"))
        for name in SERVICE_NAMES[1:]:
            rows.append((f"{side}_{name}_share", pa.float32(), "0 to 1", f"share of bytes of {name} ports, {words}"))
    return rows


def rates_schema() -> pa.Schema:
    return pa.schema([pa.field(name, type_) for name, type_, _, _ in rates_columns()])


def rates_batch(
    cells: npt.NDArray[np.int64],
    steps_ns: npt.NDArray[np.int64],
    names: pa.Array,
    new_peers: npt.NDArray[np.int64],
) -> pa.RecordBatch:
    """Rows of the table. A share or a mean of nothing is null."""
    arrays: list[Any] = [plain_array(steps_ns).cast(INSTANT), names]
    for side, base in enumerate((IN, OUT)):
        for name, (place, _, _) in COUNTED.items():
            held = new_peers[:, side] if name == "new_peers" else cells[:, base + place]
            arrays.append(plain_array(np.ascontiguousarray(held)))
        packets, octets = cells[:, base + PACKETS], cells[:, base + BYTES]
        arrays.append(_ratio(octets, packets))
        arrays += [_ratio(cells[:, base + place], packets) for place in PROTOCOLS.values()]
        arrays += [_ratio(cells[:, base + SERVICES + place], octets) for place in range(len(SERVICE_NAMES) - 1)]
    return pa.RecordBatch.from_arrays(arrays, schema=rates_schema())


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> pa.Array:
    is_nothing = whole == 0
    return plain_array((part / np.where(is_nothing, 1, whole)).astype(np.float32), is_null=is_nothing)
