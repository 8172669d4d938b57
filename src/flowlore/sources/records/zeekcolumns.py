"""What is peculiar to Zeek's connections: ICMP in the place of ports, flags in the history, names of services."""

from collections import Counter
from typing import Any

import polars as pl

from .columnmaps import plain

# ICMP types whose reply has a type of its own: Zeek writes that type where it writes the code of other types.
PAIRED_TYPES = {
    1: (8, 0, 13, 14, 15, 16, 17, 18, 10, 9),
    58: (128, 129, 133, 134, 135, 136, 139, 140, 144, 145, 130, 131),
}

SERVICES = {"ssl": "tls"}


def complete_connections(frame: pl.DataFrame, columns: dict[str, Any], notes: Counter[str]) -> None:
    """Correct and complete, in place, what the column map made of Zeek's `conn` columns."""
    places = {plain(name): name for name in frame.columns}
    protocol = _protocols(frame, places, columns)
    columns["protocol"] = protocol
    columns["dst_port"] = _icmp_codes(protocol, columns["src_port"], columns["dst_port"])
    packets = columns["packets_fwd"] + columns["packets_rev"]
    columns["duration_ns"] = pl.select(  # Zeek leaves out the duration of a lone packet
        pl.when(columns["duration_ns"].is_null() & (packets == 1)).then(0).otherwise(columns["duration_ns"])
    ).to_series()
    if "history" in places:
        history = frame[places["history"]].cast(pl.String)
        for side, letters in (("fwd", "SHADFRCGTWIQ"), ("rev", "shadfrcgtwiq")):
            columns[f"tcp_flags_{side}"] = _sure_flags(protocol, history, columns[f"packets_{side}"], letters)
        if turned := int(history.str.contains("^", literal=True).sum() or 0):
            notes["direction-turned-by-sensor"] += turned
    if "app_protocol" in columns:
        columns["app_protocol"] = service_names(columns["app_protocol"])
    if "tunnel_parents" in places:
        tunnelled = frame[places["tunnel_parents"]].cast(pl.String).fill_null("").is_in(["", "-", "(empty)", "[]"])
        if inside := int((~tunnelled).sum()):
            notes["inside-a-tunnel"] += inside


def service_names(services: pl.Series) -> pl.Series:
    """Zeek's analyzers (`ssl`, `quic,ssl`) → one name: QUIC before the TLS in it, else the first."""
    first = services.str.split(",").list.first().replace(SERVICES)
    return pl.select(pl.when(services.str.contains(r"\bquic\b")).then(pl.lit("quic")).otherwise(first)).to_series()


def _protocols(frame: pl.DataFrame, places: dict[str, str], columns: dict[str, Any]) -> pl.Series:
    """Numbers of protocols; `icmp` between IPv6 addresses is ICMPv6."""
    protocol: pl.Series = columns["protocol"]
    if "ip_proto" in places:
        protocol = protocol.fill_null(frame[places["ip_proto"]].cast(pl.UInt8, strict=False))
    is_ipv6 = frame[places["id_orig_h"]].cast(pl.String).str.contains(":", literal=True)
    return pl.select(
        pl.when((protocol == 1) & is_ipv6).then(pl.lit(58, pl.UInt8)).otherwise(protocol).cast(pl.UInt8)
    ).to_series()


def _icmp_codes(protocol: pl.Series, types: pl.Series, codes: pl.Series) -> pl.Series:
    """`dst_port` with the code of ICMP: 0 for the types of `PAIRED_TYPES`, which have no other."""
    paired = pl.lit(False)
    for number, kinds in PAIRED_TYPES.items():
        paired = paired | ((protocol == number) & types.is_in(list(kinds)))
    return pl.select(pl.when(paired).then(pl.lit(0, pl.UInt16)).otherwise(codes).cast(pl.UInt16)).to_series()


def _sure_flags(protocol: pl.Series, history: pl.Series, packets: pl.Series, letters: str) -> pl.Series:
    """TCP flags of one direction where the history leaves no doubt, else null.

    `s` is SYN alone, `h` SYN and ACK, `a` ACK alone. A direction with payload may or may not have had PSH, and FIN and
    RST may or may not have had ACK: nothing is said of these, except that a FIN after an ACK has nothing to hide.
    """
    distinct = history.unique()  # there are few histories, and many flows
    told = pl.DataFrame({"history": distinct, "flags": _told_flags(distinct, letters)})
    flags = history.alias("history").to_frame().join(told, on="history", how="left", maintain_order="left")["flags"]
    silent = packets.eq(0) & ~history.str.contains(f"[{letters}^]")
    return pl.select(
        pl.when(protocol != 6).then(None).when(silent).then(0).when(packets > 0).then(flags).cast(pl.UInt8)
    ).to_series()


def _told_flags(history: pl.Series, letters: str) -> pl.Series:
    """The bits that a history proves to be all of one direction, null where it does not."""
    syn, synack, ack, data, fin, rst, *rest = list(letters)
    seen = {letter: history.str.contains(letter, literal=True) for letter in letters}
    doubtful = seen[data] | seen[rst] | history.str.contains("^", literal=True)
    for letter in rest:
        doubtful = doubtful | seen[letter]
    doubtful = doubtful | (seen[fin] & ~(seen[ack] | seen[synack])) | ~history.str.contains(f"[{letters}]")
    bits = (
        (seen[syn] | seen[synack]).cast(pl.Int64) * 2
        + (seen[ack] | seen[synack]).cast(pl.Int64) * 16
        + seen[fin].cast(pl.Int64)
    )
    return pl.select(pl.when(~doubtful).then(bits)).to_series()
