"""The meter beside the second computation: the same packets through both, row by row, column by column."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from flowlore.flows.table import Flows
from flowlore.sources.packets.captures.reader import CaptureReader
from flowlore.sources.packets.headers.frames import NOTES, new_fragment_table, parse_frames
from flowlore.sources.packets.layout import PACKET
from flowlore.sources.packets.settings import MeterSettings, PacketSettings
from flowlore.sources.reading import read
from flowlore.sources.records.netflow.settings import NetflowSettings
from flowlore.sources.settings import SourceSettings
from second_meter import NANOSECONDS, SecondMeter, Timeouts

Row = dict[str, Any]
IDENTITY = ("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "start", "part")
TOLERANCE = 1e-9  # relative, of means and deviations


def settings(*, threads: int = 1, tunnels: str = "inner", **meter: Any) -> SourceSettings:
    """Settings under which every capture is read as packets."""
    return SourceSettings(
        packets=PacketSettings(threads=threads, tunnels=tunnels),  # type: ignore[arg-type]
        meter=MeterSettings(**meter),
        netflow=NetflowSettings(from_captures="never"),
    )


def timeouts(meter: MeterSettings) -> Timeouts:
    return Timeouts(
        idle_ns=int(meter.idle_timeout_s * NANOSECONDS),
        active_ns=int(meter.active_timeout_s * NANOSECONDS),
        linger_ns=int(meter.tcp_linger_s * NANOSECONDS),
        window_ns=int(meter.window_s * NANOSECONDS),
        max_packets=meter.max_packets,
        payload_bytes=meter.payload_bytes,
    )


def second_rows(capture: bytes, meter: MeterSettings, *, inner: bool = True) -> list[Row]:
    """The flows of one capture file by the second computation."""
    second = SecondMeter(timeouts(meter))
    fragments, notes = new_fragment_table(8192), np.zeros(len(NOTES), np.int64)
    for chunk in CaptureReader(io.BytesIO(capture), "capture"):
        packets = np.zeros(len(chunk.frames), PACKET)
        parse_frames(chunk.data, chunk.frames, packets, fragments, notes, 8, inner)
        second.feed(packets)
    return second.finish()


def rows_of(flows: Flows | pa.Table) -> list[Row]:
    """Rows with times as whole ns."""
    table = flows if isinstance(flows, pa.Table) else flows.to_arrow()
    table = table.set_column(table.schema.get_field_index("start"), "start", table["start"].cast(pa.int64()))
    return table.to_pylist()


def assert_equal_to_second(path: Path, **meter: Any) -> Flows:
    """Read `path` with the meter, compare every row with the second computation, and give the flows back."""
    chosen = settings(**meter)
    flows = read(path, settings=chosen)
    assert_rows_equal(rows_of(flows), second_rows(path.read_bytes(), chosen.meter))
    return flows


def assert_rows_equal(got: list[Row], expected: list[Row]) -> None:
    """Every column that the second computation knows, in any order of rows."""
    assert len(got) == len(expected), f"{len(got)} flows, expected {len(expected)}"
    for one, other in zip(sorted(got, key=_identity), sorted(expected, key=_identity), strict=True):
        wrong = {name: (one[name], value) for name, value in other.items() if not _is_equal(one[name], value)}
        assert not wrong, f"{_identity(other)}: (got, expected) {wrong}"


def comparable(flows: Flows, *, without: tuple[str, ...] = ("capture",)) -> list[Row]:
    """Rows in an order of their own, for tables that must be the same."""
    rows = [{name: value for name, value in row.items() if name not in without} for row in rows_of(flows)]
    return sorted(rows, key=lambda row: (*_identity(row), row["flow_id"]))


def _identity(row: Row) -> tuple[Any, ...]:
    return (*(row[name] for name in IDENTITY), row["vlan"] or 0, row["inner_vlan"] or 0, row["tunnel_id"] or 0,
        row["duration_ns"], row["packets_fwd"], row["packets_rev"], row["bytes_fwd"], row["end_reason"])  # fmt: skip


def _is_equal(got: Any, expected: Any) -> bool:
    if isinstance(got, float) and expected is not None:
        return math.isclose(got, expected, rel_tol=TOLERANCE, abs_tol=1e-6)
    return bool(got == expected)
