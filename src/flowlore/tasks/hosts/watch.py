"""`HostWatch`: batches of flows go in, verdicts on hosts come out.

Memory grows with hosts and pairs of hosts, not with flows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import TaskError
from ...features.batch import FeatureBatch
from ..held_batches import HeldBatches
from ..predictor import Predictor
from ..raw import numbers
from .kept_flows import SHOWN, KeptFlows, lone
from .memory import MOST_HOSTS, HostMemory, Passing
from .telling import NO_CLASS, Judged, Telling
from .verdicts import HostReport, HostVerdict, Reason, Role

if TYPE_CHECKING:
    import pyarrow as pa

Integers = npt.NDArray[np.int64]
Surprise = npt.NDArray[np.float32]
ROLES: tuple[Role, Role] = ("source", "target")


def host_verdicts(
    predictor: Predictor, flows: Any, *, ordinary: Sequence[str] | None = None, explained: int = 20
) -> HostReport:
    """Every host of the flows, a table or an iterable of batches; the first `explained` of them with their reasons.

    `ordinary` names the classes that are no news; left out, those of the bundle called benign, normal, background, also
    with a detail after a slash.
    """
    import pyarrow as pa

    watch = HostWatch(predictor, ordinary=ordinary, patient=True)
    is_table = isinstance(flows, pa.Table | pa.RecordBatch) or hasattr(flows, "to_arrow")
    for _ in watch.through([flows] if is_table else flows):
        pass
    return watch.report(explained=explained)


@dataclass(eq=False)
class _Waiting:
    """A batch of which some windows are open."""

    flows: Any
    shown: pa.Table  # what verdicts show of its flows
    batch: FeatureBatch
    numbers: npt.NDArray[np.float32] | None  # plain ones, for heads that look at them
    surprise: Surprise


class HostWatch:
    """Watches hosts while flows arrive. Held are the flows of open windows, sums of each host and pair of hosts, and
    the few flows that speak loudest of a host. Of more than `most_hosts` hosts the first are judged, and flows of
    others are counted as `unjudged`.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        ordinary: Sequence[str] | None = None,
        patient: bool = False,
        most_hosts: int = MOST_HOSTS,
    ) -> None:
        """When `patient`, windows stay open while few flows wait: for files."""
        self._telling = Telling(predictor, ordinary)
        self.predictor = predictor
        self._embedder = predictor.encoder.embedder(  # type: ignore[attr-defined]  # `Telling` looked
            with_surprise=True, patient=patient
        )
        self._memory = HostMemory(len(self._telling.classes), predictor.encoder.width, most_hosts=most_hosts)
        self._kept = KeptFlows()
        self._waiting = HeldBatches[_Waiting]()
        self._names: list[str] = []
        self._rows, self._in_graph = 0, 0

    @property
    def hosts(self) -> int:
        """How many were seen in windows that have closed."""
        return len(self._memory)

    @property
    def kept_flows(self) -> int:
        """How many flows are held because they speak of a host."""
        return len(self._kept)

    def through(self, batches: Iterable[Any]) -> Iterator[tuple[Any, Surprise]]:
        """All batches to the end. Each comes back when the windows of all its flows have closed, with the surprise of
        its flows: [flows, 4], all, by its source, by its target, by its numbers; NaN where it is in no graph.
        """
        last = None
        for flows in batches:
            yield from self.add(flows)
            last = flows
        yield from self.finish(last)

    def add(self, flows: Any) -> list[tuple[Any, Surprise]]:
        """Take a batch; gives batches that are done."""
        import pyarrow as pa

        from ...features.extract import extract, table_of
        from ...features.numbers import plain_numbers

        table = table_of(flows)
        batch = extract(table, self.predictor.features.without_context(), in_parts=True)
        self._in_graph += int(batch.has("graph").sum())
        shown = table.select([name for name in SHOWN if name in table.column_names]).combine_chunks()
        shown = shown.append_column("start_ns", pa.array(batch.channels["graph.times_ns"][:, 0]))
        numbers = plain_numbers(batch) if self._telling.sees_numbers else None
        surprise = np.full((len(batch), 4), np.nan, np.float32)
        self._waiting.add(_Waiting(flows, shown, batch, numbers, surprise), len(batch))
        self._rows += len(batch)
        for part in self._embedder.add(batch):
            self._take(part)
        return self._done()

    def finish(self, last: Any = None) -> list[tuple[Any, Surprise]]:
        """Close the windows that are open. `last` is a batch that may tell why no flow is in any."""
        from ...features.extract import table_of
        from ...features.graphs.ends import refuse_constant, require_ends

        if not self._rows:
            raise TaskError("hosts: there is not one flow", hint="another input, or a wider `--where`")
        if not self._in_graph:
            if last is not None:
                require_ends(table_of(last))
            raise TaskError(
                "hosts: no flow has both ends and a time", hint="`flowlore inspect` shows what the input holds"
            )
        for part in self._embedder.finish():
            self._take(part)
        if self.hosts == 1:
            refuse_constant(np.ones((self._in_graph, 2), np.uint64))
        return self._done()

    def report(self, *, explained: int = 20, host: str | None = None) -> HostReport:
        """What is to be said by now: of all hosts, with reasons for the first, or for `host` alone."""
        judged, memory = self._telling.judge(self._memory), self._memory
        plain = _Plain(memory, judged, self._telling.classes, self._names)
        verdicts = []
        for rank, number in enumerate(judged.order.tolist()):
            verdict = plain.verdict(number)
            if rank < explained if host is None else verdict.host == host:
                verdict = self._explained(number, verdict, judged)
            verdicts.append(verdict)
        vectors = memory["vectors"] / np.maximum(memory["windows"], 1)[:, None]
        return HostReport(
            verdicts=verdicts,
            vectors=vectors[judged.order].astype(np.float32),
            counts=dict(self._embedder.counts) | {"unjudged": memory.unjudged},
        )

    def _take(self, part: Any) -> None:
        """Windows that have closed."""
        for one, here, places in self._waiting.of(part.rows):
            one.surprise[places] = part.surprise[here]
        self._waiting.answered(part.rows)
        in_window = np.flatnonzero(part.windows >= 0)
        if not len(in_window):
            return
        rows, windows = part.rows[in_window], part.windows[in_window]
        plain = self._gathered(rows, lambda one: one.numbers) if self._telling.sees_numbers else None
        passing = Passing(
            numbers=rows,
            ends=self._gathered(rows, lambda one: one.batch.channels["graph.ends"]),
            starts_ns=self._gathered(rows, lambda one: one.batch.channels["graph.times_ns"][:, 0]),
            windows=windows,
            scores=self._telling.scores(part.vectors[in_window], plain, part.surprise[in_window]),
        )
        shown, sides = self._memory.add(passing)
        self._name(rows[shown], sides)
        self._memory.add_vectors(part.host_keys, part.host_vectors)
        heard = np.flatnonzero(np.isin(rows, self._memory.heard))
        self._keep(rows[heard], windows[heard])

    def _gathered(self, rows: Integers, of: Any) -> npt.NDArray[Any]:
        """A column of flows that wait, by their numbers."""
        found: npt.NDArray[Any] | None = None
        for one, here, places in self._waiting.of(rows):
            values = of(one)
            if found is None:
                found = np.empty((len(rows), *values.shape[1:]), values.dtype)
            found[here] = values[places]
        assert found is not None, "flows of closed windows wait here"
        return found

    def _name(self, rows: Integers, sides: Integers) -> None:
        """Addresses as text, or pseudonyms where there is none, of hosts in order of their numbers."""
        names = np.full(len(rows), None, object)
        for one, here, places in self._waiting.of(rows):
            both = _ends_as_text(_taken(one.shown, places))
            names[here] = np.where(sides[here] == 0, both[0], both[1])
        self._names.extend(names.tolist())

    def _keep(self, rows: Integers, windows: Integers) -> None:
        import pyarrow as pa

        for one, here, places in self._waiting.of(rows):
            shown = _taken(one.shown, places).append_column("window", pa.array(windows[here]))
            self._kept.add(rows[here], shown, lone(one.batch.take(places)))
        if self._kept.is_crowded:
            self._kept.keep_only(self._memory.referred())

    def _done(self) -> list[tuple[Any, Surprise]]:
        return [(one.flows, one.surprise) for one in self._waiting.complete()]

    def _explained(self, number: int, verdict: HostVerdict, judged: Judged) -> HostVerdict:
        """The same verdict with the flows, partners and windows that decided it."""
        from dataclasses import replace

        from ...features.numbers import plain_numbers

        score = int(judged.reason[number])
        flows = self._memory["places"][number, score]
        is_one = flows >= 0
        table, batch = self._kept.of(flows[is_one])
        scores = self._memory["loudest"][number, score][is_one]
        alone: list[float | None] = [None] * len(scores)
        nearly = None
        if self._telling.classes:
            plain = plain_numbers(batch) if self._telling.sees_numbers else None
            alone = self._telling.confidences(self.predictor.encoder.embed(batch), plain)[:, score].tolist()
            nearly = None if score == judged.label[number] else self._telling.classes[score]
        reasons = tuple(_reasons(table, verdict.role, scores.tolist(), alone))
        partners = {self._names[one]: count for one, count in self._memory.telling_partners(number, score).items()}
        windows = self._memory.telling_windows(number, score)
        if not partners:  # no flow speaks loudly enough: those that speak loudest
            partners = dict(Counter(reason.partner for reason in reasons).most_common())
            windows = dict(Counter(table.column("window").to_pylist()).most_common())
        return replace(verdict, nearly=nearly, reasons=reasons, deciding_partners=partners, deciding_windows=windows)


class _Plain:
    """Verdicts without reasons."""

    def __init__(self, memory: HostMemory, judged: Judged, classes: list[str], names: list[str]) -> None:
        self.judged, self.classes, self.names = judged, classes, names
        self.flows, self.told = memory["flows"].tolist(), memory["told"]
        self.first, self.last = memory["first_ns"].tolist(), memory["last_ns"].tolist()
        self.windows, self.partners = memory["windows"].tolist(), memory.partner_counts().tolist()

    def verdict(self, number: int) -> HostVerdict:
        label = int(self.judged.label[number])
        out, into = self.flows[number]
        told = {
            self.classes[place]: int(self.told[number, place])
            for place in np.argsort(-self.told[number], kind="stable").tolist()
            if self.told[number, place]
        }
        return HostVerdict(
            host=self.names[number],
            role=ROLES[not out],
            label=None if label == NO_CLASS else self.classes[label],
            confidence=None if label == NO_CLASS else round(float(self.judged.confidence[number]), 4),
            surprise=round(float(self.judged.surprise[number]), 4),
            flows_out=out,
            flows_in=into,
            partners=self.partners[number],
            windows=self.windows[number],
            first_ns=self.first[number],
            last_ns=self.last[number],
            labels=told,
        )


def _reasons(table: pa.Table, role: Role, scores: list[float], alone: list[float | None]) -> Iterator[Reason]:
    from ...flows.protocols import service_words
    from ..predictor import keys

    ids, begins = keys(table).column("flow_id").to_pylist(), table.column("start_ns").to_pylist()
    partners = _ends_as_text(table)[0 if role == "target" else 1]
    ports = np.nan_to_num(numbers(table, ("protocol", "dst_port"))).astype(np.int64).tolist()
    for identity, start, partner, service, score, without in zip(
        ids, begins, partners, ports, scores, alone, strict=True
    ):
        yield Reason(
            flow_id="" if identity is None else identity.hex(),
            start_ns=start,
            partner=str(partner),
            service=service_words(*service),
            role=role,
            score=round(score, 4),
            alone=None if without is None else round(without, 4),
        )


def _taken(table: pa.Table, rows: Integers) -> pa.Table:
    import pyarrow as pa

    return table.take(pa.array(rows))


def _ends_as_text(table: pa.Table) -> tuple[list[str], list[str]]:
    import pyarrow.compute as pc

    from ...flows.text import with_text

    known = [name for name in ("src_ip", "dst_ip", "src_name", "dst_name") if name in table.column_names]
    text = with_text(table.select(known))
    sides = []
    for side in ("src", "dst"):
        columns = [text.column(name) for name in (f"{side}_ip", f"{side}_name") if name in known]
        sides.append([str(name) for name in pc.coalesce(*columns).to_pylist()])
    return sides[0], sides[1]
