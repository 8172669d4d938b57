"""The meter over one or more shards: packets in, batches of the flow table out."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pyarrow as pa

from ...identity import identity_of
from ..layout import Bytes, Counts, Links, Records
from ..settings import MeterSettings
from .drain import DrainOptions, drain
from .kernel import end_all, meter_packets, rehash, sweep
from .layout import (
    EVICTED_FLOWS,
    FINISHED_COUNT,
    LOST_ANSWERS,
    LOST_ASSEMBLY,
    LOST_NAMES,
    LOST_SERIES,
    OPEN_FLOWS,
    PACKETS_METERED,
    SLOTS_USED,
    TIME_BACKWARDS,
    Tables,
)
from .learning import learn_and_name
from .lifetime import LATENESS_NS
from .lookups import Lookups, new_lookups
from .slots import free_slots
from .tables import MAX_PACKETS, limits_of, new_answers, new_index, new_tables, release_slots

SWEEP_SLOTS = 32_768  # slots looked at between two drains
DRAIN_ROWS = 4_096  # finished flows that wait until a batch is made

NOTES = {
    EVICTED_FLOWS: "evicted-flows",
    LOST_SERIES: "packets-not-in-series",
    LOST_NAMES: "names-not-kept",
    LOST_ASSEMBLY: "hellos-not-assembled",
    LOST_ANSWERS: "dns-answers-not-kept",
    TIME_BACKWARDS: "time-backwards-in-flow",
}


class Meter:
    """Puts packets into flows. The clock is that of the packets (or of the caller, through `advance`).

    With `beside`, each shard runs in a thread of its own, beside the caller.
    """

    def __init__(self, settings: MeterSettings, *, source: str, shards: int = 1, beside: bool = False) -> None:
        self.settings = settings
        self.source = source
        self.shards = shards
        self.clock_ns = -1
        self.captures: list[str] = []
        self.lookups: Lookups = new_lookups()
        self._answers = new_answers(settings, shards)
        self.tables: list[Tables] = [new_tables(settings, shards, self._answers[shard]) for shard in range(shards)]
        self._limits = [limits_of(settings, shard, shards) for shard in range(shards)]
        self._options = DrainOptions(
            source=source,
            identity=identity_of(settings),
            payload_bytes=settings.payload_bytes,
            names=settings.names,
            with_series=settings.max_packets > 0,
        )
        self._pool = ThreadPoolExecutor(shards, "meter") if beside else None
        self._ended = [0] * shards  # flows that had ended when nothing ran
        self._lent = [0] * shards  # how many of them were handed out and have not left their slots

    def feed(self, packets: Records, captures: Links, data: Bytes, closing_ns: int) -> list["Future[None]"]:
        """Meter one of `pieces`, of at most `MAX_PACKETS` packets, which moves the clock on to `closing_ns`.

        Beside the caller this returns at once: `settle` waits for the end.
        """
        self._free_lent()
        self._make_room(len(packets))
        opening_ns, self.clock_ns = self.clock_ns, max(self.clock_ns, closing_ns)
        if self._pool is None:
            for tables, limits in zip(self.tables, self._limits, strict=True):
                meter_packets(tables, packets, captures, data, opening_ns, limits)
            return []
        return [
            self._pool.submit(meter_packets, tables, packets, captures, data, opening_ns, limits)
            for tables, limits in zip(self.tables, self._limits, strict=True)
        ]

    def settle(self, running: list["Future[None]"]) -> None:
        """Wait for `feed`, and give new flows the names that DNS gave."""
        for shard in running:
            shard.result()
        if self.settings.names:
            learn_and_name(self.lookups, self.tables, self._answers)
        self._note_ended()

    def hand_out(self, least: int | None = None) -> Iterator[pa.RecordBatch]:
        """Batches of what had ended by the last `settle`, where that is so much; also while the next `feed` runs."""
        least = DRAIN_ROWS if least is None else least
        for shard, tables in enumerate(self.tables):
            while self._ended[shard] - self._lent[shard] >= least:
                count = min(self._ended[shard] - self._lent[shard], DRAIN_ROWS)
                batch = drain(tables, self._lent[shard], count, self.captures, self._options)
                self._lent[shard] += count
                yield batch

    def advance(self, clock_ns: int) -> Iterator[pa.RecordBatch]:
        """End flows that have been silent for too long at `clock_ns`, and hand them out. No `feed` runs meanwhile."""
        before, self.clock_ns = self.clock_ns, max(self.clock_ns, clock_ns)
        if self._turn(before) != self._turn(self.clock_ns):
            yield from self._sweep_all(self.clock_ns - LATENESS_NS)

    def pieces(self, times_ns: Counts) -> Iterator[tuple[int, int, int, int]]:
        """Packets as they go to `feed`: with windows, cut where a sweep is due before the next packet (see `advance`).

        For each piece its first packet, the one after its last, and the clock when it begins and when it ends: the
        newest time of all packets so far. Flows end alike however the capture was cut.
        """
        clock_ns = self.clock_ns
        newest = int(times_ns.max(initial=clock_ns))
        if not self._limits[0].window_ns or self._turn(newest) == self._turn(clock_ns):
            yield 0, len(times_ns), clock_ns, newest
            return
        clocks = np.maximum(np.maximum.accumulate(times_ns), clock_ns)
        turns = (clocks - LATENESS_NS) // self._limits[0].sweep_ns
        starts = [0, *(np.flatnonzero(np.diff(turns)) + 1).tolist(), len(times_ns)]
        for start, stop in pairwise(starts):
            yield start, stop, int(clocks[start]), int(clocks[stop - 1])

    def finish(self) -> Iterator[pa.RecordBatch]:
        """End every flow: the input is over."""
        yield from self._drain(1)
        for tables, limits in zip(self.tables, self._limits, strict=True):
            end_all(tables, self.clock_ns, limits)
        for tables in self.tables:
            while count := min(int(tables.numbers[FINISHED_COUNT]), DRAIN_ROWS):
                last_slot = int(tables.finished[count - 1])  # they have ended in the order of their slots
                yield drain(tables, 0, count, self.captures, self._options)
                free_slots(tables, count)
                release_slots(tables, last_slot + 1)
        self.close()

    def drain_finished(self) -> Iterator[pa.RecordBatch]:
        """Hand out every flow that has ended; open ones stay open."""
        yield from self._drain(1)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    @property
    def packets_in_flows(self) -> int:
        return sum(int(tables.numbers[PACKETS_METERED]) for tables in self.tables)

    @property
    def open_flows(self) -> int:
        return sum(int(tables.numbers[OPEN_FLOWS]) for tables in self.tables)

    def notes(self) -> Counter[str]:
        """What the meter could not keep, by name."""
        totals = np.sum([tables.numbers for tables in self.tables], axis=0)
        return Counter({name: int(totals[place]) for place, name in NOTES.items() if totals[place]})

    def _make_room(self, packets: int) -> None:
        """An index never more than half full: it doubles before it could be."""
        if packets > MAX_PACKETS:
            raise ValueError(f"{packets} packets in one call, at most {MAX_PACKETS}")
        for shard, tables in enumerate(self.tables):
            needed = 2 * (int(tables.numbers[OPEN_FLOWS]) + packets)
            if needed > len(tables.slot_of_key):
                index = new_index(needed.bit_length())
                rehash(tables.slot_of_key, index)
                self.tables[shard] = tables._replace(slot_of_key=index)

    def _turn(self, clock_ns: int) -> int:
        """How many sweeps are due until `clock_ns`."""
        return (clock_ns - LATENESS_NS) // self._limits[0].sweep_ns

    def _sweep_all(self, clock_ns: int) -> Iterator[pa.RecordBatch]:
        for tables, limits in zip(self.tables, self._limits, strict=True):
            for begin in range(0, int(tables.numbers[SLOTS_USED]), SWEEP_SLOTS):
                sweep(tables, clock_ns, begin, begin + SWEEP_SLOTS, limits)
                yield from self._drain(DRAIN_ROWS)

    def _drain(self, least: int) -> Iterator[pa.RecordBatch]:
        """Hand out all that has ended, where it is so much, and free its slots."""
        self._note_ended()
        yield from self.hand_out(least)
        self._free_lent()

    def _note_ended(self) -> None:
        self._ended = [int(tables.numbers[FINISHED_COUNT]) for tables in self.tables]

    def _free_lent(self) -> None:
        """Slots that were handed out hold nothing any more."""
        for shard, tables in enumerate(self.tables):
            if self._lent[shard]:
                free_slots(tables, self._lent[shard])
                self._ended[shard] -= self._lent[shard]
                self._lent[shard] = 0
