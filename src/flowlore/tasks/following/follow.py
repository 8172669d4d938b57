"""`follow`: made-up flows at the hosts, times and in the directions that rates ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...errors import TaskError
from ...features.augment.packets import PacketSeries
from ...features.augment.statistics import Statistics, flow_statistics
from ...features.augment.tables import USUAL_PACKETS
from ...features.rates.rates import Rates, rates
from ...features.rates.settings import step_words
from ...flows.arrays import plain_array
from ..generation import Imitator, Kind, flow_table, server_ports
from ..thin_places import Where
from .asked import BYTES, FOLLOWED, PACKETS, Asked, Integers, asked_by
from .ends import Rows, rows_for
from .fitting import AMOUNTS, Choice, Drawn, chosen
from .lengthening import ACK, FIN, RST, TCP_HEADER, Beyond, beyond, gone_on
from .placing import Side, client_ports, flow_ids, sides, starts
from .rewiring import rewired

MOST_FLOWS = 500_000
FEWEST_DRAWN, MOST_DRAWN, DRAWN_FOR_EACH = 500, 20_000, 2
TCP, UDP = 6, 17
SYN = 0x02
UDP_HEADER = 28  # bytes, with IPv4's
MOST_CAPTURED = 20_000_000  # places for packets of flows that are put into a capture
UNKNOWN_BEYOND = tuple(
    f"{name}_{side}"
    for name in (*(f"size_{which}_bytes" for which in ("min", "max", "std")),
                 *(f"gap_{which}_ns" for which in ("min", "mean", "max", "std")))
    for side in ("fwd", "rev")
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Followed:
    """Flows, and how near their rates come to those that were asked for: the report of `closeness`."""

    table: pa.Table
    report: Mapping[str, Any]
    capture: bytes | None = None


def follow(
    imitator: Imitator,
    asked_rates: Rates | pa.Table,
    rng: np.random.Generator,
    *,
    label: str | None = None,
    path: int | None = None,
    where: Where = "as-learnt",
    draw: int | None = None,
    longer: bool = True,
    capture: bool = False,
) -> Followed:
    """Flows of a generator whose `rates` by host are near the asked ones: as many as asked, and then by size.

    `path` chooses one of the paths of made-up rates. `draw` says how many flows are made up to choose from; one may be
    chosen more than once. With `longer` a flow may go on after its drawn packets; its series has 32 packets, its
    counters have all. A `capture` holds all packets, and only hosts with IPv4 addresses.
    """
    asked = asked_by(asked_rates, path)
    rows = rows_for(asked, rng)
    if len(rows) > MOST_FLOWS:
        raise TaskError(
            f"follow: these rates ask for {len(rows):,} flows, and {MOST_FLOWS:,} are the most at once",
            hint="rates of fewer hosts, or of a shorter time",
        )
    ends = sides(asked, rows)
    if capture:
        _check_ipv4(asked, ends)
    series, kinds, knows = _drawn(imitator, label, len(rows), draw, rng, where, capture)
    series, hurried = _within(series, asked.step_ns)
    kind_of = {kind: place for place, kind in enumerate(dict.fromkeys(kinds))}
    codes = np.array([kind_of[kind] for kind in kinds])
    order = np.argsort(codes, kind="stable")
    series, codes, kinds = series.take(order), codes[order], [kinds[place] for place in order.tolist()]
    hurried = hurried[order]
    drawn = Drawn(amounts=_amounts(series, knows), kind=codes)
    choice = chosen(asked, rows, drawn, rng, longer=longer)
    if longer:
        choice = rewired(asked, _wanted(asked), choice, drawn, rng)
    ends = sides(asked, choice.rows)
    has_bytes = BYTES in asked.amounts and bool(drawn.amounts[..., AMOUNTS.index(BYTES)].any())
    more = beyond(_wanted(asked), choice, drawn, has_bytes=has_bytes) if longer else None
    table, placed = _table(asked, choice, series, kinds, knows, ends, more, rng, capture)
    report = {
        "flows": len(np.unique(choice.rows.flow)),
        "rows": len(rows),
        "hosts": len(asked.hosts),
        "steps": len(np.unique(asked.begin_ns)),
        "step": step_words(asked.step_ns),
        "drawn": len(drawn),
        "chosen": len(np.unique(choice.flow)),
        "in_a_hurry": int(hurried[choice.flow].sum()),
        "longer": 0 if more is None else int((more.packets > 0).any(axis=1).sum()),
        "packets_beyond": 0 if more is None else int(more.packets.sum()),
        "rows_of_others": asked.others,
        "closeness": closeness(asked, table),
    }
    if not capture:
        return Followed(table=table, report=report)
    from ...models.generators.captures import Ends, capture_bytes

    at = Ends(
        protocol=placed["protocol"], dst_port=placed["dst_port"], start_ns=placed["start"],
        src=ends[0].ipv4, dst=ends[1].ipv4, src_port=client_ports(choice.rows),
    )  # fmt: skip
    return Followed(table=table, report=report, capture=capture_bytes(placed["series"], at))


def closeness(asked: Asked, flows: Any) -> dict[str, dict[str, float | None]]:
    """Of each followed feature and direction, what was asked in all, what flows have, and WAPE: the sum of all errors
    of hosts and steps as a share of what was asked; None where something was made and nothing asked."""
    made = rates(flows, "host", step_words(asked.step_ns)).table
    place_of = {name: place for place, name in enumerate(asked.hosts)}
    host = np.array([place_of.get(name, -1) for name in made["entity"].to_pylist()], np.int64)
    begins = np.asarray(made["step"].cast(pa.int64()).to_numpy(), np.int64)
    cells = {pair: place for place, pair in enumerate(zip(asked.host.tolist(), asked.begin_ns.tolist(), strict=True))}
    cell = np.array([cells.get(pair, -1) for pair in zip(host.tolist(), begins.tolist(), strict=True)], np.int64)
    found: dict[str, dict[str, float | None]] = {}
    for name in FOLLOWED:
        for side, direction in enumerate(("in", "out")):
            if name not in asked.exact or np.isnan(asked.exact[name][:, side]).any():
                continue
            wanted = asked.exact[name][:, side]
            numbers = np.asarray(made[f"{direction}_{name}"].to_numpy(), np.float64)
            had = np.bincount(cell[cell >= 0], numbers[cell >= 0], minlength=len(asked))
            total = float(wanted.sum())
            away = float(np.abs(had - wanted).sum() + numbers[(cell < 0) & (host >= 0)].sum())
            found[f"{direction}_{name}"] = {
                "asked": round(total, 3),
                "made": float(had.sum()),
                "wape": round(away / total, 6) if total else None if away else 0.0,
            }
    return found


def _drawn(
    imitator: Imitator, label: str | None, rows: int, draw: int | None, rng: np.random.Generator, where: Where,
    capture: bool,
) -> tuple[PacketSeries, list[Kind], tuple[str, ...]]:  # fmt: skip
    """Flows to choose from, and what is known of their packets."""
    wanted = int(np.clip(DRAWN_FOR_EACH * rows, FEWEST_DRAWN, MOST_DRAWN)) if draw is None else draw
    if not capture:
        return *imitator.series(label, wanted, rng, where=where), imitator.knows
    from ...models.generators.captures import with_headers

    imitator.check_capture(label)
    series, kinds = imitator.series(label, wanted, rng, where=where, over=(TCP, UDP, None))
    kinds = [replace(kind, protocol=TCP) if kind.protocol is None else kind for kind in kinds]
    protocol = np.array([kind.protocol for kind in kinds], np.int64)
    return with_headers(series, protocol, imitator.knows), kinds, (*imitator.knows, "packet_bytes")


def _within(series: PacketSeries, step_ns: int) -> tuple[PacketSeries, npt.NDArray[np.bool_]]:
    """Flows that would last longer than a step go so much faster that they end in it; and which do."""
    lasts = series.times_ns[:, -1] if series.width else np.zeros(len(series), np.int64)
    hurried = lasts > step_ns - 1
    share = np.where(hurried, (step_ns - 1) / np.maximum(lasts, 1), 1.0)[:, None]
    gaps = np.where(hurried[:, None], (series.gap_ns * share).astype(np.int64), series.gap_ns)
    return replace(series, gap_ns=gaps), hurried


def _amounts(series: PacketSeries, knows: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """What rates will count of each drawn flow, forward and reverse: that it is seen, packets, bytes."""
    size = series.size if "packet_bytes" in knows else series.payload
    known = "packet_bytes" in knows or "packet_payload_bytes" in knows
    sides = []
    for sign in (1, -1):
        mine = series.direction == sign
        packets = mine.sum(axis=1)
        octets = np.where(mine, size, 0).sum(axis=1) if known else np.zeros(len(series))
        sides.append(np.stack([packets > 0, packets, octets], 1))
    return np.stack(sides, 1).astype(np.float64)


def _wanted(asked: Asked) -> npt.NDArray[np.float64]:
    """Cells, and one for nobody, by direction and amount."""
    out = np.zeros((len(asked) + 1, 2, len(AMOUNTS)))
    for place, name in enumerate(AMOUNTS):
        out[:-1, :, place] = asked.amount(name)
    return out


def _table(
    asked: Asked, choice: Choice, series: PacketSeries, kinds: list[Kind], knows: tuple[str, ...],
    ends: tuple[Side, Side], more: Beyond | None, rng: np.random.Generator, capture: bool,
) -> tuple[pa.Table, dict[str, Any]]:  # fmt: skip
    """Rows in order of time, and of them what a capture needs."""
    rows = choice.rows
    mine = series.take(choice.flow)
    mine = replace(mine, flags=_flags_of_slices(mine, rows))
    held = [kinds[place] for place in choice.flow.tolist()]
    protocol = np.array([-1 if kind.protocol is None else kind.protocol for kind in held], np.int64)
    statistics = flow_statistics(mine)
    if more is not None:
        header = np.where(protocol == UDP, UDP_HEADER, TCP_HEADER)
        lasts = np.minimum(_longer_ns(statistics, more), asked.step_ns - 1)
        gap_ns = (lasts - statistics["duration_ns"]) // np.maximum(more.packets.sum(axis=1), 1)
        most = MOST_CAPTURED // len(rows) if capture else max(USUAL_PACKETS, mine.width)
        mine = gone_on(mine, more, gap_ns.astype(np.int64), header, most)
        if capture:
            statistics = flow_statistics(mine)
        else:
            _go_on(statistics, more, header, knows)
            statistics["duration_ns"] = lasts
    begins = starts(asked, rows, statistics["duration_ns"].astype(np.int64), rng)
    _, first = np.unique(rows.flow, return_index=True)
    ports = server_ports(held, rng)[first][rows.flow]
    has_port = np.array([bool(kind.ports) for kind in held])
    is_told = np.isin(protocol, (TCP, UDP)) | has_port
    placed = {
        "start": plain_array(begins).cast(pa.timestamp("ns", tz="UTC")),
        "part": plain_array(rows.part.astype(np.uint32)),
        "flow_id": flow_ids(rows, rng),
        "src_port": plain_array(client_ports(rows).astype(np.uint16), is_null=~is_told),
        "dst_port": plain_array(ports.astype(np.uint16), is_null=~has_port),
        **ends[0].columns("src"),
        **ends[1].columns("dst"),
    }
    shown = mine.cut(USUAL_PACKETS) if capture else mine
    table = flow_table(shown, held, knows, rng, statistics=statistics, placed=placed)
    order = np.argsort(begins, kind="stable")
    return table.take(order), {"series": mine, "start": begins, "dst_port": ports, "protocol": protocol}


def _flags_of_slices(series: PacketSeries, rows: Rows) -> npt.NDArray[np.int32]:
    """A later slice begins no flow, and one that others follow ends none."""
    last = np.zeros(int(rows.flow.max()) + 1, np.int64)
    np.maximum.at(last, rows.flow, rows.part)
    kept = np.where(rows.part > 0, ~SYN, ~0) & np.where(rows.part < last[rows.flow], ~(FIN | RST), ~0)
    return (series.flags & kept[:, None]).astype(np.int32)


def _longer_ns(statistics: Statistics, more: Beyond) -> npt.NDArray[np.float64]:
    """How long flows last that go on as fast as they began."""
    before = statistics["packets_fwd"] + statistics["packets_rev"]
    return np.asarray(statistics["duration_ns"] * (1 + more.packets.sum(axis=1) / np.maximum(before, 1)))


def _go_on(statistics: Statistics, more: Beyond, header: Integers, knows: tuple[str, ...]) -> None:
    """Counters of flows that go on, in place; what only all of their packets could tell becomes unknown."""
    longer = (more.packets > 0).any(axis=1)
    for side, word in enumerate(("fwd", "rev")):
        packets, octets = more.packets[:, side], more.bytes[:, side]
        statistics[f"{PACKETS}_{word}"] = statistics[f"{PACKETS}_{word}"] + packets
        statistics[f"{BYTES}_{word}"] = statistics[f"{BYTES}_{word}"] + octets
        payload = np.maximum(octets - packets * header, 0) if "packet_bytes" in knows else octets
        statistics[f"payload_bytes_{word}"] = statistics[f"payload_bytes_{word}"] + payload
        is_acked = (statistics[f"tcp_flags_{word}"].astype(np.int64) & ACK) > 0
        statistics[f"ack_packets_{word}"] = statistics[f"ack_packets_{word}"] + np.where(is_acked, packets, 0)
        total = statistics[f"{PACKETS}_{word}"]
        mean = np.divide(statistics[f"{BYTES}_{word}"], total, out=np.full(len(total), np.nan), where=total > 0)
        name = f"size_mean_bytes_{word}"
        statistics[name] = np.where(longer, mean, statistics[name])
    for name in UNKNOWN_BEYOND:
        statistics[name] = np.where(longer, np.nan, statistics[name])


def _check_ipv4(asked: Asked, ends: tuple[Side, Side]) -> None:
    for side in ends:
        if (side.ipv4 < 0).any():
            at = int(np.argmin(side.ipv4))
            name = side.name[at] or asked.hosts[0]
            known = next((one for one in asked.hosts if ":" in one), name)
            raise TaskError(
                f"follow: `{known}` has no IPv4 address, and captures are made of IPv4 packets only",
                hint='`-o made.parquet` writes a flow table of any hosts; `flowlore rates … --where "src_ip not like '
                "'%:%'\"` leaves IPv6 out",
            )
