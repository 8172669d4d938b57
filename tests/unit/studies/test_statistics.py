"""Against hand-made numbers, published examples and SciPy."""

import math

import numpy as np
import pytest

from flowlore.studies.statistics import mean_of, paired, ranks


def test_interval_of_students_t() -> None:
    found = mean_of([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert (found.high - found.low) / 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-5)
    one = mean_of([5.0, float("nan")])
    assert (one.mean, one.values) == (5.0, 1) and math.isnan(one.low)
    assert mean_of([]).values == 0


def test_paired_differences() -> None:
    first, second = [0.8, 0.7, 0.9, 0.6], [0.7, 0.65, 0.7, 0.65]
    found = paired(first, second)
    assert found.difference.mean == pytest.approx(0.075)
    assert (found.better, found.cells) == (3, 4)
    from scipy.stats import ttest_rel, wilcoxon

    assert found.t_test == pytest.approx(ttest_rel(first, second).pvalue)
    assert found.wilcoxon == pytest.approx(wilcoxon(np.subtract(first, second)).pvalue)
    same = paired([0.5, 0.5], [0.5, 0.5])
    assert math.isnan(same.t_test) and math.isnan(same.wilcoxon) and same.better == 0
    assert paired([0.5, float("nan")], [0.4, 0.3]).cells == 1


def test_critical_distance_as_published() -> None:
    """Demšar 2006, §3.2.2: four classifiers on fourteen sets have a critical distance of 1.25 at 5 %."""
    rng = np.random.default_rng(0)
    found = ranks(["a", "b", "c", "d"], rng.random((14, 4)))
    assert found is not None
    assert found.critical_distance == pytest.approx(1.2536, abs=2e-3)


def test_ranks_and_what_cannot_be_told_apart() -> None:
    scores = np.array([[0.9, 0.8, 0.5], [0.8, 0.9, 0.4], [0.9, 0.8, 0.3], [0.7, 0.8, 0.2]] * 4)
    found = ranks(["a", "b", "worst"], scores)
    assert found is not None
    assert found.arms[-1] == "worst" and found.mean_ranks == (1.5, 1.5, 3.0)
    assert found.cliques() == [(0, 1)]
    from scipy.stats import friedmanchisquare

    assert found.p == pytest.approx(friedmanchisquare(*scores.T).pvalue)


def test_ranks_need_blocks_and_arms() -> None:
    assert ranks(["a", "b", "c"], [[1.0, 2.0, 3.0]]) is None
    assert ranks(["a", "b"], [[1.0, 2.0]] * 5) is None
    nan = float("nan")
    assert ranks(["a", "b", "c"], [[1.0, 2.0, nan]] * 5) is None
    tied = ranks(["a", "b", "c"], [[1.0, 1.0, 1.0]] * 3)
    assert tied is not None and tied.p == 1.0 and tied.mean_ranks == (2.0, 2.0, 2.0)
