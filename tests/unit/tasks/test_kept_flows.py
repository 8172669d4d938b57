"""Flows that are kept come back by their number, in whatever order they came."""

import numpy as np
import pyarrow as pa

from flowlore.features.batch import FeatureBatch
from flowlore.tasks.hosts.kept_flows import KeptFlows


def keep(kept: KeptFlows, numbers: list[int]) -> None:
    values = np.array(numbers, np.int64)
    kept.add(values, pa.table({"name": [f"flow {one}" for one in numbers]}), batch_of(values))


def batch_of(values: np.ndarray) -> FeatureBatch:
    return FeatureBatch(length=len(values), channels={"quantities": values[:, None].astype(np.float32)}, present={})


def test_by_number_in_any_order() -> None:
    kept = KeptFlows()
    keep(kept, [5, 3, 9])  # flows of a window come in order of their end
    for wanted in ([3, 9], [9, 5, 3]):
        table, batch = kept.of(np.array(wanted))
        assert table.column("name").to_pylist() == [f"flow {one}" for one in wanted]
        assert batch.channels["quantities"][:, 0].tolist() == wanted
    keep(kept, [4, 1])
    assert kept.of(np.array([1, 4, 5]))[0].column("name").to_pylist() == ["flow 1", "flow 4", "flow 5"]
    kept.keep_only(np.array([1, 9]))
    assert len(kept) == 2
    assert kept.of(np.array([9, 1]))[0].column("name").to_pylist() == ["flow 9", "flow 1"]
