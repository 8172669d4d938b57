"""From the fields of a template to directed records: which element fills which column."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ....flows.schema import END_REASONS
from ..directed import NO_VLAN, Records, Texts, empty_records, know, known_bit
from .columns import Column, Ragged
from .decoder import Block
from .elements import CESNET_PEN, FLOWMON_PEN, NTOP_PEN, PALO_ALTO_PEN, REVERSE_PEN
from .sampling import sampling_rates
from .settings import NetflowSettings
from .times import TIME_ELEMENTS, flow_times

Key = tuple[int, int]  # PEN, element number
Columns = Mapping[Key, Column]
Flags = npt.NDArray[np.bool_]

IPV4, IPV6 = ((8, 12), (44, 45)), ((27, 28), (170, 169))  # addresses, or the prefixes of an aggregated flow
MAPPED_IPV4 = np.uint64(0xFFFF00000000)
ICMP, ICMPV6 = 1, 58

# Optional field of a record ← the elements that may fill it, in order of precedence.
_NUMBERS: dict[str, tuple[Key, ...]] = {
    "packets": ((0, 2), (0, 86), (0, 298), (0, 24)),
    "bytes": ((0, 1), (0, 85), (0, 231), (0, 23)),
    "frame_bytes": ((0, 352),),
    "packets_rev": ((REVERSE_PEN, 2), (REVERSE_PEN, 86), (0, 299)),
    "bytes_rev": ((REVERSE_PEN, 1), (REVERSE_PEN, 85), (0, 232)),
    "tcp_flags": ((0, 6),),
    "tcp_flags_rev": ((REVERSE_PEN, 6),),
    "tos": ((0, 5),),
    "tos_rev": ((REVERSE_PEN, 5),),
    "input_interface": ((0, 10),),
    "output_interface": ((0, 14),),
    "tunnel_id": ((0, 351), (0, 507)),
    "src_as": ((0, 16),),
    "dst_as": ((0, 17),),
    "size_min_bytes": ((0, 25),),
    "size_max_bytes": ((0, 26),),
    "ttl_min": ((0, 52), (0, 192)),
    "ttl_max": ((0, 53), (0, 192)),
    "protocol": ((0, 4),),
    "src_port": ((0, 7), (0, 180), (0, 182)),
    "dst_port": ((0, 11), (0, 181), (0, 183)),
    "dns_query_type": ((CESNET_PEN, 3), (NTOP_PEN, 207), (FLOWMON_PEN, 122)),
    "dns_response_code": ((CESNET_PEN, 1), (NTOP_PEN, 208)),
}
_VLANS: dict[str, tuple[Key, ...]] = {"vlan": ((0, 58), (0, 243)), "inner_vlan": ((0, 245),)}
_MACS: dict[str, Key] = {"src_mac": (0, 56), "dst_mac": (0, 80)}
_TEXTS: dict[str, tuple[Key, ...]] = {
    "application": ((0, 96), (PALO_ALTO_PEN, 56701), (0, 56701), (NTOP_PEN, 119)),
    "user_agent": ((0, 468), (NTOP_PEN, 183), (FLOWMON_PEN, 20)),
    "dns_query": ((CESNET_PEN, 2), (NTOP_PEN, 205), (FLOWMON_PEN, 121)),
}
_SERVER_NAMES: tuple[tuple[Key, str], ...] = (
    ((CESNET_PEN, 808), "tls"),
    ((CESNET_PEN, 890), "quic"),
    ((NTOP_PEN, 188), "tls"),
    ((NTOP_PEN, 187), "http"),
    ((FLOWMON_PEN, 1), "http"),
    ((0, 460), "http"),
)
_OTHERS: tuple[Key, ...] = (
    *((0, number) for pair in (*IPV4, *IPV6) for number in pair),
    *((0, number) for number in (32, 139, 176, 177, 178, 179)),  # ICMP
    *((0, number) for number in (34, 48, 50, 302, 305, 306, 309, 310, 311)),  # sampling
    *((0, number) for number in (60, 70, 95, 136, 233, 234, 235, 40005)),
    *((0, number) for number in TIME_ELEMENTS),
)
_TOTALS: tuple[Key, ...] = ((0, 85), (0, 86), (REVERSE_PEN, 85), (REVERSE_PEN, 86))
_DELTAS: tuple[Key, ...] = ((0, 1), (0, 2), (0, 231))
_WANTED = frozenset(
    (
        *(key for keys in (*_NUMBERS.values(), *_VLANS.values(), *_TEXTS.values()) for key in keys),
        *_MACS.values(),
        *(key for key, _ in _SERVER_NAMES),
        *_OTHERS,
    )
)

_CREATED = 1  # firewallEvent: the flow's counters come later, with its update or its end
_END_REASONS = {1: "idle", 2: "active", 3: "tcp-end", 4: "exporter", 5: "evicted"}


def map_block(
    block: Block, texts: Texts, settings: NetflowSettings, skipped: Counter[str], notes: Counter[str]
) -> Records:
    """Directed records of a block, in its order. Records that are no flow are counted in `skipped`."""
    wanted = {key: place for key, place in block.template.places.items() if key in _WANTED}
    columns: dict[Key, Column] = dict(zip(wanted, block.columns(list(wanted.values())), strict=True))
    records = empty_records(block.total)
    has_addresses = _set_addresses(records, columns, block)
    start, end, knows_duration, impossible = flow_times(
        block, columns, settings.clock_tolerance_s, settings.longest_flow_s
    )
    records["start_ns"], records["end_ns"] = start, end
    records["known"] |= np.where(knows_duration, known_bit("duration"), np.uint64(0))
    if impossible.any():
        notes["impossible-time"] += int((impossible & has_addresses).sum())
    received = block.per_record(block.set_received_ns)
    records["arrival_ns"] = np.where(received != 0, received, block.per_record(block.set_export_ns))
    records["session"] = block.session.place
    _set_numbers(records, columns)
    _set_ports(records, columns)
    _set_links(records, columns)
    _set_names(records, columns, block, texts)
    _set_end_reasons(records, columns)
    # RFC 5103 records, and a firewall's records of initiator and responder.
    records["is_biflow"] = any(key in columns for key in (*_NUMBERS["packets_rev"], *_NUMBERS["bytes_rev"]))
    records["is_total"] = any(key in columns for key in _TOTALS) and not any(key in columns for key in _DELTAS)
    rates = sampling_rates(block, columns, settings)
    if rates is not None:
        know(records, "sampling_rate", rates, rates > 0)
        if settings.apply_sampling:
            _multiply(records, rates)
    kept = has_addresses
    if not kept.all():
        skipped["no-addresses"] += int((~kept).sum())
    event = _number(columns, (0, 233)) if (0, 233) in columns else _number(columns, (0, 40005))
    if event is not None:
        created = (event == _CREATED) & kept
        skipped["firewall-event-without-counters"] += int(created.sum())
        kept = kept & ~created
    return records if kept.all() else records[kept]


def _set_addresses(records: Records, columns: Columns, block: Block) -> Flags:
    """Fill in the addresses; where a template has both families, the one that is not zero, else the one named first.

    True where there is a pair of addresses (all zeros do not count where both families are there).
    """
    rows = block.total
    found = np.zeros(rows, np.bool_)
    version = _number(columns, (0, 60))
    places = block.template.places
    families = []
    for family, pairs in ((4, IPV4), (6, IPV6)):
        pair = next(((a, b) for a, b in pairs if (0, a) in columns or (0, b) in columns), None)
        if pair is not None:
            first = min(places.get((0, number), 1 << 16) for number in pair)
            families.append((first, family, pair))
    families.sort()
    for _, family, pair in families:
        halves = [_address(columns.get((0, number)), family, rows) for number in pair]
        is_set = np.ones(rows, np.bool_)
        if len(families) > 1:
            zero = MAPPED_IPV4 if family == 4 else np.uint64(0)
            is_set = np.zeros(rows, np.bool_)
            for high, low in halves:
                is_set |= (high != 0) | (low != zero)
            if version is not None:
                is_set &= version == family
        take = is_set & ~found
        for (high, low), side in zip(halves, ("src", "dst"), strict=True):
            records[f"{side}_high"] = np.where(take, high, records[f"{side}_high"])
            records[f"{side}_low"] = np.where(take, low, records[f"{side}_low"])
        found |= take
    return found


def _address(column: Column | None, family: int, rows: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """High and low half; the unspecified address where the record has none."""
    none = np.zeros(rows, np.uint64)
    if family == 4:
        if isinstance(column, np.ndarray) and column.ndim == 1:
            return none, column.astype(np.uint64) | MAPPED_IPV4
        return none, none | MAPPED_IPV4
    if isinstance(column, np.ndarray) and column.ndim == 2 and column.shape[1] == 16:
        halves = np.ascontiguousarray(column).view(">u8")
        return halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)
    return none, none


def _set_numbers(records: Records, columns: Columns) -> None:
    for name, keys in _NUMBERS.items():
        for key in keys:
            values = _number(columns, key)
            if values is None:
                continue
            if name == "tunnel_id":
                values = values & np.uint64(0xFFFFFF) if key[1] == 351 else values
            most = np.iinfo(records.dtype[name].type).max
            if name.startswith(("tcp_flags", "tos")):
                values = values & 0xFF
            elif values.dtype.itemsize > records.dtype[name].itemsize:
                values = np.minimum(values, most)
            know(records, name, values, values != 0 if name.endswith("_as") else None)  # AS 0 is none
            break


def _set_ports(records: Records, columns: Columns) -> None:
    """ICMP in the place of ports: type and, for a request or its reply, the counterpart's type, else the code."""
    protocol = records["protocol"]
    is_icmp = (protocol == ICMP) | (protocol == ICMPV6)
    if not is_icmp.any():
        return
    kind = np.zeros(len(records), np.int64)
    code = np.zeros(len(records), np.int64)
    told = np.zeros(len(records), np.bool_)
    for number, family in ((32, ICMP), (139, ICMPV6)):
        both = _number(columns, (0, number))
        if both is not None:
            mine = protocol == family
            kind, code, told = np.where(mine, both >> 8, kind), np.where(mine, both & 0xFF, code), told | mine
    for numbers, family in (((176, 177), ICMP), ((178, 179), ICMPV6)):
        kinds, codes = _number(columns, (0, numbers[0])), _number(columns, (0, numbers[1]))
        if kinds is not None:
            mine = protocol == family
            kind, told = np.where(mine, kinds, kind), told | mine
            code = np.where(mine, codes if codes is not None else 0, code)
    port = _number(columns, (0, 11))
    if port is not None:  # where it always was in v5: type and code in the destination port
        here = is_icmp & ~told
        kind, code = np.where(here, port.astype(np.int64) >> 8, kind), np.where(here, port & 0xFF, code)
        told |= here
    take = is_icmp & told
    counterpart = np.where(protocol == ICMP, _COUNTERPARTS[0][kind & 0xFF], _COUNTERPARTS[1][kind & 0xFF])
    know(records, "src_port", kind & 0xFF, take)
    know(records, "dst_port", np.where(counterpart >= 0, counterpart, code), take)


def _counterparts(pairs: tuple[tuple[int, int], ...]) -> npt.NDArray[np.int64]:
    table = np.full(256, -1, np.int64)
    for one, other in pairs:
        table[one], table[other] = other, one
    return table


_COUNTERPARTS = (
    _counterparts(((0, 8), (9, 10), (13, 14), (15, 16), (17, 18))),
    _counterparts(((128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145))),
)


def _set_links(records: Records, columns: Columns) -> None:
    for name, keys in _VLANS.items():
        for key in keys:
            values = _number(columns, key)
            if values is not None:
                vlan = values.astype(np.uint64) & np.uint64(0xFFF)
                records[name] = np.where((records[name] == NO_VLAN) & (vlan != 0), vlan, records[name])
    for name, key in _MACS.items():
        column = columns.get(key)
        if isinstance(column, np.ndarray) and column.ndim == 2 and column.shape[1] == 6:
            wide = np.zeros((len(column), 8), np.uint8)
            wide[:, 2:] = column
            know(records, name, wide.view(">u8")[:, 0].astype(np.uint64))
    label = columns.get((0, 70))
    if isinstance(label, np.ndarray) and label.ndim == 2 and label.shape[1] in (3, 4):
        bytes_ = label.astype(np.uint32)
        value = (bytes_[:, 0] << 16) | (bytes_[:, 1] << 8) | bytes_[:, 2]
        know(records, "mpls", value >> 4, value != 0)


def _set_names(records: Records, columns: Columns, block: Block, texts: Texts) -> None:
    for name, keys in _TEXTS.items():
        for key in keys:
            if (values := _text_places(columns.get(key), texts)) is not None:
                records[name] = np.where(records[name] < 0, values, records[name])
    for key, where in _SERVER_NAMES:
        values = _text_places(columns.get(key), texts, lower=True)
        if values is not None:
            take = (records["server_name"] < 0) & (values >= 0)
            records["server_name"] = np.where(take, values, records["server_name"])
            records["server_name_from"] = np.where(take, texts.place(where), records["server_name_from"])
    applications = columns.get((0, 95))
    if applications is not None and block.session.known("application"):
        known = block.session.known("application")
        places = _each_distinct(applications, lambda value: texts.place(str(known.get(value, ""))))
        records["application"] = np.where(records["application"] < 0, places, records["application"])
    for key in ((0, 234), (0, 235)):
        values = _number(columns, key)
        if values is not None:
            names = block.session.known("vrf")
            distinct, inverse = np.unique(values, return_inverse=True)
            table = [texts.place(str(names.get(int(item), item if item else ""))) for item in distinct]
            records["vrf"] = np.where(
                records["vrf"] < 0, np.array(table, np.int32)[inverse.reshape(-1)], records["vrf"]
            )


def _each_distinct(column: Column, place_of: Any) -> npt.NDArray[np.int32]:
    """`place_of` of each value's bytes, asked once a distinct value."""
    if isinstance(column, Ragged):
        values = [bytes(column.data[a:b]) for a, b in zip(column.offsets[:-1], column.offsets[1:], strict=True)]
        table = {value: place_of(value) for value in set(values)}
        return np.array([table[value] for value in values], np.int32)
    if column.ndim == 1 or column.shape[1] == 0:
        return np.full(len(column), -1, np.int32)
    packed = np.ascontiguousarray(column).view(f"V{column.shape[1]}").reshape(-1)
    distinct, inverse = np.unique(packed, return_inverse=True)
    places = np.array([place_of(item.tobytes()) for item in distinct], np.int32)
    return np.asarray(places[inverse.reshape(-1)])


def _text_places(column: Column | None, texts: Texts, *, lower: bool = False) -> npt.NDArray[np.int32] | None:
    if column is None or (isinstance(column, np.ndarray) and column.ndim == 1):
        return None

    def place_of(value: bytes) -> int:
        text = value.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
        return texts.place(text.lower() if lower else text)

    return _each_distinct(column, place_of)


def _set_end_reasons(records: Records, columns: Columns) -> None:
    reasons = _number(columns, (0, 136))
    if reasons is None:
        return
    table = np.full(256, -1, np.int64)
    for number, name in _END_REASONS.items():
        table[number] = END_REASONS.index(name)
    places = table[reasons.astype(np.uint64) & np.uint64(0xFF)]
    know(records, "end_reason", np.maximum(places, 0), places >= 0)


def _multiply(records: Records, rates: npt.NDArray[np.uint32]) -> None:
    """Scale counters up by the sampling rate; what would not fit into 64 bits stays at the largest number."""
    factor = np.maximum(rates, 1).astype(np.uint64)
    if not (factor > 1).any():
        return
    most = np.uint64(np.iinfo(np.uint64).max) // factor
    for name in ("packets", "bytes", "frame_bytes", "packets_rev", "bytes_rev"):
        records[name] = np.minimum(records[name], most) * factor


def _number(columns: Columns, key: Key) -> npt.NDArray[Any] | None:
    values = columns.get(key)
    return values if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind == "u" else None
