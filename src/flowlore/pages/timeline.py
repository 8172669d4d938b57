"""Traffic over time in a bounded number of bins, whatever the span turns out to be."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .words import NS_PER_S

Numbers = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

BINS_AT_MOST = 480
MS = 1_000_000
DAY_S = 86_400
# Each width divides the next, so that bins merge without loss.
WIDTHS_NS = (
    *(MS, 2 * MS, 10 * MS, 20 * MS, 100 * MS, 200 * MS),
    *(seconds * NS_PER_S for seconds in (1, 2, 10, 20, 60, 120, 600, 1200, 3600, 7200, 21_600, 43_200)),
    *(days * DAY_S * NS_PER_S for days in (1, 2, 10, 20, 100, 200, 1000, 2000)),
)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bytes (each direction) and flows begun in bins of one width; the first bin begins at `start_ns`."""

    start_ns: int
    width_ns: int
    bytes_fwd: Numbers
    bytes_rev: Numbers
    flows: Numbers

    def as_json(self) -> dict[str, Any]:
        return {
            "start_ns": self.start_ns,
            "width_ns": self.width_ns,
            "bytes_fwd": [round(value) for value in self.bytes_fwd],
            "bytes_rev": [round(value) for value in self.bytes_rev],
            "flows": [round(value) for value in self.flows],
        }


class TimelineBuilder:
    """Adds flows batch after batch. The bytes of a flow are spread evenly over its duration."""

    def __init__(self, bins_at_most: int = BINS_AT_MOST) -> None:
        self._bins_at_most = bins_at_most
        self._place = 0  # in WIDTHS_NS
        self._first_bin = 0  # number of the first bin since 1970
        self._totals = np.zeros((3, 0))  # bytes forward, bytes reverse, flows

    def add(self, start_ns: Times, duration_ns: Times, bytes_fwd: Numbers, bytes_rev: Numbers) -> None:
        if not len(start_ns):
            return
        end_ns = np.maximum(start_ns, start_ns + np.maximum(duration_ns, 0))
        self._make_room(int(start_ns.min()), int(end_ns.max()))
        width_ns = WIDTHS_NS[self._place]
        first = start_ns // width_ns - self._first_bin
        last = end_ns // width_ns - self._first_bin
        bins = self._totals.shape[1]
        self._totals[2] += np.bincount(first, minlength=bins)
        for row, amount in ((0, bytes_fwd), (1, bytes_rev)):
            self._spread(row, start_ns, end_ns, first, last, amount)

    def finish(self) -> Timeline | None:
        """The bins so far; None where there were no flows."""
        if not self._totals.shape[1]:
            return None
        width_ns = WIDTHS_NS[self._place]
        return Timeline(self._first_bin * width_ns, width_ns, *self._totals)

    def _spread(self, row: int, start_ns: Times, end_ns: Times, first: Times, last: Times, amount: Numbers) -> None:
        width_ns = WIDTHS_NS[self._place]
        bins = self._totals.shape[1]
        within = first == last
        self._totals[row] += np.bincount(first[within], weights=amount[within], minlength=bins)
        across = ~within
        if not across.any():
            return
        start_ns, end_ns, first, last = start_ns[across], end_ns[across], first[across], last[across]
        rate = amount[across] / (end_ns - start_ns)
        in_first_ns = (first + 1 + self._first_bin) * width_ns - start_ns
        in_last_ns = end_ns - (last + self._first_bin) * width_ns
        self._totals[row] += np.bincount(first, weights=rate * in_first_ns, minlength=bins)
        self._totals[row] += np.bincount(last, weights=rate * in_last_ns, minlength=bins)
        change = np.bincount(first + 1, weights=rate, minlength=bins + 1)
        change -= np.bincount(last, weights=rate, minlength=bins + 1)
        self._totals[row] += np.maximum(np.cumsum(change[:bins]), 0.0) * width_ns

    def _make_room(self, low_ns: int, high_ns: int) -> None:
        bins = self._totals.shape[1]
        if bins:
            width_ns = WIDTHS_NS[self._place]
            low_ns = min(low_ns, self._first_bin * width_ns)
            high_ns = max(high_ns, (self._first_bin + bins) * width_ns - 1)
        place = self._place
        while place < len(WIDTHS_NS) - 1 and _bins_between(low_ns, high_ns, WIDTHS_NS[place]) > self._bins_at_most:
            place += 1
        factor = WIDTHS_NS[place] // WIDTHS_NS[self._place]
        first_bin = low_ns // WIDTHS_NS[place]
        totals = np.zeros((3, _bins_between(low_ns, high_ns, WIDTHS_NS[place])))
        if bins:
            targets = (np.arange(bins) + self._first_bin) // factor - first_bin
            for row in range(3):
                totals[row] = np.bincount(targets, weights=self._totals[row], minlength=totals.shape[1])
        self._place, self._first_bin, self._totals = place, first_bin, totals


def _bins_between(low_ns: int, high_ns: int, width_ns: int) -> int:
    return high_ns // width_ns - low_ns // width_ns + 1
