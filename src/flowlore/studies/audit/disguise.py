"""Traffic that its sender disguises: packets padded, held back, or made up, within a budget. Flows in, flows out.

Only packets of who spoke first are touched. Counters follow: packets, bytes, payload and duration exactly; statistics
of sizes and gaps from the series where it holds the whole flow, else means from the counters, and extremes widened.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...tasks.raw import first_items, numbers

Disguise = Literal["padding", "delays", "dummies", "all three"]
Floats = npt.NDArray[np.float64]
LARGEST_PAYLOAD = 1460
HEADERS = 40  # IP and TCP of a made-up packet
SERIES = {
    "packet_direction": pa.int8(),
    "packet_bytes": pa.uint32(),
    "packet_payload_bytes": pa.uint32(),
    "packet_gap_ns": pa.uint64(),
    "packet_tcp_flags": pa.uint8(),
    "packet_window": pa.uint16(),
}
ACK = 16


class Series:
    """Lists of packets as arrays [flows, packets]; what a table lacks is not there."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.known = [name for name in SERIES if _is_known(table, name)]
        lengths = np.asarray(table.column("packet_direction").combine_chunks().value_lengths().fill_null(0))
        self.width = int(lengths.max()) if len(lengths) else 0
        self.lengths = lengths.astype(np.int64)
        self.arrays = {name: first_items(table, name, self.width) for name in self.known}

    @property
    def is_packet(self) -> npt.NDArray[np.bool_]:
        return np.arange(self.width) < self.lengths[:, None]

    @property
    def is_sent(self) -> npt.NDArray[np.bool_]:
        """Packets of who spoke first."""
        return self.is_packet & (self.arrays["packet_direction"] > 0)


def disguised(table: pa.Table, kind: Disguise, budget: float, rng: np.random.Generator) -> pa.Table:
    """The same flows, disguised at random within `budget`: a share of the bytes, time or packets that were sent."""
    series = Series(table)
    added = {"packets": np.zeros(len(table)), "bytes": np.zeros(len(table)), "ns": np.zeros(len(table))}
    if kind in ("dummies", "all three"):
        _add_dummies(series, budget, rng, added)
    if kind in ("padding", "all three"):
        _pad(series, budget, rng, added)
    if kind in ("delays", "all three"):
        _delay(series, budget, rng, added)
    return _rebuilt(series, added)


def overhead(before: pa.Table, after: pa.Table) -> dict[str, float]:
    """Mean share of bytes, packets and time added to a flow."""
    found = {}
    for name, columns in {
        "bytes": ("payload_bytes_fwd", "payload_bytes_rev"),
        "packets": ("packets_fwd", "packets_rev"),
        "time": ("duration_ns",),
    }.items():
        old, new = (np.nansum(numbers(table, columns), axis=1) for table in (before, after))
        known = old > 0
        found[name] = round(float(np.mean(new[known] / old[known] - 1)), 4) if known.any() else 0.0
    return found


def _pad(series: Series, budget: float, rng: np.random.Generator, added: dict[str, Floats]) -> None:
    """Random bytes on random packets; together at most `budget` of the payload sent in the series."""
    if "packet_payload_bytes" not in series.known:
        return
    payload, sent = series.arrays["packet_payload_bytes"], series.is_sent
    has_payload = sent & (payload > 0)
    room = np.where(has_payload, np.maximum(LARGEST_PAYLOAD - payload, 0), 0)
    weights = rng.random(payload.shape) * has_payload
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    most = budget * (payload * has_payload).sum(axis=1, keepdims=True)
    pad = np.minimum(np.floor(weights * most * rng.random((len(payload), 1))), room)
    series.arrays["packet_payload_bytes"] = payload + pad
    if "packet_bytes" in series.known:
        series.arrays["packet_bytes"] = series.arrays["packet_bytes"] + pad
    added["bytes"] += pad.sum(axis=1)


def _delay(series: Series, budget: float, rng: np.random.Generator, added: dict[str, Floats]) -> None:
    """Random packets sent are held back; together at most `budget` of the time that the series takes."""
    if "packet_gap_ns" not in series.known:
        return
    gaps = series.arrays["packet_gap_ns"]
    may = series.is_sent & (np.arange(series.width) > 0)
    weights = rng.random(gaps.shape) * may
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    most = budget * gaps.sum(axis=1, keepdims=True)
    extra = np.floor(weights * most * rng.random((len(gaps), 1)))
    series.arrays["packet_gap_ns"] = gaps + extra
    added["ns"] += extra.sum(axis=1)


def _add_dummies(series: Series, budget: float, rng: np.random.Generator, added: dict[str, Floats]) -> None:
    """Made-up packets between others: at most `budget` of the packets in the series, and one at least is allowed."""
    rows = len(series.lengths)
    most = np.maximum(np.floor(budget * series.lengths), 1).astype(np.int64)
    counts = np.where(series.lengths > 1, rng.integers(0, most + 1), 0)
    largest = int(counts.max()) if rows else 0
    if not largest:
        return
    places = 1 + np.floor(rng.random((rows, largest)) * np.maximum(series.lengths - 1, 1)[:, None])
    used = np.arange(largest) < counts[:, None]
    payload = np.where(used, rng.integers(1, LARGEST_PAYLOAD + 1, (rows, largest)), 0)
    order_keys = np.concatenate(
        [np.arange(series.width)[None].repeat(rows, 0), np.where(used, places - 0.5, np.inf)], 1
    )
    order_keys[:, : series.width][~series.is_packet] = np.inf
    order = np.argsort(order_keys, axis=1, kind="stable")[:, : series.width]
    made = {
        "packet_direction": np.ones_like(payload),
        "packet_bytes": payload + HEADERS,
        "packet_payload_bytes": payload,
        "packet_gap_ns": np.zeros_like(payload),
        "packet_tcp_flags": np.full_like(payload, ACK),
        "packet_window": np.zeros_like(payload),
    }
    for name in series.known:
        whole = np.concatenate([series.arrays[name], made[name].astype(np.float64)], axis=1)
        series.arrays[name] = np.take_along_axis(whole, order, axis=1)
    if "packet_gap_ns" in series.known:  # a made-up packet goes out half way in the gap of the one that follows
        gaps = series.arrays["packet_gap_ns"]
        is_made = order >= series.width
        for place in range(series.width - 1):
            half = np.where(is_made[:, place] & ~is_made[:, place + 1], np.floor(gaps[:, place + 1] / 2), 0)
            gaps[:, place] += half
            gaps[:, place + 1] -= half
    series.lengths = np.minimum(series.lengths + counts, series.width)
    added["packets"] += counts
    added["bytes"] += payload.sum(axis=1)


def _rebuilt(series: Series, added: dict[str, Floats]) -> pa.Table:
    table = series.table
    whole = _whole_in_series(series, added)
    offsets = np.concatenate([[0], np.cumsum(series.lengths)]).astype(np.int32)
    for name in series.known:
        field = table.schema.field(name)
        values = np.maximum(series.arrays[name], -1)[series.is_packet]
        items = pa.array(values.astype(np.int64)).cast(field.type.value_type, safe=False)
        table = _replaced(table, name, pa.ListArray.from_arrays(pa.array(offsets), items).cast(field.type))
    header = HEADERS * added["packets"]
    for name, extra in {
        "packets_fwd": added["packets"],
        "payload_bytes_fwd": added["bytes"],
        "bytes_fwd": added["bytes"] + header,
        "frame_bytes_fwd": added["bytes"] + header + 14 * added["packets"],
        "duration_ns": added["ns"],
        "ack_packets_fwd": added["packets"],
    }.items():
        if _is_known(table, name):
            table = _with_numbers(table, name, numbers(table, (name,))[:, 0] + extra)
    return _with_statistics(table, series, whole)


def _with_statistics(table: pa.Table, series: Series, whole: npt.NDArray[np.bool_]) -> pa.Table:
    kinds = {"size": ("packet_bytes", "bytes"), "gap": ("packet_gap_ns", "ns")}
    for kind, (source, unit) in kinds.items():
        if source not in series.known:
            continue
        values, mask = series.arrays[source], series.is_sent
        if kind == "gap":
            values, mask = _gaps_of_sender(series)
        found = _statistics(values, mask)
        for statistic, new in found.items():
            name = f"{kind}_{statistic}_{unit}_fwd"
            if not _is_known(table, name):
                continue
            old = numbers(table, (name,))[:, 0]
            wider = {"min": np.fmin(old, new), "max": np.fmax(old, new)}.get(statistic, old)
            if name == "size_mean_bytes_fwd":
                totals = numbers(table, ("bytes_fwd", "packets_fwd"))
                wider = totals[:, 0] / np.maximum(totals[:, 1], 1)
            table = _with_numbers(table, name, np.where(whole & np.isfinite(new), new, wider))
    return table


def _gaps_of_sender(series: Series) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Time from each packet sent to the one sent before it; the first has none."""
    times = np.cumsum(series.arrays["packet_gap_ns"], axis=1)
    sent = series.is_sent
    latest = np.maximum.accumulate(np.where(sent, times, -np.inf), axis=1)
    before = np.concatenate([np.full((len(times), 1), -np.inf), latest[:, :-1]], axis=1)
    is_gap = sent & np.isfinite(before)
    return np.where(is_gap, times - np.where(np.isfinite(before), before, 0), 0.0), is_gap


def _statistics(values: Floats, mask: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    counts = mask.sum(axis=1)
    has = counts > 0
    mean = (values * mask).sum(axis=1) / np.maximum(counts, 1)
    variance = (((values - mean[:, None]) * mask) ** 2).sum(axis=1) / np.maximum(counts, 1)
    found = {
        "min": np.where(mask, values, np.inf).min(axis=1, initial=np.inf),
        "mean": mean,
        "max": np.where(mask, values, -np.inf).max(axis=1, initial=-np.inf),
        "std": np.sqrt(variance),
    }
    return {name: np.where(has, one, np.nan) for name, one in found.items()}


def _whole_in_series(series: Series, added: dict[str, Floats]) -> npt.NDArray[np.bool_]:
    """Flows of which every packet, with the made-up ones, is in the series. A source without counters has none."""
    totals = numbers(series.table, ("packets_fwd", "packets_rev"))
    packets = np.nansum(totals, axis=1) + added["packets"]
    whole: npt.NDArray[np.bool_] = np.isfinite(totals).all(axis=1) & (packets <= series.lengths)
    return whole


def _with_numbers(table: pa.Table, name: str, values: Floats) -> pa.Table:
    type_ = table.schema.field(name).type
    known = np.isfinite(values)
    plain = np.where(known, values, 0)
    if pa.types.is_integer(type_):
        array = pa.array(np.round(plain).astype(np.int64), mask=~known).cast(type_, safe=False)
    else:
        array = pa.array(plain, mask=~known).cast(type_, safe=False)
    return _replaced(table, name, array)


def _replaced(table: pa.Table, name: str, array: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), array)


def _is_known(table: pa.Table, name: str) -> bool:
    return name in table.column_names and table.column(name).null_count < table.num_rows
