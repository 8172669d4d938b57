"""Sentences of entities: who stands beside whom, in which order, and what words are made of."""

import numpy as np
import pyarrow as pa
import pytest

from entitiesmade import Talk, flows_of
from flowlore.features.sentences import TOKENS_OF, Kind, Sentences, hosts_of, names_of, ports_of, sentences_of, words_of


def written(sentences: Sentences) -> list[list[str]]:
    texts = sentences.words.texts.to_pylist()
    ends = zip(sentences.offsets[:-1], sentences.offsets[1:], strict=True)
    return sorted([texts[word] for word in sentences.sequence[first:last]] for first, last in ends)


def test_hosts_that_met_a_service_stand_in_order_of_time() -> None:
    flows = flows_of(
        [
            Talk(5, "10.0.0.3", port=22),
            Talk(1, "10.0.0.1", port=22),
            Talk(2, "10.0.0.2", port=22),
            Talk(3, "10.0.0.2", port=22),
            Talk(4, "10.0.0.1", port=22),
            Talk(1, "10.0.0.1", port=80),
            Talk(2, "camera", port=80),
            Talk(3, "10.0.0.9", port=80, protocol=17),  # another service, that nobody else met
            Talk(3, "10.0.0.8", port=80, dst="192.0.2.2"),
        ]
    )
    assert written(sentences_of(flows, "host")) == [
        ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"],
        ["10.0.0.1", "camera"],
    ]


def test_ports_of_a_host_and_names_of_a_client() -> None:
    flows = flows_of(
        [
            Talk(1, "10.0.0.1", port=53, protocol=17, dns_query="Shop.example."),
            Talk(2, "10.0.0.1", port=443, server_name="shop.example"),
            Talk(3, "10.0.0.1", port=443, server_name="img.shop.example"),
            Talk(4, "10.0.0.1", port=8, protocol=1),
            Talk(5, "10.0.0.1", port=7, protocol=None, server_name=""),
            Talk(6, "10.0.0.2", port=443),
        ]
    )
    assert written(sentences_of(flows, "port")) == [["53/udp", "443/tcp", "icmp", "7"]]
    assert written(sentences_of(flows, "name")) == [["shop.example", "img.shop.example"]]


@pytest.mark.parametrize("kind", ["host", "port", "name"])
def test_nothing_to_say(kind: Kind) -> None:
    for flows in (flows_of([]), flows_of([Talk(1, "10.0.0.1", port=None, protocol=None)])):
        sentences = sentences_of(flows, kind)
        assert (len(sentences), len(sentences.words), len(sentences.sequence)) == (0, 0, 0)
        assert sentences.words.tokens.shape == (0, TOKENS_OF[kind])


def test_a_table_without_the_columns() -> None:
    table = pa.table({"bytes_fwd": [1, 2]})
    assert hosts_of(table).codes.tolist() == [-1, -1]
    assert ports_of(table).codes.tolist() == [-1, -1]
    assert names_of(table)[1].codes.tolist() == [-1, -1]
    assert len(sentences_of(table, "host")) == 0


def test_chunks_and_dictionaries_say_the_same() -> None:
    flows = flows_of([Talk(at, f"10.0.0.{at % 3}", port=22 + at % 2, server_name=f"{at % 2}.x") for at in range(12)])
    table = flows.to_arrow()
    cut = pa.concat_tables([table.slice(0, 5), table.slice(5)])
    place = cut.column_names.index("server_name")
    cut = cut.set_column(place, "server_name", cut.column("server_name").dictionary_encode())
    for kind in ("host", "port", "name"):
        whole, parts = sentences_of(flows, kind), sentences_of(cut, kind)
        assert len(whole.sequence) > 0
        assert written(whole) == written(parts)


def test_what_hosts_share() -> None:
    tokens = words_of("host", ["10.1.2.3", "10.1.2.4", "10.1.9.3", "2001:db8::1", "2001:db8::2", "camera"]).tokens
    shared = (tokens[0] == tokens[1]).tolist(), (tokens[0] == tokens[2]).tolist(), (tokens[3] == tokens[4]).tolist()
    assert shared == ([False, True, True, True], [False, True, True, False], [False, True, True, True])
    assert (tokens[5] != 0).tolist() == [True, False, False, False]
    assert len(np.unique(tokens[:, 0])) == 6


def test_what_names_and_ports_share() -> None:
    names = words_of("name", ["a.b.example.org", "c.b.example.org", "org"]).tokens
    assert (names[0] == names[1]).tolist() == [False, True, True, True, True]
    assert (names[2] != 0).tolist() == [True, False, False, False, False]
    ports = words_of("port", ["53/udp", "53/tcp", "80/tcp", "icmp", "8080/tcp"]).tokens
    assert (ports[0] == ports[1]).tolist() == [False, False, True]
    assert (ports[1] == ports[2]).tolist() == [False, True, False]
    assert ports[3].tolist()[1:] == [0, 0]
    assert not (ports[4] == ports[2]).any()
