"""The meter over one or more shards: packets in, batches of the flow table out."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from ....errors import SettingError
from ....flows.ids import NO_KEY, flow_id_key
from ..layout import Bytes, Counts, Links, Records
from ..settings import MeterSettings
from .drain import DrainOptions, drain
from .kernel import end_all, meter_packets, rehash, sweep
from .layout import (
    ANSWERS_BYTES,
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
    Limits,
    Tables,
)
from .lookups import Lookups, learn_answers, new_lookups
from .slots import free_slots
from .tables import limits_of, new_index, new_tables, release_slots

MAX_PACKETS = 32_768  # packets that one call of `feed` may bring
SWEEP_SLOTS = 32_768  # slots looked at between two drains
DRAIN_ROWS = 4_096  # finished flows that wait until a batch is made
SWEEPS_PER_TIMEOUT = 4
LATENESS_NS = 1_000_000_000  # packets this late still find their flow: sweeps are behind the clock by so much

NOTES = {
    EVICTED_FLOWS: "evicted-flows",
    LOST_SERIES: "packets-not-in-series",
    LOST_NAMES: "names-not-kept",
    LOST_ASSEMBLY: "hellos-not-assembled",
    LOST_ANSWERS: "dns-answers-not-kept",
    TIME_BACKWARDS: "time-backwards-in-flow",
}


class Meter:
    """Puts packets into flows. The clock is that of the packets (or of the caller, through `advance`)."""

    def __init__(self, settings: MeterSettings, *, source: str, shards: int = 1) -> None:
        self.settings = settings
        self.source = source
        self.shards = shards
        self.clock_ns = -1
        self.captures: list[str] = []
        self.lookups: Lookups = new_lookups()
        self.tables: list[Tables] = [new_tables(settings, shards) for _ in range(shards)]
        self._limits = [limits_of(settings, shard, shards) for shard in range(shards)]
        self._options = DrainOptions(
            source=source,
            observation_point=settings.observation_point,
            payload_bytes=settings.payload_bytes,
            names=settings.names,
            community_id=settings.community_id,
            with_series=settings.max_packets > 0,
            flow_id_key=_flow_id_key(settings.flow_id_key_file),
        )
        self._sweep_ns = _time_between_sweeps(self._limits[0])
        self._pool = ThreadPoolExecutor(shards, "meter") if shards > 1 else None
        self._prepared: list[tuple[int, Future[pa.RecordBatch]]] = []  # batches in the making, by shard

    def feed(self, packets: Records, captures: Links, data: Bytes) -> list["Future[None]"]:
        """Meter at most `MAX_PACKETS` packets. With several shards this returns at once: `settle` waits for the end."""
        self._make_room(len(packets))
        if self._pool is None:
            meter_packets(self.tables[0], packets, captures, data, self._limits[0])
            return []
        return [
            self._pool.submit(meter_packets, tables, packets, captures, data, limits)
            for tables, limits in zip(self.tables, self._limits, strict=True)
        ]

    def settle(self, running: list["Future[None]"], clock_ns: int) -> Iterator[pa.RecordBatch]:
        """Wait for `feed`, learn what DNS said, move the clock on, and hand out what has ended.

        With several shards, what ended is made ready beside the next `feed` and handed out by the next `settle`.
        """
        for shard in running:
            shard.result()
        yield from self._take_prepared()
        if self.settings.names:
            self._learn_answers()
        yield from self._sweep_when_due(clock_ns)
        if self._pool is None:
            yield from self._drain(DRAIN_ROWS)
        else:
            yield from self._drain(2 * DRAIN_ROWS)
            self._prepare(self._pool)

    def advance(self, clock_ns: int) -> Iterator[pa.RecordBatch]:
        """End flows that have been silent for too long at `clock_ns`, and hand out what has ended."""
        yield from self._sweep_when_due(clock_ns)
        if self._pool is None or not self._prepared:
            yield from self._drain(DRAIN_ROWS)

    def pieces(self, times_ns: Counts, clock_ns: int) -> Iterator[tuple[int, int, int, int]]:
        """Packets cut where a sweep is due, so that flows end alike however the capture was cut.

        For each piece its first packet, the one after its last, and the clock at its first and its last packet. The
        clock was at `clock_ns` before; it is the newest time of all packets so far.
        """
        newest = int(times_ns.max(initial=clock_ns))
        if self._turn(newest) == self._turn(clock_ns):
            yield 0, len(times_ns), clock_ns, newest
            return
        clocks = np.maximum(np.maximum.accumulate(times_ns), clock_ns)
        turns = (clocks - LATENESS_NS) // self._sweep_ns
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
                yield self._batch(tables, count)
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
        return (clock_ns - LATENESS_NS) // self._sweep_ns

    def _sweep_when_due(self, clock_ns: int) -> Iterator[pa.RecordBatch]:
        before, self.clock_ns = self.clock_ns, max(self.clock_ns, clock_ns)
        if self._turn(before) != self._turn(self.clock_ns):
            yield from self._sweep_all(self.clock_ns - LATENESS_NS)

    def _sweep_all(self, clock_ns: int) -> Iterator[pa.RecordBatch]:
        for tables, limits in zip(self.tables, self._limits, strict=True):
            for _ in range(0, int(tables.numbers[SLOTS_USED]), SWEEP_SLOTS):
                sweep(tables, clock_ns, SWEEP_SLOTS, limits)
                yield from self._drain(DRAIN_ROWS)

    def _prepare(self, pool: ThreadPoolExecutor) -> None:
        """Begin to make batches of what has ended. Its slots stay as they are until `_take_prepared` frees them."""
        for shard, tables in enumerate(self.tables):
            if tables.numbers[FINISHED_COUNT] >= DRAIN_ROWS:
                batch = pool.submit(drain, tables, DRAIN_ROWS, self.captures, self.lookups, self._options)
                self._prepared.append((shard, batch))

    def _take_prepared(self) -> Iterator[pa.RecordBatch]:
        prepared, self._prepared = self._prepared, []
        for shard, running in prepared:
            batch = running.result()
            free_slots(self.tables[shard], batch.num_rows)
            yield batch

    def _drain(self, least: int) -> Iterator[pa.RecordBatch]:
        yield from self._take_prepared()
        for tables in self.tables:
            while tables.numbers[FINISHED_COUNT] >= least:
                count = min(int(tables.numbers[FINISHED_COUNT]), DRAIN_ROWS)
                yield self._batch(tables, count)

    def _batch(self, tables: Tables, count: int) -> pa.RecordBatch:
        batch = drain(tables, count, self.captures, self.lookups, self._options)
        free_slots(tables, count)
        return batch

    def _learn_answers(self) -> None:
        for tables in self.tables:
            if tables.numbers[ANSWERS_BYTES]:
                learn_answers(self.lookups, tables.answers, int(tables.numbers[ANSWERS_BYTES]))
                tables.numbers[ANSWERS_BYTES] = 0


def _time_between_sweeps(limits: Limits) -> int:
    """A part of the idle timeout, or the window; no less than packets may be late."""
    pause = limits.idle_ns // SWEEPS_PER_TIMEOUT
    return max(min(pause, limits.window_ns) if limits.window_ns else pause, LATENESS_NS)


def _flow_id_key(path: str) -> tuple[int, int]:
    """The hash key made from the secret in a file; that of everybody where no file is named."""
    if not path:
        return NO_KEY
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"meter: the secret in `{path}` cannot be read: {error}") from None
    if not secret:
        raise SettingError(
            f"meter: the secret in `{path}` is empty", hint="write any long text into it: `openssl rand -hex 16`"
        )
    return flow_id_key(secret)
