"""The flow table: every column with its unit, its meaning and which sources can know it.

One row is one bidirectional flow (or one slice of it: see `part`). A column that a source cannot know is null.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import pyarrow as pa

from .arrays import array_of_type

SCHEMA_VERSION = 1

Group = Literal["when", "key", "pseudonym", "quantities", "series", "entities", "payload", "origin", "answers"]

PACKETS = "packets"  # capture files and live interfaces
NETFLOW = "netflow"  # NetFlow v5, v9, IPFIX
SFLOW = "sflow"
ZEEK = "zeek"
SURICATA = "suricata"
ARGUS = "argus"
NFDUMP = "nfdump"
TABLES = "tables"  # CSV and Parquet with a column map
EVERY_SOURCE = (PACKETS, NETFLOW, SFLOW, ZEEK, SURICATA, ARGUS, NFDUMP, TABLES)
RECORDS = (NETFLOW, SFLOW, NFDUMP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of the flow table."""

    name: str
    type: pa.DataType
    group: Group
    unit: str
    meaning: str
    known_by: tuple[str, ...]


IP_ADDRESS = pa.binary(16)  # IPv4 is mapped into IPv6 (::ffff:a.b.c.d), so that a prefix is a range
MAC_ADDRESS = pa.binary(6)
FLOW_ID = pa.binary(16)
INSTANT = pa.timestamp("ns", tz="UTC")

TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")  # bit 0 to bit 7 of the TCP flags byte
DIRECTIONS = ("fwd", "rev")

END_REASONS = ("idle", "active", "tcp-end", "reuse", "window", "end-of-input", "evicted", "exporter")


@cache
def columns() -> tuple[Column, ...]:
    """Every column in the order of the table."""
    return (*_when(), *_key(), *_quantities(), *_series(), *_entities(), *_payload(), *_origin(), *_answers())


@cache
def arrow_schema() -> pa.Schema:
    """The Arrow schema of a flow table, its version in the metadata."""
    return pa.schema(
        [pa.field(column.name, column.type) for column in columns()],
        metadata={"flowlore.schema_version": str(SCHEMA_VERSION)},
    )


@cache
def column_names() -> tuple[str, ...]:
    return tuple(column.name for column in columns())


def flow_batch(known: Mapping[str, Any], rows: int) -> pa.RecordBatch:
    """A batch of the flow table from the columns that a source knows; every other column is null.

    Values are Arrow arrays, or anything that `pa.array` takes with the column's type.
    """
    unknown = set(known) - set(column_names())
    if unknown:
        raise ValueError(f"not columns of the flow table: {sorted(unknown)}")
    arrays = []
    unknown_columns: dict[pa.DataType, pa.Array] = {}
    for column in columns():
        values = known.get(column.name)
        if values is None:
            if column.type not in unknown_columns:
                unknown_columns[column.type] = pa.nulls(rows, column.type)
            arrays.append(unknown_columns[column.type])
        elif isinstance(values, pa.Array):
            arrays.append(values if values.type == column.type else values.cast(column.type))
        else:
            arrays.append(array_of_type(values, column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema())


def _when() -> list[Column]:
    return [
        _column(
            "start",
            INSTANT,
            "when",
            "ns since 1970, UTC",
            "time of the first packet (of this slice)",
            EVERY_SOURCE,
        ),
        _column(
            "duration_ns",
            pa.int64(),
            "when",
            "ns",
            "last packet minus first packet (of this slice)",
            EVERY_SOURCE,
        ),
        _column(
            "part",
            pa.uint32(),
            "when",
            "ordinal",
            "0 for the first slice of a flow, 1 for the next …",
            EVERY_SOURCE,
        ),
    ]


def _key() -> list[Column]:
    seen = (PACKETS, NETFLOW, SFLOW)
    return [
        _column("src_ip", IP_ADDRESS, "key", "address", "who spoke first (IPv4 mapped into IPv6)", EVERY_SOURCE),
        _column("dst_ip", IP_ADDRESS, "key", "address", "the other side (IPv4 mapped into IPv6)", EVERY_SOURCE),
        _column("src_port", pa.uint16(), "key", "port", "port of `src`; ICMP: type of its message", EVERY_SOURCE),
        _column(
            "dst_port",
            pa.uint16(),
            "key",
            "port",
            "port of `dst`; ICMP: code of the message of `src`",
            EVERY_SOURCE,
        ),
        _column("protocol", pa.uint8(), "key", "IANA number", "IP protocol", EVERY_SOURCE),
        _column(
            "vlan",
            pa.uint16(),
            "key",
            "802.1Q id",
            "outer VLAN id",
            (PACKETS, NETFLOW, SFLOW, ZEEK, SURICATA),
        ),
        _column("inner_vlan", pa.uint16(), "key", "802.1Q id", "inner VLAN id of QinQ", (PACKETS, NETFLOW, ZEEK)),
        _column(
            "tunnel",
            pa.string(),
            "key",
            "name",
            "gre, ipip, 6in4, 4in6, 6in6, vxlan, geneve, gtp-u, teredo, erspan: what the packets came in",
            (PACKETS,),
        ),
        _column("tunnel_id", pa.uint32(), "key", "number", "VNI, TEID or GRE key", (PACKETS, NETFLOW)),
        _column("mpls", pa.uint32(), "key", "label", "top MPLS label", seen),
        _column(
            "vrf",
            pa.string(),
            "key",
            "name",
            "VRF by name, or by number where the exporter gives no name",
            (NETFLOW,),
        ),
        _column(
            "src_mac",
            MAC_ADDRESS,
            "key",
            "address",
            "link address of `src` in the first packet",
            (*seen, ZEEK),
        ),
        _column(
            "dst_mac",
            MAC_ADDRESS,
            "key",
            "address",
            "link address of `dst` in the first packet",
            (*seen, ZEEK),
        ),
        _column(
            "flow_id",
            FLOW_ID,
            "key",
            "128-bit hash",
            "observation point, key, VLAN, tunnel, first packet's time and ordinal; the same for every part",
            EVERY_SOURCE,
        ),
        _column("community_id", pa.string(), "key", "text", "Community ID v1, seed 0", EVERY_SOURCE),
        _column(
            "src_name",
            pa.string(),
            "pseudonym",
            "text",
            "what stands for `src` where the source gives no address",
            (TABLES,),
        ),
        _column(
            "dst_name",
            pa.string(),
            "pseudonym",
            "text",
            "what stands for `dst` where the source gives no address",
            (TABLES,),
        ),
    ]


def _quantities() -> list[Column]:
    rows: list[Column] = []
    for side, words in zip(DIRECTIONS, ("from `src` to `dst`", "from `dst` to `src`"), strict=True):

        def add(name: str, type_: pa.DataType, unit: str, meaning: str, known_by: tuple[str, ...] = (PACKETS,)) -> None:
            rows.append(_column(f"{name}_{side}", type_, "quantities", unit, f"{meaning} {words}", known_by))  # noqa: B023 - called in this turn of the loop only

        add("packets", pa.uint64(), "packets", "packets", EVERY_SOURCE)
        add("bytes", pa.uint64(), "bytes", "sum of IP total lengths", EVERY_SOURCE)
        add(
            "frame_bytes",
            pa.uint64(),
            "bytes",
            "sum of lengths on the wire, link headers included",
            (PACKETS, SFLOW, SURICATA, ARGUS),
        )
        add("payload_bytes", pa.uint64(), "bytes", "sum of transport payloads", (PACKETS, ZEEK))
        add(
            "tcp_flags",
            pa.uint8(),
            "bit set",
            "all TCP flags seen",
            (PACKETS, NETFLOW, NFDUMP, ZEEK, SURICATA),
        )
        for flag in TCP_FLAGS:
            add(f"{flag}_packets", pa.uint32(), "packets", f"packets with {flag.upper()}")
        add("size_min_bytes", pa.uint32(), "bytes", "smallest IP total length", (PACKETS, NETFLOW))
        add("size_mean_bytes", pa.float64(), "bytes", "mean IP total length")
        add("size_max_bytes", pa.uint32(), "bytes", "largest IP total length", (PACKETS, NETFLOW))
        add("size_std_bytes", pa.float64(), "bytes", "standard deviation (population) of IP total lengths")
        add("gap_min_ns", pa.int64(), "ns", "smallest time between packets")
        add("gap_mean_ns", pa.float64(), "ns", "mean time between packets")
        add("gap_max_ns", pa.int64(), "ns", "largest time between packets")
        add("gap_std_ns", pa.float64(), "ns", "standard deviation (population) of times between packets")
        add("ttl_min", pa.uint8(), "hops", "smallest TTL or hop limit", (PACKETS, NETFLOW))
        add("ttl_max", pa.uint8(), "hops", "largest TTL or hop limit", (PACKETS, NETFLOW))
        add(
            "tos",
            pa.uint8(),
            "byte",
            "type of service (DSCP and ECN) of the first packet",
            (PACKETS, *RECORDS, ARGUS),
        )
        add("window_first", pa.uint16(), "raw", "first TCP window, not scaled,")
        add("window_min", pa.uint16(), "raw", "smallest TCP window, not scaled,")
        add("window_max", pa.uint16(), "raw", "largest TCP window, not scaled,")
        add(
            "retransmitted_packets",
            pa.uint32(),
            "packets",
            "TCP packets whose every payload byte was sent before,",
        )
        add(
            "out_of_order_packets",
            pa.uint32(),
            "packets",
            "TCP packets that fill a hole left by an earlier jump,",
        )
    rows += [
        _column(
            "syn_to_synack_ns",
            pa.int64(),
            "quantities",
            "ns",
            "first SYN to first SYN-ACK: round trip from the meter to `dst`",
            (PACKETS,),
        ),
        _column(
            "synack_to_ack_ns",
            pa.int64(),
            "quantities",
            "ns",
            "first SYN-ACK to the ACK after it: round trip from the meter to `src`",
            (PACKETS,),
        ),
    ]
    return rows


def _series() -> list[Column]:
    def series(name: str, item: pa.DataType, unit: str, meaning: str) -> Column:
        return _column(name, pa.list_(item), "series", unit, meaning, (PACKETS,))

    return [
        series("packet_direction", pa.int8(), "+1 or -1", "+1 from `src`, -1 from `dst`"),
        series("packet_bytes", pa.uint16(), "bytes", "IP total length (65,535 stands for more)"),
        series("packet_payload_bytes", pa.uint16(), "bytes", "transport payload (65,535 stands for more)"),
        series(
            "packet_gap_ns",
            pa.int64(),
            "ns",
            "time since the packet before, in either direction; 0 for the first",
        ),
        series("packet_tcp_flags", pa.uint8(), "bit set", "TCP flags, 0 where not TCP"),
        series("packet_window", pa.uint16(), "raw", "TCP window, 0 where not TCP"),
    ]


def _entities() -> list[Column]:
    logs = (PACKETS, ZEEK, SURICATA)

    def entity(
        name: str, unit: str, meaning: str, known_by: tuple[str, ...], type_: pa.DataType | None = None
    ) -> Column:
        return _column(name, type_ or pa.string(), "entities", unit, meaning, known_by)

    return [
        entity(
            "app_protocol",
            "name",
            "what the first payload proved to be: tls, quic, http, dns, ssh, dhcp …",
            (*logs, NETFLOW),
        ),
        entity("application", "name", "application as the exporter named it", (NETFLOW, TABLES)),
        entity("server_name", "name", "name of the server, in lower case", (*logs, NETFLOW)),
        entity(
            "server_name_from",
            "name",
            "tls, quic, http or dns (looked up before by `src`): where `server_name` was read",
            logs,
        ),
        entity("alpn", "text", "ALPN protocols offered by the client, comma between", logs),
        entity(
            "tls_version",
            "text",
            "TLS version chosen by the server, or highest offered where no answer was seen",
            logs,
        ),
        entity("ja4", "text", "JA4 fingerprint of the TLS or QUIC client", (PACKETS, SURICATA)),
        entity("user_agent", "text", "HTTP/1 User-Agent", logs),
        entity("dns_query", "name", "first name asked for, in lower case", logs),
        entity("dns_query_type", "number", "type of the first question", logs, pa.uint16()),
        entity("dns_response_code", "number", "code of the first answer", logs, pa.uint8()),
        entity("ssh_client", "text", "identification line of the SSH client", logs),
        entity("ssh_server", "text", "identification line of the SSH server", logs),
        entity("dhcp_hostname", "name", "host name that a DHCP client gave", (PACKETS, ZEEK, SURICATA)),
        entity("dhcp_vendor", "text", "vendor class that a DHCP client gave", (PACKETS, SURICATA)),
        entity("src_as", "AS number", "autonomous system of `src`", (PACKETS, *RECORDS), pa.uint32()),
        entity("dst_as", "AS number", "autonomous system of `dst`", (PACKETS, *RECORDS), pa.uint32()),
        entity("src_country", "ISO 3166", "country of `src`, where a database is given", EVERY_SOURCE),
        entity("dst_country", "ISO 3166", "country of `dst`, where a database is given", EVERY_SOURCE),
    ]


def _payload() -> list[Column]:
    return [
        _column(
            "payload_fwd",
            pa.binary(),
            "payload",
            "bytes",
            "first payload bytes from `src` (off unless asked for)",
            (PACKETS,),
        ),
        _column(
            "payload_rev",
            pa.binary(),
            "payload",
            "bytes",
            "first payload bytes from `dst` (off unless asked for)",
            (PACKETS,),
        ),
    ]


def _origin() -> list[Column]:
    return [
        _column(
            "source",
            pa.string(),
            "origin",
            "name",
            "source that the row came through (a registry name)",
            EVERY_SOURCE,
        ),
        _column(
            "capture",
            pa.string(),
            "origin",
            "name",
            "file or interface of the first packet or record",
            EVERY_SOURCE,
        ),
        _column(
            "observation_point",
            pa.uint32(),
            "origin",
            "number",
            "where it was seen: 0 unless set",
            EVERY_SOURCE,
        ),
        _column(
            "exporter",
            pa.string(),
            "origin",
            "address",
            "address of the exporter and its observation domain",
            (*RECORDS,),
        ),
        _column(
            "sampling_rate",
            pa.uint32(),
            "origin",
            "1 in N",
            "packets that stand behind each one counted; counters are already multiplied",
            (*RECORDS, PACKETS),
        ),
        _column(
            "input_interface",
            pa.uint32(),
            "origin",
            "SNMP index",
            "where packets of `src` came in",
            (NETFLOW, SFLOW, NFDUMP),
        ),
        _column(
            "output_interface",
            pa.uint32(),
            "origin",
            "SNMP index",
            "where packets of `src` went out",
            (NETFLOW, SFLOW, NFDUMP),
        ),
        _column("end_reason", pa.string(), "origin", "name", ", ".join(END_REASONS), (PACKETS, NETFLOW)),
        _column(
            "connection_state",
            pa.string(),
            "origin",
            "text",
            "state in the words of the sensor (Zeek `conn_state`, Suricata, Argus)",
            (ZEEK, SURICATA, ARGUS),
        ),
    ]


def _answers() -> list[Column]:
    return [
        _column(
            "label",
            pa.string(),
            "answers",
            "name",
            "what the flow is, where a data set or `annotate` says so",
            EVERY_SOURCE,
        ),
        _column("label_source", pa.string(), "answers", "name", "who says so", EVERY_SOURCE),
    ]


def _column(name: str, type_: pa.DataType, group: Group, unit: str, meaning: str, known_by: tuple[str, ...]) -> Column:
    if name in ("src_name", "dst_name"):
        group = "pseudonym"
    return Column(name=name, type=type_, group=group, unit=unit, meaning=meaning, known_by=known_by)
