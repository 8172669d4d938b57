"""Counters and statistics of a whole flow as numbers, one column of `quantities` each; NaN is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """One number of a flow: a column times a factor, or one column over another."""

    name: str
    unit: str
    formula: str
    column: str
    factor: float = 1.0
    over: str = ""


@cache
def quantities() -> tuple[Quantity, ...]:
    """Every quantity in the order of the channel.

    TTLs are left out: they tell how far away a host is and which system it runs, not what the flow does.
    """
    rows = [
        Quantity(name="duration_us", unit="us", formula="`duration_ns` / 1000", column="duration_ns", factor=1e-3),
        Quantity(
            name="syn_to_synack_us",
            unit="us",
            formula="`syn_to_synack_ns` / 1000",
            column="syn_to_synack_ns",
            factor=1e-3,
        ),
        Quantity(
            name="synack_to_ack_us",
            unit="us",
            formula="`synack_to_ack_ns` / 1000",
            column="synack_to_ack_ns",
            factor=1e-3,
        ),
    ]
    for side in ("fwd", "rev"):
        for stem, unit in _COLUMNS:
            rows.append(_column(f"{stem}_{side}", unit))
        rows.append(_ratio(f"bytes_per_packet_{side}", "bytes", f"bytes_{side}", f"packets_{side}"))
        rows.append(_ratio(f"payload_per_packet_{side}", "bytes", f"payload_bytes_{side}", f"packets_{side}"))
    rows.append(_ratio("packets_rev_per_fwd", "ratio", "packets_rev", "packets_fwd"))
    rows.append(_ratio("bytes_rev_per_fwd", "ratio", "bytes_rev", "bytes_fwd"))
    rows.append(_ratio("payload_rev_per_fwd", "ratio", "payload_bytes_rev", "payload_bytes_fwd"))
    return tuple(rows)


def extract_quantities(table: pa.Table | pa.RecordBatch) -> npt.NDArray[np.float32]:
    """`[flows, quantities]`, float32. A value that is null, infinite or over zero is NaN.

    Where a source knows bytes of frames only, those of IP are told from them: an Ethernet header less a packet.
    """
    chosen = quantities()
    out = np.full((table.num_rows, len(chosen)), np.nan, np.float32)
    known: dict[str, Numbers | None] = {}
    for place, quantity in enumerate(chosen):
        values = _numbers(table, quantity.column, known)
        if values is None:
            continue
        if quantity.over:
            below = _numbers(table, quantity.over, known)
            if below is None:
                continue
            values = np.divide(values, below, out=np.full(len(values), np.nan), where=below > 0)
        elif quantity.factor != 1.0:
            values = values * quantity.factor
        with np.errstate(over="ignore"):
            out[:, place] = values
    out[np.isinf(out)] = np.nan
    return out


_COLUMNS: Sequence[tuple[str, str]] = (
    ("packets", "packets"),
    ("bytes", "bytes"),
    ("payload_bytes", "bytes"),
    ("fin_packets", "packets"),
    ("syn_packets", "packets"),
    ("rst_packets", "packets"),
    ("psh_packets", "packets"),
    ("ack_packets", "packets"),
    ("urg_packets", "packets"),
    ("size_min_bytes", "bytes"),
    ("size_mean_bytes", "bytes"),
    ("size_max_bytes", "bytes"),
    ("size_std_bytes", "bytes"),
    ("gap_min", "us"),
    ("gap_mean", "us"),
    ("gap_max", "us"),
    ("gap_std", "us"),
    ("tcp_flags", "bit set"),
    ("tos", "byte"),
    ("window_first", "raw"),
    ("window_min", "raw"),
    ("window_max", "raw"),
    ("retransmitted_packets", "packets"),
    ("out_of_order_packets", "packets"),
)


def _column(name: str, unit: str) -> Quantity:
    if unit == "us":
        stem, _, side = name.rpartition("_")
        column = f"{stem}_ns_{side}"
        return Quantity(name=f"{stem}_us_{side}", unit=unit, formula=f"`{column}` / 1000", column=column, factor=1e-3)
    return Quantity(name=name, unit=unit, formula=f"`{name}`", column=name)


def _ratio(name: str, unit: str, above: str, below: str) -> Quantity:
    return Quantity(name=name, unit=unit, formula=f"`{above}` / `{below}`, missing over 0", column=above, over=below)


def _numbers(table: pa.Table | pa.RecordBatch, column: str, known: dict[str, Numbers | None]) -> Numbers | None:
    """A column as float64 with NaN for null; None where the table lacks it or holds nothing in it."""
    if column not in known:
        values = _held(table, column)
        if column in _OF_FRAMES and (values is None or np.isnan(values).any()):
            frames, packets = (_held(table, name) for name in _OF_FRAMES[column])
            if frames is not None and packets is not None:
                told = np.maximum(frames - ETHERNET_BYTES * packets, 0.0)
                values = told if values is None else np.where(np.isnan(values), told, values)
        known[column] = values
    return known[column]


ETHERNET_BYTES = 14
_OF_FRAMES = {f"bytes_{side}": (f"frame_bytes_{side}", f"packets_{side}") for side in ("fwd", "rev")}


def _held(table: pa.Table | pa.RecordBatch, column: str) -> Numbers | None:
    if column not in table.schema.names:
        return None
    held = table.column(column)
    if held.null_count == len(held) and len(held):
        return None
    values: Numbers = pc.cast(held, pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    return values
