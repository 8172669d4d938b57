"""Flows → what each host is, and why: the flows, partners and windows that decided.

With a taught bundle a host is given a class. Where one of the classes is ordinary traffic, three flows decide: a host
is of another class where the three surest flows of it are, on average, at least half sure; fewer count as unsure.
Else every flow has a vote as large as its confidence. Without a head hosts are put in order of surprise, three flows
again deciding. It is the flows that a host began that speak of it; a host that began none is told by those that it was
sent, as their target: of an attack it is then the victim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import BundleError, TaskError
from .predictor import Predictor, keys
from .raw import numbers, starts_ns

if TYPE_CHECKING:
    import pyarrow as pa


ORDINARY = ("benign", "normal", "background", "ordinary")
DECIDING_FLOWS = 3
NAMED_PARTNERS = 3
SURE_ENOUGH = 0.5

Role = Literal["source", "target"]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One flow that decided, or came nearest to it. `alone` is how sure the bundle is of the same flow without its
    neighbours.
    """

    flow_id: str
    start_ns: int
    partner: str
    service: str
    role: Role
    score: float
    alone: float | None


@dataclass(frozen=True, kw_only=True)
class HostVerdict:
    """What is said of one host. `role` says whether the flows that decided were begun by it, or sent to it. `label` and
    `confidence` are those of a taught bundle.

    A host of an ordinary class has that class because nothing else is sure enough: its reasons are the flows that came
    nearest to `nearly`, another class.

    `surprise` is the mean of its three most surprising flows, 0 standing for those that a host does not have; 1 is as
    one in ten flows of training, 2 as one in a hundred.
    """

    host: str
    role: Role
    label: str | None
    confidence: float | None
    surprise: float
    flows_out: int
    flows_in: int
    partners: int
    windows: int
    first_ns: int
    last_ns: int
    labels: dict[str, int]
    nearly: str | None = None
    reasons: tuple[Reason, ...] = ()
    deciding_partners: dict[str, int] = field(default_factory=dict)
    deciding_windows: dict[int, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class HostReport:
    """Verdicts, the most telling first, with a vector of each host, and where the flows went."""

    verdicts: list[HostVerdict]
    vectors: Floats  # [verdicts, width]
    surprise: Floats  # [flows, 4]: of the flow, by its source, target and numbers; NaN where it is in no graph
    counts: dict[str, int]

    def to_arrow(self) -> pa.Table:
        """A row for each host, without its reasons."""
        import pyarrow as pa

        plain = ("host", "role", "label", "confidence", "surprise", "flows_out", "flows_in", "partners", "windows")
        columns: dict[str, Any] = {name: [getattr(one, name) for one in self.verdicts] for name in plain}
        instant = pa.timestamp("ns", tz="UTC")
        types = {"label": pa.string(), "confidence": pa.float32(), "surprise": pa.float32()}
        arrays = {name: pa.array(values, types.get(name)) for name, values in columns.items()}
        arrays["first"] = pa.array([one.first_ns for one in self.verdicts], pa.int64()).cast(instant)
        arrays["last"] = pa.array([one.last_ns for one in self.verdicts], pa.int64()).cast(instant)
        arrays["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(self.vectors.ravel()), self.vectors.shape[1])
        return pa.table(arrays)


def host_verdicts(
    predictor: Predictor, flows: Any, *, ordinary: Sequence[str] | None = None, explained: int = 20
) -> HostReport:
    """Every host of the flows; the first `explained` of them with their reasons.

    `ordinary` names the classes that are no news; left out, those of the bundle called benign, normal, background, also
    with a detail after a slash.
    """
    from ..features.extract import extract
    from ..features.graphs.ends import refuse_constant

    make_embedder = getattr(predictor.encoder, "embedder", None)
    if make_embedder is None:
        raise BundleError(
            f"hosts: `{predictor.name or predictor.model}` embeds flows only; it knows no hosts",
            hint="`flowlore pretrain graph FLOWS -o NEW` makes a bundle that does",
        )
    if ordinary and predictor.head is None:
        raise TaskError(
            f"hosts: `{predictor.name or predictor.model}` was taught no classes, so none of them is ordinary",
            hint="`flowlore fit` teaches it classes; without them hosts are told by surprise",
        )
    if not len(flows):
        raise TaskError("hosts: there is not one flow", hint="another input, or a wider `--where`")
    batch = extract(flows, predictor.features.without_context())
    ends, is_placed = batch.channels["graph.ends"], batch.has("graph")
    if not is_placed.any():
        raise TaskError("hosts: no flow has both ends and a time", hint="`flowlore inspect` shows what the input holds")
    refuse_constant(ends[is_placed])
    embedder = make_embedder(with_surprise=True)
    vectors = np.zeros((len(batch), predictor.encoder.width), np.float32)
    surprise = np.full((len(batch), 4), np.nan, np.float32)
    windows = np.full(len(batch), -1, np.int64)
    tally = _HostVectors(predictor.encoder.width)
    for part in (*embedder.add(batch), *embedder.finish()):
        vectors[part.rows], surprise[part.rows], windows[part.rows] = part.vectors, part.surprise, part.windows
        tally.add(part.host_keys, part.host_vectors)
    hosts = _Hosts(flows, ends, windows, tally)
    told = _Told(predictor, vectors, surprise, ordinary)
    order, summaries = hosts.in_order(told)
    verdicts = []
    for rank, code in enumerate(order.tolist()):
        verdict = summaries[code]
        if rank < explained:
            verdict = hosts.explained(code, verdict, told, batch)
        verdicts.append(verdict)
    return HostReport(
        verdicts=verdicts, vectors=tally.means(hosts.keys[order]), surprise=surprise, counts=dict(embedder.counts)
    )


def surprise_table(report: HostReport, flows: Any) -> pa.Table:
    """A row for each flow: its key, its surprise, and how unusual its source's window, its target's and its own numbers
    are; null where it is in no graph.
    """
    import pyarrow as pa

    table = keys(flows)
    parts = report.surprise.astype(np.float32)
    known = np.isfinite(parts).all(axis=1)
    names = ("surprise", "source_surprise", "target_surprise", "numbers_surprise")
    columns = {name: parts[:, place] for place, name in enumerate(names)}
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, pa.float32(), mask=~known))
    return table


class _HostVectors:
    """Mean vectors of hosts over the windows in which they were seen."""

    def __init__(self, width: int) -> None:
        self._place: dict[int, int] = {}
        self._sums = np.zeros((0, width), np.float64)
        self._counts = np.zeros(0, np.int64)

    def add(self, host_keys: npt.NDArray[np.uint64], vectors: Floats) -> None:
        places = np.array([self._place.setdefault(key, len(self._place)) for key in host_keys.tolist()], np.int64)
        if len(self._place) > len(self._counts):
            room = max(len(self._place), 2 * len(self._counts)) - len(self._counts)
            self._sums = np.concatenate([self._sums, np.zeros((room, self._sums.shape[1]))])
            self._counts = np.concatenate([self._counts, np.zeros(room, np.int64)])
        np.add.at(self._sums, places, vectors)
        np.add.at(self._counts, places, 1)

    def windows(self, host_keys: npt.NDArray[np.uint64]) -> Integers:
        return self._counts[[self._place[key] for key in host_keys.tolist()]] if len(self._counts) else self._counts

    def means(self, host_keys: npt.NDArray[np.uint64]) -> Floats:
        places = [self._place[key] for key in host_keys.tolist()]
        found: Floats = (self._sums[places] / np.maximum(self._counts[places], 1)[:, None]).astype(np.float32)
        return found


class _Told:
    """What the bundle says of each flow: how likely each class, and how surprising."""

    def __init__(self, predictor: Predictor, vectors: Floats, surprise: Floats, ordinary: Sequence[str] | None) -> None:
        self.predictor, self.vectors = predictor, vectors
        self.surprise = np.nan_to_num(surprise[:, 0])
        self.classes: list[str] = []
        self.sure = np.zeros((len(vectors), 0))
        self.ordinary: list[int] = []
        if predictor.head is not None:
            self.classes = predictor.head.classes_.astype(str).tolist()
            self.sure = self.confidences(vectors)
            wanted = [name.lower() for name in (ORDINARY if ordinary is None else ordinary)]
            unknown = [name for name in ordinary or () if name not in self.classes]
            if unknown:
                raise TaskError(
                    f"hosts: the bundle knows no class `{unknown[0]}`", hint=f"it knows {', '.join(self.classes)}"
                )
            self.ordinary = [
                place
                for place, name in enumerate(self.classes)
                if {name.lower(), name.lower().partition("/")[0]} & set(wanted)
            ]

    def confidences(self, vectors: Floats) -> npt.NDArray[np.float64]:
        assert self.predictor.head is not None and self.predictor.calibration is not None
        sure: npt.NDArray[np.float64] = self.predictor.calibration.confidences(
            self.predictor.head.predict_proba(vectors)
        )
        return sure

    def verdict(self, rows: Integers) -> tuple[int | None, float | None]:
        """The class of a host with these flows, and how sure."""
        if not self.classes:
            return None, None
        votes = self.sure[rows].mean(axis=0)
        if not self.ordinary:
            return int(votes.argmax()), float(votes.max())
        surest = np.sort(self.sure[rows], axis=0)[::-1][:DECIDING_FLOWS].sum(axis=0) / DECIDING_FLOWS
        surest[self.ordinary] = 0.0
        if surest.max() >= SURE_ENOUGH:
            return int(surest.argmax()), float(surest.max())
        best = max(self.ordinary, key=lambda place: float(votes[place]))
        return best, float(1.0 - surest.max())

    def nearest(self, rows: Integers, label: int) -> int:
        """The class whose flows are reasons: the host's own, or of an ordinary host the surest other one."""
        others = [place for place in range(len(self.classes)) if place not in self.ordinary]
        if label not in self.ordinary or not others:
            return label
        surest = np.sort(self.sure[rows], axis=0)[::-1][:DECIDING_FLOWS].sum(axis=0)
        return max(others, key=lambda place: float(surest[place]))

    def scores(self, rows: Integers, label: int | None) -> npt.NDArray[np.float64]:
        """How much each flow speaks for the verdict."""
        found: npt.NDArray[np.float64] = (
            self.surprise[rows].astype(np.float64) if label is None else self.sure[rows, label]
        )
        return found


class _Hosts:
    """Flows by host."""

    def __init__(self, flows: Any, ends: npt.NDArray[np.uint64], windows: Integers, tally: _HostVectors) -> None:
        from ..flows.text import with_text

        self.table = flows if hasattr(flows, "column_names") and hasattr(flows, "num_rows") else flows.to_arrow()
        known = [name for name in ("src_ip", "dst_ip", "src_name", "dst_name") if name in self.table.column_names]
        self.names = _names(with_text(self.table.select(known)))
        self.starts, self.windows = starts_ns(self.table), windows
        placed = np.flatnonzero(windows >= 0)
        sides = ends[placed]
        self.keys, codes = np.unique(sides, return_inverse=True)
        codes = codes.reshape(sides.shape)
        self.codes = np.full(ends.shape, -1, np.int64)
        self.codes[placed] = codes
        owner, rows = codes.T.ravel(), np.concatenate([placed, placed])
        role = np.repeat([0, 1], len(placed))
        order = np.lexsort([rows, owner])
        self._rows, self._roles = rows[order], role[order]
        self._begins = np.searchsorted(owner[order], np.arange(len(self.keys) + 1))
        self._window_counts = tally.windows(self.keys)
        self.ports = numbers(self.table, ("protocol", "dst_port"))

    def in_order(self, told: _Told) -> tuple[Integers, list[HostVerdict]]:
        """All hosts: those of no ordinary class first, then by confidence or surprise."""
        found, ranks = [], []
        for code in range(len(self.keys)):
            rows, roles = self.rows(code)
            deciding = self._deciding(rows, roles)
            label, confidence = told.verdict(deciding)
            surprise = float(np.sort(told.surprise[deciding])[::-1][:DECIDING_FLOWS].sum() / DECIDING_FLOWS)
            is_news = label is not None and label not in told.ordinary
            is_source = bool((roles == 0).any())
            sure = confidence if confidence is not None and is_news and told.ordinary else 0.0
            ranks.append((is_news, is_news and is_source, sure, surprise))
            answers: Counter[str] = Counter()
            if told.classes:
                answers.update(told.classes[place] for place in told.sure[deciding].argmax(axis=1).tolist())
            partners = np.where(roles == 0, self.codes[rows, 1], self.codes[rows, 0])
            found.append(
                HostVerdict(
                    host=self.names[int(roles[0])][rows[0]],
                    role="source" if is_source else "target",
                    label=None if label is None else told.classes[label],
                    confidence=None if confidence is None else round(confidence, 4),
                    surprise=round(surprise, 4),
                    flows_out=int((roles == 0).sum()),
                    flows_in=int((roles == 1).sum()),
                    partners=len(np.unique(partners[partners != code])),
                    windows=int(self._window_counts[code]),
                    first_ns=int(self.starts[rows].min()),
                    last_ns=int(self.starts[rows].max()),
                    labels=dict(answers.most_common()),
                )
            )
        order = np.array(sorted(range(len(found)), key=lambda code: ranks[code], reverse=True), np.int64)
        return order, found

    def explained(self, code: int, verdict: HostVerdict, told: _Told, batch: Any) -> HostVerdict:
        """The same verdict with the flows, partners and windows that decided it."""
        rows, roles = self.rows(code)
        deciding = self._deciding(rows, roles)
        role_of = dict(zip(rows.tolist(), roles.tolist(), strict=True))
        label = None if verdict.label is None else told.nearest(deciding, told.classes.index(verdict.label))
        scores = told.scores(deciding, label)
        best = deciding[np.argsort(-scores, kind="stable")[:DECIDING_FLOWS]]
        alone = self._alone(best, told, label, batch)
        speaking = deciding[
            scores >= max(SURE_ENOUGH, float(np.quantile(scores, 0.9)) if label is None else SURE_ENOUGH)
        ]
        partners = Counter(self._partner(row, role_of[row]) for row in speaking.tolist())
        nearly = None if label is None or told.classes[label] == verdict.label else told.classes[label]
        return replace(
            verdict,
            nearly=nearly,
            reasons=tuple(
                self._reason(row, role_of[row], float(score), one)
                for row, score, one in zip(best.tolist(), told.scores(best, label).tolist(), alone, strict=True)
            ),
            deciding_partners=dict(partners.most_common(NAMED_PARTNERS)),
            deciding_windows=dict(Counter(self.windows[speaking].tolist()).most_common(NAMED_PARTNERS)),
        )

    def rows(self, code: int) -> tuple[Integers, Integers]:
        """Flows of a host, and whether it is source (0) or target (1) of each."""
        part = slice(self._begins[code], self._begins[code + 1])
        return self._rows[part], self._roles[part]

    def _deciding(self, rows: Integers, roles: Integers) -> Integers:
        """Flows that the host began; where it began none, those that it was sent."""
        own = rows[roles == 0]
        return own if len(own) else rows

    def _alone(self, rows: Integers, told: _Told, label: int | None, batch: Any) -> list[float | None]:
        if label is None:
            return [None] * len(rows)
        lone = batch.take(rows).without("graph.ends", "graph.times_ns", "graph.copy", "graph.service")
        lone = type(lone)(
            length=len(lone),
            channels=lone.channels,
            present={name: has for name, has in lone.present.items() if name != "graph"},
        )
        sure = told.confidences(told.predictor.encoder.embed(lone))
        return [float(value) for value in sure[:, label]]

    def _partner(self, row: int, role: int) -> str:
        return str(self.names[1 - role][row])

    def _reason(self, row: int, role: int, score: float, alone: float | None) -> Reason:
        identity = keys(self.table).column("flow_id")[row].as_py()
        from ..flows.protocols import service_words

        protocol, port = (int(value) if np.isfinite(value) else 0 for value in self.ports[row])
        return Reason(
            flow_id="" if identity is None else identity.hex(),
            start_ns=int(self.starts[row]),
            partner=self._partner(row, role),
            service=service_words(protocol, port),
            role="source" if role == 0 else "target",
            score=round(score, 4),
            alone=None if alone is None else round(alone, 4),
        )


def _names(table: pa.Table) -> tuple[list[str], list[str]]:
    """Addresses as text, or pseudonyms where there is none, of both sides."""
    import pyarrow.compute as pc

    sides = []
    for side in ("src", "dst"):
        columns = [table.column(name) for name in (f"{side}_ip", f"{side}_name") if name in table.column_names]
        sides.append([str(name) for name in pc.coalesce(*columns).to_pylist()])
    return sides[0], sides[1]
