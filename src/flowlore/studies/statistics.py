"""What several runs say together: intervals over seeds, paired tests, and ranks over many data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
COVERAGE = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """A mean with its interval; one value has no interval (NaN)."""

    mean: float
    low: float
    high: float
    values: int

    def words(self, digits: int = 3) -> str:
        """
        >>> Mean(mean=0.8123, low=0.79, high=0.83, values=3).words()
        '.812 ±.020'
        """
        shown = _short(self.mean, digits)
        if not np.isfinite(self.low):
            return shown
        return f"{shown} ±{_short((self.high - self.low) / 2, digits)}"


def mean_of(values: Sequence[float], *, coverage: float = COVERAGE) -> Mean:
    """Mean and Student's t interval over values that are independent (seeds). NaN are left out."""
    from scipy.stats import t

    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        nan = float("nan")
        return Mean(mean=nan, low=nan, high=nan, values=0)
    mean = float(known.mean())
    if len(known) == 1:
        return Mean(mean=mean, low=float("nan"), high=float("nan"), values=1)
    reach = float(t.ppf((1 + coverage) / 2, len(known) - 1)) * float(known.std(ddof=1)) / sqrt(len(known))
    return Mean(mean=mean, low=mean - reach, high=mean + reach, values=len(known))


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """Two arms over the same cells: mean difference with its interval, and two tests of "no difference"."""

    difference: Mean
    better: int  # cells in which the first is above
    cells: int
    t_test: float  # p value; NaN with fewer than two cells or no spread
    wilcoxon: float


def paired(first: Sequence[float], second: Sequence[float]) -> Paired:
    """Cells that both know (same data set, seed and labels), in the same order."""
    from scipy.stats import ttest_1samp, wilcoxon

    differences = np.array(
        [one - other for one, other in zip(first, second, strict=True) if np.isfinite(one) and np.isfinite(other)]
    )
    has_spread = len(differences) > 1 and bool(np.ptp(differences) > 0)
    is_zero = not np.any(differences)
    return Paired(
        difference=mean_of(differences.tolist()),
        better=int((differences > 0).sum()),
        cells=len(differences),
        t_test=float(ttest_1samp(differences, 0.0).pvalue) if has_spread else float("nan"),
        wilcoxon=float(wilcoxon(differences).pvalue) if len(differences) and not is_zero else float("nan"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """Friedman's test over blocks, and how far apart two mean ranks must be to differ (Nemenyi)."""

    arms: tuple[str, ...]  # best first
    mean_ranks: tuple[float, ...]
    blocks: int
    statistic: float
    p: float
    critical_distance: float

    def cliques(self) -> list[tuple[int, int]]:
        """First and last place of every longest row of arms that the test cannot tell apart."""
        found: list[tuple[int, int]] = []
        for first in range(len(self.arms)):
            last = first
            while (
                last + 1 < len(self.arms)
                and self.mean_ranks[last + 1] - self.mean_ranks[first] <= self.critical_distance
            ):
                last += 1
            if last > first and not (found and found[-1][1] >= last):
                found.append((first, last))
        return found


def ranks(arms: Sequence[str], scores: Any, *, level: float = 1 - COVERAGE) -> Ranks | None:
    """`scores` are [blocks, arms], higher is better; ties share their rank. None with fewer than 2 blocks or 3 arms.

    Blocks with a missing score are left out.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    table = np.asarray(scores, np.float64).reshape(-1, len(arms))
    table = table[np.isfinite(table).all(axis=1)]
    blocks, count = table.shape
    if blocks < 2 or count < 3:
        return None
    each = np.apply_along_axis(rankdata, 1, -table)
    means = each.mean(axis=0)
    order = np.argsort(means, kind="stable")
    if np.ptp(each) == 0 or all(np.ptp(row) == 0 for row in each):
        statistic, p = 0.0, 1.0
    else:
        tested = friedmanchisquare(*table.T)
        statistic, p = float(tested.statistic), float(tested.pvalue)
    quantile = float(studentized_range.ppf(1 - level, count, np.inf)) / sqrt(2)
    return Ranks(
        arms=tuple(arms[place] for place in order),
        mean_ranks=tuple(float(means[place]) for place in order),
        blocks=blocks,
        statistic=statistic,
        p=p,
        critical_distance=quantile * sqrt(count * (count + 1) / (6 * blocks)),
    )


def p_words(p: float) -> str:
    """
    >>> [p_words(p) for p in (0.5, 0.04321, 0.00001, float("nan"))]
    ['.500', '.043', '< .001', '-']
    """
    if not np.isfinite(p):
        return "-"
    return "< .001" if p < 0.001 else _short(p, 3)


def _short(value: float, digits: int) -> str:
    """`.812` for what is below 1, as tables of scores are read."""
    if not np.isfinite(value):
        return "-"
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text
