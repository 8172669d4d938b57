"""Flow table → the channels that a graph is built from: which ends are the same, when, and which rows are one flow.

An end is an anonymous number: equal for equal addresses (or pseudonyms, where there is no address), and used for
nothing but equality. No model sees it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError
from ...flows.splitmix import STEP, finished
from ..batch import Array

Keys = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

PROTOCOLS = {6: 1, 17: 2, 1: 3, 58: 3}  # TCP, UDP, ICMP of both versions; 4 is any other, 0 is unknown
PROTOCOL_CLASSES = 5


def extract_ends(table: pa.RecordBatch) -> tuple[dict[str, Array], Mapping[str, Flags]]:
    """`graph.ends` uint64 [flows, 2], `graph.times_ns` int64 [flows, 2] (start, end), `graph.copy` uint64 (equal for
    slices of one flow), `graph.service` and `graph.protocol` int32. A flow without ends or times is in no graph.
    """
    rows = table.num_rows
    ends = np.stack([_end_keys(table, side) for side in ("src", "dst")], axis=1)
    start, has_time = _integers(table, "start")
    duration, _ = _integers(table, "duration_ns")
    protocol, has_protocol = _integers(table, "protocol")
    port, has_port = _integers(table, "dst_port")
    classes = np.full(256, 4, np.int32)
    for number, place in PROTOCOLS.items():
        classes[number] = place
    with np.errstate(over="ignore"):
        end = start + np.maximum(duration, 0)
    channels: dict[str, Array] = {
        "graph.ends": ends,
        "graph.times_ns": np.stack([start, np.maximum(end, start)], axis=1),
        "graph.copy": _binary_keys(table, "flow_id") if "flow_id" in table.schema.names else np.zeros(rows, np.uint64),
        "graph.service": np.where(has_port, 1 + (protocol << 16 | port), 0).astype(np.int32),
        "graph.protocol": np.where(has_protocol, classes[protocol & 255], 0).astype(np.int32),
    }
    return channels, {"graph": (ends != 0).all(axis=1) & has_time}


def require_ends(table: pa.Table | pa.RecordBatch) -> None:
    """Refuse a table of which no graph can be made, and say what it lacks."""
    if not table.num_rows:
        return
    lacking = [words for side, words in (("src", "source"), ("dst", "target")) if not _has_end(table, side)]
    if lacking:
        one_side = f"no address or pseudonym of their {lacking[0]}"
        none = one_side if len(lacking) == 1 else "neither addresses nor pseudonyms"
        raise InputError(
            f"graph: these flows have {none}, so nothing says which flows share a host",
            hint="map columns to `src_ip` and `dst_ip`, or to `src_name` and `dst_name`; pseudonyms will do",
        )
    if "start" not in table.schema.names or table.column("start").null_count == table.num_rows:
        raise InputError(
            "graph: these flows have no times, so nothing says which came first",
            hint="map a column to `start`; a graph needs the time of each flow",
        )


def refuse_constant(ends: Keys, *, of_one_pair: bool = False) -> None:
    """Refuse flows that all have one host at both ends: a column that is the same in every row is no address.

    `ends` are those of flows that have both; with `of_one_pair` also two columns that are, each of them.
    """
    if len(ends) < 2:
        return
    names = np.unique(ends)
    if len(names) == 1:
        whose = "have the same host at both ends"
    elif of_one_pair and len(names) == 2 and (ends[:, 0] != ends[:, 1]).all():
        whose = "are between the same two hosts"
    else:
        return
    raise InputError(
        f"graph: all {len(ends):,} flows {whose}, so there is no graph",
        hint="addresses or pseudonyms must tell hosts apart, which a constant does not; give flows of a whole network",
    )


def _has_end(table: pa.Table | pa.RecordBatch, side: str) -> bool:
    names = [name for name in (f"{side}_ip", f"{side}_name") if name in table.schema.names]
    return any(table.column(name).null_count < table.num_rows for name in names)


def mixed(words: Keys) -> Keys:
    """Numbers spread over 64 bits, never 0, which stands for "not known" (one in 2^64 shares a number with another)."""
    with np.errstate(over="ignore"):
        return np.maximum(finished(words), np.uint64(1))


def _end_keys(table: pa.RecordBatch, side: str) -> Keys:
    keys = (
        _binary_keys(table, f"{side}_ip") if f"{side}_ip" in table.schema.names else np.zeros(table.num_rows, np.uint64)
    )
    name = f"{side}_name"
    if name in table.schema.names and table.column(name).null_count < table.num_rows:
        keys = np.where(keys == 0, _text_keys(table.column(name)), keys)
    return keys


def _binary_keys(table: pa.RecordBatch, column: str) -> Keys:
    """One number for each value of a 16-byte column, 0 where null."""
    held = table.column(column)
    rows = len(held)
    if held.null_count == rows:
        return np.zeros(rows, np.uint64)
    if not pa.types.is_fixed_size_binary(held.type):
        held = held.cast(pa.binary(16))
    words = np.frombuffer(held.buffers()[1], np.uint64)[2 * held.offset : 2 * (held.offset + rows)].reshape(rows, 2)
    with np.errstate(over="ignore"):
        keys = mixed(mixed(words[:, 0] + STEP) ^ (words[:, 1] * STEP))
    if held.null_count:
        keys[held.is_null().to_numpy(zero_copy_only=False)] = 0
    return keys


def _text_keys(held: pa.Array) -> Keys:
    """One number for each text, 0 where null; equal in every table."""
    from hashlib import blake2b

    if not isinstance(held, pa.DictionaryArray):
        held = held.dictionary_encode()
    words = [
        0 if word is None else max(1, int.from_bytes(blake2b(str(word).encode(), digest_size=8).digest(), "little"))
        for word in held.dictionary.to_pylist()
    ]
    places = pc.fill_null(held.indices.cast(pa.int64()), len(words)).to_numpy(zero_copy_only=False)
    keys: Keys = np.array([*words, 0], np.uint64)[places]
    return keys


def _integers(table: pa.RecordBatch, column: str) -> tuple[npt.NDArray[np.int64], Flags]:
    """A column as int64, and which rows have it; 0 where not."""
    rows = table.num_rows
    if column not in table.schema.names or table.column(column).null_count == rows:
        return np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    held = pc.cast(table.column(column), pa.int64())
    known = held.is_valid().to_numpy(zero_copy_only=False) if held.null_count else np.ones(rows, np.bool_)
    values: npt.NDArray[np.int64] = pc.fill_null(held, 0).to_numpy(zero_copy_only=False)
    return values, known
