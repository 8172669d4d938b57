"""Which of the drawn flows stands in each row, so that sums of hosts and steps come near what rates ask for.

Where rates ask for little or much of a flow, the choice begins among small or large ones; then flows are exchanged for
better ones as long as that helps. Shape letters: R rows, C candidates, P drawn flows, U cells (and one for nobody),
S directions (of a cell: in, out; of a flow: forward, reverse), A amounts (flows seen, packets, bytes).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .asked import ACTIVE, BYTES, PACKETS, Asked, Integers, Numbers
from .ends import NOBODY, Rows

AMOUNTS = (ACTIVE, PACKETS, BYTES)
CANDIDATES = 16
MOST_ROUNDS, PATIENCE = 600, 25
LEAST_GAIN = 1e-3  # of all costs, over so many rounds
SHORT = 0.3  # what is lacking costs less than what is too much where flows may go on for longer


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """Flows to choose from: what they carry `PSA`, and of which kind they are, in order of kinds."""

    amounts: Numbers
    kind: Integers

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """Rows with their roles settled, the drawn flow in each, and what cells then have `USA`."""

    rows: Rows
    flow: Integers
    made: Numbers


def chosen(asked: Asked, rows: Rows, drawn: Drawn, rng: np.random.Generator, *, longer: bool) -> Choice:
    """With `longer` flows may later be made to carry more than was drawn, so that too little is the lesser evil."""
    fit = _Fit(asked, rows, drawn, rng, SHORT if longer else 1.0)
    costs = [fit.cost()]
    for turn in range(MOST_ROUNDS):
        fit.exchange()
        if turn % PATIENCE == PATIENCE - 1:
            costs.append(fit.cost())
            if costs[-1] > costs[-2] * (1 - LEAST_GAIN):
                break
    return Choice(
        rows=replace(rows, src=_nobody(fit.src, fit.dummy), dst=_nobody(fit.dst, fit.dummy)),
        flow=fit.flow,
        made=fit.made,
    )


class _Fit:
    def __init__(self, asked: Asked, rows: Rows, drawn: Drawn, rng: np.random.Generator, short: float) -> None:
        self.rows, self.drawn, self.rng, self.short = rows, drawn, rng, short
        self.dummy = len(asked)
        self.src, self.dst = (np.where(end == NOBODY, self.dummy, end) for end in (rows.src, rows.dst))
        self.asked = np.zeros((len(asked) + 1, 2, len(AMOUNTS)))
        self.weight = np.zeros_like(self.asked)
        for place, name in enumerate(AMOUNTS):
            if name not in asked.amounts:
                continue
            wanted = asked.amounts[name]
            floor = max(0.1 * float(np.nanmean(wanted)), 1.0)
            self.asked[:-1, :, place] = np.nan_to_num(wanted)
            self.weight[:-1, :, place] = np.where(np.isnan(wanted), 0.0, 1 / np.maximum(np.nan_to_num(wanted), floor))
        kinds = _kinds_of_flows(rows, drawn, rng)
        bounds = np.searchsorted(drawn.kind, np.arange(int(drawn.kind.max()) + 2))
        self.low = np.where(kinds < 0, 0, bounds[np.maximum(kinds, 0)])
        self.high = np.where(kinds < 0, len(drawn), bounds[np.maximum(kinds, 0) + 1])
        self.flow = self._first_choice(kinds < 0)
        self.made = np.zeros_like(self.asked)
        np.add.at(self.made, self.src, drawn.amounts[self.flow][:, ::-1])  # what is sent forward goes out of `src`
        np.add.at(self.made, self.dst, drawn.amounts[self.flow])

    def cost(self) -> float:
        return float(self._costs(self.made, np.arange(self.dummy + 1)).sum())

    def exchange(self) -> None:
        """One row of each cell gets the best of a few others, or stays as it is; where nobody knows who began, ends
        may change their roles with it."""
        rows = self._one_of_each_cell()
        src, dst = self.src[rows, None], self.dst[rows, None]
        width = (self.high - self.low)[rows, None]
        others = self.low[rows, None] + (self.rng.random((len(rows), CANDIDATES)) * width).astype(np.int64)
        is_turned = (self.rows.is_free[rows] & (self.rng.random(len(rows)) < 0.5))[:, None]
        held = self.drawn.amounts[self.flow[rows]][:, None]
        offered = self.drawn.amounts[others]
        of_src = self.made[src] - held[..., ::-1, :]
        of_dst = self.made[dst] - held
        now = self._costs(self.made[src], src) + self._costs(self.made[dst], dst)
        turned = is_turned[..., None, None]
        new_src = of_src + np.where(turned, offered, offered[..., ::-1, :])
        new_dst = of_dst + np.where(turned, offered[..., ::-1, :], offered)
        then = self._costs(new_src, src) + self._costs(new_dst, dst)
        best = then.argmin(axis=1)
        each = np.arange(len(rows))
        better = then[each, best] < now[:, 0]
        rows, best, each = rows[better], best[better], each[better]
        self.flow[rows] = others[each, best]
        real_src, real_dst = self.src[rows], self.dst[rows]
        self.made[real_src] = new_src[each, best]
        self.made[real_dst] = new_dst[each, best]
        swap = is_turned[better, 0]
        self.src[rows], self.dst[rows] = np.where(swap, real_dst, real_src), np.where(swap, real_src, real_dst)

    def _costs(self, made: Numbers, cells: npt.NDArray[np.int64]) -> Numbers:
        """Of cells, with so much made: all that is lacking or too much, as a share of what is asked."""
        away = self.asked[cells] - made
        costs = np.where(away > 0, self.short * away, -away) * self.weight[cells]
        return np.asarray(costs.sum(axis=(-2, -1)))

    def _one_of_each_cell(self) -> Integers:
        """Rows of which no two share a cell, chosen at random."""
        order = self.rng.permutation(len(self.src))
        both = np.stack([self.src[order], self.dst[order]], 1)
        firsts = np.full(self.dummy + 1, len(order))
        place = np.arange(len(order))
        np.minimum.at(firsts, both[:, 0], place)
        np.minimum.at(firsts, both[:, 1], place)
        firsts[self.dummy] = -1
        is_own = [(firsts[both[:, side]] == place) | (both[:, side] == self.dummy) for side in (0, 1)]
        return np.asarray(order[is_own[0] & is_own[1]])

    def _first_choice(self, any_kind: npt.NDArray[np.bool_]) -> Integers:
        """At random, where a cell asks for less or more of each only among those drawn flows whose mean is that."""
        carried = self.drawn.amounts[..., self._telling()].sum(axis=1)
        flows = np.bincount(self.src, minlength=self.dummy + 1) + np.bincount(self.dst, minlength=self.dummy + 1)
        wanted = self.asked[..., self._telling()].sum(axis=1) / np.maximum(flows, 1)
        wanted[self.dummy] = np.inf
        each = np.minimum(wanted[self.src], wanted[self.dst])
        order = np.argsort(carried, kind="stable")
        sums = np.cumsum(carried[order])
        below = sums / np.arange(1, len(order) + 1)  # mean of the smallest so many: it rises
        above = (sums[-1] - np.concatenate([[0.0], sums[:-1]])) / np.arange(len(order), 0, -1)  # of the rest: likewise
        is_little = each < below[-1]
        first = np.where(is_little, 0, np.searchsorted(above, each))
        first = np.minimum(first if self.short == 1.0 else np.zeros_like(first), len(order) - 1)
        last = np.where(is_little, np.maximum(np.searchsorted(below, each, side="right"), 1), len(order))
        lots = self.rng.random(len(self.src))
        by_size = order[(first + lots * (last - first)).astype(np.int64)]
        of_kind = self.low + (lots * (self.high - self.low)).astype(np.int64)
        return np.asarray(np.where(any_kind & np.isfinite(each), by_size, of_kind))

    def _telling(self) -> int:
        """The amount that tells sizes: bytes where they are asked, else packets."""
        has = np.asarray(self.weight.any(axis=(0, 1)))
        return next((place for place in (2, 1) if has[place]), 0)


def _kinds_of_flows(rows: Rows, drawn: Drawn, rng: np.random.Generator) -> Integers:
    """Slices of one flow are of one kind; a row that is a whole flow may be of any: -1."""
    slices = np.bincount(rows.flow)
    kinds = drawn.kind[rng.integers(0, len(drawn), len(slices))]
    return np.where(slices > 1, kinds, -1)[rows.flow]


def _nobody(cells: Integers, dummy: int) -> Integers:
    return np.where(cells == dummy, NOBODY, cells)
