"""A host's vector: which parts it has, what they are the means of, and which hosts there are."""

import numpy as np
import pyarrow as pa
import pytest

from entitiesmade import Talk, flows_of, two_crowds
from flowlore.errors import InputError, TaskError
from flowlore.models.skipgram.settings import SkipGramSettings
from flowlore.tasks.entities import EntityVectors, host_vectors


@pytest.fixture(scope="module")
def entities() -> EntityVectors:
    settings = SkipGramSettings(width=16, window=5, epochs=5)
    return EntityVectors.learn(two_crowds(talks=4_000), np.random.default_rng(1), settings=settings)


def test_parts_of_a_host(entities: EntityVectors) -> None:
    flows = flows_of(
        [
            Talk(1, "10.0.0.2", port=22),
            Talk(2, "10.0.0.3", port=80, dns_query="img.news.example", server_name="www.news.example"),
            Talk(3, "10.0.0.2", port=22),
            Talk(4, "10.0.0.2", port=80),
            Talk(5, "172.16.0.1", port=None, protocol=None),
        ]
    )
    found = host_vectors(flows, entities)
    assert found.hosts.to_pylist() == ["10.0.0.2", "10.0.0.3", "172.16.0.1"]
    assert found.flows.tolist() == [3, 1, 1]
    assert found.is_known.tolist() == [True, True, False]
    assert list(found.parts) == ["host", "ports", "names"]
    log_in, browse = entities.vectors(["22/tcp", "80/tcp"], "port")
    np.testing.assert_allclose(found.parts["ports"][0], (2 * log_in + browse) / 3, rtol=1e-4, atol=1e-6)
    names = entities.vectors(["img.news.example", "www.news.example"], "name")
    np.testing.assert_allclose(found.parts["names"][1], names.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.parts["host"][1], entities.vector("10.0.0.3"), rtol=1e-6)
    lengths = np.linalg.norm(found.vectors, axis=1)
    np.testing.assert_allclose(lengths, np.sqrt([2, 3, 0]), rtol=1e-4)


def test_as_a_table(entities: EntityVectors) -> None:
    table = host_vectors(two_crowds(talks=300), entities).to_arrow()
    assert table.column_names == ["host", "flows", "is_known", "vector"]
    assert table.column("vector").type == pa.list_(pa.float32(), 48)
    assert sum(table.column("flows").to_pylist()) == 300
    assert table.schema.metadata[b"width of ports"] == b"16"


def test_a_name_asked_for_and_met_in_one_flow_counts_once(entities: EntityVectors) -> None:
    name = "www.news.example"
    other = "img.news.example"
    flows = flows_of([Talk(1, "a", dns_query=name, server_name=name), Talk(2, "a", server_name=other)])
    expected = entities.vectors([name, other], "name").mean(axis=0)
    np.testing.assert_allclose(host_vectors(flows, entities).parts["names"][0], expected, rtol=1e-4, atol=1e-6)


def test_nothing_to_make_them_of(entities: EntityVectors) -> None:
    with pytest.raises(TaskError, match="neither is given"):
        host_vectors(two_crowds(talks=10))
    with pytest.raises(InputError, match="no flow says who began it"):
        host_vectors(pa.table({"start": pa.array([], pa.timestamp("ns", "UTC"))}), entities)
