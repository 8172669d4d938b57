"""Who talks to whom around one host: hosts near it, the flows between them over time, and where each is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from ..flows.protocols import service_words

Integers = npt.NDArray[np.int64]
Points = npt.NDArray[np.float64]

BINS = 60
STEPS = 300  # of the layout
NAMED_SERVICES = 4


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host of the picture. `hops` is its distance from the middle, `others` its partners that are not drawn."""

    name: str
    hops: int
    flows: int
    bytes: int
    partners: int
    others: int
    labels: Mapping[str, int]
    score: float | None
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """All flows from one host to another."""

    source: int
    target: int
    flows: int
    bytes: int
    packets: int
    answered: int  # flows with packets in both directions
    services: tuple[tuple[str, int], ...]
    labels: Mapping[str, int]
    over_time: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class HostGraph:
    """Hosts, the first of which is the one in the middle, and what went between them."""

    hosts: list[Host]
    exchanges: list[Exchange]
    first_ns: int
    last_ns: int
    flows: int  # of the picture
    flows_in_all: int
    hosts_in_all: int


def host_graph(
    flows: Any,
    *,
    middle: str | None = None,
    hops: int = 2,
    most_hosts: int = 80,
    scores: Mapping[str, float] | None = None,
) -> HostGraph:
    """The neighbourhood of `middle`, or of the host that has most to show: the highest score, else the most partners;
    no group of hosts (multicast, broadcast) is in the middle unasked.

    Nearer hosts come first, of equally near ones those with more flows.
    """
    table = flows if isinstance(flows, pa.Table) else flows.to_arrow()
    if not table.num_rows:
        raise InputError("graph: there is not one flow to draw", hint="another input, or a wider `--where`")
    names, source, target = _ends(table)
    known = np.flatnonzero((source >= 0) & (target >= 0))
    if not len(known):
        raise InputError(
            "graph: no flow has both ends, so there is nobody to draw",
            hint="flows need addresses, or pseudonyms in `src_name` and `dst_name`",
        )
    if len(names) == 1 and len(known) > 1:
        raise InputError(
            f"graph: all {len(known):,} flows have the same host at both ends, so there is nobody else to draw",
            hint="addresses or pseudonyms must tell hosts apart; a constant does not",
        )
    if len(known) < len(source):
        table, source, target = table.take(pa.array(known)), source[known], target[known]
    pairs, of_pair, pair_flows = np.unique(
        source * np.int64(len(names)) + target, return_inverse=True, return_counts=True
    )
    ends = np.stack([pairs // len(names), pairs % len(names)], axis=1)
    centre = _middle(names, ends, middle, scores)
    chosen, distance = _near(ends, pair_flows, centre, len(names), hops, most_hosts)
    place = np.full(len(names), -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    is_drawn = (place[ends] >= 0).all(axis=1)
    rows = np.flatnonzero(is_drawn[of_pair])
    first_ns, last_ns = _span(table)
    exchanges = _exchanges(table.take(pa.array(rows)), place[ends], of_pair[rows], first_ns, last_ns)
    points = _layout(len(chosen), [(one.source, one.target, one.flows) for one in exchanges], distance[chosen])
    partners = _partners(ends, len(names))
    drawn_partners = _partners(np.array([(one.source, one.target) for one in exchanges]).reshape(-1, 2), len(chosen))
    return HostGraph(
        hosts=[
            Host(
                **_host(number, names[code], exchanges, scores),
                hops=int(distance[code]),
                partners=int(partners[code]),
                others=int(partners[code] - drawn_partners[number]),
                x=float(points[number, 0]),
                y=float(points[number, 1]),
            )
            for number, code in enumerate(chosen.tolist())
        ],
        exchanges=exchanges,
        first_ns=first_ns,
        last_ns=last_ns,
        flows=len(rows),
        flows_in_all=table.num_rows,
        hosts_in_all=len(names),
    )


def _ends(table: pa.Table) -> tuple[list[str], Integers, Integers]:
    """Names of hosts, and the number of each flow's source and target, -1 where it is not known."""
    from ..flows.addresses import format_addresses

    sides = []
    for side in ("src", "dst"):
        columns = [name for name in (f"{side}_ip", f"{side}_name") if name in table.column_names]
        texts = [
            format_addresses(table.column(name)) if name.endswith("ip") else table.column(name) for name in columns
        ]
        texts = [text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text for text in texts]
        sides.append(pc.coalesce(*texts) if texts else pa.nulls(table.num_rows, pa.string()))
    both = pa.chunked_array(sides, pa.string()).combine_chunks().dictionary_encode()
    if isinstance(both, pa.ChunkedArray):
        both = both.combine_chunks()
    codes = pc.fill_null(both.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return [str(name) for name in both.dictionary.to_pylist()], codes[: table.num_rows], codes[table.num_rows :]


def _middle(names: list[str], ends: Integers, wanted: str | None, scores: Mapping[str, float] | None) -> int:
    if wanted is not None:
        from ..flows.addresses import host_text

        shown = wanted if wanted in names else host_text(wanted)
        if shown not in names:
            raise InputError(
                f"graph: no flow has the host `{wanted}`", hint="`flowlore inspect` lists the hosts of the input"
            )
        return names.index(shown)
    if scores:
        return max(range(len(names)), key=lambda code: (scores.get(names[code], -np.inf), -code))
    partners = _partners(ends, len(names))
    return max(range(len(names)), key=lambda code: (not _is_crowd(names[code]), int(partners[code]), -code))


def _is_crowd(name: str) -> bool:
    """Whether it stands for many hosts: a multicast or broadcast address."""
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_multicast or address.is_unspecified or name == "255.255.255.255"


def _partners(ends: Integers, hosts: int) -> Integers:
    """With how many others each host has flows."""
    if not len(ends):
        return np.zeros(hosts, np.int64)
    low, high = ends.min(axis=1), ends.max(axis=1)
    apart = np.unique((low * np.int64(hosts) + high)[low != high])
    return np.bincount(np.concatenate([apart // hosts, apart % hosts]), minlength=hosts).astype(np.int64)


def _near(ends: Integers, flows: Integers, centre: int, hosts: int, hops: int, most: int) -> tuple[Integers, Integers]:
    """The nearest hosts, the middle first, and the distance of each host (-1 beyond `hops`)."""
    distance = np.full(hosts, -1, np.int64)
    distance[centre] = 0
    chosen = [centre]
    for hop in range(1, hops + 1):
        inside = distance[ends] == hop - 1
        weight = np.zeros(hosts, np.int64)
        is_chosen = np.zeros(hosts, np.bool_)
        is_chosen[chosen] = True
        for side in (0, 1):
            from_chosen = inside[:, side] & is_chosen[ends[:, side]]
            np.add.at(weight, ends[from_chosen, 1 - side], flows[from_chosen])
        weight[distance >= 0] = 0
        found = np.flatnonzero(weight)
        found = found[np.argsort(-weight[found], kind="stable")][: most - len(chosen)]
        distance[found] = hop
        chosen += found.tolist()
        if len(chosen) >= most:
            break
    return np.array(chosen, np.int64), distance


def _span(table: pa.Table) -> tuple[int, int]:
    if "start" not in table.column_names:
        return 0, 0
    starts = pc.min_max(table.column("start").cast(pa.int64()))
    return int(starts["min"].as_py() or 0), int(starts["max"].as_py() or 0)


def _exchanges(table: pa.Table, places: Integers, of_pair: Integers, first_ns: int, last_ns: int) -> list[Exchange]:
    columns = {
        name: pc.fill_null(pc.cast(table.column(name), pa.int64(), safe=False), 0).to_numpy()
        if name in table.column_names
        else np.zeros(table.num_rows, np.int64)
        for name in ("start", "packets_fwd", "packets_rev", "bytes_fwd", "bytes_rev", "protocol", "dst_port")
    }
    labels = table.column("label").to_pylist() if "label" in table.column_names else [None] * table.num_rows
    bins = ((columns["start"] - first_ns) * BINS // max(1, last_ns - first_ns + 1)).clip(0, BINS - 1)
    order = np.argsort(of_pair, kind="stable")
    found = []
    for rows in np.split(order, np.flatnonzero(np.diff(of_pair[order])) + 1) if len(order) else []:
        source, target = places[of_pair[rows[0]]].tolist()
        services = Counter(service_words(int(columns["protocol"][row]), int(columns["dst_port"][row])) for row in rows)
        answered = (columns["packets_fwd"][rows] > 0) & (columns["packets_rev"][rows] > 0)
        found.append(
            Exchange(
                source=source,
                target=target,
                flows=len(rows),
                bytes=int(columns["bytes_fwd"][rows].sum() + columns["bytes_rev"][rows].sum()),
                packets=int(columns["packets_fwd"][rows].sum() + columns["packets_rev"][rows].sum()),
                answered=int(answered.sum()),
                services=tuple(services.most_common(NAMED_SERVICES)),
                labels=dict(Counter(str(labels[row]) for row in rows if labels[row]).most_common()),
                over_time=tuple(np.bincount(bins[rows], minlength=BINS).tolist()),
            )
        )
    return found


def _host(number: int, name: str, exchanges: list[Exchange], scores: Mapping[str, float] | None) -> dict[str, Any]:
    mine = [one for one in exchanges if number in (one.source, one.target)]
    labels: Counter[str] = Counter()
    for one in mine:
        labels.update(one.labels)
    return {
        "name": name,
        "flows": sum(one.flows for one in mine),
        "bytes": sum(one.bytes for one in mine),
        "labels": dict(labels.most_common()),
        "score": None if scores is None or name not in scores else float(scores[name]),
    }


def _layout(hosts: int, ties: list[tuple[int, int, int]], hops: Integers) -> Points:
    """A place between -1 and 1 for each host: those with flows pull each other, and all push."""
    angles = np.arange(hosts) * 2.399963  # the golden angle: neighbours in number are far apart
    points: Points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (0.15 + 0.4 * hops[:, None])
    if hosts < 2:
        return points * 0.0
    points[0] = 0.0
    pull = np.zeros((hosts, hosts))
    for one, other, flows in ties:
        if one != other:
            pull[one, other] = pull[other, one] = max(pull[one, other], 1.0 + 0.15 * np.log1p(flows))
    wanted = 1.6 / np.sqrt(hosts)
    for step in range(STEPS):
        apart = points[:, None] - points[None]
        far = np.sqrt((apart**2).sum(axis=2)) + 1e-6
        force = wanted**2 / far**2 - pull * far / wanted * 0.6
        moved = (apart * force[:, :, None]).sum(axis=1) - 0.25 * points
        length = np.sqrt((moved**2).sum(axis=1, keepdims=True)) + 1e-9
        points = points + moved / length * np.minimum(length, 0.12 * (1 - step / STEPS) + 0.002)
    low, high = points.min(axis=0), points.max(axis=0)
    scaled: Points = 2 * (points - low) / np.maximum(high - low, 1e-6) - 1
    return scaled
