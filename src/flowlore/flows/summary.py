"""What is in a flow table, in numbers and names: taken batch by batch, in bounded memory."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .protocols import protocol_name

MOST_COUNTED = 200_000  # distinct values held for one column; beyond it the rarest are forgotten
SHOWN_NAMES = 10


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Counts are of rows unless the name says otherwise; each top holds the ten most frequent."""

    flows: int = 0
    slices: int = 0  # rows with `part` above 0: later slices of a flow that was cut
    packets: int = 0
    bytes: int = 0  # IP total lengths; 0 where the source knows none
    payload_bytes: int = 0
    first: str | None = None  # ISO 8601 in UTC, with nanoseconds
    last: str | None = None  # end of the last packet
    span_s: float = 0.0
    hosts: int = 0  # distinct addresses
    hosts_at_least: bool = False  # there are more hosts than were counted
    protocols: dict[str, int] = field(default_factory=dict)
    app_protocols: dict[str, int] = field(default_factory=dict)
    server_names: dict[str, int] = field(default_factory=dict)
    dst_ports: dict[str, int] = field(default_factory=dict)
    talkers: dict[str, int] = field(
        default_factory=dict
    )  # bytes (packets where no bytes are known) by address of `src`
    end_reasons: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    exporters: dict[str, int] = field(default_factory=dict)
    sampling_rates: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    unknown_columns: list[str] = field(default_factory=list)  # null in every row
    nulls: dict[str, int] = field(default_factory=dict)  # rows without a value, for columns that have some values

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """A name and its value for each line worth showing to a person."""
        slices = f" ({self.slices:,} of them later slices)" if self.slices else ""
        shown = [("flows", f"{self.flows:,}{slices}"), ("packets", f"{self.packets:,}")]
        if self.bytes:
            shown.append(("bytes", f"{self.bytes:,}"))
        if self.first:
            shown.append(("time", f"{self.first[:19]} to {(self.last or self.first)[:19]} UTC ({self.span_s:,.1f} s)"))
        shown.append(("hosts", ("at least " if self.hosts_at_least else "") + f"{self.hosts:,}"))
        for name, counts in (
            ("protocols", self.protocols),
            ("applications", self.app_protocols),
            ("server names", self.server_names),
            ("ports", self.dst_ports),
            ("ended by", self.end_reasons),
            ("exporters", self.exporters),
            ("sampling", self.sampling_rates),
            ("labels", self.labels),
        ):
            if counts:
                shown.append((name, ", ".join(f"{value} {count:,}" for value, count in counts.items())))
        return shown

    def __str__(self) -> str:
        return "\n".join(f"{name:>13}  {value}" for name, value in self.lines())


class Summarizer:
    """Takes batches of the flow table and gives their `Summary` at any time."""

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()
        self._counts: dict[str, Counter[Any]] = {}
        self._talkers: Counter[bytes] = Counter()
        self._nulls: Counter[str] = Counter()
        self._names: list[str] = []
        self._first: int | None = None
        self._last: int | None = None
        self._hosts = np.zeros(0, "V16")
        self._hosts_at_least = False

    def add(self, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        self._names += [name for name in names if name not in self._names]
        self._totals["flows"] += batch.num_rows
        for name, column in zip(names, batch.columns, strict=True):
            self._nulls[name] += column.null_count
        for total in ("packets", "bytes", "payload_bytes"):
            for side in ("fwd", "rev"):
                if f"{total}_{side}" in names:
                    self._totals[total] += pc.sum(batch[f"{total}_{side}"]).as_py() or 0
        if "part" in names:
            self._totals["slices"] += pc.sum(pc.greater(batch["part"], 0)).as_py() or 0
        for name in _COUNTED:
            if name in names:
                self._count(name, batch[name])
        self._add_times(batch)
        self._add_hosts(batch)

    def summary(self) -> Summary:
        known = {name: count for name, count in self._nulls.items() if count < self._totals["flows"]}
        tops = {shown: self._top(name) for name, shown in _COUNTED.items()}
        tops["protocols"] = {_protocol(name): count for name, count in tops["protocols"].items()}
        tops["sampling_rates"] = {f"1 in {rate}": count for rate, count in tops["sampling_rates"].items()}
        first, last = self._first, self._last
        return Summary(
            flows=self._totals["flows"],
            slices=self._totals["slices"],
            packets=self._totals["packets"],
            bytes=self._totals["bytes"],
            payload_bytes=self._totals["payload_bytes"],
            first=None if first is None else instant_text(first),
            last=None if last is None else instant_text(last),
            span_s=0.0 if first is None or last is None else (last - first) / 1e9,
            hosts=len(self._hosts),
            hosts_at_least=self._hosts_at_least,
            talkers=self._top_talkers(),
            unknown_columns=[name for name in self._names if name not in known],
            nulls={name: count for name, count in known.items() if count},
            **tops,
        )

    def _count(self, name: str, column: pa.Array) -> None:
        counts = self._counts.setdefault(name, Counter())
        found = pc.value_counts(column.drop_null())
        values, numbers = found.field(0).to_pylist(), found.field(1).to_pylist()
        for value, number in zip(values, numbers, strict=True):
            counts[value] += number
        _forget_rarest(counts)

    def _add_times(self, batch: pa.RecordBatch) -> None:
        if "start" not in batch.schema.names or batch["start"].null_count == batch.num_rows:
            return
        starts = batch["start"].cast(pa.int64())
        ends = starts
        if "duration_ns" in batch.schema.names:
            ends = pc.add(starts, pc.fill_null(batch["duration_ns"], 0))
        first, last = pc.min(starts).as_py(), pc.max(ends).as_py()
        self._first = first if self._first is None else min(self._first, first)
        self._last = last if self._last is None else max(self._last, last)

    def _add_hosts(self, batch: pa.RecordBatch) -> None:
        for name in ("src_ip", "dst_ip"):
            if name not in batch.schema.names or not pa.types.is_fixed_size_binary(batch[name].type):
                continue
            known = batch[name].drop_null()
            if len(known) and not self._hosts_at_least:
                values = np.frombuffer(known.buffers()[1], "V16")[known.offset : known.offset + len(known)]
                merged = np.concatenate([self._hosts, np.unique(values)])
                self._hosts = np.unique(merged)
                self._hosts_at_least = len(self._hosts) > 10 * MOST_COUNTED
        weights = next((name for name in ("bytes_fwd", "packets_fwd") if _has_values(batch, name)), None)
        if weights and "src_ip" in batch.schema.names:
            rows = (
                pa.table({"host": batch["src_ip"], "weight": batch[weights]})
                .group_by("host")
                .aggregate([("weight", "sum")])
            )
            for host, weight in zip(rows["host"].to_pylist(), rows["weight_sum"].to_pylist(), strict=True):
                if host is not None:
                    self._talkers[host] += weight or 0
            _forget_rarest(self._talkers)

    def _top(self, name: str) -> dict[str, int]:
        ranked = sorted(self._counts.get(name, Counter()).items(), key=lambda item: (-item[1], str(item[0])))
        return {str(value): count for value, count in ranked[:SHOWN_NAMES]}

    def _top_talkers(self) -> dict[str, int]:
        from .addresses import format_addresses

        top = sorted(self._talkers.items(), key=lambda item: (-item[1], item[0]))[:SHOWN_NAMES]
        hosts = format_addresses(pa.array([host for host, _ in top], pa.binary(16))).to_pylist()
        return {host: weight for host, (_, weight) in zip(hosts, top, strict=True)}


def instant_text(time_ns: int) -> str:
    """Nanoseconds since 1970 as ISO 8601 in UTC. A time beyond the year 9999 is written as a number.

    >>> instant_text(1_592_654_400_000_000_001)
    '2020-06-20T12:00:00.000000001Z'
    """
    seconds, rest = divmod(time_ns, 1_000_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns"


_COUNTED = {
    "protocol": "protocols",
    "app_protocol": "app_protocols",
    "server_name": "server_names",
    "dst_port": "dst_ports",
    "end_reason": "end_reasons",
    "source": "sources",
    "exporter": "exporters",
    "sampling_rate": "sampling_rates",
    "label": "labels",
}


def _forget_rarest(counts: Counter[Any]) -> None:
    if len(counts) > MOST_COUNTED:
        kept = counts.most_common(MOST_COUNTED // 2)
        counts.clear()
        counts.update(dict(kept))


def _has_values(batch: pa.RecordBatch, name: str) -> bool:
    return name in batch.schema.names and batch[name].null_count < batch.num_rows


def _protocol(number: str) -> str:
    return protocol_name(int(number))
