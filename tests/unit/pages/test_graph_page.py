"""The picture of hosts: who is drawn, where, and what the page holds."""

import json
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from flowlore.errors import InputError
from flowlore.flows.schema import flow_batch
from flowlore.pages.graph_page import graph_page
from flowlore.pages.host_graph import BINS, host_graph


def flows(pairs: Sequence[tuple[str, str]], *, labels: Sequence[str | None] | None = None) -> pa.Table:
    rows = len(pairs)
    batch = flow_batch(
        {
            "start": pa.array(range(0, rows * 10**9, 10**9), pa.timestamp("ns", tz="UTC")),
            "src_name": [one for one, _ in pairs],
            "dst_name": [other for _, other in pairs],
            "protocol": pa.array([6] * rows, pa.uint8()),
            "dst_port": pa.array([443] * rows, pa.uint16()),
            "packets_fwd": pa.array([2] * rows, pa.uint64()),
            "packets_rev": pa.array([place % 2 for place in range(rows)], pa.uint64()),
            "bytes_fwd": pa.array([100] * rows, pa.uint64()),
            "label": list(labels) if labels else None,
        },
        rows,
    )
    return pa.Table.from_batches([batch])


CHAIN = [("a", "b"), ("a", "b"), ("b", "c"), ("c", "d"), ("x", "y"), ("a", "e"), ("a", "a")]


def test_hosts_near_the_middle_are_drawn_and_others_counted() -> None:
    graph = host_graph(flows(CHAIN), middle="a", hops=1)
    assert [(host.name, host.hops, host.partners, host.others) for host in graph.hosts] == [
        ("a", 0, 2, 0),
        ("b", 1, 2, 1),
        ("e", 1, 1, 0),
    ]
    assert (graph.flows, graph.flows_in_all, graph.hosts_in_all) == (4, 7, 7)
    assert {host.name for host in host_graph(flows(CHAIN), middle="a", hops=2).hosts} == {"a", "b", "c", "e"}
    assert [host.name for host in host_graph(flows(CHAIN), middle="a", hops=4, most_hosts=2).hosts] == ["a", "b"]


def test_addresses_are_found_however_they_are_written() -> None:
    assert host_graph(flows([("fd00::1", "b")]), middle="FD00:0:0::1").hosts[0].name == "fd00::1"


def test_one_host_is_no_picture() -> None:
    with pytest.raises(InputError, match="all 2 flows have the same host at both ends"):
        host_graph(flows([("a", "a"), ("a", "a")]))


def test_exchanges_are_summed_by_direction() -> None:
    graph = host_graph(flows(CHAIN, labels=["ok", "bad", *[None] * 5]), middle="a")
    first = next(one for one in graph.exchanges if (one.source, one.target) == (0, 1))
    assert (first.flows, first.bytes, first.packets, first.answered) == (2, 200, 5, 1)
    assert first.services == (("tcp/443", 2),)
    assert first.labels == {"ok": 1, "bad": 1}
    assert len(first.over_time) == BINS and sum(first.over_time) == 2
    assert any(one.source == one.target == 0 for one in graph.exchanges)
    assert graph.hosts[0].labels == {"ok": 1, "bad": 1}


def test_who_is_in_the_middle_unasked() -> None:
    assert host_graph(flows(CHAIN)).hosts[0].name == "a"
    assert host_graph(flows(CHAIN), scores={"x": 5.0, "a": 1.0}).hosts[0].name == "x"
    crowd = [("ff02::1", f"h{place}") for place in range(9)] + CHAIN
    assert host_graph(flows(crowd)).hosts[0].name == "a", "a multicast address is no host"
    with pytest.raises(InputError, match="no flow has the host `nobody`"):
        host_graph(flows(CHAIN), middle="nobody")
    with pytest.raises(InputError, match="nobody to draw"):
        host_graph(flows([("a", None)]))  # type: ignore[list-item]


def test_every_host_has_a_place_of_its_own_within_the_picture() -> None:
    pairs = [("hub", f"leaf {place}") for place in range(50)]
    graph = host_graph(flows(pairs))
    points = np.array([(host.x, host.y) for host in graph.hosts])
    assert np.abs(points).max() <= 1
    far = np.linalg.norm(points[:, None] - points[None], axis=2) + np.eye(51)
    assert far.min() > 0.02
    again = host_graph(flows(pairs))
    assert [(host.x, host.y) for host in again.hosts] == [(host.x, host.y) for host in graph.hosts]
    assert len(host_graph(flows([("a", "a")])).hosts) == 1


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="graph-data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def test_the_page_is_whole_in_itself_and_no_name_escapes() -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    page = graph_page(host_graph(flows([(evil, "b"), ("b", "c")]), middle=evil), "t", said={"b": "scan <b>"})
    assert "<img" not in page
    assert "scan <b>" not in page
    assert not re.search(r"""(src|href)=["']?https?:""", page)
    data = data_of(page)
    assert data["hosts"][0]["name"] == evil
    assert [host["marked"] for host in data["hosts"]] == [False, True, False]
    assert data["hosts"][1]["said"] == "scan <b>"
    assert len(data["moments"]) == data["bins"] + 1


def test_the_tables_tell_it_without_a_script() -> None:
    page = graph_page(host_graph(flows(CHAIN), middle="a"), "captured")
    assert "around a: 4 of 7 hosts" in page
    assert "<td>b</td>" in page
    assert "<noscript>" in page
