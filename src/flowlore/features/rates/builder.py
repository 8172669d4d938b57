"""`RateBuilder`: flows in any portions → rates, in bounded memory. Live and in one go give the same numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .cells import ALL_ADDED, NO_CELLS, add_flows, index_cells, place_of_each
from .columns import rates_batch, rates_schema
from .distinct import estimates, index_pairs, merge_lists, sketch_long_lists
from .entities import OTHERS_KEY, Entities
from .flowcolumns import flow_columns
from .layout import (
    CELLS_USED,
    FIRST_NOTE,
    IN,
    KEY,
    KEY_WORDS,
    NOTES,
    OPEN_FROM,
    OUT,
    PACKETS,
    PAIR_CELL,
    PAIRS_USED,
    PEERS,
    SKETCH,
    SKETCHES_USED,
    STEP,
    Hashes,
    Tables,
    new_tables,
)
from .meetings import Meetings
from .settings import NS_PER_S, RateSettings, step_ns

FIRST_CELLS, FIRST_PAIRS, FIRST_SKETCHES = 1 << 13, 1 << 16, 16
SMALLEST_ROOM = 1 << 14
DEFAULTS = RateSettings()


class RateBuilder:
    """Takes batches of flows; gives batches of the table of rates, step by step, as steps are closed.

    A step is closed when the newest flow is `lateness_s` past its end, when memory is full, and by `finish`. `notes`
    counts everything that was left out or put together, and `steps` those that are closed.
    """

    def __init__(self, by: str = "host", step: str = "1m", settings: RateSettings = DEFAULTS) -> None:
        self.by, self.settings = by, settings
        self.step_ns = step_ns(step)
        self.entities = Entities(by, settings)
        self.flows = 0
        self.rows = 0
        self._notes: Counter[str] = Counter()
        self._tables = new_tables(
            min(FIRST_CELLS, settings.most_cells), min(FIRST_PAIRS, settings.most_pairs), FIRST_SKETCHES
        )
        self._meetings = Meetings(settings.remembered_pairs)
        self.steps = 0
        self._last_step: int | None = None  # of those that are closed
        self._gaps: list[tuple[int, int]] = []

    def add(self, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
        """Add flows; gives the rates of steps that were closed by them, none most of the time."""
        if not batch.num_rows:
            return []
        self.flows += batch.num_rows
        columns = flow_columns(batch, self.entities, self._notes)
        closed: list[pa.RecordBatch] = []
        outcome = np.zeros(2, np.int64)
        row, pairs_may_run_out = 0, False
        while True:
            row = add_flows(
                self._tables, columns, row, self.step_ns, *self._limits_ns(), self.settings.exact_distinct,
                pairs_may_run_out, outcome,
            )  # fmt: skip
            if outcome[0] == ALL_ADDED:
                break
            if outcome[0] == NO_CELLS:
                closed += self._make_room_for_cells(int(outcome[1]))
            else:
                more, pairs_may_run_out = self._make_room_for_pairs(int(outcome[1]))
                closed += more
        self._sketch()
        return closed + self._close_before(int(self._tables.numbers[OPEN_FROM]))

    def finish(self) -> list[pa.RecordBatch]:
        """Close every step that is open."""
        return self._close_before(np.iinfo(np.int64).max)

    def merge(self, other: RateBuilder) -> None:
        """Take over all that `other` holds, as if its flows had been added here. Neither may have closed a step."""
        if (self.by, self.step_ns, self.settings) != (other.by, other.step_ns, other.settings):
            raise ValueError("rates of another kind, step or settings cannot be merged")
        if self.steps or other.steps:
            raise ValueError("a builder that has closed steps cannot be merged; leave `lateness_s` unset")
        theirs = other._tables
        used = int(theirs.numbers[CELLS_USED])
        self._grow(cells=used, pairs=int(theirs.numbers[PAIRS_USED]), sketches=int(theirs.numbers[SKETCHES_USED]))
        places = place_of_each(self._tables, theirs.cells[:used])
        merge_lists(self._tables, theirs, places, self.settings.exact_distinct)
        self._tables.numbers[FIRST_NOTE:] += theirs.numbers[FIRST_NOTE:]
        self._sketch()
        self.entities.texts |= other.entities.texts
        self._notes += other._notes
        self.flows += other.flows

    @property
    def notes(self) -> dict[str, int]:
        """What was counted beside the flows: late ones, those without an entity, rows put together …"""
        kept = dict(zip(NOTES, self._tables.numbers[FIRST_NOTE:].tolist(), strict=True))
        return {name: count for name, count in sorted((kept | self._notes).items()) if count}

    def gaps(self) -> list[tuple[int, int]]:
        """Spans without any flow that are too long to be quiet: first and last nanosecond after them."""
        return list(self._gaps)

    @property
    def memory_bytes(self) -> int:
        """Of the tables, as they are reserved now."""
        return sum(array.nbytes for array in self._tables) + self._meetings.memory_bytes

    def _limits_ns(self) -> tuple[int, int, int]:
        lateness = self.settings.lateness_s
        return (
            -1 if lateness is None else int(lateness * NS_PER_S),
            int(self.settings.furthest_ahead_s * NS_PER_S),
            min(int(self.settings.longest_flow_s * NS_PER_S), self.step_ns * (self.settings.most_cells // 8)),
        )

    def _close_before(self, step: int) -> list[pa.RecordBatch]:
        """Rates of every cell of a step before this one, in order of step and key; the rest is packed together."""
        used = int(self._tables.numbers[CELLS_USED])
        steps = self._tables.cells[:used, STEP]
        closing = np.flatnonzero(steps < step)
        if not len(closing):
            return []
        self._sketch(all_lists=True)
        cells = self._tables.cells
        words = cells[closing, KEY : KEY + KEY_WORDS]
        order = np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0], steps[closing]))
        closing = closing[order]
        keys: Hashes = np.ascontiguousarray(cells[closing, KEY : KEY + KEY_WORDS]).view(np.uint64)
        rows = cells[closing]
        for kind in range(2):
            for side, base in enumerate((IN, OUT)):
                sketched = rows[:, SKETCH + kind] >= 0
                guesses = estimates(self._tables.sketches, np.ascontiguousarray(rows[:, SKETCH + kind]), side)
                rows[sketched, base + PEERS + kind] = guesses[sketched]
        new_peers = self._meetings.count(self._tables, closing, rows[:, STEP], keys)
        self._observe(np.unique(rows[:, STEP]))
        self._tables.numbers[OPEN_FROM] = max(int(self._tables.numbers[OPEN_FROM]), int(rows[-1, STEP]) + 1)
        batch = rates_batch(rows, rows[:, STEP] * self.step_ns, self.entities.names(keys), new_peers)
        self.rows += batch.num_rows
        self._repack(np.flatnonzero(steps >= step))
        return [batch]

    def _observe(self, closed: npt.NDArray[np.int64]) -> None:
        """Steps with any flow, ascending, and after all that were closed before."""
        self.steps += len(closed)
        known = closed if self._last_step is None else np.concatenate([[self._last_step], closed])
        longest_ns = max(self.settings.gap_after_s * NS_PER_S, 1)
        for place in np.flatnonzero(np.diff(known) > 1).tolist():
            begin, end = (int(known[place]) + 1) * self.step_ns, int(known[place + 1]) * self.step_ns
            if end - begin >= longest_ns:
                self._gaps.append((begin, end))
        self._last_step = int(known[-1])

    def _make_room_for_cells(self, wanted: int) -> list[pa.RecordBatch]:
        """Grow, else close the older half of the steps, else put the rarer half of the entities together."""
        used = int(self._tables.numbers[CELLS_USED])
        room = self.settings.most_cells - used
        if room < wanted:
            return self._free()
        self._grow(cells=min(max(wanted, used, SMALLEST_ROOM), room))
        return []

    def _make_room_for_pairs(self, wanted: int) -> tuple[list[pa.RecordBatch], bool]:
        """The same for lists of peers and ports; whether they are to be left incomplete where nothing helps."""
        used = int(self._tables.numbers[PAIRS_USED])
        if (self._tables.pairs[:used, PAIR_CELL] < 0).sum() > used // 4:  # what moved into sketches
            self._repack(np.arange(int(self._tables.numbers[CELLS_USED])))
            return [], False
        room = self.settings.most_pairs - used
        if room >= wanted:
            self._grow(pairs=min(max(wanted, used, SMALLEST_ROOM), room))
            return [], False
        closed = self._free() if int(self._tables.numbers[CELLS_USED]) > 2 else []
        return closed, int(self._tables.numbers[PAIRS_USED]) + wanted > self.settings.most_pairs

    def _free(self) -> list[pa.RecordBatch]:
        used = int(self._tables.numbers[CELLS_USED])
        steps = self._tables.cells[:used, STEP]
        newest = int(steps.max())
        middle = int(np.partition(steps, used // 2)[used // 2])
        until = max(middle, int(steps.min()) + 1)
        if until <= newest:
            self._notes["steps-closed-early"] += len(np.unique(steps[steps < until]))
            return self._close_before(until)
        self._put_together()
        return []

    def _put_together(self) -> None:
        """Move the rarer half of the entities of a step into one: their counters are summed, their peers too."""
        cells, used = self._tables.cells, int(self._tables.numbers[CELLS_USED])
        others_keys = np.array(OTHERS_KEY, np.int64)
        is_others = (cells[:used, KEY : KEY + KEY_WORDS] == others_keys).all(axis=1)
        weight = cells[:used, IN + PACKETS] + cells[:used, OUT + PACKETS]
        weight[is_others] = np.iinfo(np.int64).max
        rarer = np.argpartition(weight, used // 2)[: used // 2]
        rarer = rarer[~is_others[rarer]]
        sums = cells[rarer, IN:].sum(axis=0)
        step = int(cells[rarer[0], STEP])
        self._notes["entities-put-together"] += len(rarer)
        kept = np.ones(used, np.bool_)
        kept[rarer] = False
        self._repack(np.flatnonzero(kept))
        row = np.zeros((1, cells.shape[1]), np.int64)
        row[0, KEY : KEY + KEY_WORDS], row[0, STEP], row[0, IN:] = others_keys, step, sums
        place_of_each(self._tables, row)

    def _repack(self, kept: npt.NDArray[np.int64]) -> None:
        """Keep these cells only, and what they list."""
        old = self._tables
        self._tables = _copied(old, kept, len(old.cells), len(old.pairs), len(old.sketches))

    def _grow(self, *, cells: int = 0, pairs: int = 0, sketches: int = 0) -> None:
        old = self._tables
        used = [int(old.numbers[place]) for place in (CELLS_USED, PAIRS_USED, SKETCHES_USED)]
        sizes = (
            max(len(old.cells), used[0] + cells), max(len(old.pairs), used[1] + pairs),
            max(len(old.sketches), used[2] + sketches),
        )  # fmt: skip
        self._tables = _copied(old, np.arange(used[0]), *sizes)

    def _sketch(self, *, all_lists: bool = False) -> None:
        """See that there is room for sketches, and that no list is over the bound when steps are closed."""
        used, held = int(self._tables.numbers[SKETCHES_USED]), len(self._tables.sketches)
        left = sketch_long_lists(self._tables, self.settings.exact_distinct) if all_lists or used == held else 0
        if left or used == held:
            grown = np.zeros((max(2 * held, held + left), *self._tables.sketches.shape[1:]), np.uint8)
            grown[:held] = self._tables.sketches
            self._tables = self._tables._replace(sketches=grown)
            sketch_long_lists(self._tables, self.settings.exact_distinct)


def rates_of(
    flows: Any, by: str = "host", step: str = "1m", settings: RateSettings = DEFAULTS
) -> tuple[pa.Table, RateBuilder]:
    """Rates of flows (`Flows`, an Arrow table, or batches), and the builder with its notes and gaps."""
    builder = RateBuilder(by, step, settings)
    batches = list(rate_batches(flows, builder))
    return pa.Table.from_batches(batches, rates_schema()), builder


def rate_batches(flows: Any, builder: RateBuilder) -> Iterator[pa.RecordBatch]:
    """The same in bounded memory, as steps are closed."""
    batches: Iterable[pa.RecordBatch] = [flows] if isinstance(flows, pa.RecordBatch) else flows
    if hasattr(flows, "to_batches"):
        batches = flows.to_batches()
    for batch in batches:
        yield from builder.add(batch)
    yield from builder.finish()


def _copied(old: Tables, kept: npt.NDArray[np.int64], cells: int, pairs: int, sketches: int) -> Tables:
    """Tables of other sizes with these cells of the old ones, in the same order."""
    new = new_tables(cells, pairs, sketches)
    new.numbers[:] = old.numbers
    place_of_old = np.full(int(old.numbers[CELLS_USED]) + 1, -1, np.int64)  # the last stands for -1
    place_of_old[kept] = np.arange(len(kept))
    new.cells[: len(kept)] = old.cells[kept]
    new.numbers[CELLS_USED] = len(kept)
    held = old.pairs[: int(old.numbers[PAIRS_USED])]
    held = held[(held[:, PAIR_CELL] >= 0)]
    held = held[place_of_old[held[:, PAIR_CELL]] >= 0]
    new.pairs[: len(held)] = held
    new.pairs[: len(held), PAIR_CELL] = place_of_old[held[:, PAIR_CELL]]
    new.numbers[PAIRS_USED] = len(held)
    sketch_words = new.cells[: len(kept), SKETCH : SKETCH + 2]
    wanted = sketch_words[sketch_words >= 0]
    new.sketches[: len(wanted)] = old.sketches[wanted]
    sketch_words[sketch_words >= 0] = np.arange(len(wanted))
    new.numbers[SKETCHES_USED] = len(wanted)
    index_cells(new)
    index_pairs(new)
    return new
