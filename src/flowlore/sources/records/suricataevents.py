"""EVE events of Suricata: their fields, and what columns of the flow table they become.

Bytes of a flow are those of whole packets, link headers included: `frame_bytes`.
"""

from typing import Any

import polars as pl
import pyarrow as pa

from .columns import as_addresses, as_flags, as_instants, as_integers, as_macs, as_ports, as_protocols
from .joining import KEY, coalesced

_S = pl.String

EVENT_SCHEMA: dict[str, Any] = {
    **dict.fromkeys(
        (
            "timestamp", "flow_id", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto",
            "icmp_type", "icmp_code",
        ),
        _S,
    ),
    "vlan": pl.List(_S),
    "ether": pl.Struct({"src_mac": _S, "dest_mac": _S}),
    "flow": pl.Struct(
        dict.fromkeys(
            ("pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient", "start", "end", "state"), _S
        )
    ),
    "tcp": pl.Struct({"tcp_flags_ts": _S, "tcp_flags_tc": _S}),
    "tls": pl.Struct({"sni": _S, "version": _S, "ja4": _S, "client_alpns": pl.List(_S)}),
    "quic": pl.Struct({"sni": _S, "ja4": _S}),
    "http": pl.Struct({"hostname": _S, "http_user_agent": _S}),
    "dns": pl.Struct(
        {
            "rrname": _S,
            "rrtype": _S,
            "rcode": _S,
            "queries": pl.List(pl.Struct({"rrname": _S, "rrtype": _S})),
        }
    ),
    "ssh": pl.Struct(
        {
            "client": pl.Struct({"proto_version": _S, "software_version": _S}),
            "server": pl.Struct({"proto_version": _S, "software_version": _S}),
        }
    ),
    "dhcp": pl.Struct({"hostname": _S, "vendor_class_identifier": _S}),
    "alert": pl.Struct({"signature": _S}),
}  # fmt: skip

# What waits of an event for its flow.
_NAMES = (
    "tls_sni", "quic_sni", "http_host", "tls_version", "ja4", "alpn", "user_agent", "dns_query", "dns_type",
    "dns_rcode", "ssh_client", "ssh_server", "dhcp_hostname", "dhcp_vendor", "signature",
)  # fmt: skip
_ENDPOINTS = ("timestamp", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto", "icmp_type", "icmp_code")
JOINED = dict.fromkeys((*_ENDPOINTS, "flow_start", "kind", *_NAMES), pl.String)

RECORD_TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "NULL": 10, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "RP": 17,
    "AAAA": 28, "LOC": 29, "SRV": 33, "NAPTR": 35, "DS": 43, "SSHFP": 44, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48,
    "NSEC3": 50, "TLSA": 52, "SVCB": 64, "HTTPS": 65, "SPF": 99, "IXFR": 251, "AXFR": 252, "ANY": 255, "CAA": 257,
}  # fmt: skip
RESPONSE_CODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
TLS_VERSIONS = {"TLSv1": "TLS 1.0", "SSLv3": "SSL 3.0", "SSLv2": "SSL 2.0"}
NAMED = ("tls", "quic", "http", "dns", "ssh", "dhcp")
NO_APP = ("failed", "unknown", "")


def flow_events(frame: pl.DataFrame) -> pl.DataFrame:
    """Flow events with the fields of `flow`, `tcp` and `ether` beside the others."""
    return frame.select(
        *(pl.col(name) for name in ("flow_id", *_ENDPOINTS, "vlan")),
        *(pl.col("flow").struct.field(name) for name in EVENT_SCHEMA["flow"].to_schema()),
        *(pl.col("tcp").struct.field(name) for name in ("tcp_flags_ts", "tcp_flags_tc")),
        *(pl.col("ether").struct.field(name) for name in ("src_mac", "dest_mac")),
    )


def flow_columns(flows: pl.DataFrame) -> dict[str, Any]:
    """Columns of the flow table from flow events."""
    start = as_instants(flows["start"])
    columns = _endpoint_columns(flows)
    columns |= {
        "start": start.cast(pl.Datetime("ns", "UTC")),
        "duration_ns": as_instants(flows["end"]) - start,
        "packets_fwd": as_integers(flows["pkts_toserver"], pa.uint64()),
        "packets_rev": as_integers(flows["pkts_toclient"], pa.uint64()),
        "frame_bytes_fwd": as_integers(flows["bytes_toserver"], pa.uint64()),
        "frame_bytes_rev": as_integers(flows["bytes_toclient"], pa.uint64()),
        "tcp_flags_fwd": as_flags("0x" + flows["tcp_flags_ts"]),
        "tcp_flags_rev": as_flags("0x" + flows["tcp_flags_tc"]),
        "connection_state": flows["state"],
        "vlan": as_integers(flows["vlan"].list.get(0, null_on_oob=True), pa.uint16()),
        "inner_vlan": as_integers(flows["vlan"].list.get(1, null_on_oob=True), pa.uint16()),
        "src_mac": as_macs(flows["src_mac"]),
        "dst_mac": as_macs(flows["dest_mac"]),
    }
    return columns


def event_columns(events: pl.DataFrame) -> pl.DataFrame:
    """Other events as rows that wait: their endpoints and names as text."""
    question = pl.col("dns").struct.field("queries").list.first()

    def software(side: str) -> pl.Expr:
        line = pl.col("ssh").struct.field(side)
        version, name = line.struct.field("proto_version"), line.struct.field("software_version")
        return pl.concat_str(pl.lit("SSH-"), version.fill_null("2.0"), pl.lit("-"), name)

    return events.select(
        pl.col("flow_id").alias(KEY),
        *(pl.col(name) for name in _ENDPOINTS),
        pl.col("flow").struct.field("start").alias("flow_start"),
        pl.when(pl.col("event_type").is_in(NAMED)).then(pl.col("event_type")).alias("kind"),
        pl.col("tls").struct.field("sni").alias("tls_sni"),
        pl.col("quic").struct.field("sni").alias("quic_sni"),
        pl.col("http").struct.field("hostname").alias("http_host"),
        pl.col("tls").struct.field("version").alias("tls_version"),
        pl.coalesce(pl.col("tls").struct.field("ja4"), pl.col("quic").struct.field("ja4")).alias("ja4"),
        pl.col("tls").struct.field("client_alpns").list.join(",").alias("alpn"),
        pl.col("http").struct.field("http_user_agent").alias("user_agent"),
        pl.coalesce(pl.col("dns").struct.field("rrname"), question.struct.field("rrname")).alias("dns_query"),
        pl.coalesce(pl.col("dns").struct.field("rrtype"), question.struct.field("rrtype")).alias("dns_type"),
        pl.col("dns").struct.field("rcode").alias("dns_rcode"),
        software("client").alias("ssh_client"),
        software("server").alias("ssh_server"),
        pl.col("dhcp").struct.field("hostname").alias("dhcp_hostname"),
        pl.col("dhcp").struct.field("vendor_class_identifier").alias("dhcp_vendor"),
        pl.col("alert").struct.field("signature").alias("signature"),
    )


def joined_columns(rows: pl.DataFrame, alerts_as_labels: bool, *, endpoints: bool = False) -> dict[str, Any]:
    """Columns of the flow table from what events said: names, and on request endpoints and the time of the first."""
    columns: dict[str, Any] = {}
    if endpoints:
        columns = _endpoint_columns(rows)
        columns["start"] = coalesced([as_instants(rows["flow_start"]), as_instants(rows["timestamp"])]).cast(
            pl.Datetime("ns", "UTC")
        )
    hosts = {"tls": rows["tls_sni"], "quic": rows["quic_sni"], "http": rows["http_host"]}
    hosts = {kind: host.str.to_lowercase() for kind, host in hosts.items()}
    columns["server_name"] = coalesced(list(hosts.values()))
    columns["server_name_from"] = pl.select(
        pl.coalesce([pl.when(host.is_not_null()).then(pl.lit(kind)) for kind, host in hosts.items()])
    ).to_series()
    seen = columns.get("app_protocol")
    columns["app_protocol"] = rows["kind"] if seen is None else seen.fill_null(rows["kind"])
    columns["tls_version"] = rows["tls_version"].replace(TLS_VERSIONS)
    columns["dns_query"] = rows["dns_query"].str.to_lowercase()
    columns["dns_query_type"] = _numbered(rows["dns_type"], RECORD_TYPES, pl.UInt16)
    columns["dns_response_code"] = _numbered(rows["dns_rcode"], RESPONSE_CODES, pl.UInt8)
    for name in ("ja4", "alpn", "user_agent", "ssh_client", "ssh_server", "dhcp_hostname", "dhcp_vendor"):
        columns[name] = rows[name]
    if alerts_as_labels:
        columns["label"] = rows["signature"]
        columns["label_source"] = pl.select(
            pl.when(rows["signature"].is_not_null()).then(pl.lit("suricata"))
        ).to_series()
    return columns


def _endpoint_columns(rows: pl.DataFrame) -> dict[str, Any]:
    protocol = as_protocols(rows["proto"])
    is_icmp = protocol.is_in([1, 58]).fill_null(False)
    ports = pl.select(
        src=pl.when(is_icmp).then(as_ports(rows["icmp_type"])).otherwise(as_ports(rows["src_port"])),
        dst=pl.when(is_icmp).then(as_ports(rows["icmp_code"])).otherwise(as_ports(rows["dest_port"])),
    )
    app = rows["app_proto"]
    return {
        "src_ip": as_addresses(rows["src_ip"]),
        "dst_ip": as_addresses(rows["dest_ip"]),
        "src_port": ports["src"],
        "dst_port": ports["dst"],
        "protocol": protocol,
        "app_protocol": pl.select(pl.when(~app.is_in(list(NO_APP))).then(app)).to_series(),
    }


def _numbered(texts: pl.Series, known: dict[str, int], type_: type[pl.UInt16] | type[pl.UInt8]) -> pl.Series:
    """Names that we know as numbers, or numbers as they stand."""
    named = texts.str.to_uppercase().replace_strict(known, default=None, return_dtype=pl.Int64)
    number = texts.str.strip_prefix("TYPE").cast(pl.Int64, strict=False)
    return coalesced([named, number]).cast(type_, strict=False)
