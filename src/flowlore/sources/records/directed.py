"""Directed records: what an exporter says of one direction of a flow, and how they become rows of the flow table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...flows.ids import community_ids, fixed_binary, flow_ids_of_halves
from ...flows.schema import END_REASONS, arrow_schema, flow_batch
from ..identity import EVERYBODYS, Identity

Records = npt.NDArray[np.void]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# One record of one direction (or of both, where `is_biflow`: the `_rev` fields are then known).
# Addresses are big-endian halves, IPv4 mapped into IPv6. Texts are places in `Texts`, -1 is none.
DIRECTED = np.dtype(
    [
        ("start_ns", np.int64),
        ("end_ns", np.int64),
        ("arrival_ns", np.int64),  # when it was received, or exported where that is not known
        ("src_high", np.uint64),
        ("src_low", np.uint64),
        ("dst_high", np.uint64),
        ("dst_low", np.uint64),
        ("src_mac", np.uint64),
        ("dst_mac", np.uint64),
        ("packets", np.uint64),
        ("bytes", np.uint64),
        ("frame_bytes", np.uint64),
        ("packets_rev", np.uint64),
        ("bytes_rev", np.uint64),
        ("known", np.uint64),  # a bit for each of OPTIONAL
        ("session", np.uint32),  # ordinal of exporter and domain
        ("capture", np.uint32),  # ordinal of the file or socket that it came through
        ("sampling_rate", np.uint32),
        ("input_interface", np.uint32),
        ("output_interface", np.uint32),
        ("mpls", np.uint32),
        ("tunnel_id", np.uint32),
        ("src_as", np.uint32),
        ("dst_as", np.uint32),
        ("size_min_bytes", np.uint32),
        ("size_max_bytes", np.uint32),
        ("application", np.int32),
        ("vrf", np.int32),
        ("server_name", np.int32),
        ("server_name_from", np.int32),
        ("user_agent", np.int32),
        ("dns_query", np.int32),
        ("src_port", np.uint16),
        ("dst_port", np.uint16),
        ("vlan", np.uint16),  # NO_VLAN where none
        ("inner_vlan", np.uint16),  # NO_VLAN where none
        ("dns_query_type", np.uint16),
        ("protocol", np.uint8),
        ("tos", np.uint8),
        ("tos_rev", np.uint8),
        ("tcp_flags", np.uint8),
        ("tcp_flags_rev", np.uint8),
        ("ttl_min", np.uint8),
        ("ttl_max", np.uint8),
        ("dns_response_code", np.uint8),
        ("end_reason", np.uint8),  # place in END_REASONS
        ("is_biflow", np.uint8),
        ("is_total", np.uint8),  # counters count from the flow's beginning, not from the record before
    ],
    align=True,
)

NO_VLAN = 0xFFFF
TEXTS = ("application", "vrf", "server_name", "server_name_from", "user_agent", "dns_query")

# Fields that a record may lack: the bit in `known` is the place here.
OPTIONAL = (
    "duration",
    "packets",
    "bytes",
    "frame_bytes",
    "packets_rev",
    "bytes_rev",
    "tcp_flags",
    "tcp_flags_rev",
    "tos",
    "tos_rev",
    "sampling_rate",
    "input_interface",
    "output_interface",
    "mpls",
    "tunnel_id",
    "src_as",
    "dst_as",
    "size_min_bytes",
    "size_max_bytes",
    "ttl_min",
    "ttl_max",
    "src_mac",
    "dst_mac",
    "src_port",
    "dst_port",
    "protocol",
    "dns_query_type",
    "dns_response_code",
    "end_reason",
)

# Columns of the table that hold one value for each direction: the field of the record, in the record's own direction.
_EACH_DIRECTION = (
    "packets",
    "bytes",
    "frame_bytes",
    "tcp_flags",
    "tos",
    "size_min_bytes",
    "size_max_bytes",
    "ttl_min",
    "ttl_max",
)
_ONCE = ("sampling_rate", "mpls", "tunnel_id", "dns_query_type", "dns_response_code")
_SWAPPED = (
    ("src_mac", "dst_mac"),
    ("src_as", "dst_as"),
    ("input_interface", "output_interface"),
    ("src_port", "dst_port"),
)


def known_bit(name: str) -> np.uint64:
    return np.uint64(1 << OPTIONAL.index(name))


def empty_records(rows: int) -> Records:
    """Records that know nothing yet: zeros, no texts, no VLAN."""
    records = np.zeros(rows, DIRECTED)
    for name in TEXTS:
        records[name] = -1
    records["vlan"] = NO_VLAN
    records["inner_vlan"] = NO_VLAN
    return records


def know(records: Records, name: str, values: npt.NDArray[Any] | int, where: Flags | None = None) -> None:
    """Set an optional field, in all records or where a mask says."""
    if where is None:
        records[name] = values
        records["known"] |= known_bit(name)
        return
    records[name] = np.where(where, values, records[name])
    records["known"] |= np.where(where, known_bit(name), np.uint64(0))


class Texts:
    """Texts of records that wait, each kept once and known by its place."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._values = pa.array([], pa.string())

    def __len__(self) -> int:
        return len(self._places)

    def place(self, text: str) -> int:
        """The place of one text; -1 for the empty one."""
        return self._places.setdefault(text, len(self._places)) if text else -1

    def places(self, values: pa.Array) -> npt.NDArray[np.int32]:
        """The place of each text of an Arrow string array; -1 for null and the empty text."""
        encoded = values.dictionary_encode()
        table = np.array([self.place(text or "") for text in encoded.dictionary.to_pylist()] + [-1], np.int32)
        return np.asarray(table[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)])

    def take(self, places: npt.NDArray[np.int32]) -> pa.Array:
        if len(self._values) != len(self._places):
            self._values = pa.array(list(self._places), pa.string())
        return self._values.take(pa.array(places, mask=places < 0))

    def forget_all_but(self, records: Records, most: int) -> None:
        """Keep only the texts of these records, whose places change, once there are more than `most`."""
        if len(self._places) <= most:
            return
        texts = list(self._places)
        used = sorted({int(place) for name in TEXTS for place in np.unique(records[name])} - {-1})
        moved = np.full(len(texts) + 1, -1, np.int32)
        moved[used] = np.arange(len(used))
        for name in TEXTS:
            records[name] = moved[records[name]]
        self._places = {texts[place]: new for new, place in enumerate(used)}
        self._values = pa.array(list(self._places), pa.string())


@dataclass(slots=True)
class Paired:
    """Rows to come: places of the records of both directions (-1 is none), and the identity of the flow."""

    records: Records
    forward: Places
    reverse: Places
    parts: npt.NDArray[np.uint32]
    first_ns: Places
    ordinals: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.forward)


def finish_batch(
    paired: Paired,
    texts: Texts,
    exporters: Sequence[str],
    captures: Sequence[str],
    *,
    source: str,
    identity: Identity = EVERYBODYS,
) -> pa.RecordBatch:
    """Rows of the flow table. `exporters` and `captures` are what the ordinals in the records stand for.

    A record in `reverse` alone makes a row whose `src` is the record's destination.
    """
    records, forward, reverse = paired.records, paired.forward, paired.reverse
    rows = len(forward)
    has_forward, has_reverse = forward >= 0, reverse >= 0
    turned = ~has_forward
    ahead, back = records[forward], records[reverse]  # -1 takes some record, masked below
    one = np.where(turned, back, ahead) if turned.any() else ahead
    known: dict[str, Any] = {}
    start = np.minimum(
        np.where(has_forward, ahead["start_ns"], _LATEST), np.where(has_reverse, back["start_ns"], _LATEST)
    )
    end = np.maximum(
        np.where(has_forward, ahead["end_ns"], _EARLIEST), np.where(has_reverse, back["end_ns"], _EARLIEST)
    )
    known["start"] = pa.array(start, pa.int64()).cast(arrow_schema().field("start").type)
    known["duration_ns"] = _masked(end - start, _has(one, "duration"))
    known["part"] = pa.array(paired.parts, pa.uint32())
    halves = _turned_halves(one, turned)
    src_ip, dst_ip = (_address_bytes(halves[0], halves[1]), _address_bytes(halves[2], halves[3]))
    known["src_ip"], known["dst_ip"] = fixed_binary(src_ip), fixed_binary(dst_ip)
    anything = np.bitwise_or.reduce(records["known"]) if len(records) else np.uint64(0)
    for src, dst in _SWAPPED:
        if not anything & (known_bit(src) | known_bit(dst)):
            continue
        for column, other in ((src, dst), (dst, src)):
            values = np.where(turned, one[other], one[column])
            there = np.where(turned, _has(one, other), _has(one, column))
            if there.any():
                known[column] = _mac_array(values, there) if column.endswith("_mac") else _masked(values, there)
    for name in _EACH_DIRECTION:
        if not anything & (known_bit(name) | (known_bit(f"{name}_rev") if f"{name}_rev" in OPTIONAL else np.uint64(0))):
            continue
        there_fwd, there_rev = has_forward & _has(ahead, name), has_reverse & _has(back, name)
        values_fwd, values_rev = ahead[name], back[name]
        if f"{name}_rev" in OPTIONAL:  # biflow records say both at once
            both = has_forward & _has(ahead, f"{name}_rev")
            values_rev, there_rev = np.where(both, ahead[f"{name}_rev"], values_rev), there_rev | both
            turned_both = turned & _has(back, f"{name}_rev")
            values_fwd, there_fwd = np.where(turned_both, back[f"{name}_rev"], values_fwd), there_fwd | turned_both
        stem, _, unit = name.rpartition("_") if name.startswith("size_") else (name, "", "")
        for side, values, there in (("fwd", values_fwd, there_fwd), ("rev", values_rev, there_rev)):
            column = f"{stem}_{unit}_{side}" if unit else f"{name}_{side}"
            known[column] = _masked(values, there)
    for name in _ONCE:
        if anything & known_bit(name):
            known[name] = _masked(one[name], _has(one, name))
    known["protocol"] = _masked(one["protocol"], _has(one, "protocol"))
    known["vlan"] = _masked(one["vlan"], one["vlan"] != NO_VLAN)
    known["inner_vlan"] = _masked(one["inner_vlan"], one["inner_vlan"] != NO_VLAN)
    for name in TEXTS:
        places = np.where((one[name] < 0) & has_reverse, back[name], one[name])
        if (places >= 0).any():
            known[name] = texts.take(places)
    # The record that ended last says why.
    back_is_last = has_reverse & (turned | (back["end_ns"] > ahead["end_ns"]))
    says_why = np.where(back_is_last, _has(back, "end_reason"), _has(ahead, "end_reason"))
    if says_why.any():
        reasons = np.where(back_is_last, back["end_reason"], ahead["end_reason"])
        known["end_reason"] = pa.array(END_REASONS, pa.string()).take(pa.array(reasons, mask=~says_why))
    known["exporter"] = pa.array(list(exporters), pa.string()).take(pa.array(one["session"]))
    known["source"] = pa.repeat(pa.scalar(source), rows)
    known["capture"] = pa.array(list(captures), pa.string()).take(pa.array(one["capture"]))
    known["observation_point"] = pa.repeat(pa.scalar(identity.observation_point, pa.uint32()), rows)
    ports = [np.where(turned, one[other], one[column]) for column, other in (_SWAPPED[3], _SWAPPED[3][::-1])]
    if rows:
        known["flow_id"] = flow_ids_of_halves(
            halves,
            src_port=ports[0],
            dst_port=ports[1],
            protocol=one["protocol"],
            first_ns=np.ascontiguousarray(paired.first_ns),
            vlan=one["vlan"],
            inner_vlan=one["inner_vlan"],
            tunnel_id=np.where(_has(one, "tunnel_id"), one["tunnel_id"], 0),
            observation_point=np.full(rows, identity.observation_point, np.uint32),
            ordinal=paired.ordinals,
            key=identity.key,
        )
        if identity.community_id:
            ids = community_ids(
                src_ip=src_ip, dst_ip=dst_ip, src_port=ports[0], dst_port=ports[1], protocol=one["protocol"]
            )
            known["community_id"] = _where_known(ids, _has(one, "protocol"))
    return flow_batch(known, rows)


_LATEST, _EARLIEST = np.iinfo(np.int64).max, np.iinfo(np.int64).min


def _has(records: Records, name: str) -> Flags:
    return np.asarray((records["known"] & known_bit(name)) != 0)


def _masked(values: npt.NDArray[Any], there: Flags) -> pa.Array:
    return pa.array(np.ascontiguousarray(values), mask=None if there.all() else ~there)


def _where_known(values: pa.Array, there: Flags) -> pa.Array:
    if there.all():
        return values
    return values.take(pa.array(np.arange(len(values)), mask=~there))


def _turned_halves(one: Records, turned: Flags) -> list[npt.NDArray[np.uint64]]:
    pairs = (("src_high", "dst_high"), ("src_low", "dst_low"), ("dst_high", "src_high"), ("dst_low", "src_low"))
    return [np.where(turned, one[other], one[name]) for name, other in pairs]


def _address_bytes(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    out = np.empty((len(high), 2), ">u8")
    out[:, 0], out[:, 1] = high, low
    return out.view(np.uint8).reshape(-1, 16)


def _mac_array(values: npt.NDArray[np.uint64], there: Flags) -> pa.Array:
    matrix = np.ascontiguousarray(values.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:])
    return _where_known(fixed_binary(matrix), there)
