"""Why a flow was named as it was: what decided, found by hiding one part after the other; the nearest labelled flows.

A part is a modality, one channel of it, one packet or one quantity. What it is worth is how much the answer's
probability falls when the bundle does not see it; below 0 it spoke against the answer. Parts that say the same stand in
for each other, so that each alone may be worth little: the modality then shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..features.batch import MODALITIES, FeatureBatch
from ..features.extract import extract
from ..features.numbers import plain_numbers
from ..features.quantities import quantities
from .predictor import FLOW_ID_BYTES, Predictor, flow_id_bytes, seen_by
from .raw import texts
from .retrieval import similar

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["modality", "channel", "packet", "quantity"]
KINDS: tuple[Kind, ...] = ("modality", "channel", "packet", "quantity")
TINY = 1e-6
CHANNEL_WORDS = {
    "series.size": "sizes of packets",
    "series.payload": "payload sizes of packets",
    "series.gap_us": "gaps between packets",
    "series.flags": "TCP flags of packets",
    "series.window": "windows of packets",
    "entities.names": "names",
    "entities.hello": "TLS hello",
    "entities.protocol": "protocol",
    "entities.ports": "ports",
    "entities.addresses": "address prefixes",
    "payload.fwd": "first payload of the asker",
    "payload.rev": "first payload of the answerer",
}
ENTITY_COLUMNS = {
    "entities.names": ("server_name", "dns_query"),
    "entities.hello": ("alpn", "tls_version", "ja4"),
    "entities.protocol": ("protocol", "app_protocol"),
    "entities.ports": ("src_port", "dst_port"),
}
MODALITY_WORDS = {
    "quantities": "totals and statistics",
    "series": "series of packets",
    "payload": "payload",
    "entities": "names and kinds",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One thing that was hidden. `change` is the answer's probability with it less without it.

    `weight` is the same in log odds (natural), which still tells parts apart where all probabilities are near 1.
    """

    kind: Kind
    what: str
    value: str  # as it was in the flow; "" where it is no single value
    change: float
    weight: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbour:
    """A labelled flow that the bundle was taught with, and its cosine to the explained flow."""

    label: str
    likeness: float
    flow_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Why one flow has its answer. Parts are in the order of their weight; those that changed nothing are left out."""

    flow_id: str
    label: str
    confidence: float
    rival: str  # the next likely class, "" where there is none
    rival_confidence: float
    unknown: bool
    parts: tuple[Part, ...]
    neighbours: tuple[Neighbour, ...]

    def of_kind(self, kind: Kind) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.kind == kind)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def explain(predictor: Predictor, flows: Any, *, most_of_each: int = 5, neighbours: int = 3) -> list[Explanation]:
    """An explanation of each flow (`Flows` or Arrow), with at most so many parts of each kind.

    Every part costs one more embedding of each flow, about a hundred in all: choose flows first.
    """
    head = predictor.taught()
    assert predictor.calibration is not None and predictor.open_set is not None and predictor.support is not None
    embedding = predictor.embed(flows)
    if not len(embedding.vectors):
        return []
    batch = extract(flows, predictor.features.without_context())
    sure = predictor.calibration.confidences(head.predict_proba(embedding.seen_by(head)))
    answer, rows = sure.argmax(axis=1), np.arange(len(sure))
    known = sure[rows, answer]
    found: list[list[Part]] = [[] for _ in rows]
    for kind, what, has, hidden in _hidden_parts(batch):
        seen = seen_by(head, predictor.encoder.embed(hidden), plain_numbers(hidden) if head.sees_numbers else None)
        without = predictor.calibration.confidences(head.predict_proba(seen))[rows, answer]
        weights = _log_odds(known) - _log_odds(without)
        for row in np.flatnonzero(has & (np.abs(weights) > TINY)).tolist():
            change, weight = float(known[row] - without[row]), float(weights[row])
            found[row].append(Part(kind=kind, what=what, value="", change=round(change, 6), weight=round(weight, 4)))
    values = _Values(flows, batch)
    second = np.argsort(-sure, axis=1, kind="stable")[:, 1] if sure.shape[1] > 1 else answer
    unknown = predictor.open_set.is_unknown(embedding.vectors) | embedding.is_blank
    near = _neighbours(predictor, embedding.vectors, neighbours)
    return [
        Explanation(
            flow_id=values.flow_id(row),
            label=str(head.classes_[answer[row]]),
            confidence=round(float(known[row]), 6),
            rival=str(head.classes_[second[row]]) if second[row] != answer[row] else "",
            rival_confidence=round(float(sure[row, second[row]]), 6) if second[row] != answer[row] else 0.0,
            unknown=bool(unknown[row]),
            parts=tuple(values.told(part, row) for part in _strongest(found[row], most_of_each)),
            neighbours=near[row],
        )
        for row in rows.tolist()
    ]


def with_reasons(answers: pa.Table, predictor: Predictor, flows: Any) -> pa.Table:
    """Answers with two more columns: `because`, what decided, and `nearest`, the nearest labelled flows."""
    import pyarrow as pa

    found = explain(predictor, flows)
    words, numbers = ("kind", "what", "value"), ("change", "weight")
    part = pa.struct([*((name, pa.string()) for name in words), *((name, pa.float64()) for name in numbers)])
    near = pa.struct([("label", pa.string()), ("likeness", pa.float64()), ("flow_id", pa.string())])
    because = pa.array([[asdict(one) for one in each.parts] for each in found], pa.list_(part))
    nearest = pa.array([[asdict(one) for one in each.neighbours] for each in found], pa.list_(near))
    return answers.append_column("because", because).append_column("nearest", nearest)


def summary_by_class(explanations: Sequence[Explanation]) -> dict[str, dict[str, float]]:
    """For each answer and modality the mean weight: what the bundle goes by."""
    found: dict[str, dict[str, list[float]]] = {}
    for one in explanations:
        held = found.setdefault(one.label, {})
        for part in one.of_kind("modality"):
            held.setdefault(part.what, []).append(part.weight)
    counts = {label: sum(one.label == label for one in explanations) for label in found}
    return {
        label: {what: round(sum(weights) / counts[label], 4) for what, weights in held.items()}
        for label, held in sorted(found.items())
    }


def _strongest(parts: list[Part], most_of_each: int) -> list[Part]:
    ordered = sorted(parts, key=lambda part: -abs(part.weight))
    kept = [part for kind in KINDS for part in [one for one in ordered if one.kind == kind][:most_of_each]]
    return sorted(kept, key=lambda part: -abs(part.weight))


def _log_odds(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    kept = np.clip(shares, 1e-12, 1.0 - 1e-12)
    return np.log(kept) - np.log1p(-kept)


def _hidden_parts(batch: FeatureBatch) -> Iterator[tuple[Kind, str, npt.NDArray[np.bool_], FeatureBatch]]:
    """What can be hidden, which flows have it, and the flows without it."""
    for name in MODALITIES:
        if batch.has(name).any():
            yield "modality", MODALITY_WORDS[name], batch.has(name), batch.without(name)
    for name in batch.present:
        modality, dot, _ = name.partition(".")
        if dot and batch.has(name).any():
            rest = batch.without(name)
            if modality == "entities":  # a flow whose only tokens are hidden has no entities any more
                others = [rest.has(one) for one in rest.present if one.startswith("entities.")]
                has = np.logical_or.reduce(others) if others else np.zeros(len(batch), np.bool_)
                rest = FeatureBatch(length=rest.length, channels=rest.channels, present={**rest.present, modality: has})
            yield "channel", CHANNEL_WORDS.get(name, name), batch.has(name), rest
    yield from _hidden_packets(batch)
    yield from _hidden_quantities(batch)


def _hidden_packets(batch: FeatureBatch) -> Iterator[tuple[Kind, str, npt.NDArray[np.bool_], FeatureBatch]]:
    is_packet = batch.channels.get("series.is_packet")
    if is_packet is None:
        return
    names = [name for name in batch.channels if name.startswith("series.")]
    for place in range(is_packet.shape[1]):
        has = np.asarray(is_packet[:, place]).astype(np.bool_)
        if not has.any():
            continue
        hidden = dict(batch.channels)
        for name in names:
            hidden[name] = hidden[name].copy()
            hidden[name][:, place] = 0
        yield "packet", f"packet {place + 1}", has, _with_channels(batch, hidden)


def _hidden_quantities(batch: FeatureBatch) -> Iterator[tuple[Kind, str, npt.NDArray[np.bool_], FeatureBatch]]:
    numbers = batch.channels.get("quantities")
    if numbers is None:
        return
    for place, quantity in enumerate(quantities()):
        has = ~np.isnan(numbers[:, place])
        if has.any():
            hidden = numbers.copy()
            hidden[:, place] = np.nan
            yield "quantity", quantity.name, has, _with_channels(batch, {**batch.channels, "quantities": hidden})


def _with_channels(batch: FeatureBatch, channels: dict[str, Any]) -> FeatureBatch:
    return FeatureBatch(length=batch.length, channels=channels, present=batch.present)


def _neighbours(predictor: Predictor, vectors: Any, count: int) -> list[tuple[Neighbour, ...]]:
    support, open_set = predictor.support, predictor.open_set
    assert support is not None and open_set is not None
    if not len(support.vectors):
        return [() for _ in vectors]
    rows, cosines = similar(open_set.known, open_set.placing.apply(vectors), count=count)
    ids = [row.tobytes().hex() for row in support.flow_ids]
    return [
        tuple(
            Neighbour(label=str(support.labels[row]), likeness=round(float(cosine), 4), flow_id=ids[row])
            for row, cosine in zip(places, alike, strict=True)
        )
        for places, alike in zip(rows, cosines, strict=True)
    ]


class _Values:
    """What the hidden parts were, in words."""

    def __init__(self, flows: Any, batch: FeatureBatch) -> None:
        self._ids = flow_id_bytes(flows)
        self._batch = batch
        self._places = {quantity.name: place for place, quantity in enumerate(quantities())}
        self._units = {quantity.name: quantity.unit for quantity in quantities()}
        self._entities = {
            CHANNEL_WORDS[name]: [texts(flows, column) for column in columns]
            for name, columns in ENTITY_COLUMNS.items()
        }

    def flow_id(self, row: int) -> str:
        raw = self._ids[row].tobytes()
        return "" if raw == bytes(FLOW_ID_BYTES) else raw.hex()

    def told(self, part: Part, row: int) -> Part:
        value = ""
        if part.kind == "packet":
            value = self._packet(int(part.what.rpartition(" ")[2]) - 1, row)
        elif part.kind == "quantity":
            number = float(self._batch.channels["quantities"][row, self._places[part.what]])
            value = f"{number:,.6g} {self._units[part.what]}"
        elif part.what in self._entities:
            held = [column[row] for column in self._entities[part.what]]
            value = ", ".join(str(one) for one in held if one is not None and one != "")
        return Part(kind=part.kind, what=part.what, value=value, change=part.change, weight=part.weight)

    def _packet(self, place: int, row: int) -> str:
        direction = int(self._batch.channels["series.direction"][row, place])
        size = abs(int(self._batch.channels["series.size"][row, place]))
        payload = abs(int(self._batch.channels["series.payload"][row, place]))
        whose = "asked" if direction > 0 else "answered"
        if size:
            return f"{whose}, {size:,} bytes"
        return f"{whose}, {payload:,} bytes of payload"
