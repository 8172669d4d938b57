"""Batches of the flow table from the columns that a log gave: identities are added, unreadable values are noted."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ...flows.ids import address_halves, community_ids, flow_ids_of_halves
from ...flows.schema import arrow_schema, flow_batch
from ..identity import EVERYBODYS, Identity

ABSENT = 0xFFFF  # a VLAN that is not there


def flow_rows(
    columns: Mapping[str, pl.Series | pa.Array],
    rows: int,
    *,
    source: str,
    capture: str,
    first_record: int,
    identity: Identity = EVERYBODYS,
) -> pa.RecordBatch:
    """A batch of the flow table from columns by name, with `source`, `capture`, `part`, `flow_id` and `community_id`.

    `first_record` is the number of the first row in its source: it tells rows apart that have no time or no endpoints.
    """
    known: dict[str, Any] = {name: _arrow(name, values) for name, values in columns.items()}
    known.setdefault("source", pa.repeat(pa.scalar(source), rows))
    known.setdefault("capture", pa.repeat(pa.scalar(capture), rows))
    known.setdefault("part", pa.repeat(pa.scalar(0, pa.uint32()), rows))
    known.setdefault("observation_point", pa.repeat(pa.scalar(identity.observation_point, pa.uint32()), rows))
    if rows and "flow_id" not in known:
        known["flow_id"] = _flow_ids(known, rows, first_record, identity)
    can_have_community_id = identity.community_id and {"src_ip", "dst_ip", "protocol"} <= set(known)
    if rows and "community_id" not in known and can_have_community_id:
        known["community_id"] = _community_ids(known, rows)
    return flow_batch(known, rows)


def note_unreadable(notes: Counter[str], name: str, before: pl.Series, after: pl.Series | pa.Array) -> None:
    """Count rows whose value was there before and is null after, as `unreadable-NAME`."""
    nulls = after.null_count() if isinstance(after, pl.Series) else after.null_count
    if lost := nulls - before.null_count():
        notes[f"unreadable-{name.replace('_', '-')}"] += lost


def _arrow(name: str, values: pl.Series | pa.Array) -> pa.Array:
    if isinstance(values, pl.Series):
        values = values.to_arrow(compat_level=pl.CompatLevel.oldest())
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    type_ = arrow_schema().field(name).type
    return values if values.type == type_ else values.cast(type_)


def _flow_ids(known: dict[str, Any], rows: int, first_record: int, identity: Identity) -> pa.Array:
    """Ids of rows; rows of one key and time get ordinals, and rows that lack time or endpoints their record number."""
    src, src_known = _endpoint(known, "src", rows)
    dst, dst_known = _endpoint(known, "dst", rows)
    start = known.get("start")
    timed = _valid(start, rows)
    ordinal = np.zeros(rows, np.uint32)
    lone = ~(timed & (src_known | dst_known))
    ordinal[lone] = (np.flatnonzero(lone) + first_record).astype(np.uint32)

    halves = [*address_halves(src), *address_halves(dst)]

    def ids(ordinal: npt.NDArray[np.uint32]) -> pa.Array:
        return flow_ids_of_halves(
            halves,
            src_port=_numbers(known.get("src_port"), rows, np.uint16),
            dst_port=_numbers(known.get("dst_port"), rows, np.uint16),
            protocol=_numbers(known.get("protocol"), rows, np.uint8),
            first_ns=_numbers(None if start is None else start.cast(pa.int64()), rows, np.int64),
            vlan=_numbers(known.get("vlan"), rows, np.uint16, ABSENT),
            inner_vlan=_numbers(known.get("inner_vlan"), rows, np.uint16, ABSENT),
            observation_point=np.full(rows, identity.observation_point, np.uint32),
            ordinal=ordinal,
            key=identity.key,
        )

    found = ids(ordinal)
    words = np.frombuffer(found.buffers()[1], np.uint64, 2 * rows)
    key = pl.DataFrame({"low": words[0::2], "high": words[1::2]})
    turn = key.select(pl.int_range(pl.len(), dtype=pl.UInt32).over("low", "high")).to_series().to_numpy()
    if turn.any():
        found = ids(ordinal + turn)
    return found


def _community_ids(known: dict[str, Any], rows: int) -> pa.Array:
    """Community ids, null where an address or the protocol is not known."""
    complete = _valid(known["src_ip"], rows) & _valid(known["dst_ip"], rows) & _valid(known["protocol"], rows)
    found = community_ids(
        src_ip=_address_bytes(known["src_ip"]),
        dst_ip=_address_bytes(known["dst_ip"]),
        src_port=_numbers(known.get("src_port"), rows, np.uint16),
        dst_port=_numbers(known.get("dst_port"), rows, np.uint16),
        protocol=_numbers(known["protocol"], rows, np.uint8),
    )
    if complete.all():
        return found
    validity = pa.py_buffer(np.packbits(complete, bitorder="little"))
    return pa.Array.from_buffers(pa.string(), rows, [validity, *found.buffers()[1:]])


def _endpoint(known: dict[str, Any], side: str, rows: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """16 bytes that stand for one end in the id: the address, else a hash of the pseudonym; and where one is known."""
    address, name = known.get(f"{side}_ip"), known.get(f"{side}_name")
    found = np.zeros((rows, 16), np.uint8)
    have = np.zeros(rows, np.bool_)
    if name is not None:
        named = _valid(name, rows)
        found[named] = _name_hashes(name)[named]
        have |= named
    if address is not None:
        valid = _valid(address, rows)
        found[valid] = _address_bytes(address)[valid]
        have |= valid
    return found, have


def _name_hashes(names: pa.Array) -> npt.NDArray[np.uint8]:
    """16 bytes for each name, the same in every version. Names repeat, so each is hashed once."""
    distinct = names.dictionary_encode()
    hashes = [
        hashlib.blake2b((name or "").encode(), digest_size=16).digest() for name in distinct.dictionary.to_pylist()
    ]
    table = np.frombuffer(b"".join(hashes) or bytes(16), np.uint8).reshape(-1, 16)
    found: npt.NDArray[np.uint8] = table[_numbers(distinct.indices, len(names), np.int64)]
    return found


def _address_bytes(addresses: pa.Array) -> npt.NDArray[np.uint8]:
    rows = len(addresses)
    flat = np.frombuffer(addresses.buffers()[1], np.uint8)
    found: npt.NDArray[np.uint8] = flat[addresses.offset * 16 : (addresses.offset + rows) * 16].reshape(rows, 16)
    return found


def _valid(values: pa.Array | None, rows: int) -> npt.NDArray[np.bool_]:
    if values is None:
        return np.zeros(rows, np.bool_)
    if not values.null_count:
        return np.ones(rows, np.bool_)
    return np.asarray(values.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _numbers(values: pa.Array | None, rows: int, type_: type[Any], absent: int = 0) -> npt.NDArray[Any]:
    if values is None:
        return np.full(rows, absent, type_)
    filled = values.fill_null(absent) if values.null_count else values
    return np.asarray(filled.to_numpy(zero_copy_only=False), type_)
