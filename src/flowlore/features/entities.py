"""Names as tokens that a flow never seen before shares with others: prefixes of addresses, labels of domains, classes.

A token is a hash of its kind and text into `TOKENS` numbers, 0 is absent. Nothing is learnt, so there is no vocabulary
to fall out of: a host in a known network and a new name under a known domain have tokens in common with the old.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .batch import Array
from .settings import FeatureSettings

Tokens = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

TOKENS = 32_768  # numbers that tokens are hashed to, 0 (absent) included
DOMAIN_LABELS = 4  # `a.b.example.org` gives org, example.org, b.example.org, a.b.example.org
IPV4_PREFIXES = (8, 16, 24)
IPV6_PREFIXES = (32, 48, 64)
WELL_KNOWN_PORTS = 1024
REGISTERED_PORTS = 49_152


@dataclass(frozen=True, kw_only=True, slots=True)
class EntityChannel:
    """One entity channel: the columns it reads, what its tokens are, and the setting that admits it."""

    name: str
    columns: tuple[str, ...]
    meaning: str
    admitted_by: str
    width: int


CHANNELS = (
    EntityChannel(
        name="entities.protocol",
        columns=("protocol", "app_protocol"),
        meaning="the IP protocol; what the payload proved to be",
        admitted_by="entities",
        width=2,
    ),
    EntityChannel(
        name="entities.hello",
        columns=("alpn", "tls_version", "ja4"),
        meaning="ALPN offer; TLS version; first part of JA4 (shape of the hello); whole JA4",
        admitted_by="entities",
        width=4,
    ),
    EntityChannel(
        name="entities.ports",
        columns=("src_port", "dst_port"),
        meaning="for each end the port itself where below 49,152, and its class (well known, registered, dynamic)",
        admitted_by="use_ports",
        width=4,
    ),
    EntityChannel(
        name="entities.names",
        columns=("server_name", "dns_query"),
        meaning="for each name its last one, two, three and four labels",
        admitted_by="use_names",
        width=2 * DOMAIN_LABELS,
    ),
    EntityChannel(
        name="entities.addresses",
        columns=("src_ip", "dst_ip"),
        meaning="for each end its /8, /16, /24 (IPv6: /32, /48, /64)",
        admitted_by="use_addresses",
        width=2 * len(IPV4_PREFIXES),
    ),
)


def extract_entities(table: pa.RecordBatch, settings: FeatureSettings) -> tuple[dict[str, Array], dict[str, Array]]:
    """Every admitted channel as int32 `[flows, width]`; a flow has it when any of its tokens is there."""
    channels: dict[str, Array] = {}
    present: dict[str, Array] = {}
    for channel in CHANNELS:
        if not (settings.entities and getattr(settings, channel.admitted_by)):
            continue
        parts = [_TOKENISERS[column](table, column) for column in channel.columns]
        tokens = np.concatenate(parts, axis=1)
        channels[channel.name] = tokens
        present[channel.name] = np.asarray(tokens.any(axis=1))
    return channels, present


def token(kind: str, text: str) -> int:
    """The number of a token: 1 … `TOKENS` - 1, the same on every machine.

    >>> token("name", "example.org") == token("name", "example.org") != token("port", "example.org")
    True
    """
    return 1 + zlib.crc32(f"{kind}:{text}".encode()) % (TOKENS - 1)


def domain_suffixes(name: str) -> list[str]:
    """The last one, two … labels of a name, at most `DOMAIN_LABELS`.

    >>> domain_suffixes("www.example.org")
    ['org', 'example.org', 'www.example.org']
    """
    labels = [label for label in name.lower().rstrip(".").split(".") if label]
    return [".".join(labels[-count:]) for count in range(1, min(len(labels), DOMAIN_LABELS) + 1)]


def prefix_hashes(octets: npt.NDArray[np.uint8]) -> Hashes:
    """Of 16-byte addresses, [addresses, 16]: a number of 64 bits for each prefix, the shortest first."""
    is_ipv4 = (octets[:, :10] == 0).all(axis=1) & (octets[:, 10:12] == 255).all(axis=1)
    hashes = [
        np.where(is_ipv4, _hash_of_first(octets[:, 12:], short // 8), _hash_of_first(octets, long // 8))
        for short, long in zip(IPV4_PREFIXES, IPV6_PREFIXES, strict=True)
    ]
    return np.stack(hashes, axis=1)


def _words(table: pa.RecordBatch, column: str, width: int, tokens_of: Callable[[str], list[int]]) -> Tokens:
    """Tokens of each value of a column; Python looks at every distinct value once."""
    rows = table.num_rows
    if column not in table.schema.names or table.column(column).null_count == rows:
        return np.zeros((rows, width), np.int32)
    held = table.column(column)
    if not pa.types.is_dictionary(held.type):
        held = held.dictionary_encode()
    words = held.dictionary.cast(pa.string()).to_pylist()
    of_word = np.zeros((len(words) + 1, width), np.int32)
    for place, word in enumerate(words):
        if word:
            tokens = tokens_of(word)[:width]
            of_word[place, : len(tokens)] = tokens
    places = held.indices.cast(pa.int64()).fill_null(len(words)).to_numpy(zero_copy_only=False)
    tokens_of_rows: Tokens = of_word[places]
    return tokens_of_rows


def _plain(table: pa.RecordBatch, column: str) -> Tokens:
    return _words(table, column, 1, lambda word: [token(column, word)])


def _ja4(table: pa.RecordBatch, column: str) -> Tokens:
    return _words(table, column, 2, lambda word: [token("ja4-shape", word.partition("_")[0]), token("ja4", word)])


def _name(table: pa.RecordBatch, column: str) -> Tokens:
    """Server names and DNS queries share tokens: both name who was meant."""
    return _words(
        table, column, DOMAIN_LABELS, lambda word: [token("name", suffix) for suffix in domain_suffixes(word)]
    )


def _port(table: pa.RecordBatch, column: str) -> Tokens:
    def tokens_of(word: str) -> list[int]:
        port = int(word)
        if port >= REGISTERED_PORTS:
            return [0, token(f"{column}-class", "dynamic")]
        kind = "well-known" if port < WELL_KNOWN_PORTS else "registered"
        return [token("port", word), token(f"{column}-class", kind)]

    return _words(table, column, 2, tokens_of)


def _address(table: pa.RecordBatch, column: str) -> Tokens:
    """Prefixes of 16-byte addresses by arithmetic on the bytes: no Python for each address."""
    rows = table.num_rows
    out = np.zeros((rows, len(IPV4_PREFIXES)), np.int32)
    if column not in table.schema.names or table.column(column).null_count == rows:
        return out
    held = table.column(column).cast(pa.binary(16))
    is_there = held.is_valid().to_numpy(zero_copy_only=False)
    filled = pc.fill_null(held, pa.scalar(bytes(16), pa.binary(16)))
    octets = np.frombuffer(filled.buffers()[1], np.uint8)[filled.offset * 16 : (filled.offset + rows) * 16]
    out[:] = np.uint64(1) + prefix_hashes(octets.reshape(rows, 16)) % np.uint64(TOKENS - 1)
    out[~is_there] = 0
    return out


def _hash_of_first(octets: npt.NDArray[np.uint8], taken: int) -> Hashes:
    """FNV-1a over the first octets and their number."""
    mixed = np.full(len(octets), (0xCBF29CE484222325 ^ taken) % 2**64, np.uint64)
    for place in range(taken):
        mixed = (mixed ^ octets[:, place]) * np.uint64(0x100000001B3)
    mixed ^= mixed >> np.uint64(29)
    return mixed


_TOKENISERS: dict[str, Callable[[pa.RecordBatch, str], Tokens]] = {
    "protocol": _plain,
    "app_protocol": _plain,
    "alpn": _plain,
    "tls_version": _plain,
    "ja4": _ja4,
    "src_port": _port,
    "dst_port": _port,
    "server_name": _name,
    "dns_query": _name,
    "src_ip": _address,
    "dst_ip": _address,
}
