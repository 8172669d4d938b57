"""What is in some traffic: span, hosts, protocols, names, ports, sizes, exporters, and everything skipped and why.

Gathered batch by batch in bounded memory, so that a capture of any size can be inspected.
"""

import ipaddress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ..flows.protocols import protocol_name
from ..sources.source import Account
from .tally import Ranking, Tally
from .timeline import Timeline, TimelineBuilder

TOP = 20
SUMS = ["flows", "packets", "bytes"]

# The kinds of bytes that a source may know, best first.
BYTE_KINDS = ("bytes", "frame_bytes", "payload_bytes")

PORTLESS = (1, 58)  # ICMP and ICMPv6: type and code stand in the place of ports

DURATION_EDGES_S = [
    *(0.0, 1e-6, 1e-5, 1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
    *(1800.0, 3600.0, 10_800.0, 43_200.0, 86_400.0, 604_800.0, 2_592_000.0, 31_536_000.0),
]

# Rankings of columns that are keys as they stand: name of the ranking → columns.
PLAIN_RANKINGS = {
    "applications": ["app_protocol"],
    "exporter_applications": ["application"],
    "exporters": ["exporter", "sampling_rate"],
    "labels": ["label"],
    "end_reasons": ["end_reason"],
    "countries": ["dst_country"],
    "networks": ["dst_as"],
    "captures": ["capture"],
}


@dataclass(frozen=True, slots=True)
class Histogram:
    """Flows by size: `counts[i]` flows lie from `edges[i]` (inclusive) to `edges[i + 1]`."""

    edges: list[float]
    counts: list[int]

    def as_json(self) -> dict[str, Any]:
        return {"edges": self.edges, "counts": self.counts}


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything that the inspect page and the summary on the terminal show."""

    account: Account
    flows: int
    packets: int
    bytes: int
    byte_kind: str  # which kind of bytes `bytes` are; "mixed" where inputs knew different kinds
    first_ns: int | None
    last_ns: int | None
    timeline: Timeline | None
    rankings: dict[str, Ranking]
    histograms: dict[str, Histogram]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; times in ns since 1970, UTC."""
        account = self.account
        return {
            "recognised": dict(account.recognised),
            "unrecognised": dict(account.details.get("unrecognised", {})),
            "packets": account.packets,
            "packets_in_flows": account.packets_in_flows,
            "records": account.records,
            "records_in_flows": account.records_in_flows,
            "flows": self.flows,
            "skipped": dict(account.skipped),
            "notes": dict(account.notes),
            "flow_packets": self.packets,
            "flow_bytes": self.bytes,
            "byte_kind": self.byte_kind,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "rankings": {name: ranking.as_json() for name, ranking in self.rankings.items()},
            "histograms": {name: histogram.as_json() for name, histogram in self.histograms.items()},
            "timeline": self.timeline.as_json() if self.timeline else None,
            "details": account.details,
        }


class Inspector:
    """Takes batches of the flow table one after the other; `finish` gives the inspection."""

    def __init__(self) -> None:
        self._flows = self._packets = self._bytes = 0
        self._byte_kinds: set[str] = set()
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._timeline = TimelineBuilder()
        directed = [*SUMS, "bytes_sent", "bytes_received"]
        self._tallies = {
            "protocols": Tally(["protocol"], SUMS, order="bytes"),
            "hosts": Tally(["host", "is_name"], directed, order="bytes"),
            "names": Tally(["server_name"], SUMS, order="bytes"),
            "queries": Tally(["dns_query"], SUMS, order="flows"),
            "ports": Tally(["protocol", "dst_port"], SUMS, order="flows"),
        } | {name: Tally(keys, SUMS, order="flows") for name, keys in PLAIN_RANKINGS.items()}
        self._sizes = _Bins(_one_two_five(1, 12))
        self._packet_counts = _Bins(_one_two_five(0, 9))
        self._durations = _Bins(DURATION_EDGES_S)

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        if not batch.num_rows:
            return
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        frame = self._quantities(table)
        self._flows += frame.height
        self._packets += int(frame["packets"].sum())
        self._bytes += int(frame["bytes"].sum())
        self._add_times(frame)
        self._add_hosts(frame)
        with_ports = frame.filter(~pl.col("protocol").is_in(PORTLESS))
        for name, tally in self._tallies.items():
            if name != "hosts":
                tally.add(with_ports if name == "ports" else frame)
        self._sizes.add(frame["bytes"].to_numpy())
        self._packet_counts.add(frame["packets"].to_numpy())

    def finish(self, account: Account) -> Inspection:
        kinds = self._byte_kinds
        return Inspection(
            account=account,
            flows=self._flows,
            packets=self._packets,
            bytes=self._bytes,
            byte_kind=next(iter(kinds)) if len(kinds) == 1 else "mixed" if kinds else "bytes",
            first_ns=self._first_ns,
            last_ns=self._last_ns,
            timeline=self._timeline.finish(),
            rankings={name: _readable(tally.ranking(TOP)) for name, tally in self._tallies.items()},
            histograms={
                "bytes": self._sizes.finish(),
                "packets": self._packet_counts.finish(),
                "duration_s": self._durations.finish(),
            },
        )

    def _quantities(self, table: pa.Table) -> pl.DataFrame:
        """The columns that are counted, and `flows`, `packets`, `bytes`, `bytes_sent`, `bytes_received` of each row.

        Quantities are floats: exact to 9 PB, and a record that claims 2^64 bytes is large instead of an overflow.
        """
        known = [kind for kind in BYTE_KINDS if table[f"{kind}_fwd"].null_count < table.num_rows]
        names = ["start", "duration_ns", "src_ip", "dst_ip", "src_name", "dst_name", "protocol", "dst_port"]
        names += ["packets_fwd", "packets_rev", "server_name", "dns_query"]
        names += [column for columns in PLAIN_RANKINGS.values() for column in columns]
        names += [f"{kind}_{side}" for kind in known for side in ("fwd", "rev")]
        frame = pl.DataFrame(pl.from_arrow(table.select(names)))
        if known:
            self._byte_kinds.add(known[0])

        def of_side(side: str) -> pl.Expr:
            if not known:
                return pl.lit(0.0)
            return pl.coalesce([pl.col(f"{kind}_{side}") for kind in known]).fill_null(0).cast(pl.Float64)

        return frame.with_columns(
            flows=pl.lit(1.0),
            packets=sum(
                (pl.col(f"packets_{side}").fill_null(0).cast(pl.Float64) for side in ("fwd", "rev")), pl.lit(0)
            ),
            bytes=of_side("fwd") + of_side("rev"),
            bytes_sent=of_side("fwd"),
            bytes_received=of_side("rev"),
        )

    def _add_times(self, frame: pl.DataFrame) -> None:
        timed = frame.filter(pl.col("start").is_not_null())
        if timed.is_empty():
            return
        start_ns = timed["start"].cast(pl.Int64).to_numpy()
        duration_ns = timed["duration_ns"].fill_null(0).to_numpy()
        first, last = int(start_ns.min()), int((start_ns + np.maximum(duration_ns, 0)).max())
        self._first_ns = first if self._first_ns is None else min(first, self._first_ns)
        self._last_ns = last if self._last_ns is None else max(last, self._last_ns)
        sent, received = (timed[name].to_numpy() for name in ("bytes_sent", "bytes_received"))
        self._timeline.add(start_ns, duration_ns, sent, received)
        self._durations.add(duration_ns / 1e9)

    def _add_hosts(self, frame: pl.DataFrame) -> None:
        """Each flow counts for both of its ends; names stand in where a source gives no address."""
        for end, sent, received in (("src", "bytes_sent", "bytes_received"), ("dst", "bytes_received", "bytes_sent")):
            self._tallies["hosts"].add(
                frame.select(
                    pl.coalesce(pl.col(f"{end}_ip"), pl.col(f"{end}_name").cast(pl.Binary)).alias("host"),
                    pl.col(f"{end}_ip").is_null().alias("is_name"),
                    *SUMS,
                    pl.col(sent).alias("bytes_sent"),
                    pl.col(received).alias("bytes_received"),
                )
            )


class _Bins:
    def __init__(self, edges: list[float]) -> None:
        self._edges = np.array(edges)
        self._counts = np.zeros(len(edges) - 1, np.int64)

    def add(self, values: npt.NDArray[Any]) -> None:
        places = np.clip(np.searchsorted(self._edges, values, side="right") - 1, 0, len(self._counts) - 1)
        self._counts += np.bincount(places, minlength=len(self._counts))

    def finish(self) -> Histogram:
        """The bins from the first to the last that holds a flow."""
        filled = np.flatnonzero(self._counts)
        if not len(filled):
            return Histogram(edges=[], counts=[])
        low, high = int(filled[0]), int(filled[-1]) + 1
        return Histogram(edges=self._edges[low : high + 1].tolist(), counts=self._counts[low:high].tolist())


def _one_two_five(low: int, high: int) -> list[float]:
    """0, then 1, 2 and 5 times each power of ten."""
    return [0.0, *(float(factor * 10**power) for power in range(low, high) for factor in (1, 2, 5))]


def _readable(ranking: Ranking) -> Ranking:
    rows = []
    for row in ranking.rows:
        readable = {key: round(value) if isinstance(value, float) else value for key, value in row.items()}
        if "host" in row:
            readable["host"] = _host_text(row["host"], bool(readable.pop("is_name")))
        if "protocol" in row:
            readable["protocol"] = protocol_name(row["protocol"])
        rows.append(readable)
    return Ranking(rows=rows, distinct=ranking.distinct, approximate=ranking.approximate)


def _host_text(host: bytes, is_name: bool) -> str:
    if is_name:
        return host.decode("utf-8", "replace")
    address = ipaddress.IPv6Address(host)
    return str(address.ipv4_mapped or address)
