"""A detector that is given rates as their steps are closed, and says what it would say of all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...features.rates.settings import NS_PER_S
from .alarms import BUSY
from .bundles import FloodDetector
from .detector import CONTEXT, STRIDE
from .remembered import HOSTS_AT_ONCE, MOST_BYTES, Remembered
from .signs import COLUMNS, NOISE_PER_S, SIGNS, noise, sign_values
from .thresholds import FEATURES, Usual, Values

SILENT = 0  # the row of a host that never had traffic: what one is that turns up for the first time
FIRST_ROWS = 1_024


class FloodWatch:
    """Follows every host that turns up. Hosts with less than a tenth of the least rate of an attack are not judged.

    Of hosts that are judged in every step it remembers what the decoder made of them, in at most `most_bytes`.
    """

    def __init__(self, detector: FloodDetector, *, gap_after_s: float = 300.0, most_bytes: int = MOST_BYTES) -> None:
        self.detector, self.gap_after_s = detector, gap_after_s
        self._remembered = Remembered(most_bytes)
        self.step_s = detector.step_ns / NS_PER_S
        self.judged_from = detector.settings.least_packets_per_s * self.step_s / BUSY
        self._places: dict[str, int] = {}
        self._usual = Usual.of_nothing(len(NOISE_PER_S), FIRST_ROWS)
        self._held = np.full((FIRST_ROWS, len(SIGNS), CONTEXT), np.nan, np.float32)  # step by step, turn about
        self._used = 1
        self._done = 0  # steps
        self._last: int | None = None  # number of the last step

    @property
    def memory_bytes(self) -> int:
        """Of what is remembered of all hosts."""
        usual = self._usual
        remembered = self._remembered.memory_bytes
        return int(remembered + self._held.nbytes + usual.mean.nbytes + usual.spread.nbytes + usual.seen.nbytes)

    def add(self, rates: pa.Table | pa.RecordBatch) -> Iterator[pa.Table]:
        """A table for each step of these rates: entity, step, probability of an attack, and the likeliest kind."""
        table = pa.Table.from_batches([rates]) if isinstance(rates, pa.RecordBatch) else rates
        numbers = table["step"].cast(pa.int64()).to_numpy() // self.detector.step_ns
        for number in np.unique(numbers).tolist():
            if self._last is not None:
                silent = number - self._last - 1
                if silent * self.step_s >= max(self.gap_after_s, 1e-9):
                    self._forget(silent)
                else:
                    for _ in range(silent):
                        self._take(np.zeros((len(COLUMNS), self._used)))
            self._last = number
            yield self._step(table.filter(pa.array(numbers == number)), number)

    def _step(self, table: pa.Table, number: int) -> pa.Table:
        places = self._rows(table["entity"])
        columns = np.zeros((len(COLUMNS), self._used))
        for row, name in enumerate(COLUMNS):
            columns[row, places] = np.asarray(pc.fill_null(table[name], 0).to_numpy(), np.float64)
        self._take(columns)
        asked = np.sort(places[columns[COLUMNS.index("in_packets"), places] >= self.judged_from])
        chances, kinds = self._judge(asked)
        names = np.array([None, *self._places], object)[asked]
        begin = np.full(len(asked), number * self.detector.step_ns)
        return pa.table(
            {
                "entity": pa.array(names.tolist(), pa.string()),
                "step": pa.array(begin, pa.int64()).cast(pa.timestamp("ns", tz="UTC")),
                "probability": pa.array(chances.astype(np.float32)),
                "kind": pa.array(np.asarray(self.detector.detector.kinds, object)[kinds].tolist(), pa.string()),
            }
        )

    def _rows(self, entities: Any) -> npt.NDArray[np.int64]:
        """The row of each host; one that is new begins as one that was silent until now."""
        names = entities.to_pylist()
        new = [name for name in names if name not in self._places]
        first = self._used
        self._grow(first + len(new))
        self._places.update({name: first + place for place, name in enumerate(new)})
        self._used = first + len(new)
        usual = self._usual
        usual.mean[:, first : self._used] = usual.mean[:, [SILENT]]
        usual.spread[:, first : self._used] = usual.spread[:, [SILENT]]
        usual.seen[first : self._used] = usual.seen[SILENT]
        self._held[first : self._used] = self._held[SILENT]
        return np.array([self._places[name] for name in names], np.int64)

    def _grow(self, rows: int) -> None:
        held = len(self._held)
        if rows <= held:
            return
        more = max(held, rows - held)
        self._held = np.concatenate([self._held, np.full((more, *self._held.shape[1:]), np.nan, np.float32)])
        added, usual = Usual.of_nothing(len(NOISE_PER_S), more), self._usual
        self._usual = Usual(
            mean=np.concatenate([usual.mean, added.mean], axis=1),
            spread=np.concatenate([usual.spread, added.spread], axis=1),
            seen=np.concatenate([usual.seen, added.seen]),
        )

    def _forget(self, steps: int) -> None:
        """So many steps of which nothing is known."""
        gone = (self._done + np.arange(min(steps, CONTEXT))) % CONTEXT
        self._held[: self._used, :, gone] = np.nan
        self._done += steps

    def _take(self, columns: Values) -> None:
        """One more step of every host: [COLUMNS, hosts]."""
        settings, used = self.detector.settings, self._used
        held = dict(zip(COLUMNS, columns, strict=True))
        counts = columns[: len(NOISE_PER_S)]
        part = Usual(mean=self._usual.mean[:, :used], spread=self._usual.spread[:, :used], seen=self._usual.seen[:used])
        now = np.log1p(counts / noise(self.step_s)[:, None])
        rises = (now - part.mean).astype(np.float32)
        away = part.away(now)
        judged = ~np.isnan(now).all(axis=0) & (part.seen >= settings.warm_up_steps)
        scores = np.where(judged, np.maximum(away[: len(FEATURES)].max(axis=0), 0.0), np.nan)
        part.follow(now, away, self.step_s, settings)
        self._usual.mean[:, :used], self._usual.spread[:, :used] = part.mean, part.spread
        self._usual.seen[:used] = part.seen
        self._held[:used, :, self._done % CONTEXT] = sign_values(held, counts, rises, scores, self.step_s)
        self._done += 1

    def _judge(self, rows: npt.NDArray[np.int64]) -> tuple[Values, npt.NDArray[np.int64]]:
        """Of the last step: with as many steps before it as one that sees all of them at once would look at."""
        from ...models.flowgen.network import Cache

        last = self._done - 1
        begin = 0 if last < CONTEXT else (last - STRIDE) // STRIDE * STRIDE
        order = np.arange(begin, last + 1) % CONTEXT
        self._remembered.grow(self._used)
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
        chances = 1 / (1 + np.exp(-np.clip(said[:, 0].astype(np.float64) - self.detector.shift, -60, 60)))
        return chances, said[:, 1:].argmax(axis=1)
