"""Counters and statistics of flows from their packets, by the names of the flow table's columns; NaN is null.

So a flow whose packets were changed, or made up, says the same in its counters as in its series.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ...flows.schema import TCP_FLAGS
from .packets import NEVER, Mask, PacketSeries

Numbers = npt.NDArray[np.float64]
Statistics = dict[str, Numbers]

SYN, ACK = 0x02, 0x10
LARGEST_WINDOW = 65_535
ADDED_UP = ("packets", "bytes", "payload_bytes", *(f"{flag}_packets" for flag in TCP_FLAGS))
NOT_KNOWN_AFTERWARDS = ("frame_bytes", "retransmitted_packets", "out_of_order_packets")


def flow_statistics(series: PacketSeries) -> Statistics:
    """Of all seen packets. What a direction without packets has no value of is NaN."""
    seen = series.seen()
    found: Statistics = {"duration_ns": seen.times_ns[:, -1].astype(np.float64) if seen.width else _zeros(seen)}
    for side, sign in (("fwd", 1), ("rev", -1)):
        mine = seen.direction == sign
        found |= {f"{name}_{side}": values for name, values in _side(seen, mine).items()}
    return found | _handshake(seen)


def changed_statistics(known: Mapping[str, Numbers], before: PacketSeries, after: PacketSeries) -> Statistics:
    """What the known columns become when packets of a flow change.

    Where the series held the whole flow, everything is counted anew. Where it held the first packets only, sums move by
    the difference, and what only all packets could tell is unknown. A column that was not known stays unknown.
    """
    old, new = flow_statistics(before), flow_statistics(after)
    held = before.lengths.astype(np.float64)
    sides = [known.get(f"packets_{side}") for side in ("fwd", "rev")]
    total = sum(np.nan_to_num(side) for side in sides if side is not None)
    is_whole = np.asarray(held == total) if any(side is not None for side in sides) else np.zeros(len(before), np.bool_)
    moving = {f"{name}_{side}" for name in ADDED_UP for side in ("fwd", "rev")} | {"duration_ns"}
    lost = {f"{name}_{side}" for name in NOT_KNOWN_AFTERWARDS for side in ("fwd", "rev")}
    out: Statistics = {}
    for name, values in known.items():
        if name in lost:
            out[name] = np.full(len(before), np.nan)
        elif name.startswith("tcp_flags_"):
            out[name] = np.where(is_whole, new[name], values)
        elif name in moving:
            out[name] = np.where(is_whole, new[name], np.maximum(values + new[name] - old[name], 0.0))
        elif name in new:
            out[name] = np.where(is_whole, new[name], np.nan)
        else:
            continue
        out[name] = np.where(np.isnan(values), np.nan, out[name])
    for side in ("fwd", "rev"):
        if f"size_mean_bytes_{side}" in out and {f"bytes_{side}", f"packets_{side}"} <= out.keys():
            packets = out[f"packets_{side}"]
            mean = np.divide(out[f"bytes_{side}"], packets, out=np.full(len(before), np.nan), where=packets > 0)
            held_before = ~np.isnan(known[f"size_mean_bytes_{side}"])
            out[f"size_mean_bytes_{side}"] = np.where(held_before, mean, np.nan)
    return out


def _side(series: PacketSeries, mine: Mask) -> Statistics:
    """Everything about the packets of one direction."""
    packets = mine.sum(axis=1).astype(np.float64)
    has, has_gap = packets > 0, packets > 1
    size = np.where(mine, series.size, 0).astype(np.float64)
    found = {
        "packets": packets,
        "bytes": size.sum(axis=1),
        "payload_bytes": np.where(mine, series.payload, 0).sum(axis=1).astype(np.float64),
        "tcp_flags": np.bitwise_or.reduce(np.where(mine, series.flags, 0), axis=1).astype(np.float64),
    }
    for bit, flag in enumerate(TCP_FLAGS):
        found[f"{flag}_packets"] = (mine & ((series.flags >> bit) & 1 > 0)).sum(axis=1).astype(np.float64)
    found |= _spread(size, mine, has, "size_{}_bytes")
    order = np.argsort(~mine, axis=1, kind="stable")
    times = np.take_along_axis(series.times_ns, order, 1)
    gaps = np.diff(times, axis=1).astype(np.float64)
    found |= _spread(gaps, np.arange(gaps.shape[1]) < (packets - 1)[:, None], has_gap, "gap_{}_ns")
    windows = np.take_along_axis(series.window, order, 1)
    found["window_first"] = _where(has, windows[:, 0] if series.width else packets)
    found["window_min"] = _where(has, np.where(mine, series.window, LARGEST_WINDOW).min(axis=1, initial=LARGEST_WINDOW))
    found["window_max"] = _where(has, np.where(mine, series.window, 0).max(axis=1, initial=0))
    return found


def _spread(values: Numbers, mine: Mask, has: npt.NDArray[np.bool_], name: str) -> Statistics:
    """Smallest, mean, largest and deviation of each row's own values."""
    count = np.maximum(mine.sum(axis=1), 1)
    mean = np.where(mine, values, 0.0).sum(axis=1) / count
    away = np.where(mine, values - mean[:, None], 0.0)
    return {
        name.format("min"): _where(has, np.where(mine, values, np.inf).min(axis=1, initial=np.inf)),
        name.format("mean"): _where(has, mean),
        name.format("max"): _where(has, np.where(mine, values, -np.inf).max(axis=1, initial=-np.inf)),
        name.format("std"): _where(has, np.sqrt((away**2).sum(axis=1) / count)),
    }


def _handshake(series: PacketSeries) -> Statistics:
    """First SYN to first SYN-ACK, and that to the ACK behind it."""
    times = series.times_ns
    syn = _first(times, (series.direction > 0) & ((series.flags & (SYN | ACK)) == SYN))
    syn_ack = _first(times, (series.direction < 0) & ((series.flags & (SYN | ACK)) == (SYN | ACK)))
    is_ack = (series.direction > 0) & ((series.flags & (SYN | ACK)) == ACK)
    ack = _first(times, is_ack & (times >= np.nan_to_num(syn_ack, nan=float(NEVER))[:, None]))
    there, back = syn_ack - syn, ack - syn_ack
    return {"syn_to_synack_ns": np.where(there >= 0, there, np.nan), "synack_to_ack_ns": back}


def _first(times: npt.NDArray[np.int64], wanted: Mask) -> Numbers:
    if not times.shape[1]:
        return np.full(len(times), np.nan)
    return _where(np.atleast_1d(wanted.any(axis=1)), np.take_along_axis(times, wanted.argmax(axis=1)[:, None], 1)[:, 0])


def _where(has: npt.NDArray[np.bool_], values: npt.NDArray[np.generic]) -> Numbers:
    return np.where(has, values, np.nan).astype(np.float64)


def _zeros(series: PacketSeries) -> Numbers:
    return np.zeros(len(series), np.float64)
