"""Sentences of entities are those that one would write by hand, whatever the flows are and however they are cut."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from entitiesmade import Talk, flows_of
from flowlore.features.sentences import KINDS, Kind, sentences_of
from flowlore.models.skipgram.model import SkipGram
from flowlore.models.skipgram.settings import SkipGramSettings

SETTINGS = SkipGramSettings(width=5, window=2, epochs=1, least_words=1)
NAMES = st.sampled_from(["", "a.example", "b.example", "a.org"]) | st.none()

talks = st.lists(
    st.builds(
        Talk,
        start=st.integers(0, 1_000).map(float),
        src=st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1", "camera"]),
        dst=st.sampled_from(["192.0.2.1", "192.0.2.2", "server"]),
        port=st.sampled_from([22, 80, None]),
        protocol=st.sampled_from([6, 17, 1, None]),
        server_name=NAMES,
        dns_query=NAMES,
    ),
    max_size=30,
    unique_by=lambda talk: talk.start,
)


@given(talks)
def test_sentences_are_those_written_by_hand(held: list[Talk]) -> None:
    flows = flows_of(held)
    for kind in KINDS:
        sentences = sentences_of(flows, kind)
        texts = sentences.words.texts.to_pylist()
        found = [
            [texts[word] for word in sentences.sequence[first:last]] for first, last in pairwise(sentences.offsets)
        ]
        assert sorted(found) == by_hand(held, kind)


@given(talks, st.integers(0, 30), st.integers(0, 2**32))
def test_every_vector_is_a_number_and_a_seed_repeats_it(held: list[Talk], cut: int, seed: int) -> None:
    first, later = flows_of(held[:cut]), flows_of(held[cut:])
    for kind in KINDS:
        models = []
        for _ in range(2):
            rng = np.random.default_rng(seed)
            model = SkipGram.empty(kind, SETTINGS).learnt(sentences_of(first, kind), rng)
            models.append(model.learnt(sentences_of(later, kind), rng))
        one, again = models
        assert np.isfinite(one.own_vectors).all()
        assert np.array_equal(one.vectors, again.vectors)
        assert one.texts.equals(again.texts)
        asked = pa.array(["10.0.0.77", "203.0.113.5", "443/tcp", "c.example"])
        assert one.vectors_of_texts(asked).shape == (4, 5)


def by_hand(held: list[Talk], kind: Kind) -> list[list[str]]:
    met: dict[object, list[str]] = defaultdict(list)
    for talk in sorted(held, key=lambda one: one.start):
        has_ports = talk.protocol is None or talk.protocol in (6, 17)
        port = talk.port if has_ports else None
        name = {6: "tcp", 17: "udp", 1: "icmp", None: None}[talk.protocol]
        if kind == "host":
            met[talk.dst, port, talk.protocol].append(talk.src)
        elif kind == "port":
            said = [str(one) for one in (port, name) if one is not None]
            met[talk.src].extend(["/".join(said)] if said else [])
        else:
            met[talk.src].extend(one for one in (talk.dns_query, talk.server_name) if one)
    short = [[word for before, word in pairwise(["", *words]) if word != before] for words in met.values()]
    return sorted(words for words in short if len(words) > 1)
