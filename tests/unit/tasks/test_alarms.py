"""Alarms: what an operator is called for, and how often for nothing."""

import numpy as np
import pytest

from flowlore.errors import TaskError
from flowlore.tasks.alarms import alarm_scores, check_benign

DAY_NS = 86_400 * 10**9


def test_false_alarms_are_counted_where_the_share_is_found() -> None:
    likely = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    is_alarm = np.array([True, False, True, False, False, True])
    found = alarm_scores(is_alarm, likely, duration_ns=DAY_NS // 2, recall=0.6)
    assert found["false_alarms_a_day"] == 2  # one before the second alarm, in half a day
    assert alarm_scores(is_alarm, likely, duration_ns=DAY_NS // 2, recall=1.0)["false_alarms_a_day"] == 6
    assert found["pr_auc"] == pytest.approx((1 + 2 / 3 + 3 / 6) / 3, abs=1e-4)
    assert (found["flows"], found["prevalence"], found["days"]) == (3, 0.5, 0.5)


def test_what_cannot_be_said_is_none() -> None:
    found = alarm_scores(np.zeros(3, np.bool_), np.arange(3.0), duration_ns=DAY_NS)
    assert (found["pr_auc"], found["roc_auc"], found["false_alarms_a_day"]) == (None, None, None)
    timeless = alarm_scores(np.array([True, False]), np.array([1.0, 0.0]), duration_ns=0)
    assert timeless["false_alarms_a_day"] is None and timeless["pr_auc"] == 1


def test_some_class_must_be_an_alarm() -> None:
    check_benign(["web"], np.array(["scan", "web"]))
    with pytest.raises(TaskError, match="every class of the bundle is benign"):
        check_benign(["web", "scan"], np.array(["scan", "web"]))
