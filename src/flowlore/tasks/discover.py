"""What is new: unknown flows in clusters, each described by what tells it from all the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import TaskError
from .metrics import checked_vectors, normalised
from .raw import numbers, texts

NAMED = ("protocol", "dst_port", "app_protocol", "server_name", "alpn", "ja4", "dns_query", "end_reason", "capture")
MEASURED = (
    "duration_ns",
    "packets_fwd",
    "packets_rev",
    "bytes_fwd",
    "bytes_rev",
    "size_max_bytes_fwd",
    "gap_mean_ns_fwd",
)
ALONE = -1  # the cluster of flows that are like no others
MOST_ROWS = 20_000
LEAST_SHARE = 0.3
LEAST_LIFT = 2.0


@dataclass(frozen=True, kw_only=True)
class Trait:
    """One thing that tells a cluster: a value that it has more often than the rest, or a number that is far off."""

    column: str
    words: str
    weight: float  # the larger, the more telling


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A group of flows that are alike. `example` is the row nearest to its middle."""

    number: int
    flows: int
    example: int
    traits: tuple[Trait, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def discover(
    flows: Any, vectors: Any, *, smallest: int = 10, traits: int = 4
) -> tuple[npt.NDArray[np.int64], list[Cluster]]:
    """The cluster of each flow (-1 where it has none), and every cluster, the largest first.

    Density decides how many there are (HDBSCAN on vectors of length 1). `smallest` is the least number of flows.
    """
    if smallest < 2:
        raise TaskError(f"tasks: a cluster of {smallest} flow is no cluster", hint="`--smallest 10`")
    vectors = checked_vectors(vectors)
    if len(vectors) != len(flows):
        raise TaskError(
            f"tasks: there are {len(vectors):,} vectors of {len(flows):,} flows",
            hint="`bundle.embed(flows)` gives one each",
        )
    if len(vectors) < smallest:
        return np.full(len(vectors), ALONE, np.int64), []
    if len(vectors) > MOST_ROWS:
        raise TaskError(
            f"tasks: {len(vectors):,} flows are too many to cluster at once (at most {MOST_ROWS:,})",
            hint="choose some with `--where`, for example one hour or one network",
        )
    found = _clusters(normalised(vectors).astype(np.float64), smallest)
    sizes = Counter(found[found >= 0].tolist())
    order = [number for number, _ in sizes.most_common()]
    renumbered = np.full(len(found), ALONE, np.int64)
    clusters = []
    for number, old in enumerate(order):
        is_member = found == old
        renumbered[is_member] = number
        clusters.append(
            Cluster(
                number=number,
                flows=int(is_member.sum()),
                example=_middle(vectors, is_member),
                traits=describe(flows, is_member, most=traits),
            )
        )
    return renumbered, clusters


def describe(flows: Any, is_member: npt.NDArray[np.bool_], *, most: int = 4) -> tuple[Trait, ...]:
    """What tells the members from all other flows, the most telling first."""
    found = [trait for column in NAMED if (trait := _named_trait(flows, column, is_member))]
    found += [trait for column in MEASURED if (trait := _measured_trait(flows, column, is_member))]
    return tuple(sorted(found, key=lambda trait: (-trait.weight, trait.column))[:most])


def _clusters(unit: npt.NDArray[np.float64], smallest: int) -> npt.NDArray[np.int64]:
    from sklearn.cluster import HDBSCAN

    found: npt.NDArray[np.int64] = HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(unit)
    return found


def _middle(vectors: Any, is_member: npt.NDArray[np.bool_]) -> int:
    rows = np.flatnonzero(is_member)
    unit = normalised(vectors[rows])
    return int(rows[int((unit @ unit.mean(axis=0)).argmax())])


def _named_trait(flows: Any, column: str, is_member: npt.NDArray[np.bool_]) -> Trait | None:
    values = texts(flows, column)
    inside = Counter(value for value in values[is_member] if value is not None)
    if not inside:
        return None
    outside = Counter(value for value in values[~is_member] if value is not None)
    here, there = int(is_member.sum()), max(int((~is_member).sum()), 1)
    best, weight = None, 0.0
    for value, count in inside.items():
        share, other = count / here, outside[value] / there
        lift = share / max(other, 1.0 / (there + 1))
        if share >= LEAST_SHARE and lift >= LEAST_LIFT and share * np.log2(lift) > weight:
            best, weight = (value, share, other), float(share * np.log2(lift))
    if best is None:
        return None
    value, share, other = best
    return Trait(
        column=column, words=f"{column} = {value} ({share:.0%}, elsewhere {other:.0%})", weight=round(weight, 3)
    )


def _measured_trait(flows: Any, column: str, is_member: npt.NDArray[np.bool_]) -> Trait | None:
    values = numbers(flows, (column,))[:, 0]
    inside, outside = (side[np.isfinite(side)] for side in (values[is_member], values[~is_member]))
    if len(inside) < 2 or len(outside) < 2:
        return None
    logs_in, logs_out = np.log1p(np.maximum(inside, 0.0)), np.log1p(np.maximum(outside, 0.0))
    width = float(np.subtract(*np.quantile(logs_out, [0.75, 0.25]))) or float(logs_out.std()) or 1.0
    distance = abs(float(np.median(logs_in) - np.median(logs_out))) / width
    if distance < 1.0:
        return None
    words = f"{column} around {np.median(inside):,.0f} (elsewhere {np.median(outside):,.0f})"
    return Trait(column=column, words=words, weight=round(min(distance, 4.0), 3))
