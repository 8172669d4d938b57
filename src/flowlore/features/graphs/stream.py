"""`GraphStream`: flows come in, graphs of closed windows go out. Memory holds the open windows and those remembered.

However the flows are cut into batches, and the windows into graphs, each node has the same edges and numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..batch import FeatureBatch
from .graph import Graph, Integers, Links
from .linking import (
    NONE,
    keep_in_turn,
    last_slices,
    link_nodes,
    links_back,
    measure_nodes,
    number_services,
    ranks_in_pair,
    stand_ins,
    surplus_copies,
    table_size,
)
from .settings import GraphSettings
from .waiting import Rows, Waiting, stretches

DEFAULTS = GraphSettings()
STRETCH_FLOWS = 32_768


class GraphStream:
    """The next graphs while flows arrive. A flow is seen, with its totals, in the window in which it ended.

    `counts` says what came in and where it went: `flows`, `nodes` (flows that are in a graph), `hosts`, `windows`,
    and why others are in none: `alone` (ends or times unknown), `copies`, `sampled`, `distant` (told so long before
    their end that `most_waiting` flows came after them); `late` and `hurried` are in one.
    """

    def __init__(
        self,
        settings: GraphSettings = DEFAULTS,
        *,
        stretch_flows: int = STRETCH_FLOWS,
        remembers: bool = True,
        patient: bool = False,
    ) -> None:
        """A graph spans windows of up to `stretch_flows` flows; each begins anew unless it `remembers` those before.

        When `patient`, windows stay open while few flows wait, and of more for as long as some were seen to come late.
        """
        self.settings, self.stretch_flows, self.remembers = settings, stretch_flows, remembers
        self.counts: Counter[str] = Counter()
        self._waiting = Waiting(settings.window_ns, settings.wait_ns, settings.most_waiting, patient=patient)
        self._given_up = Rows.empty()  # to be left out of the next graph
        self._context = Rows.empty()
        self._context_windows: Integers = np.zeros(0, np.int64)

    def add(self, flows: FeatureBatch) -> Iterator[Graph]:
        """Take flows as `extract` gives them with `graph` on; gives graphs of the windows that have closed."""
        rows, starts_ns = self._rows(flows)
        self.counts["flows"] += len(flows)
        self.counts["alone"] += len(flows) - len(rows)
        closed = self._waiting.add(rows, starts_ns)
        self._give_up()
        yield from self._graphs(closed)

    def finish(self) -> Iterator[Graph]:
        """Graphs of the windows that are still open."""
        self._waiting.take_back(self._given_up)
        self._given_up = Rows.empty()
        yield from self._graphs(self._waiting.finish())

    def waiting_from(self) -> int:
        """The lowest number of a flow that is still to come in a graph; earlier flows need not be kept."""
        lowest = [int(self._given_up.number.min())] if len(self._given_up) else []
        if (waiting := self._waiting.lowest_number()) is not None:
            lowest.append(waiting)
        return min(lowest, default=self.counts["flows"])

    def _give_up(self) -> None:
        """Nothing waits for the end of a flow behind which too many wait."""
        before = self.counts["flows"] - self.settings.most_waiting
        lowest = self._waiting.lowest_number()
        if lowest is not None and lowest < before:
            self._given_up = Rows.concat([self._given_up, self._waiting.give_up(before)])

    def _rows(self, flows: FeatureBatch) -> tuple[Rows, Integers]:
        """Flows that are in a graph, and when they began."""
        placed = np.flatnonzero(flows.has("graph"))
        if not len(placed):
            return Rows.empty(), np.zeros(0, np.int64)
        ends = flows.channels["graph.ends"]
        rows = Rows(
            number=placed + self.counts["flows"],
            seen_ns=np.ascontiguousarray(flows.channels["graph.times_ns"][placed, 1]),
            source=np.ascontiguousarray(ends[placed, 0]),
            target=np.ascontiguousarray(ends[placed, 1]),
            copy=np.ascontiguousarray(flows.channels["graph.copy"][placed]),
            service=np.ascontiguousarray(flows.channels["graph.service"][placed]),
        )
        return rows, flows.channels["graph.times_ns"][placed, 0]

    def _graphs(self, closed: Rows) -> Iterator[Graph]:
        self.counts["late"], self.counts["hurried"] = self._waiting.late, self._waiting.hurried
        windows = closed.seen_ns // self.settings.window_ns
        for piece in stretches(windows, self.stretch_flows):
            yield self._graph(closed.take(piece), windows[piece])

    def _graph(self, new: Rows, new_windows: Integers) -> Graph:
        settings, memory = self.settings, self.settings.memory_windows
        is_near = self._context_windows > new_windows[0] - memory
        context = self._context.take(is_near)
        rows = Rows.concat([context, new])
        windows = np.concatenate([self._context_windows[is_near], new_windows])
        kept = self._kept(rows, windows, len(context))
        left_out, substitutes = self._left_out(rows, windows, kept)
        if not kept.all():
            new_place = np.cumsum(kept) - 1
            substitutes = np.where(substitutes >= 0, new_place[substitutes], NONE).astype(np.int32)
            rows, windows = rows.take(kept), windows[kept]
        if len(self._given_up):
            self.counts["distant"] += len(self._given_up)
            left_out = np.concatenate([left_out, self._given_up.number])
            substitutes = np.concatenate([substitutes, np.full(len(self._given_up), NONE, np.int32)])
            self._given_up = Rows.empty()
        graph = _linked(rows, windows, len(context), left_out, substitutes, settings, self.remembers)
        self.counts["nodes"] += graph.flows
        self.counts["hosts"] += graph.hosts
        self.counts["windows"] += graph.windows
        if self.remembers and graph.keep_flows:
            self._context = rows.take(slice(len(rows) - graph.keep_flows, None))
            self._context_windows = windows[len(rows) - graph.keep_flows :]
        elif self.remembers:
            self._context, self._context_windows = Rows.empty(), np.zeros(0, np.int64)
        return graph

    def _kept(self, rows: Rows, windows: Integers, context: int) -> npt.NDArray[np.bool_]:
        settings = self.settings
        table = np.zeros(table_size(len(rows)), np.uint64)
        surplus = surplus_copies(rows.copy, windows, settings.memory_windows, settings.most_copies, table)
        self.counts["copies"] += int(surplus.sum())
        kept: npt.NDArray[np.bool_] = ~surplus
        begins = np.concatenate([[context], context + 1 + np.flatnonzero(np.diff(windows[context:])), [len(rows)]])
        for first in np.flatnonzero(np.diff(begins) > settings.most_flows):
            here = begins[first] + np.flatnonzero(kept[begins[first] : begins[first + 1]])
            if len(here) > settings.most_flows:
                empty = np.zeros(table_size(len(here)), np.uint64)
                stays = keep_in_turn(ranks_in_pair(rows.source[here], rows.target[here], empty), settings.most_flows)
                kept[here[~stays]] = False
                self.counts["sampled"] += int((~stays).sum())
        return kept

    def _left_out(
        self, rows: Rows, windows: Integers, kept: npt.NDArray[np.bool_]
    ) -> tuple[Integers, npt.NDArray[np.int32]]:
        if kept.all():
            return np.zeros(0, np.int64), np.zeros(0, np.int32)
        table = np.zeros(table_size(3 * len(rows)), np.uint64)
        memory = self.settings.memory_windows
        found = stand_ins(rows.source, rows.target, rows.copy, windows, kept, memory, table)
        return rows.number[~kept], found[~kept]


def _linked(
    rows: Rows,
    windows: Integers,
    context: int,
    left_out: Integers,
    substitutes: npt.NDArray[np.int32],
    settings: GraphSettings,
    remembers: bool,
) -> Graph:
    memory, most = settings.memory_windows, settings.earlier_flows
    size = table_size(2 * len(rows))

    def table() -> npt.NDArray[np.uint64]:
        return np.zeros(size, np.uint64)

    source, target, keys, host_windows, before_host, before_source, before_target = link_nodes(
        rows.source, rows.target, windows, table()
    )
    first_window = windows[context] if len(windows) > context else np.iinfo(np.int64).max
    context_hosts = int(np.searchsorted(host_windows, first_window, side="left"))
    hosts, flows, order = measure_nodes(
        source,
        target,
        rows.service,
        windows,
        rows.seen_ns,
        before_source,
        before_target,
        before_host,
        host_windows,
        settings.window_ns,
        memory,
        table(),
        table(),
        table(),
    )
    service, services = np.full(len(rows) - context, NONE, np.int32), 0
    if settings.services:
        service, services = number_services(rows.service[context:], windows[context:], table())
    last = windows[-1] if len(windows) else 0
    remembered_from = last - memory + 1  # the earliest window that the next window can look back on is one later
    return Graph(
        rows=rows.number[context:],
        context_flows=context,
        context_hosts=context_hosts,
        flow_windows=windows,
        source=source,
        target=target,
        service=service,
        services=services,
        before_source=_links(before_source, windows, memory, most, context),
        before_target=_links(before_target, windows, memory, most, context),
        before_copy=last_slices(rows.copy, windows, memory, table())[context:],
        before_host=_links(before_host, host_windows, memory, memory, context_hosts),
        host_keys=keys,
        host_windows=host_windows,
        host_numbers=hosts[context_hosts:],
        flow_numbers=flows[context:],
        order=order[context:],
        left_out=left_out,
        stand_in=substitutes,
        keep_flows=int((windows > remembered_from).sum()) if remembers else 0,
    )


def _links(before: npt.NDArray[np.int32], windows: Integers, memory: int, most: int, first: int) -> Links:
    starts, places = links_back(before, windows, memory, most, first)
    return Links(starts=starts, places=places)
