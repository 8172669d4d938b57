"""Flow table → sentences of entities: what stands near each other in one was met in one context, in order of time.

A sentence is the hosts that met one service, the ports that one host asked for, or the names that one client asked for.
Who comes twice in a row counts once, and a sentence of one word says nothing. A word is made of tokens, numbers of 64
bits: its own, and others that a word never seen shares with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..flows.addresses import IP_BYTES, format_addresses, parse_addresses
from ..flows.protocols import PROTOCOL_NAMES, WITH_PORTS
from .entities import (
    DOMAIN_LABELS,
    IPV4_PREFIXES,
    REGISTERED_PORTS,
    WELL_KNOWN_PORTS,
    Hashes,
    domain_suffixes,
    prefix_hashes,
)

Kind = Literal["host", "port", "name"]
Codes = npt.NDArray[np.int64]  # -1 is none

KINDS: tuple[Kind, ...] = get_args(Kind)
COLUMNS = ("start", "src_ip", "src_name", "dst_ip", "dst_name", "dst_port", "protocol", "server_name", "dns_query")
TOKENS_OF = {"host": 1 + len(IPV4_PREFIXES), "port": 3, "name": 1 + DOMAIN_LABELS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Entities of one kind, and what each is made of, 0 where there is none: its own token first, then those that it
    shares with others, from what it shares with many to what it shares with few.
    """

    texts: pa.Array
    tokens: Hashes  # [words, TOKENS_OF[kind]]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentences:
    """Words by their places, sentence after sentence; number n is `sequence[offsets[n] : offsets[n + 1]]`."""

    kind: Kind
    words: Words
    sequence: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Met:
    """Who met what: for each flow the place of its host, port or name among `texts`, -1 where it is not known."""

    texts: pa.Array
    codes: Codes


def sentences_of(flows: Any, kind: Kind) -> Sentences:
    """Sentences of one kind from `Flows` or Arrow. Flows without times count in the order in which they stand."""
    table = _table(flows)
    start = _integers(table, "start", missing=0)
    if kind == "host":
        met = hosts_of(table)
        return _sentences(kind, met.texts, met.codes, _services(table), start)
    clients = hosts_of(table).codes
    if kind == "port":
        met = ports_of(table)
        return _sentences(kind, met.texts, met.codes, clients, start)
    asked, named = names_of(table)
    codes = np.stack([asked.codes, named.codes], axis=1).ravel()  # a question comes before the talk that it is for
    return _sentences(kind, asked.texts, codes, np.repeat(clients, 2), np.repeat(start, 2))


def hosts_of(flows: Any, side: Literal["src", "dst"] = "src") -> Met:
    """The address of one end of each flow, as text, or its pseudonym where it has no address."""
    table = _table(flows)
    codes, known = _encoded(table, f"{side}_ip", pa.binary(IP_BYTES))
    addresses = format_addresses(known)
    others, pseudonyms = _encoded(table, f"{side}_name", pa.string())
    codes = np.where((codes < 0) & (others >= 0), others + len(addresses), codes)
    return _without_twins(pa.concat_arrays([addresses, pseudonyms]), codes)


def ports_of(flows: Any) -> Met:
    """The port that each flow asked for and its protocol, `443/tcp`; where a protocol has no ports its name, `icmp`."""
    table = _table(flows)
    port, protocol = _ports(table)
    distinct, codes = np.unique(
        np.where((port < 0) & (protocol < 0), -1, (protocol + 1) << 17 | port + 1), return_inverse=True
    )
    texts = [None if one < 0 else _port_text(int(one & 0x1FFFF) - 1, int(one >> 17) - 1) for one in distinct.tolist()]
    unknown = int(len(texts) > 0 and texts[0] is None)
    return Met(texts=pa.array(texts[unknown:], pa.string()), codes=codes.reshape(-1).astype(np.int64) - unknown)


def names_of(flows: Any) -> tuple[Met, Met]:
    """The name that DNS was asked for, and that of the server, of each flow; both are places among the same texts."""
    table = _table(flows)
    both = [_encoded(table, column, pa.string()) for column in ("dns_query", "server_name")]
    texts = pc.utf8_rtrim(pc.utf8_lower(pa.concat_arrays([known for _, known in both])), characters=".")
    shift = len(both[0][1])
    codes = np.concatenate([both[0][0], np.where(both[1][0] >= 0, both[1][0] + shift, -1)])
    met = _without_twins(texts, codes)
    asked, named = met.codes[: len(table)], met.codes[len(table) :]
    return Met(texts=met.texts, codes=asked), Met(texts=met.texts, codes=named)


def words_of(kind: Kind, texts: pa.Array | Sequence[str]) -> Words:
    """What words are made of, whether anybody has met them or not."""
    held = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
    return Words(texts=held, tokens=_TOKENISERS[kind](held))


def as_written(kind: Kind, words: pa.Array | Sequence[str]) -> pa.Array:
    """Words that somebody typed as the flow table writes them.

    >>> as_written("host", [" 2001:DB8:0::1 ", "Camera"]).to_pylist(), as_written("name", ["Example.ORG."]).to_pylist()
    (['2001:db8::1', 'Camera'], ['example.org'])
    """
    held = pc.utf8_trim_whitespace(words if isinstance(words, pa.Array) else pa.array(list(words), pa.string()))
    if kind == "host":
        return pc.coalesce(format_addresses(parse_addresses(held)[0]), held)
    return pc.utf8_rtrim(pc.utf8_lower(held), characters=".")


def kind_of(word: str) -> Kind:
    """What a word looks like.

    >>> kind_of("10.0.0.7"), kind_of("443/tcp"), kind_of("icmp"), kind_of("www.example.org")
    ('host', 'port', 'port', 'name')
    """
    if parse_addresses(pa.array([word]))[0].null_count == 0:
        return "host"
    port, _, protocol = word.rpartition("/")
    if protocol in PROTOCOL_NAMES.values() and (port.isdecimal() or not port):
        return "port"
    return "port" if word.isdecimal() else "name"


def _sentences(kind: Kind, texts: pa.Array, codes: Codes, contexts: Codes, start: Codes) -> Sentences:
    rows = np.flatnonzero((codes >= 0) & (contexts >= 0))
    rows = rows[np.lexsort((start[rows], contexts[rows]))]
    sequence, contexts = codes[rows], contexts[rows]
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = contexts[1:] != contexts[:-1]
    is_kept = begins.copy()
    is_kept[1:] |= sequence[1:] != sequence[:-1]
    sequence, begins = sequence[is_kept], begins[is_kept]
    lengths = np.diff(np.append(np.flatnonzero(begins), len(sequence)))
    sequence, lengths = sequence[np.repeat(lengths > 1, lengths)], lengths[lengths > 1]
    used, places = np.unique(sequence, return_inverse=True)
    return Sentences(
        kind=kind,
        words=words_of(kind, texts.take(pa.array(used))),
        sequence=places.reshape(-1).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )


def _services(table: pa.Table) -> Codes:
    """The same number for flows to the same address, port and protocol; -1 where none of them is known."""
    server = hosts_of(table, "dst").codes
    port, protocol = _ports(table)
    known = (server >= 0) | (port >= 0) | (protocol >= 0)
    return np.where(known, (server + 1) << 26 | (port + 1) << 9 | (protocol + 1), -1)


def _ports(table: pa.Table) -> tuple[Codes, Codes]:
    """Port and protocol; of a protocol without ports -1, for ICMP keeps its codes there."""
    protocol = _integers(table, "protocol", missing=-1)
    port = _integers(table, "dst_port", missing=-1)
    return np.where((protocol < 0) | np.isin(protocol, WITH_PORTS), port, -1), protocol


def _port_text(port: int, protocol: int) -> str:
    name = PROTOCOL_NAMES.get(protocol, str(protocol))
    if port < 0:
        return name
    return f"{port}/{name}" if protocol >= 0 else str(port)


def _host_tokens(texts: pa.Array) -> Hashes:
    addresses, _ = parse_addresses(texts)
    is_address = addresses.is_valid().to_numpy(zero_copy_only=False)
    tokens = np.zeros((len(texts), TOKENS_OF["host"]), np.uint64)
    octets = np.frombuffer(addresses.buffers()[1], np.uint8).reshape(-1, IP_BYTES)[is_address]
    tokens[is_address, 1:] = prefix_hashes(octets)
    tokens[:, 0] = [_hash("host", text) for text in texts.to_pylist()]
    return tokens


def _port_tokens(texts: pa.Array) -> Hashes:
    tokens = np.zeros((len(texts), TOKENS_OF["port"]), np.uint64)
    for place, text in enumerate(texts.to_pylist()):
        port, _, protocol = text.partition("/")
        tokens[place, 0] = _hash("port-and-protocol", text)
        if port.isdecimal():
            tokens[place, 1] = _hash("class", f"{_class_of(int(port))}/{protocol}")
            tokens[place, 2] = _hash("port", port)
    return tokens


def _class_of(port: int) -> str:
    if port >= REGISTERED_PORTS:
        return "dynamic"
    return "well-known" if port < WELL_KNOWN_PORTS else "registered"


def _name_tokens(texts: pa.Array) -> Hashes:
    tokens = np.zeros((len(texts), TOKENS_OF["name"]), np.uint64)
    hashed = cache(_hash)
    for place, text in enumerate(texts.to_pylist()):
        tokens[place, 0] = hashed("name", text)
        shared = [suffix for suffix in domain_suffixes(text) if suffix != text]
        tokens[place, 1 : 1 + len(shared)] = [hashed("under", suffix) for suffix in shared]
    return tokens


_TOKENISERS: dict[Kind, Callable[[pa.Array], Hashes]] = {
    "host": _host_tokens,
    "port": _port_tokens,
    "name": _name_tokens,
}


def _hash(kind: str, text: str) -> int:
    """1 … 2^64 - 1, the same on every machine."""
    return max(1, int.from_bytes(blake2b(f"{kind}:{text}".encode(), digest_size=8).digest(), "little"))


def _table(flows: Any) -> pa.Table:
    if isinstance(flows, pa.Table):
        return flows
    return pa.Table.from_batches([flows]) if isinstance(flows, pa.RecordBatch) else flows.to_arrow()


def _encoded(table: pa.Table, column: str, type_: pa.DataType) -> tuple[Codes, pa.Array]:
    """A place among the distinct values for each row, and those values."""
    rows = table.num_rows
    if column not in table.column_names or table.column(column).null_count == rows:
        return np.full(rows, -1, np.int64), pa.array([], type_)
    held = table.column(column).cast(type_).dictionary_encode().combine_chunks()
    if isinstance(held, pa.ChunkedArray):
        held = held.chunk(0)
    return _places(held.indices), held.dictionary


def _places(indices: pa.Array) -> Codes:
    filled = indices.cast(pa.int64()).fill_null(-1)
    places: Codes = filled.to_numpy(zero_copy_only=False)
    return places


def _without_twins(texts: pa.Array, codes: Codes) -> Met:
    """Texts that are equal, or empty, after all."""
    held = texts.dictionary_encode()
    words = held.dictionary
    moved = np.append(_places(held.indices), -1)
    if len(words):
        is_empty = pc.equal(pc.binary_length(words), 0).to_numpy(zero_copy_only=False)
        moved[:-1][is_empty[moved[:-1]]] = -1
    return Met(texts=words, codes=moved[codes])


def _integers(table: pa.Table, column: str, *, missing: int) -> Codes:
    rows = table.num_rows
    if column not in table.column_names or table.column(column).null_count == rows:
        return np.full(rows, missing, np.int64)
    values: Codes = pc.fill_null(table.column(column).cast(pa.int64()), missing).to_numpy()
    return values
