"""Clusters of what is alike, what tells them, and flows like this one."""

import numpy as np
import pyarrow as pa
import pytest

from flowlore.errors import TaskError
from flowlore.flows.schema import flow_batch
from flowlore.tasks import discover as discovery
from flowlore.tasks.discover import discover
from flowlore.tasks.retrieval import similar


def flows_and_vectors() -> tuple[pa.RecordBatch, np.ndarray]:
    rng = np.random.default_rng(0)
    kinds = np.array([0] * 60 + [1] * 40 + [2] * 5)
    middles = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]])
    vectors = middles[kinds] + 0.02 * rng.normal(size=(105, 4))
    flows = flow_batch(
        {
            "dst_port": np.array([443, 53, 22], np.uint16)[kinds],
            "app_protocol": [["tls", "dns", "ssh"][kind] for kind in kinds],
            "bytes_rev": np.array([100_000, 200, 5_000], np.uint64)[kinds] + rng.integers(0, 50, 105).astype(np.uint64),
        },
        105,
    )
    return flows, vectors


def test_clusters_are_found_and_told() -> None:
    flows, vectors = flows_and_vectors()
    found, clusters = discover(flows, vectors, smallest=10)
    assert [cluster.flows for cluster in clusters] == [60, 40]
    assert set(found[:60]) == {0} and set(found[60:100]) == {1} and set(found[100:]) == {-1}
    words = [trait.words for trait in clusters[1].traits]
    assert any("dst_port = 53 (100%, elsewhere 0%)" in one for one in words)
    assert any("app_protocol = dns" in one for one in words)
    assert 60 <= clusters[1].example < 100
    assert clusters[0].as_json()["traits"]


def test_few_flows_make_no_cluster() -> None:
    flows, vectors = flows_and_vectors()
    found, clusters = discover(flows.slice(0, 4), vectors[:4])
    assert clusters == [] and set(found) == {-1}


def test_what_cannot_be_clustered(monkeypatch: pytest.MonkeyPatch) -> None:
    flows, vectors = flows_and_vectors()
    with pytest.raises(TaskError, match="a cluster of 1 flow"):
        discover(flows, vectors, smallest=1)
    monkeypatch.setattr(discovery, "MOST_ROWS", 100)
    with pytest.raises(TaskError, match="too many to cluster"):
        discover(flows, vectors)


def test_the_most_alike_come_first() -> None:
    rows, cosines = similar(np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([[2.0, 0.1]]), count=2)
    assert rows.tolist() == [[0, 2]]
    assert cosines[0, 0] > cosines[0, 1] > 0.7
