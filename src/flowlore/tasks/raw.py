"""The raw numbers of flows, as the simple baselines see them: no address, no port, no name, no clock.

Every learned answer stands beside one made from these, so they are taken straight from the table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

PACKETS = 20
SIZE_SCALE_BYTES = 1500.0
RAW_COLUMNS = ("duration_ns", "protocol")
Numbers = npt.NDArray[np.float64]


def raw_matrix(flows: Any) -> Numbers:
    """A row for each flow: log of every quantity, then 20 signed sizes and 20 log gaps (0 where no packet is).

    What the source does not know is NaN, which trees take as it is.
    """
    from ..flows.schema import columns

    quantities = [column.name for column in columns() if column.group == "quantities"]
    plain = numbers(flows, (*RAW_COLUMNS, *quantities))
    with np.errstate(invalid="ignore"):
        logs = np.sign(plain) * np.log1p(np.abs(plain))
    sizes = first_packets(flows, PACKETS) / SIZE_SCALE_BYTES
    gaps = np.log1p(np.maximum(first_items(flows, "packet_gap_ns", PACKETS), 0.0)) / 16.0
    return np.hstack([logs, sizes, gaps])


def filled(matrix: Numbers) -> Numbers:
    """Missing numbers as -1, for methods that take none; every known one is at or above 0 but for sizes of answers."""
    return np.nan_to_num(matrix, nan=-1.0, posinf=0.0, neginf=0.0)


def first_packets(flows: Any, packets: int) -> Numbers:
    """Signed lengths of the first packets, + from `src`, - from `dst`; 0 where there is no packet.

    IP lengths, or the payload's where the source knows those only.
    """
    table = _table(flows)
    lengths = "packet_bytes"
    if lengths not in table.column_names or table.column(lengths).null_count == table.num_rows:
        lengths = "packet_payload_bytes"
    return first_items(table, lengths, packets) * first_items(table, "packet_direction", packets)


def first_items(flows: Any, column: str, count: int) -> Numbers:
    """The first items of a list column, zeros behind its end; a flow without a list is all zeros."""
    table = _table(flows)
    found = np.zeros((table.num_rows, count), np.float64)
    if column not in table.column_names:
        return found
    row = 0
    for chunk in table.column(column).chunks:
        offsets = chunk.offsets.to_numpy()
        lengths = np.where(chunk.is_null().to_numpy(zero_copy_only=False), 0, np.diff(offsets))
        values = chunk.values.to_numpy(zero_copy_only=False).astype(np.float64)
        for place in range(count):
            here = np.flatnonzero(lengths > place)
            found[row + here, place] = np.nan_to_num(values[offsets[here] + place])
        row += len(chunk)
    return found


def numbers(flows: Any, names: tuple[str, ...]) -> Numbers:
    """Columns as numbers, NaN where null or absent."""
    table = _table(flows)
    found = np.full((table.num_rows, len(names)), np.nan)
    for place, name in enumerate(names):
        if name in table.column_names and not pa.types.is_null(table.schema.field(name).type):
            found[:, place] = pc.cast(table.column(name), pa.float64(), safe=False).to_numpy()
    return found


def texts(flows: Any, name: str) -> npt.NDArray[Any]:
    """A text or bytes column as Python values, None where null or absent; bytes as hexadecimal text."""
    table = _table(flows)
    if name not in table.column_names:
        return np.full(table.num_rows, None, dtype=object)
    values = table.column(name).to_pylist()
    return np.array([one.hex() if isinstance(one, bytes) else one for one in values] or [], dtype=object)


def starts_ns(flows: Any) -> npt.NDArray[np.int64]:
    """Start of each flow in ns; a flow without one counts as 0."""
    column = pc.cast(_table(flows).column("start"), pa.int64())
    found: npt.NDArray[np.int64] = pc.fill_null(column, 0).to_numpy()
    return found


def taken(flows: Any, rows: npt.NDArray[np.int64]) -> pa.Table:
    """The flows at these places, in this order."""
    return _table(flows).take(pa.array(rows))


def _table(flows: Any) -> pa.Table:
    if isinstance(flows, pa.RecordBatch):
        return pa.Table.from_batches([flows])
    return flows if isinstance(flows, pa.Table) else flows.to_arrow()
