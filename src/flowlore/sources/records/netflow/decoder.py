"""Datagrams of exporters → columns of records, in bulk: all data sets of one template are decoded together."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .columns import Column, Walk, extract_columns, walk_records
from .datagrams import Datagrams
from .scan import BAD_HEADER, CUT, STATUS, UNKNOWN_VERSION, find_sets
from .sessions import HeldSet, Session, read_options
from .settings import NetflowSettings
from .templates import FIRST_DATA_SET, Template, Withdrawal, parse_templates

Instants = npt.NDArray[np.int64]


@dataclass(slots=True)
class Block:
    """Data sets of one template, decoded when asked for. Arrays have one item a set; `rows` counts its records."""

    session: Session
    template: Template
    buffer: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    set_export_ns: Instants
    set_boot_ns: Instants
    set_received_ns: Instants
    set_sampling: npt.NDArray[np.int64]  # v5: the header's sampling field
    walked: Walk | None
    total: int

    def columns(self, places: list[int] | None = None) -> list[Column]:
        """The fields at `places` of the template (all of them by default), in that order."""
        if places is None:
            places = list(range(len(self.template.fields)))
        return extract_columns(self.buffer, self.starts, self.rows, self.template, places, self.walked)

    def per_record(self, per_set: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.repeat(per_set, self.rows)


@dataclass(slots=True)
class RecordTable:
    """Records of one template as columns. A template may name an element twice, so columns go by place."""

    exporter: str
    domain: int
    template: Template
    columns: list[Column]
    export_ns: Instants

    def named(self) -> dict[str, Column]:
        """Columns by the element's name; the first of each name."""
        found: dict[str, Column] = {}
        for name, column in zip(self.template.names, self.columns, strict=True):
            found.setdefault(name, column)
        return found


@dataclass(slots=True)
class Decoder:
    """Remembers templates and options by exporter and domain. Never raises on bytes from the wire.

    `records` counts every flow record seen and every piece in `skipped`; options records are counted in `notes`.
    A set without template, or a datagram that cannot be read, counts as one record: its number cannot be known.
    """

    settings: NetflowSettings = field(default_factory=NetflowSettings)
    sessions: dict[tuple[str, int, int], Session] = field(default_factory=dict)
    records: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    def decode(self, datagrams: Datagrams) -> list[RecordTable]:
        """Every field of every flow record, one table a template (and change of state between)."""
        return [
            RecordTable(
                block.session.exporter,
                block.session.domain,
                block.template,
                block.columns(),
                block.per_record(block.set_export_ns),
            )
            for block in self.blocks(datagrams)
        ]

    def blocks(self, datagrams: Datagrams, *, options: bool = False) -> Iterator[Block]:
        """Blocks of data sets. The sessions stand as they stood for those sets until the next block is asked for.

        With `options`, blocks of options records come too (which a flow table has no use for).
        """
        if not len(datagrams):
            return
        headers, sets = find_sets(datagrams)
        self._count_bad_datagrams(headers)
        counts = np.zeros(len(datagrams), np.int64)
        certain = np.ones(len(datagrams), np.bool_)
        for session, members, of_sets in self._by_session(datagrams, headers, sets):
            work = _Batch(datagrams, headers, sets if of_sets is None else sets[of_sets], counts, certain, options)
            yield from self._session_blocks(session, work)
            steps = counts[members] if session.version != 9 else np.ones(len(members), np.int64)
            sure = certain[members] if session.version == 10 else np.ones(len(members), np.bool_)
            if session.version in (5, 7):
                steps = headers["count"][members].astype(np.int64)
            session.follow_sequence(headers["sequence"][members].astype(np.int64), steps, sure)

    def finish(self) -> None:
        """No more datagrams come: what still waits for its template is counted."""
        for session in self.sessions.values():
            self._skip("data-before-template", len(session.held))
            session.held.clear()
            session.held_bytes = 0

    def exporters(self) -> list[dict[str, object]]:
        return [session.summary() for session in self.sessions.values()]

    def _skip(self, reason: str, count: int = 1) -> None:
        if count:
            self.records += count
            self.skipped[reason] += count

    def _count_bad_datagrams(self, headers: npt.NDArray[np.void]) -> None:
        status = headers["status"]
        if not status.any():
            return
        counts = np.bincount(status, minlength=len(STATUS))
        fixed_cut = (status == CUT) & (headers["version"] < 9)
        for place in range(1, len(STATUS)):
            count = int(counts[place])
            if place == CUT:
                count -= int(fixed_cut.sum())
            self._skip(STATUS[place], count)
        self._skip(STATUS[CUT], int(headers["count"][fixed_cut].sum()))  # those that are there are taken off again

    def _by_session(
        self, datagrams: Datagrams, headers: npt.NDArray[np.void], sets: npt.NDArray[np.void]
    ) -> Iterator[tuple[Session, npt.NDArray[np.int64], npt.NDArray[np.int64] | None]]:
        """(session, its datagrams, its sets or None for all), in the order in which the sessions first appear."""
        usable = (headers["status"] != UNKNOWN_VERSION) & (headers["status"] != BAD_HEADER)
        if not usable.any():
            return
        keys = np.zeros((len(datagrams), 2), np.int64)
        keys[:, 0] = datagrams.exporters
        keys[:, 1] = (headers["version"].astype(np.int64) << 32) | headers["domain"]
        if usable.all() and (keys == keys[0]).all():
            session = self._session(datagrams, headers, 0)
            members = np.arange(len(datagrams))
            if session is None:
                self._skip("too-many-domains", len(members))
            else:
                self._count_datagrams(session, headers, members)
                yield session, members, None
            return
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        inverse = inverse.reshape(-1)
        by_datagram = np.argsort(inverse, kind="stable")
        by_set = np.argsort(inverse[sets["datagram"]], kind="stable")
        datagram_bounds = np.searchsorted(inverse[by_datagram], np.arange(len(first) + 1))
        set_bounds = np.searchsorted(inverse[sets["datagram"]][by_set], np.arange(len(first) + 1))
        for group in np.argsort(first):
            members = by_datagram[datagram_bounds[group] : datagram_bounds[group + 1]]
            members = members[usable[members]]
            if not len(members):
                continue
            found = self._session(datagrams, headers, int(members[0]))
            if found is None:
                self._skip("too-many-domains", len(members))
                continue
            self._count_datagrams(found, headers, members)
            yield found, members, by_set[set_bounds[group] : set_bounds[group + 1]]

    def _session(self, datagrams: Datagrams, headers: npt.NDArray[np.void], member: int) -> Session | None:
        exporter = datagrams.exporter_names[int(datagrams.exporters[member])]
        version, domain = int(headers["version"][member]), int(headers["domain"][member])
        session = self.sessions.get((exporter, version, domain))
        if session is None and len(self.sessions) < self.settings.max_domains:
            session = Session(exporter, version, domain, place=len(self.sessions))
            self.sessions[exporter, version, domain] = session
        return session

    def _count_datagrams(self, session: Session, headers: npt.NDArray[np.void], members: npt.NDArray[np.int64]) -> None:
        session.datagrams += len(members)
        session.last_export_ns = max(session.last_export_ns, int(headers["export_ns"][members].max()))

    def _session_blocks(self, session: Session, work: "_Batch") -> Iterator[Block]:
        """Template sets that change something part the data sets before them from those after."""
        begin = 0
        if session.version >= 9:
            for place in np.flatnonzero(work.numbers < FIRST_DATA_SET).tolist():
                number = int(work.numbers[place])
                if number not in ((0, 1) if session.version == 9 else (2, 3)):
                    self.notes["reserved-set"] += 1
                    continue
                payload = work.payload(place)
                memory = bytes((number,)) + payload
                known = session.seen_template_sets.get(memory)
                if known is not None and all(session.templates.get(item.number) is item for item in known):
                    export_ns = int(work.headers["export_ns"][work.datagram_of[place]])
                    session.template_seen_ns.update((item.number, export_ns) for item in known)
                    continue
                export_ns = int(work.headers["export_ns"][work.datagram_of[place]])
                problems: Counter[str] = Counter()
                news = parse_templates(payload, number, session.version, problems)
                self.notes.update(problems)
                if any(isinstance(item, Withdrawal) or session.templates.get(item.number) != item for item in news):
                    yield from self._segment_blocks(session, work, begin, place)
                    begin = place + 1
                defined = self._define(session, news, export_ns)
                if not problems and len(defined) == len(news):
                    if len(session.seen_template_sets) >= self.settings.max_templates:
                        session.seen_template_sets.clear()
                    session.seen_template_sets[memory] = defined
                for template in defined:
                    yield from self._release(session, template, export_ns, work)
        yield from self._segment_blocks(session, work, begin, len(work.numbers))

    def _define(self, session: Session, news: list[Template | Withdrawal], export_ns: int) -> list[Template]:
        """Take templates into the session; those that now stand, an unchanged one as the object it was."""
        defined = []
        for item in news:
            if isinstance(item, Withdrawal):
                gone = [
                    number
                    for number, template in session.templates.items()
                    if (number == item.number if item.number is not None else template.is_options == item.options)
                ]
                for number in gone:
                    del session.templates[number]
                self.notes["template-withdrawn"] += len(gone)
                continue
            before = session.templates.get(item.number)
            if before is None and len(session.templates) >= self.settings.max_templates:
                self.notes["too-many-templates"] += 1
                continue
            session.template_seen_ns[item.number] = export_ns
            if before == item:
                defined.append(before)
                continue
            if before is not None:
                session.template_changes += 1
                self.notes["template-changed"] += 1
            session.templates[item.number] = item
            defined.append(item)
        return defined

    def _segment_blocks(self, session: Session, work: "_Batch", begin: int, end: int) -> Iterator[Block]:
        """Data and options sets between two changes of templates. Options that change something part the data."""
        if begin >= end:
            return
        numbers = work.numbers[begin:end]
        present = [int(number) for number in np.unique(numbers) if number >= FIRST_DATA_SET or number in (5, 7)]
        options = [number for number in present if (found := session.templates.get(number)) and found.is_options]
        for place in (np.flatnonzero(np.isin(numbers, options)) + begin).tolist() if options else ():
            template = session.templates[int(work.numbers[place])]
            count, news = read_options(work.payload(place), template)
            self._count_options(session, count)
            work.counts[work.datagram_of[place]] += count
            if session.would_change(news):
                yield from self._data_blocks(session, work, begin, place, present)
                session.learn(news)
                begin = place if work.options else place + 1
        yield from self._data_blocks(session, work, begin, end, present)

    def _data_blocks(
        self, session: Session, work: "_Batch", begin: int, end: int, present: list[int]
    ) -> Iterator[Block]:
        if begin >= end:
            return
        for number in present:
            template = session.templates.get(number)
            if template is not None and template.is_options and not work.options:
                continue
            places = np.flatnonzero(work.numbers[begin:end] == number) + begin
            if not len(places):
                continue
            if template is None:
                self._hold(session, work, number, places)
                continue
            of = work.datagram_of[places]
            block = _block(
                session,
                template,
                work.datagrams.buffer,
                work.starts[places],
                work.lengths[places],
                work.headers["export_ns"][of],
                work.headers["boot_ns"][of],
                work.datagrams.received_ns[of],
                work.headers["sampling"][of].astype(np.int64),
            )
            if not template.is_options:
                np.add.at(work.counts, of, block.rows)
                self._account(session, block, work.headers["status"][of])
            if block.total:
                yield block

    def _account(self, session: Session, block: Block, status: npt.NDArray[np.uint8] | None = None) -> None:
        self.records += block.total
        session.records += block.total
        if block.walked is not None:
            self._skip("cut-record", block.walked.broken_sets)
        if session.version in (5, 7) and status is not None:  # the whole count was put down as cut before
            there = int(block.rows[status == CUT].sum())
            if there:
                self.records -= there
                self.skipped[STATUS[CUT]] -= there

    def _count_options(self, session: Session, count: int) -> None:
        session.options_records += count
        self.notes["options-record"] += count

    def _hold(self, session: Session, work: "_Batch", number: int, places: npt.NDArray[np.int64]) -> None:
        """Keep data sets without template, the oldest making room."""
        for place in places.tolist():
            of = int(work.datagram_of[place])
            work.certain[of] = False
            header = work.headers[of]
            held = HeldSet(
                work.payload(place),
                int(header["export_ns"]),
                int(header["boot_ns"]),
                int(work.datagrams.received_ns[of]),
            )
            session.held.append((number, held))
            session.held_bytes += len(held.payload) + 64
            while session.held_bytes > self.settings.held_bytes:
                _, oldest = session.held.popleft()
                session.held_bytes -= len(oldest.payload) + 64
                self._skip("data-before-template")
        self.notes["held-set"] += len(places)

    def _release(self, session: Session, template: Template, export_ns: int, work: "_Batch") -> Iterator[Block]:
        """Decode what waited for this template, unless it waited too long."""
        mine = [held for number, held in session.held if number == template.number]
        if not mine:
            return
        session.held = type(session.held)(item for item in session.held if item[0] != template.number)
        session.held_bytes -= sum(len(held.payload) + 64 for held in mine)
        oldest_ns = export_ns - int(self.settings.held_age_s * 1e9)
        fresh = [held for held in mine if held.export_ns >= oldest_ns]
        self._skip("data-before-template", len(mine) - len(fresh))
        if not fresh:
            return
        if template.is_options:
            for held in fresh:
                count, news = read_options(held.payload, template)
                self._count_options(session, count)
                session.learn(news)
            if not work.options:
                return
        lengths = np.array([len(held.payload) for held in fresh], np.int64)
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
        block = _block(
            session,
            template,
            np.frombuffer(b"".join(held.payload for held in fresh), np.uint8),
            starts,
            lengths,
            np.array([held.export_ns for held in fresh], np.int64),
            np.array([held.boot_ns for held in fresh], np.int64),
            np.array([held.received_ns for held in fresh], np.int64),
            np.zeros(len(fresh), np.int64),
        )
        if not template.is_options:
            self._account(session, block)
        if block.total:
            yield block


class _Batch:
    """One call's sets of one session, as plain arrays."""

    __slots__ = ("certain", "counts", "datagram_of", "datagrams", "headers", "lengths", "numbers", "options", "starts")

    def __init__(
        self,
        datagrams: Datagrams,
        headers: npt.NDArray[np.void],
        sets: npt.NDArray[np.void],
        counts: npt.NDArray[np.int64],
        certain: npt.NDArray[np.bool_],
        options: bool,
    ) -> None:
        self.datagrams = datagrams
        self.headers = headers
        self.starts = np.ascontiguousarray(sets["start"])
        self.lengths = np.ascontiguousarray(sets["length"])
        self.numbers = np.ascontiguousarray(sets["number"])
        self.datagram_of = np.ascontiguousarray(sets["datagram"])
        self.counts = counts
        self.certain = certain
        self.options = options

    def payload(self, place: int) -> bytes:
        start = int(self.starts[place])
        return self.datagrams.buffer[start : start + int(self.lengths[place])].tobytes()


def _block(
    session: Session,
    template: Template,
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    export_ns: Instants,
    boot_ns: Instants,
    received_ns: Instants,
    sampling: npt.NDArray[np.int64],
) -> Block:
    walked = walk_records(buffer, starts, lengths, template) if template.is_variable else None
    rows = lengths // template.record_bytes if walked is None else walked.rows
    return Block(
        session,
        template,
        buffer,
        starts,
        rows,
        export_ns,
        boot_ns,
        received_ns,
        sampling,
        walked,
        int(rows.sum()),
    )
