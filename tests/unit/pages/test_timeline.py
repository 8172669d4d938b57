"""Bins hold every byte and every flow, whatever the span and the order of batches."""

from itertools import pairwise

import numpy as np
import pytest

from flowlore.pages.timeline import WIDTHS_NS, Timeline, TimelineBuilder

S = 1_000_000_000
NOON = 1_700_000_000 * S


def built(*flows: tuple[int, int, float, float]) -> Timeline:
    builder = TimelineBuilder()
    for flow in flows:
        start, duration, forward, reverse = flow
        builder.add(np.array([start]), np.array([duration]), np.array([forward]), np.array([reverse]))
    timeline = builder.finish()
    assert timeline is not None
    return timeline


def test_each_width_divides_the_next() -> None:
    assert all(after % before == 0 for before, after in pairwise(WIDTHS_NS))


def test_bytes_are_spread_over_the_duration() -> None:
    timeline = built((NOON, 100 * S, 1000.0, 0.0), (NOON + 99 * S, 0, 7.0, 0.0))
    per_second = timeline.bytes_fwd * S / timeline.width_ns
    assert timeline.width_ns == 1 * S
    np.testing.assert_allclose(per_second[:99], 10.0)
    assert per_second[99] == pytest.approx(17.0)


def test_nothing_is_lost_when_bins_merge() -> None:
    rng = np.random.default_rng(3)
    builder = TimelineBuilder(bins_at_most=50)
    for power in range(12):  # each batch spans ten times the one before, and begins earlier
        start = NOON + rng.integers(-(10**power), 10**power, 200) * 1000
        builder.add(start, rng.integers(0, 10**power, 200) * 1000, rng.random(200), rng.random(200))
    timeline = builder.finish()
    assert timeline is not None
    assert timeline.flows.sum() == 12 * 200
    assert 10 <= len(timeline.flows) <= 50
    assert timeline.start_ns % timeline.width_ns == 0


def test_totals_are_kept() -> None:
    timeline = built((NOON, 3600 * S, 1234.5, 1.0), (NOON - 86_400 * S, 5, 1.0, 99.0), (NOON, 0, 0.0, 0.0))
    assert timeline.bytes_fwd.sum() == pytest.approx(1235.5)
    assert timeline.bytes_rev.sum() == pytest.approx(100.0)
    assert timeline.flows.sum() == 3


def test_times_at_the_ends_of_what_can_be_written_are_borne() -> None:
    far = 2**63 - 1
    timeline = built((-far, 0, 1.0, 0.0), (far - 5, far, 2.0, 0.0), (0, -far, 3.0, 0.0))
    assert timeline.bytes_fwd.sum() == pytest.approx(6.0)
    assert len(timeline.flows) < 500


def test_no_flows_no_timeline() -> None:
    builder = TimelineBuilder()
    builder.add(np.array([], np.int64), np.array([], np.int64), np.array([]), np.array([]))
    assert builder.finish() is None
