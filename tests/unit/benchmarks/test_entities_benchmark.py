"""How the benchmark of entities asks: labels from later days only, nobody beside itself, the nearest network first."""

import numpy as np

from benchmarks.entities import _answers, _by_network, _cut
from benchmarks.entity_material import FEWEST_OF_A_CLASS, _by_later_service
from entitiesmade import Talk, flows_of


def test_labels_are_what_was_met_most_later() -> None:
    many = [f"10.0.{number}.1" for number in range(FEWEST_OF_A_CLASS)]
    before = flows_of(
        [*(Talk(1, host, port=22) for host in many[:3]), Talk(2, many[0], port=23), Talk(3, many[0], port=23)]
    )
    later = flows_of(
        [
            *(Talk(9, host, port=80) for host in many),
            *(Talk(10, many[0], port=80), Talk(11, many[0], port=22)),
            Talk(11, "10.9.9.9", port=5),
        ]
    )
    asked = _by_later_service("senders", before, later)
    assert asked.hosts.tolist() == many  # the label of the last sender is too rare
    assert set(asked.labels) == {"80/tcp"} == set(asked.labels[~asked.is_seen])
    assert asked.is_seen.sum() == 3
    assert asked.plain["the service met most before"].tolist()[:4] == ["23/tcp", "22/tcp", "22/tcp", ""]


def test_nobody_is_asked_beside_itself() -> None:
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], np.float32)
    labels = np.array(["a", "a", "b", "c"])
    assert _answers(vectors, labels).tolist()[0] == "a"
    assert _answers(vectors[2:], labels[2:]).tolist() == ["c", "b"]
    assert _answers(vectors, labels, np.zeros((1, 2), np.float32)).tolist() == ["a"]


def test_the_nearest_network_answers_first() -> None:
    hosts = ["10.1.1.1", "10.1.1.2", "10.1.1.3", "10.1.2.1", "10.1.2.2", "10.2.0.1"]
    ports = [22, 22, 22, 80, 80, 80]
    before = flows_of([Talk(1, host) for host in hosts])
    later = flows_of(
        Talk(2, host, port=port)
        for host, port in [
            *zip(hosts, ports, strict=True),
            *((f"10.1.1.{100 + number}", 22) for number in range(9)),
            *((f"10.2.7.{100 + number}", 80) for number in range(9)),
        ]
    )
    assert _by_network(_by_later_service("senders", before, later)) == 1.0


def test_sentences_are_cut_where_gensim_would_cut_them_off() -> None:
    assert _cut(np.array([0, 3, 25_003])).tolist() == [0, 3, 10_003, 20_003, 25_003]
