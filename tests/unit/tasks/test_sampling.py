"""A sample is bounded, fair to small classes, and the same whatever the order in which flows come."""

import numpy as np
import pyarrow as pa
import pytest

from flowlore.errors import TaskError
from flowlore.flows.schema import flow_batch
from flowlore.tasks.sampling import LEAST_OF_EACH, FlowSample, hashes


def flows(rows: int, *, rare: int = 0, seed: int = 0) -> pa.Table:
    """The last `rare` of the flows are of the label `rare`."""
    rng = np.random.default_rng(seed)
    ids = [rng.bytes(16) for _ in range(rows)]
    labels = ["often"] * (rows - rare) + ["rare"] * rare
    return pa.Table.from_batches([flow_batch({"flow_id": ids, "part": [0] * rows, "label": labels}, rows)])


def sampled(table: pa.Table, most: int, batch_rows: int) -> pa.Table:
    sample = FlowSample(most)
    for batch in table.to_batches(max_chunksize=batch_rows):
        part = pa.Table.from_batches([batch])
        sample.add(part, vectors=np.zeros((part.num_rows, 2)))
    kept, arrays = sample.finish()
    assert len(arrays["vectors"]) == kept.num_rows
    return kept


def test_few_are_all_kept_in_their_order() -> None:
    table = flows(20)
    assert sampled(table, 100, 7).column("flow_id").to_pylist() == table.column("flow_id").to_pylist()


def test_many_are_bounded_and_small_classes_stay() -> None:
    kept = sampled(flows(30_000, rare=60), 500, 4096)
    assert kept.num_rows == 500
    assert kept.column("label").to_pylist().count("rare") >= LEAST_OF_EACH


def test_order_does_not_matter() -> None:
    table = flows(30_000, rare=20)
    order = np.random.default_rng(1).permutation(table.num_rows)
    first, other = sampled(table, 300, 5000), sampled(table.take(pa.array(order)), 300, 911)
    assert set(first.column("flow_id").to_pylist()) == set(other.column("flow_id").to_pylist())


def test_the_rest_is_drawn_evenly() -> None:
    """Flows of the first half of the ids by time are as often chosen as those of the second."""
    table = flows(40_000)
    kept = set(sampled(table, 4000, 8000).column("flow_id").to_pylist())
    half = sum(one in kept for one in table.column("flow_id").to_pylist()[:20_000])
    assert 1850 < half < 2150


def test_flows_without_an_id_are_not_all_one() -> None:
    table = pa.Table.from_batches([flow_batch({"flow_id": pa.nulls(100, pa.binary(16))}, 100)])
    assert len(set(hashes(table).tolist())) == 100


def test_what_the_rule_says() -> None:
    sample = FlowSample(100)
    sample.add(flows(50))
    assert sample.rule() == "all 50 flows"
    sample.add(flows(100, seed=1))
    assert sample.rule().startswith("100 of 150 flows: 50 of each `label` or `app_protocol`")


def test_a_sample_of_none_is_refused() -> None:
    with pytest.raises(TaskError, match="holds none"):
        FlowSample(0)
