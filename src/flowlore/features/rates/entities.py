"""Which two entities a flow belongs to, as keys of four words, and back: keys as text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import UnknownName
from ...flows.addresses import format_addresses
from ...registry import nearest_name_hint
from .layout import KEY_WORDS, Hashes
from .settings import RateSettings

OTHERS = "(others)"  # what rare entities of a step are put together as
OTHERS_KEY = (1, 1, 0, 0)
TEXT_MARK = 0x7465787400000000  # in the third word of a key that is the hash of a text
MAPPED = 0x0000FFFF << 32  # high half of the low word of an IPv4 address mapped into IPv6
KINDS = ("host", "prefix", "interface", "exporter", "as", "link", "application")


def check_kind(kind: str) -> str:
    """The kind, or an error that names the nearest."""
    if kind not in KINDS:
        raise UnknownName(
            f"rates: no kind of entity is called `{kind}` (known: {', '.join(KINDS)})",
            hint=nearest_name_hint(kind, list(KINDS)),
        )
    return kind


class Entities:
    """Keys of the entities of flows, by kind; remembers the texts behind keys that are hashes."""

    def __init__(self, kind: str, settings: RateSettings) -> None:
        self.kind = check_kind(kind)
        self.settings = settings
        self.texts: dict[bytes, str] = {}
        self._keys: Callable[[pa.RecordBatch], tuple[Hashes, Hashes]] = getattr(self, f"_{kind}_keys")

    def keys(self, batch: pa.RecordBatch) -> tuple[Hashes, Hashes]:
        """First and second entity of each flow: forward packets go out of the first and into the second."""
        return self._keys(batch)

    def hosts(self, batch: pa.RecordBatch) -> tuple[Hashes, Hashes]:
        """`src` and `dst` by address, or by name where the source gives no address."""
        return self._side(batch, "src"), self._side(batch, "dst")

    def names(self, keys: Hashes) -> pa.Array:
        """Keys as text."""
        is_text = (keys[:, 2] == TEXT_MARK) | ((keys[:, 0] == 1) & (keys[:, 1] == 1))
        words = self._plain_names(keys)
        if not is_text.any():
            return words
        held = [
            self.texts.get(row.tobytes(), OTHERS) if text else word
            for row, text, word in zip(keys, is_text, words.to_pylist(), strict=True)
        ]
        return pa.array(held, pa.string())

    def _plain_names(self, keys: Hashes) -> pa.Array:
        if self.kind == "as":
            return pc.binary_join_element_wise("AS", pa.array(keys[:, 1]).cast(pa.string()), "")
        first = format_addresses(_addresses(keys[:, :2]))
        if self.kind == "prefix":
            is_ipv4 = (keys[:, 0] == 0) & ((keys[:, 1] >> np.uint64(32)) == 0xFFFF)
            bits = np.where(is_ipv4, self.settings.ipv4_prefix_bits, self.settings.ipv6_prefix_bits)
            return pc.binary_join_element_wise(first, pa.array(bits).cast(pa.string()), "/")
        if self.kind == "link":
            return pc.binary_join_element_wise(first, format_addresses(_addresses(keys[:, 2:])), " > ")
        return first

    def _side(self, batch: pa.RecordBatch, side: str) -> Hashes:
        keys = np.zeros((batch.num_rows, KEY_WORDS), np.uint64)
        addresses = _column(batch, f"{side}_ip")
        if addresses is not None:
            keys[:, :2] = _words(addresses)
        names = _column(batch, f"{side}_name")
        if names is not None:
            without = ~keys[:, :2].any(axis=1)
            if without.any():
                keys[without] = self._text_keys(names)[without]
        return keys

    def _host_keys(self, batch: pa.RecordBatch) -> tuple[Hashes, Hashes]:
        return self.hosts(batch)

    def _prefix_keys(self, batch: pa.RecordBatch) -> tuple[Hashes, Hashes]:
        return self._masked(self._side(batch, "src")), self._masked(self._side(batch, "dst"))

    def _link_keys(self, batch: pa.RecordBatch) -> tuple[Hashes, Hashes]:
        """Both ends, the smaller address first; out is from it, in is to it."""
        src, dst = self.hosts(batch)
        known = src.any(axis=1) & dst.any(axis=1) & (src[:, 2] == 0) & (dst[:, 2] == 0)
        turned = (src[:, 0] > dst[:, 0]) | ((src[:, 0] == dst[:, 0]) & (src[:, 1] > dst[:, 1]))
        both = np.where(turned[:, None], np.hstack([dst[:, :2], src[:, :2]]), np.hstack([src[:, :2], dst[:, :2]]))
        nobody = np.zeros_like(both)
        return (
            np.where((known & ~turned)[:, None], both, nobody),
            np.where((known & turned)[:, None], both, nobody),
        )

    def _as_keys(self, batch: pa.RecordBatch) -> tuple[Hashes, Hashes]:
        return self._number_keys(batch, "src_as"), self._number_keys(batch, "dst_as")

    def _number_keys(self, batch: pa.RecordBatch, column: str) -> Hashes:
        keys = np.zeros((batch.num_rows, KEY_WORDS), np.uint64)
        numbers = _column(batch, column)
        if numbers is not None:
            keys[:, 1] = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)
            keys[:, 3] = keys[:, 1] > 0  # so that no number looks like another kind of key
        return keys

    def _exporter_keys(self, batch: pa.RecordBatch) -> tuple[Hashes, Hashes]:
        """One entity a flow: out is what initiators sent, in what they were answered."""
        names = _column(batch, "exporter")
        nobody = np.zeros((batch.num_rows, KEY_WORDS), np.uint64)
        return (nobody if names is None else self._text_keys(names)), nobody

    def _interface_keys(self, batch: pa.RecordBatch) -> tuple[Hashes, Hashes]:
        """In is what the exporter received at the interface, out what it sent there."""
        return self._interface(batch, "output_interface"), self._interface(batch, "input_interface")

    def _interface(self, batch: pa.RecordBatch, column: str) -> Hashes:
        numbers, exporters = _column(batch, column), _column(batch, "exporter")
        if numbers is None:
            return np.zeros((batch.num_rows, KEY_WORDS), np.uint64)
        names = pa.array([""] * batch.num_rows) if exporters is None else pc.fill_null(exporters, "")
        return self._text_keys(pc.binary_join_element_wise(names, numbers.cast(pa.string()), "#"))

    def _application_keys(self, batch: pa.RecordBatch) -> tuple[Hashes, Hashes]:
        """What the first payload proved, else what the exporter said, else protocol and port asked for."""
        from .services import port_names

        known = [column for name in ("app_protocol", "application") if (column := _column(batch, name)) is not None]
        names = pc.coalesce(*known, port_names(batch))
        return self._text_keys(names), np.zeros((batch.num_rows, KEY_WORDS), np.uint64)

    def _text_keys(self, texts: Any) -> Hashes:
        """A hash for each text, made once for each that is distinct; zeros where it is null."""
        encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
        table = np.zeros((len(encoded.dictionary) + 1, KEY_WORDS), np.uint64)
        for place, text in enumerate(encoded.dictionary.to_pylist()):
            if text is None:
                continue
            digest = hashlib.blake2b(str(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            table[place, :2] = np.frombuffer(digest, np.uint64)
            table[place, 2] = TEXT_MARK
            self.texts[table[place].tobytes()] = str(text)
        places = pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        found: Hashes = table[places]
        return found

    def _masked(self, keys: Hashes) -> Hashes:
        is_ipv4 = (keys[:, 0] == 0) & ((keys[:, 1] >> np.uint64(32)) == 0xFFFF)
        is_address = keys[:, 2] == 0
        for rows, bits in ((is_ipv4, 96 + self.settings.ipv4_prefix_bits), (~is_ipv4, self.settings.ipv6_prefix_bits)):
            high, low = _mask(bits)
            keys[rows & is_address, 0] &= high
            keys[rows & is_address, 1] &= low
        return keys


def _mask(bits: int) -> tuple[np.uint64, np.uint64]:
    whole = ((1 << bits) - 1) << (128 - bits)
    return np.uint64(whole >> 64), np.uint64(whole & 0xFFFFFFFFFFFFFFFF)


def _column(batch: pa.RecordBatch, name: str) -> Any:
    """A column, or None where it is not there or knows nothing."""
    if name not in batch.schema.names:
        return None
    column = batch.column(name)
    return None if column.null_count == len(column) else column


def _words(addresses: pa.Array) -> Hashes:
    """16-byte addresses as two words; zeros where null."""
    octets = np.frombuffer(addresses.buffers()[1], ">u8")[
        2 * addresses.offset : 2 * (addresses.offset + len(addresses))
    ]
    words = octets.reshape(-1, 2).astype(np.uint64)
    if addresses.null_count:
        words[addresses.is_null().to_numpy(zero_copy_only=False)] = 0
    return words


def _addresses(words: npt.NDArray[np.uint64]) -> pa.Array:
    octets = np.ascontiguousarray(words.astype(">u8"))
    return pa.Array.from_buffers(pa.binary(16), len(words), [None, pa.py_buffer(octets)])
