"""Detectors that are given rates as their steps are closed, and say what they would say of all of them at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError
from ...features.rates.entities import OTHERS
from ...features.rates.rates import Rates
from ...features.rates.settings import NS_PER_S
from .alarms import BUSY, quiet_threshold
from .bundles import FloodDetector
from .detector import CONTEXT, STRIDE
from .following import SILENT, FollowedHosts, Rows
from .remembered import HOSTS_AT_ONCE, MOST_BYTES, Remembered
from .settings import DetectionSettings
from .signs import COLUMNS, NOISE_PER_S, SIGNS, noise, sign_values
from .thresholds import FEATURES, Values

MOST_HOSTS = 150_000
GAP_AFTER_S = 300.0


class Watch(ABC):
    """Follows every host that turns up. Hosts with less than a tenth of the least rate of an attack are not judged.

    Beyond `most_hosts` those that were silent longest are forgotten, and begin anew when they turn up again; of a step
    with more than that the busiest are followed. `notes` counts both, a host each time that it happens.
    """

    def __init__(
        self,
        settings: DetectionSettings,
        step_ns: int,
        *,
        gap_after_s: float = GAP_AFTER_S,
        most_hosts: int = MOST_HOSTS,
    ) -> None:
        self.settings, self.step_ns, self.gap_after_s = settings, step_ns, gap_after_s
        self.step_s = step_ns / NS_PER_S
        self.judged_from = settings.least_packets_per_s * self.step_s / BUSY
        self._hosts = FollowedHosts(
            noise(self.step_s), self.step_s, settings, judged_by=len(FEATURES), most_hosts=most_hosts
        )
        self._passed_over = 0
        self._last: int | None = None  # number of the last step

    @property
    def hosts(self) -> int:
        """Hosts that were judged in some step, and are not forgotten."""
        return self._hosts.judged

    @property
    def notes(self) -> dict[str, int]:
        found = {"hosts-forgotten": self._hosts.forgotten, "rows-not-followed": self._passed_over}
        return {name: count for name, count in found.items() if count}

    @property
    def memory_bytes(self) -> int:
        """Of what is remembered of all hosts."""
        return self._hosts.memory_bytes

    def add(self, rates: pa.Table | pa.RecordBatch) -> Iterator[pa.Table]:
        """A table for each step of these rates, with the hosts that are judged: entity, step, score …"""
        table = pa.Table.from_batches([rates]) if isinstance(rates, pa.RecordBatch) else rates
        numbers = table["step"].cast(pa.int64()).to_numpy() // self.step_ns
        for number in np.unique(numbers).tolist():
            if self._last is not None:
                silent = number - self._last - 1
                if silent < 0:
                    raise InputError(
                        f"detect: a step comes {-silent} steps after it should",
                        hint="give steps in order of time, each once",
                    )
                if silent * self.step_s >= max(self.gap_after_s, 1e-9):
                    self._skip(silent)
                else:
                    for _ in range(silent):
                        self._take(np.zeros((len(COLUMNS), self._hosts.used)))
            self._last = number
            of_step = table.filter(pa.array(numbers == number))
            yield self._step(of_step.filter(pc.not_equal(of_step["entity"], OTHERS)), number)

    def pause(self) -> None:
        """What comes next may be of any time: what is usual of hosts is kept, and nothing else."""
        self._skip(CONTEXT)
        self._last = None

    def _step(self, table: pa.Table, number: int) -> pa.Table:
        most = self._hosts.most_hosts
        if table.num_rows > most:
            self._passed_over += table.num_rows - most
            table = table.take(pc.select_k_unstable(table, most, [("in_packets", "descending")]))
        names = table["entity"].to_pylist()
        kept = self._hosts.make_room(names)
        if kept is not None:
            self._keep(kept)
        places = self._hosts.rows(names, number)
        columns = np.zeros((len(COLUMNS), self._hosts.used))
        for row, name in enumerate(COLUMNS):
            columns[row, places] = np.asarray(pc.fill_null(table[name], 0).to_numpy(), np.float64)
        self._take(columns)
        asked = np.sort(places[columns[COLUMNS.index("in_packets"), places] >= self.judged_from])
        self._hosts.judge(asked)
        begin = np.full(len(asked), number * self.step_ns)
        return pa.table(
            {
                "entity": pa.array(self._hosts.names(asked), pa.string()),
                "step": pa.array(begin, pa.int64()).cast(pa.timestamp("ns", tz="UTC")),
                **self._said(asked),
            }
        )

    @abstractmethod
    def _keep(self, kept: Rows) -> None:
        """Of what is held of hosts these rows stay, as the first ones."""

    @abstractmethod
    def _skip(self, steps: int) -> None:
        """So many steps of which nothing is known."""

    @abstractmethod
    def _take(self, columns: Values) -> None:
        """One more step of every host: [COLUMNS, rows]."""

    @abstractmethod
    def _said(self, rows: Rows) -> dict[str, Any]:
        """Columns about these rows in the last step; `score` is one."""


class ThresholdWatch(Watch):
    """Scores are standard deviations above what is usual of a host, as `detect` without a bundle has them."""

    _scores: Values

    @classmethod
    def after(
        cls, quiet: Rates, settings: DetectionSettings, *, gap_after_s: float = GAP_AFTER_S
    ) -> tuple[ThresholdWatch, float]:
        """One that knows what was usual in a quiet record, and the threshold that the record sets."""
        threshold = quiet_threshold(quiet, settings)
        watch = cls(settings, quiet.step_ns, gap_after_s=gap_after_s)
        for _ in watch.add(quiet.table):
            pass
        watch.pause()
        return watch, threshold

    def _keep(self, kept: Rows) -> None:
        pass

    def _skip(self, steps: int) -> None:
        pass

    def _take(self, columns: Values) -> None:
        self._scores = self._hosts.take(columns[: len(NOISE_PER_S)])[1]

    def _said(self, rows: Rows) -> dict[str, Any]:
        return {"score": pa.array(self._scores[rows])}


class FloodWatch(Watch):
    """What a taught detector says: `score`, `probability` of an attack, and the likeliest `kind`.

    Of hosts that are judged in every step it remembers what the decoder made of them, in at most `most_bytes`.
    """

    def __init__(
        self,
        detector: FloodDetector,
        *,
        gap_after_s: float = GAP_AFTER_S,
        most_hosts: int = MOST_HOSTS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        super().__init__(detector.settings, detector.step_ns, gap_after_s=gap_after_s, most_hosts=most_hosts)
        self.detector, self.most_bytes = detector, most_bytes
        self._remembered = Remembered(most_bytes)
        self._held = np.full((self._hosts.used, len(SIGNS), CONTEXT), np.nan, np.float32)  # step by step, turn about
        self._rows = self._hosts.used  # of what is held
        self._done = 0  # steps

    @property
    def memory_bytes(self) -> int:
        return int(super().memory_bytes + self._remembered.memory_bytes + self._held.nbytes)

    def _keep(self, kept: Rows) -> None:
        self._held[: len(kept)] = self._held[kept]
        self._rows = len(kept)
        self._remembered = Remembered(self.most_bytes)

    def _skip(self, steps: int) -> None:
        gone = (self._done + np.arange(min(steps, CONTEXT))) % CONTEXT
        self._held[:, :, gone] = np.nan
        self._done += steps

    def _take(self, columns: Values) -> None:
        self._grow()
        counts = columns[: len(NOISE_PER_S)]
        rises, scores = self._hosts.take(counts)
        held = dict(zip(COLUMNS, columns, strict=True))
        values = sign_values(held, counts, rises, scores, self.step_s)
        self._held[: self._hosts.used, :, self._done % CONTEXT] = values
        self._done += 1

    def _grow(self) -> None:
        """Rows for hosts that are new: they were silent until now."""
        used, held = self._hosts.used, len(self._held)
        if used > held:
            more = max(held, used - held)
            self._held = np.concatenate([self._held, np.empty((more, *self._held.shape[1:]), np.float32)])
        self._held[self._rows : used] = self._held[SILENT]
        self._rows = used

    def _said(self, rows: Rows) -> dict[str, Any]:
        logits, kinds = self._judge(rows)
        chances = 1 / (1 + np.exp(-np.clip(logits - self.detector.shift, -60, 60)))
        return {
            "score": pa.array(logits),
            "probability": pa.array(chances.astype(np.float32)),
            "kind": pa.array(np.asarray(self.detector.detector.kinds, object)[kinds].tolist(), pa.string()),
        }

    def _judge(self, rows: Rows) -> tuple[Values, npt.NDArray[np.int64]]:
        """Of the last step: with as many steps before it as one that sees all of them at once would look at."""
        from ...models.flowgen.network import Cache

        last = self._done - 1
        begin = 0 if last < CONTEXT else (last - STRIDE) // STRIDE * STRIDE
        order = np.arange(begin, last + 1) % CONTEXT
        self._remembered.grow(self._hosts.used)
        said = np.empty((len(rows), 1 + len(self.detector.detector.kinds)), np.float32)
        pieces, known = rows // HOSTS_AT_ONCE, self._remembered.has(rows, begin, last)
        for piece in np.unique(pieces).tolist():
            for is_known in (False, True):
                chosen = np.flatnonzero((pieces == piece) & (known == is_known))
                if len(chosen):
                    part = rows[chosen]
                    cache = self._remembered.cache(part, last - begin) if is_known else Cache()
                    said[chosen] = self.detector.detector.said_last(self._held[part][:, :, order], cache)
                    self._remembered.keep(part, cache, begin, last)
        return said[:, 0].astype(np.float64), said[:, 1:].argmax(axis=1)
