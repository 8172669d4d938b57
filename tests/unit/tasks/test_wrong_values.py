"""What people give the tasks by mistake in Python: an error that says what, never a number that is wrong."""

import numpy as np
import pyarrow as pa
import pytest

import flowlore
from flowlore.errors import FlowloreError
from flowlore.features.extract import table_of
from flowlore.tasks import metrics, splits
from flowlore.tasks.classify.episodes import draw_episode
from flowlore.tasks.discover import discover
from flowlore.tasks.predictor import keys
from flowlore.tasks.retrieval import similar

VECTORS = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
YES_NO = np.array([True, False])


@pytest.mark.parametrize("given", [None, "office.pcapng", [1, 2], np.zeros((3, 4))])
def test_what_is_no_flows(given) -> None:
    with pytest.raises(FlowloreError, match=rf"this is a `{type(given).__name__}`[\s\S]*flowlore\.read"):
        table_of(given)


def test_flows_without_their_key() -> None:
    with pytest.raises(FlowloreError, match="no column `flow_id`"):
        keys(pa.table({"part": [0]}))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: similar(VECTORS, VECTORS[0]), r"one vector is `vectors\[:1\]`"),
        (lambda: similar(VECTORS, VECTORS[:, :3]), "vectors of 4 numbers are not like any of 3"),
        (lambda: similar(VECTORS, VECTORS[:1] * np.nan), "NaN or infinities"),
        (lambda: discover(pa.table({"a": range(20)}), VECTORS), "30 vectors of 20 flows"),
        (lambda: discover(pa.table({"a": range(30)}), VECTORS * np.inf), "NaN or infinities"),
        (lambda: metrics.scores(np.array(["a", "b"]), np.array(["a"])), "1 answers cannot be measured by 2 truths"),
        (lambda: metrics.pr_auc(YES_NO, np.array([0.1, np.nan])), "NaN or infinities"),
        (lambda: metrics.roc_auc(YES_NO, np.array([0.1])), "1 answers"),
        (lambda: metrics.false_positives_a_day(YES_NO, np.ones(2), recall=2.0, duration_ns=1), "2.0 is no share"),
        (lambda: splits.split_by_time(np.arange(9), end_ns=np.arange(9) - 5), "9 flows end before they begin"),
        (lambda: splits.split_by_time(np.arange(9), end_ns=np.arange(8)), "8 ends of 9 flows"),
        (lambda: splits.split_by_capture(np.array(["a", "b"]), np.arange(3)), "3 starts of 2 flows"),
        (lambda: draw_episode(np.array(["a", "b"]), 2.5, rng=np.random.default_rng(0)), "`2.5` is no number of shots"),
    ],
)
def test_values_that_cannot_be(wrong, told) -> None:
    with pytest.raises(FlowloreError, match=told):
        wrong()


def test_a_bundle_says_in_a_line_what_it_is() -> None:
    bundle = flowlore.load("laboratory")
    assert repr(bundle) == "<Predictor laboratory: autoencoder, no classes>"
    assert similar(VECTORS, VECTORS[:1], count=3)[0].shape == (1, 3)
