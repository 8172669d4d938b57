"""Flows that wait until the window in which they ended has closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

FIRST_NS, LAST_NS = np.iinfo(np.int64).min, np.iinfo(np.int64).max
MOST_PATIENCE_NS = 3600 * 10**9
FEW_FLOWS = 300_000  # that may wait for good where nobody waits for answers


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """What a graph is made from, a flow a row. `seen_ns` is when the flow became known with its totals."""

    number: Integers
    seen_ns: Integers
    source: Keys
    target: Keys
    copy: Keys
    service: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.number)

    def take(self, wanted: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> Rows:
        return Rows(**{field.name: getattr(self, field.name)[wanted] for field in fields(self)})

    @staticmethod
    def concat(parts: list[Rows]) -> Rows:
        if len(parts) == 1:
            return parts[0]
        return Rows(
            **{field.name: np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(Rows)}
        )

    @classmethod
    def empty(cls) -> Rows:
        types = (np.int64, np.int64, np.uint64, np.uint64, np.uint64, np.int32)
        return cls(**{field.name: np.zeros(0, type_) for field, type_ in zip(fields(cls), types, strict=True)})


class Waiting:
    """Holds rows until time has passed the end of their window, and gives them back in order of time.

    What time it is, the latest start of a flow tells: in a table in order of start a long flow ends far ahead of those
    that come after it. When `patient`, windows stay open while few flows wait, whatever the time: files of one time
    come one after the other, and a clock may be wrong. Of more flows it waits as long as some were seen to be reported
    after their end, up to an hour, and no longer than usual where even so too many wait.
    """

    def __init__(self, window_ns: int, wait_ns: int, most: int, *, patient: bool = False) -> None:
        self.window_ns, self.wait_ns, self.most, self.patient = window_ns, wait_ns, most, patient
        self._patience_ns = wait_ns
        self.late = 0  # came after their window had closed, and count in the one that was open
        self.hurried = 0  # left a window that closed early, since too many waited
        self._held: list[Rows] = []
        self._open_window: int | None = None
        self._now_ns, self._earliest_ns = FIRST_NS, LAST_NS

    def __len__(self) -> int:
        return sum(map(len, self._held))

    def lowest_number(self) -> int | None:
        """Of the rows that wait; None where none does."""
        return int(self._held[0].number.min()) if self._held else None  # rows come in order of their numbers

    def add(self, rows: Rows, starts_ns: Integers) -> Rows:
        """Take new rows, which began then; gives those whose windows are closed by them."""
        if not len(rows):
            return rows
        if self.patient:
            now_ns = np.maximum.accumulate(np.maximum(starts_ns, self._now_ns))
            delay_ns = int((now_ns - rows.seen_ns).max()) + self.window_ns
            self._patience_ns = max(self._patience_ns, min(delay_ns, MOST_PATIENCE_NS))
        if self._open_window is not None:
            opens_ns = self._open_window * self.window_ns
            is_late = rows.seen_ns < opens_ns
            if is_late.any():
                self.late += int(is_late.sum())
                rows = Rows(
                    **{field.name: getattr(rows, field.name) for field in fields(rows) if field.name != "seen_ns"},
                    seen_ns=np.maximum(rows.seen_ns, opens_ns),
                )
        self._held.append(rows)
        self._earliest_ns = min(self._earliest_ns, int(rows.seen_ns.min()))
        self._now_ns = max(self._now_ns, int(starts_ns.max()))
        window = self._closes_before()
        return Rows.empty() if window is None else self._closed_before(window)

    def _closes_before(self) -> int | None:
        """The earliest window that stays open now; None: all."""
        usual = (self._now_ns - self.wait_ns) // self.window_ns
        if not self.patient:
            return usual
        few = min(FEW_FLOWS, self.most)
        if len(self) <= few:
            return None
        window = (self._now_ns - self._patience_ns) // self.window_ns
        stay = sum(int((rows.seen_ns >= window * self.window_ns).sum()) for rows in self._held)
        return window if stay <= few else usual

    def give_up(self, before: int) -> Rows:
        """Rows below this number that end later than any flow has begun by now: too much would wait behind them."""
        held = Rows.concat(self._held) if self._held else Rows.empty()
        is_distant = (held.number < before) & (held.seen_ns > self._now_ns)
        if not is_distant.any():
            return Rows.empty()
        self._held = [held.take(~is_distant)] if not is_distant.all() else []
        self._earliest_ns = min((int(rows.seen_ns.min()) for rows in self._held), default=LAST_NS)
        return held.take(is_distant)

    def take_back(self, rows: Rows) -> None:
        """What was given up, to come with the rest."""
        if len(rows):
            self._held.append(rows)

    def finish(self) -> Rows:
        """All that still waits."""
        return self._closed_before(None)

    def _closed_before(self, window: int | None) -> Rows:
        """Rows of windows before this one, or all; more, where too many wait."""
        if window is not None and len(self) <= self.most and self._earliest_ns >= window * self.window_ns:
            return Rows.empty()
        held = Rows.concat(self._held) if self._held else Rows.empty()
        if window is None:
            closed = held
            self._held = []
        else:
            of_rows = held.seen_ns // self.window_ns
            is_closed = of_rows < window
            if int((~is_closed).sum()) > self.most:
                last = int(np.partition(of_rows, len(of_rows) - self.most - 1)[len(of_rows) - self.most - 1])
                self.hurried += int(((of_rows <= last) & ~is_closed).sum())
                window, is_closed = last + 1, of_rows <= last
            self._open_window = window if self._open_window is None else max(window, self._open_window)
            closed = held.take(is_closed)
            rest = held.take(~is_closed)
            self._held = [rest] if len(rest) else []
        self._earliest_ns = min((int(rows.seen_ns.min()) for rows in self._held), default=LAST_NS)
        order = np.argsort(closed.seen_ns, kind="stable")
        return closed if (np.diff(order) == 1).all() else closed.take(order)


def stretches(windows: Integers, most: int) -> Iterator[slice]:
    """Cuts rows in order of time into pieces of whole windows, each of at most so many rows, or of one window."""
    first = 0
    while first < len(windows):
        last = min(first + most, len(windows))
        if last < len(windows):
            cut = int(np.searchsorted(windows, windows[last], side="left"))
            last = cut if cut > first else int(np.searchsorted(windows, windows[first], side="right"))
        yield slice(first, last)
        first = last
