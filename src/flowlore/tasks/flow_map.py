"""A map of flows: a bounded sample of them, each with its place on the plane and what it can be coloured by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import TaskError
from ..flows.protocols import protocol_name
from .discover import ALONE, MEASURED, NAMED, Cluster, discover
from .metrics import normalised
from .predictor import Predictor, flow_id_bytes
from .projection import Faith, nearest_rows, project
from .raw import texts
from .sampling import FlowSample

MOST_FLOWS = 50_000
MOST_CLUSTERED = 8000  # density needs every pair; other flows go to the cluster of the nearest of these
LEAST_ALIKE = 0.9  # cosine to that nearest flow below which a flow is in no cluster
SMALLEST_SHARE, SMALLEST_CLUSTER = 0.005, 10
CONFIDENCES = (
    (0.99, "at least 99 %"),
    (0.9, "90 to 99 %"),
    (0.7, "70 to 90 %"),
    (0.5, "50 to 70 %"),
    (0.0, "below 50 %"),
)
NOTHING = -1  # the code of a flow that has no value

COLUMNS = tuple(
    dict.fromkeys(
        (
            *("start", "duration_ns", "part", "src_ip", "dst_ip", "src_name", "dst_name", "src_port", "dst_port"),
            *("protocol", "flow_id", "packets_fwd", "packets_rev", "bytes_fwd", "bytes_rev"),
            *("app_protocol", "application", "server_name", "dns_query", "capture", "label"),
            *MEASURED,
            *NAMED,
        )
    )
)


@dataclass(frozen=True, kw_only=True)
class Colouring:
    """One way to group the flows of a map: `codes` point into `names`, -1 is a flow without a value."""

    name: str
    names: tuple[str, ...]
    codes: npt.NDArray[np.int32]
    is_ordered: bool = False  # names have an order of their own; else the most frequent is first

    def counts(self) -> list[int]:
        found: list[int] = np.bincount(self.codes[self.codes >= 0], minlength=len(self.names)).tolist()
        return found


@dataclass(frozen=True, kw_only=True)
class FlowMap:
    """`flows` holds a row for each place. Blank flows, which have nothing to look at, have no place and are counted."""

    flows: pa.Table
    vectors: npt.NDArray[np.float32]
    places: npt.NDArray[np.float32]
    colourings: tuple[Colouring, ...]
    clusters: tuple[Cluster, ...]
    confidence: npt.NDArray[np.float32] | None  # NaN where there is none
    seen: int
    blank: int
    rule: str
    masked: tuple[str, ...]
    faith: Faith
    faith_of_components: Faith
    seed: int
    bundle: str
    shortcuts: str

    def __len__(self) -> int:
        return len(self.places)

    def colouring(self, name: str) -> Colouring:
        found = next((one for one in self.colourings if one.name == name), None)
        if found is None:
            known = ", ".join(f"`{one.name}`" for one in self.colourings)
            raise TaskError(f"tasks: this map cannot be coloured by `{name}`", hint=f"choose from {known}")
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "bundle": self.bundle,
            "flows": self.seen,
            "shown": len(self),
            "blank": self.blank,
            "rule": self.rule,
            "masked": list(self.masked),
            "shortcuts": self.shortcuts,
            "seed": self.seed,
            "faith": self.faith.as_json(),
            "faith_of_components": self.faith_of_components.as_json(),
            "colourings": {one.name: dict(zip(one.names, one.counts(), strict=True)) for one in self.colourings},
            "clusters": [one.as_json() for one in self.clusters],
        }


class FlowMapper:
    """Takes flows batch after batch in bounded memory, and draws the map at the end."""

    def __init__(self, predictor: Predictor, *, most: int = MOST_FLOWS, with_new: bool = False) -> None:
        self._predictor = predictor
        self._samples = [FlowSample(max(1, most // 2) if with_new else most)]
        if with_new:
            self._samples.append(FlowSample(max(1, most - most // 2)))
        self._blank = 0
        self._masked: frozenset[str] | None = None

    def add(self, flows: Any, *, is_new: bool = False) -> None:
        """More flows. New ones do not shape the map: they are placed on the map of the others."""
        table = _arrow(flows)
        if not table.num_rows:
            return
        found = self._predictor.embed(table)
        self._masked = frozenset(found.masked) if self._masked is None else self._masked & frozenset(found.masked)
        self._blank += int(found.is_blank.sum())
        kept = table.select([name for name in COLUMNS if name in table.column_names])
        kept, vectors = kept.filter(pa.array(~found.is_blank)), found.vectors[~found.is_blank]
        self._samples[-1 if is_new else 0].add(kept, vectors=vectors)

    def finish(self, *, rng: np.random.Generator, clusters: bool = True) -> FlowMap:
        table, held = self._samples[0].finish()
        if not table.num_rows:
            raise TaskError(
                "map: there is no flow to draw"
                + (f" ({self._blank:,} have nothing that the bundle looks at)" if self._blank else ""),
                hint="`flowlore inspect` shows what the input holds; `--where` may keep nothing",
            )
        vectors = held["vectors"]
        projection = project(vectors, rng=rng)
        places, is_new = projection.places, np.zeros(len(vectors), np.bool_)
        rules = [self._samples[0].rule()]
        if len(self._samples) > 1:
            table, vectors, places, is_new = _with_new(table, vectors, places, projection, self._samples[1])
            rules.append(f"new: {self._samples[1].rule()}")
        groups, described = _clusters(table, vectors) if clusters else (np.full(len(table), ALONE), [])
        answers = None if self._predictor.head is None else self._answers(table, vectors)
        return FlowMap(
            flows=table,
            vectors=vectors,
            places=places,
            colourings=tuple(_colourings(table, groups, described, answers, is_new)),
            clusters=tuple(described),
            confidence=None if answers is None else answers.column("confidence").to_numpy(),
            seen=sum(sample.seen for sample in self._samples) + self._blank,
            blank=self._blank,
            rule="; ".join(rules),
            masked=tuple(sorted(self._masked or ())),
            faith=projection.faith,
            faith_of_components=projection.faith_of_components,
            seed=projection.seed,
            bundle=self._predictor.name or self._predictor.model,
            shortcuts=self._predictor.features.shortcuts(),
        )

    def _answers(self, table: pa.Table, vectors: npt.NDArray[np.float32]) -> pa.Table:
        from .predictor import Embedding

        known = Embedding(vectors=vectors, masked=(), is_blank=np.zeros(len(vectors), np.bool_))
        return self._predictor.predict_embedded(table, known)


def map_flows(
    predictor: Predictor,
    flows: Any,
    *,
    rng: np.random.Generator,
    new: Any = None,
    most: int = MOST_FLOWS,
) -> FlowMap:
    """The map of some flows (`Flows`, Arrow, or an iterable of batches); `new` ones are placed on it afterwards."""
    mapper = FlowMapper(predictor, most=most, with_new=new is not None)
    for batch in _batches(flows):
        mapper.add(batch)
    for batch in _batches(new):
        mapper.add(batch, is_new=True)
    return mapper.finish(rng=rng)


def application_words(table: pa.Table) -> npt.NDArray[Any]:
    """What each flow is, as well as it is known: proved by payload, named by an exporter, or the IP protocol alone."""
    proved, named, numbers = (texts(table, name) for name in ("app_protocol", "application", "protocol"))
    return np.array(
        [
            one or other or ("unknown" if number is None else f"other {protocol_name(int(number))}")
            for one, other, number in zip(proved, named, numbers, strict=True)
        ],
        dtype=object,
    )


def _colourings(
    table: pa.Table,
    groups: npt.NDArray[np.int64],
    clusters: Sequence[Cluster],
    answers: pa.Table | None,
    is_new: npt.NDArray[np.bool_],
) -> Iterable[Colouring]:
    """Every grouping that tells flows apart at all, the most telling first."""
    found = [coloured("label", texts(table, "label"))]
    if answers is not None:
        found.append(coloured("predicted", np.array(answers.column("label").to_pylist(), dtype=object)))
        found.append(_confidence(answers.column("confidence").to_numpy()))
        unknown = answers.column("unknown").to_numpy(zero_copy_only=False)
        found.append(coloured("like known flows", np.where(unknown, "like nothing known", "like known flows")))
    found.append(coloured("application", application_words(table)))
    names = texts(table, "server_name")
    found.append(coloured("server name", _first(names, texts(table, "dns_query"))))
    if clusters:
        words = tuple(_cluster_words(one) for one in clusters)
        found.append(Colouring(name="cluster", names=words, codes=groups.astype(np.int32), is_ordered=True))
    found.append(coloured("capture", _without_common_folder(texts(table, "capture"))))
    if is_new.any():
        found.insert(0, coloured("new or known", np.where(is_new, "new", "known")))
    useful = [one for one in found if one.names and (len(one.names) > 1 or (one.codes < 0).any())]
    return useful or [one for one in found if one.name == "application"]


def coloured(name: str, values: npt.NDArray[Any]) -> Colouring:
    """Values as a colouring, the most frequent first; None and "" are no value."""
    counts = Counter(value for value in values.tolist() if value is not None and value != "")
    names = sorted(counts, key=lambda value: (-counts[value], str(value)))
    place = {value: code for code, value in enumerate(names)}
    codes = np.fromiter((place.get(value, NOTHING) for value in values.tolist()), np.int32, len(values))
    return Colouring(name=name, names=tuple(str(value) for value in names), codes=codes)


def _without_common_folder(captures: npt.NDArray[Any]) -> npt.NDArray[Any]:
    folders = {str(one).rpartition("/")[0] for one in captures if one is not None}
    skipped = len(folders.pop()) + 1 if len(folders) == 1 and "" not in folders else 0
    return np.array([None if one is None else str(one)[skipped:] for one in captures], dtype=object)


def _first(values: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.array([other if one is None else one for one, other in zip(values, others, strict=True)], dtype=object)


def _confidence(sure: npt.NDArray[Any]) -> Colouring:
    codes = np.full(len(sure), NOTHING, np.int32)
    for place, (least, _) in reversed(list(enumerate(CONFIDENCES))):
        codes[np.nan_to_num(sure, nan=-1.0) >= least] = place
    return Colouring(name="confidence", names=tuple(words for _, words in CONFIDENCES), codes=codes, is_ordered=True)


def _cluster_words(cluster: Cluster) -> str:
    traits = [one for one in cluster.traits if one.column != "capture"] or list(cluster.traits)
    said = traits[0].words.partition(" (")[0] if traits else "nothing tells it apart"
    return f"{cluster.number + 1}: {said}"


def _clusters(table: pa.Table, vectors: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int64], list[Cluster]]:
    """Clusters of the first flows, and for the others that of the nearest of these, if it is near."""
    from ..flows.table import Flows

    chosen = np.linspace(0, len(vectors) - 1, min(len(vectors), MOST_CLUSTERED)).astype(np.int64)
    smallest = max(SMALLEST_CLUSTER, int(SMALLEST_SHARE * len(chosen)))
    found, clusters = discover(Flows(table.take(pa.array(chosen))), vectors[chosen], smallest=smallest)
    if len(chosen) == len(vectors):
        return found, clusters
    unit = normalised(vectors)
    rows, alike = nearest_rows(unit, np.ascontiguousarray(unit[chosen]), 1)
    return np.where(alike[:, 0] >= LEAST_ALIKE, found[rows[:, 0]], ALONE), clusters


def _with_new(table: pa.Table, vectors: Any, places: Any, projection: Any, sample: FlowSample) -> tuple[Any, ...]:
    """New flows behind the known; a flow that is on the map already is not drawn twice."""
    added, held = sample.finish()
    if not added.num_rows:
        return table, vectors, places, np.zeros(len(vectors), np.bool_)
    known = {row.tobytes() for row in flow_id_bytes(table)} - {bytes(16)}
    is_other = np.array([row.tobytes() not in known for row in flow_id_bytes(added)], np.bool_)
    added, further = added.filter(pa.array(is_other)), held["vectors"][is_other]
    joined = pa.concat_tables([table, added], promote_options="default").combine_chunks()
    is_new = np.arange(joined.num_rows) >= table.num_rows
    return joined, np.concatenate([vectors, further]), np.concatenate([places, projection.place(further)]), is_new


def _arrow(flows: Any) -> pa.Table:
    if isinstance(flows, pa.RecordBatch):
        return pa.Table.from_batches([flows])
    return flows if isinstance(flows, pa.Table) else flows.to_arrow()


def _batches(flows: Any) -> Iterable[Any]:
    if flows is None:
        return
    if isinstance(flows, pa.RecordBatch | pa.Table) or hasattr(flows, "to_arrow"):
        yield from _arrow(flows).to_batches(max_chunksize=65_536)
    else:
        yield from flows
