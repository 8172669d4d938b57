"""Groups of services by port, and what a flow asked for in words."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...flows.protocols import protocol_name
from .layout import SERVICE_NAMES, Octets

PORTS: dict[str, tuple[int, ...]] = {
    "web": (80, 443, 8000, 8008, 8080, 8443, 8888),
    "dns": (53, 853, 5353, 5355),
    "mail": (25, 110, 143, 465, 587, 993, 995),
    "remote": (22, 23, 2323, 3389, 5900, 5901, 5938),
    "files": (20, 21, 69, 111, 139, 445, 548, 873, 2049),
    "reflected": (17, 19, 123, 137, 161, 389, 500, 1434, 1701, 1900, 3283, 3478, 3702, 5683, 10001, 11211, 27015),
}
PORT_PROTOCOLS = (6, 17, 33, 132, 136)  # TCP, UDP, DCCP, SCTP, UDP-Lite


@cache
def groups_by_port() -> Octets:
    """The number of the group in `SERVICE_NAMES` for each of 65,536 ports; 0 is none of them."""
    table = np.zeros(1 << 16, np.uint8)
    for name, ports in PORTS.items():
        table[list(ports)] = SERVICE_NAMES.index(name)
    return table


def services(
    src_port: npt.NDArray[np.uint16], dst_port: npt.NDArray[np.uint16], has_ports: npt.NDArray[np.bool_]
) -> Octets:
    """The group of the port asked for, else of the other: answers that come unasked are what is reflected."""
    table = groups_by_port()
    asked = table[dst_port]
    found = np.where(asked > 0, asked, table[src_port])
    return np.where(has_ports, found, 0).astype(np.uint8)


def port_names(batch: pa.RecordBatch) -> Any:
    """`tcp/443`, or `icmp` where there are no ports: a name for each flow, as a dictionary array."""
    rows = batch.num_rows
    protocol = _numbers(batch, "protocol", rows)
    port = np.where(np.isin(protocol, PORT_PROTOCOLS), _numbers(batch, "dst_port", rows), 0)
    codes, places = np.unique(protocol * 65_536 + port, return_inverse=True)
    words = []
    for code in codes.tolist():
        number, asked = divmod(code, 65_536)
        name = protocol_name(number)
        words.append(f"{name}/{asked}" if number in PORT_PROTOCOLS else name)
    return pa.array(words, pa.string()).take(pa.array(places))


def _numbers(batch: pa.RecordBatch, name: str, rows: int) -> npt.NDArray[np.int64]:
    import pyarrow.compute as pc

    if name not in batch.schema.names:
        return np.zeros(rows, np.int64)
    column = batch.column(name).cast(pa.int64())
    return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False))
