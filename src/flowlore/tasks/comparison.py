"""How far two sets of flows lie apart: number by number, and by whether a classifier can tell them apart.

A classifier that is right no more often than chance (an area under the ROC curve of 0.5) found no difference. Flows of
one client are alike, so that whole clients are held out, of both sets at a time, and each set is also told apart from
itself, by halves of its clients: that is how far apart traffic of one kind is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import QueryError, TaskError
from ..features.quantities import extract_quantities, quantities
from ..flows.schema import column_names
from ..registry import nearest_name_hint
from .raw import first_items, texts

Numbers = npt.NDArray[np.float64]
FOLDS = 5
TREES = 100
PACKETS = 10  # whose sizes and gaps the classifier sees
MOST_FLOWS = 20_000  # of each set
FEWEST_FLOWS = 40
NS_PER_MIN = 60_000_000_000
FAMILIES = ("sizes", "times", "flags", "windows", "pace")
TCP_FLAGS = frozenset({"fin", "syn", "rst", "psh", "ack", "urg"})
SHARES = (0.1, 0.5, 0.9)
LINE_POINTS = 101


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One number in both sets. `distance` is the Kolmogorov-Smirnov distance, 0 (alike) to 1 (apart)."""

    name: str
    unit: str
    distance: float
    shift: float  # mean distance between quantiles of log(1 + value), in interquartile ranges of the second set
    known_first: float  # share of flows that have the number
    known_second: float
    first: tuple[float, ...]  # value at each percentile from 0 to 100
    second: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        row = asdict(self)
        for side in ("first", "second"):
            values = row.pop(side)
            for share in SHARES:
                row[f"{side}_p{round(100 * share)}"] = _rounded(values[round((LINE_POINTS - 1) * share)])
        return row | {name: round(row[name], 4) for name in ("distance", "shift", "known_first", "known_second")}


@dataclass(frozen=True, kw_only=True)
class ToldApart:
    """How well trees told two sets apart on clients that they had not seen; the interval is over the folds."""

    auc: float
    low: float
    high: float
    first_flows: int
    second_flows: int

    def as_json(self) -> dict[str, Any]:
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything found. What only one set knows is in `only_first` and `only_second`, and was not compared."""

    first_flows: int
    second_flows: int
    differences: tuple[Difference, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    apart: ToldApart
    within_first: ToldApart | None  # None: too few clients
    within_second: ToldApart | None
    families: Mapping[str, ToldApart] = field(default_factory=dict)  # seen by numbers of one family only
    by: str = ""
    groups: Mapping[str, ToldApart] = field(default_factory=dict)
    too_few: tuple[str, ...] = ()  # groups of both sets that have too few flows or clients

    def as_json(self) -> dict[str, Any]:
        return {
            "first_flows": self.first_flows,
            "second_flows": self.second_flows,
            "apart": self.apart.as_json(),
            "within_first": self.within_first and self.within_first.as_json(),
            "within_second": self.within_second and self.within_second.as_json(),
            "families": {name: one.as_json() for name, one in self.families.items()},
            "by": self.by,
            "groups": {name: one.as_json() for name, one in self.groups.items()},
            "too_few": list(self.too_few),
            "differences": [one.as_json() for one in self.differences],
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
        }


def compare(first: Any, second: Any, *, by: str = "", rng: np.random.Generator) -> Comparison:
    """Compare two `Flows`, whole and for each value of the text column `by` that both have.

    At most 20,000 flows of each set, drawn at random, are looked at.
    """
    if by and by not in column_names():
        raise QueryError(f"compare: there is no column `{by}`", hint=nearest_name_hint(by, list(column_names())))
    counts = len(first), len(second)
    for name, flows in (("first", first), ("second", second)):
        if len(flows) < FEWEST_FLOWS:
            raise TaskError(
                f"compare: the {name} set has {len(flows)} flows, and {FEWEST_FLOWS} are needed at least",
                hint="give more captures, or a wider `--where`",
            )
    paces = [_pace(flows) for flows in (first, second)]  # of all flows: of those that are drawn it would be slower
    drawn = [_drawn(len(flows), rng) for flows in (first, second)]
    first, second = first[drawn[0]], second[drawn[1]]
    tables = [
        _numbers(flows) | {name: values[rows] for name, values in pace.items()}
        for flows, pace, rows in zip((first, second), paces, drawn, strict=True)
    ]
    known = [{name: float(np.mean(~np.isnan(values))) for name, values in table.items()} for table in tables]
    both = [name for name in tables[0] if known[0][name] and known[1][name]]
    units = _units()
    found = [
        _difference(name, units[name], tables[0][name], tables[1][name], known[0][name], known[1][name])
        for name in both
    ]
    seen = [_seen(flows, table, both) for flows, table in zip((first, second), tables, strict=True)]
    clients = _clients(first, second)
    apart = _told_apart(seen[0], seen[1], clients[0], clients[1], rng)
    if apart is None:
        raise TaskError(
            "compare: one of the sets has a single client, and whole clients are held out",
            hint="give captures of several hosts",
        )
    kinds = np.array([_family(name) for name in both] + ["sizes"] * PACKETS + ["times"] * PACKETS)
    families = {
        name: _told_apart(seen[0][:, kinds == name], seen[1][:, kinds == name], clients[0], clients[1], rng)
        for name in FAMILIES
        if (kinds == name).any()
    }
    groups, too_few = _by_groups(first, second, by, seen, clients, rng) if by else ({}, [])
    return Comparison(
        first_flows=counts[0],
        second_flows=counts[1],
        differences=tuple(sorted(found, key=lambda one: -one.distance)),
        only_first=tuple(name for name in tables[0] if known[0][name] and not known[1][name]),
        only_second=tuple(name for name in tables[0] if known[1][name] and not known[0][name]),
        apart=apart,
        within_first=_within(seen[0], clients[0], rng),
        within_second=_within(seen[1], clients[1], rng),
        families={name: one for name, one in families.items() if one is not None},
        by=by,
        groups=groups,
        too_few=tuple(too_few),
    )


def _family(name: str) -> str:
    if name.startswith("client_"):
        return "pace"
    if name.startswith("window_"):
        return "windows"
    if name.startswith(("gap_", "duration", "syn_to", "synack_to")):
        return "times"
    return "flags" if name.startswith(("tcp_flags", "tos")) or name.split("_")[0] in TCP_FLAGS else "sizes"


def _drawn(flows: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A mask of the flows that are looked at."""
    if flows <= MOST_FLOWS:
        return np.ones(flows, np.bool_)
    chosen = np.zeros(flows, np.bool_)
    chosen[rng.choice(flows, MOST_FLOWS, replace=False)] = True
    return chosen


def _units() -> dict[str, str]:
    return {one.name: one.unit for one in quantities()} | {
        "client_flows_per_min": "flows",
        "client_gap_between_flows_s": "s",
    }


def _numbers(flows: Any) -> dict[str, Numbers]:
    table = flows.to_arrow()
    matrix = np.concatenate([extract_quantities(piece) for piece in table.to_batches()]).astype(np.float64)
    return {one.name: matrix[:, place] for place, one in enumerate(quantities())}


def _pace(flows: Any) -> dict[str, Numbers]:
    """For each flow, how many its client begins in that minute, and how long ago it began the one before."""
    table = flows.to_arrow()
    start_ns = table.column("start").cast("int64").to_numpy(zero_copy_only=False).astype(np.float64)
    clients = np.unique((_codes(table, "capture") << 32) | _codes(table, "src_ip"), return_inverse=True)[1]
    order = np.lexsort((start_ns, clients))
    gaps = np.full(len(order), np.nan)
    same = clients[order][1:] == clients[order][:-1]
    gaps[order[1:]] = np.where(same, np.diff(start_ns[order]) / 1e9, np.nan)
    minutes = np.stack([clients.astype(np.float64), np.floor(start_ns / NS_PER_MIN)], axis=1)
    _, places, counts = np.unique(minutes, axis=0, return_inverse=True, return_counts=True)
    begun = counts[places.reshape(-1)].astype(np.float64)
    return {
        "client_flows_per_min": np.where(np.isnan(start_ns), np.nan, begun),
        "client_gap_between_flows_s": gaps,
    }


def _codes(table: Any, column: str) -> npt.NDArray[np.int64]:
    """A number for each value; the same for all where the column is absent."""
    if column not in table.column_names:
        return np.zeros(table.num_rows, np.int64)
    values = table.column(column).combine_chunks().dictionary_encode(null_encoding="encode")
    codes: npt.NDArray[np.int64] = values.indices.to_numpy().astype(np.int64)
    return codes


def _clients(first: Any, second: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Who began each flow. A host that both sets know is one client, so that it is not learnt from one of them and
    asked about in the other, unless that leaves a single client.
    """
    hosts = [texts(flows, "src_ip") for flows in (first, second)]
    of_both = (set(hosts[0]) & set(hosts[1])) - {None}
    places = [_places(flows) for flows in (first, second)]
    merged = [
        np.array([host if host in of_both else place for host, place in zip(*one, strict=True)])
        for one in zip(hosts, places, strict=True)
    ]
    chosen = merged if min(len(set(one)) for one in merged) > 1 else places
    return chosen[0], chosen[1]


def _places(flows: Any) -> npt.NDArray[Any]:
    """The capture in which each flow was seen, and who began it."""
    captures, addresses = texts(flows, "capture"), texts(flows, "src_ip")
    return np.array([f"{one} {two}" for one, two in zip(captures, addresses, strict=True)])


def _seen(flows: Any, numbers: Mapping[str, Numbers], names: list[str]) -> Numbers:
    """What trees may see: logs of the numbers that both sets know, and the first packets. A missing one is -1."""
    columns = [np.log1p(np.maximum(numbers[name], 0.0)) for name in names]
    sizes = first_items(flows, "packet_bytes", PACKETS) * first_items(flows, "packet_direction", PACKETS)
    gaps = np.log1p(np.maximum(first_items(flows, "packet_gap_ns", PACKETS), 0.0))
    seen: Numbers = np.nan_to_num(np.column_stack([*columns, sizes, gaps]), nan=-1.0)
    return seen


def _difference(
    name: str, unit: str, first: Numbers, second: Numbers, known_first: float, known_second: float
) -> Difference:
    first, second = np.sort(first[~np.isnan(first)]), np.sort(second[~np.isnan(second)])
    points = np.concatenate([first, second])
    below = [np.searchsorted(values, points, side="right") / len(values) for values in (first, second)]
    shares = np.linspace(0, 1, LINE_POINTS)
    lines = [np.quantile(values, shares) for values in (first, second)]
    logs = [np.log1p(np.maximum(line, 0.0)) for line in lines]
    spread = float(np.subtract(*np.quantile(logs[1], [0.75, 0.25]))) or float(np.ptp(logs[1])) or 1.0
    return Difference(
        name=name,
        unit=unit,
        distance=float(np.abs(below[0] - below[1]).max()),
        shift=float(np.abs(logs[0] - logs[1]).mean() / spread),
        known_first=known_first,
        known_second=known_second,
        first=tuple(float(value) for value in lines[0]),
        second=tuple(float(value) for value in lines[1]),
    )


def _by_groups(
    first: Any,
    second: Any,
    by: str,
    seen: list[Numbers],
    clients: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    rng: np.random.Generator,
) -> tuple[dict[str, ToldApart], list[str]]:
    kinds = [texts(flows, by) for flows in (first, second)]
    for kind, name in zip(kinds, ("first", "second"), strict=True):
        if not any(value is not None for value in kind):
            raise TaskError(
                f"compare: the {name} set has nothing in the column `{by}`",
                hint="compare by another column, e.g. `--by app_protocol`, or join labels with `flowlore annotate`",
            )
    shared = sorted({str(one) for one in kinds[0] if one} & {str(one) for one in kinds[1] if one})
    found, too_few = {}, []
    for value in shared:
        here = [kind == value for kind in kinds]
        apart = None
        if min(mask.sum() for mask in here) >= FEWEST_FLOWS:
            rows = [(matrix[mask], who[mask]) for matrix, who, mask in zip(seen, clients, here, strict=True)]
            apart = _told_apart(rows[0][0], rows[1][0], rows[0][1], rows[1][1], rng)
        if apart is None:
            too_few.append(value)
        else:
            found[value] = apart
    return found, too_few


def _within(seen: Numbers, clients: npt.NDArray[Any], rng: np.random.Generator) -> ToldApart | None:
    """Tell halves of the clients of one set apart."""
    names, codes = np.unique(clients, return_inverse=True)
    is_first = (np.argsort(rng.permutation(len(names))) % 2 == 0)[codes]
    if min(is_first.sum(), (~is_first).sum()) < FEWEST_FLOWS:
        return None
    return _told_apart(seen[is_first], seen[~is_first], clients[is_first], clients[~is_first], rng)


def _told_apart(
    first: Numbers,
    second: Numbers,
    first_clients: npt.NDArray[Any],
    second_clients: npt.NDArray[Any],
    rng: np.random.Generator,
) -> ToldApart | None:
    """Trees learn on some clients of both sets and are asked about the others; None where a set has one client."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score

    if min(len(set(first_clients)), len(set(second_clients))) < 2:
        return None
    matrix = np.vstack([first, second])
    truth = np.repeat([0, 1], [len(first), len(second)])
    areas = []
    for asked in _folds((first_clients, second_clients), rng):
        if len(set(truth[asked])) < 2 or len(set(truth[~asked])) < 2:
            continue
        trees = ExtraTreesClassifier(
            TREES, min_samples_leaf=3, class_weight="balanced", n_jobs=1, random_state=int(rng.integers(2**31))
        )
        trees.fit(matrix[~asked], truth[~asked])
        areas.append(float(roc_auc_score(truth[asked], trees.predict_proba(matrix[asked])[:, 1])))
    if not areas:
        return None
    error = float(np.std(areas, ddof=1) / np.sqrt(len(areas))) if len(areas) > 1 else 0.5
    middle = float(np.mean(areas))
    return ToldApart(
        auc=middle,
        low=max(0.0, middle - 1.96 * error),
        high=min(1.0, middle + 1.96 * error),
        first_flows=len(first),
        second_flows=len(second),
    )


def _folds(
    clients: tuple[npt.NDArray[Any], npt.NDArray[Any]], rng: np.random.Generator
) -> Iterator[npt.NDArray[np.bool_]]:
    """Masks over both sets together: each client is asked about once, and each set's flows are spread evenly."""
    names, codes = np.unique(np.concatenate(clients), return_inverse=True)
    sides = np.repeat([0, 1], [len(one) for one in clients])
    shares = np.stack([np.bincount(codes[sides == side], minlength=len(names)) for side in range(2)]).astype(float)
    most = np.minimum(FOLDS, (shares > 0).sum(axis=1))
    shares /= shares.sum(axis=1, keepdims=True)
    folds, filled = np.empty(len(names), np.int64), np.zeros((2, FOLDS))
    order = rng.permutation(len(names))
    for name in order[np.argsort(-shares.max(axis=0)[order], kind="stable")]:
        has = shares[:, name] > 0
        folds[name] = filled[has, : most[has].min()].sum(axis=0).argmin()
        filled[:, folds[name]] += shares[:, name]
    for fold in range(FOLDS):
        yield folds[codes] == fold


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
