"""Names that Zeek's other logs give to connections, joined by uid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from .joining import KEY, LINES, Pool, coalesced
from .zeeklogs import unescaped

UNSET = ("", "-", "(empty)")

TLS_VERSIONS = {
    "SSLv2": "SSL 2.0",
    "SSLv3": "SSL 3.0",
    "TLSv10": "TLS 1.0",
    "TLSv11": "TLS 1.1",
    "TLSv12": "TLS 1.2",
    "TLSv13": "TLS 1.3",
    "DTLSv10": "DTLS 1.0",
    "DTLSv12": "DTLS 1.2",
    "DTLSv13": "DTLS 1.3",
}


@dataclass(frozen=True, slots=True)
class NameLog:
    """One log: the app protocol that its lines prove, its fields, and what becomes of them."""

    protocol: str
    columns: Mapping[str, str]  # column of the flow table → field of the log
    key: str = "uid"

    @property
    def fields(self) -> list[str]:
        return [self.key, *self.columns.values()]


# In the order in which they are believed, where two name one connection.
NAME_LOGS = {
    "quic": NameLog("quic", {"server_name": "server_name", "alpn": "client_protocol"}),
    "ssl": NameLog("tls", {"server_name": "server_name", "alpn": "next_protocol", "tls_version": "version"}),
    "http": NameLog("http", {"server_name": "host", "user_agent": "user_agent"}),
    "dns": NameLog("dns", {"dns_query": "query", "dns_query_type": "qtype", "dns_response_code": "rcode"}),
    "dhcp": NameLog("dhcp", {"dhcp_hostname": "host_name", "dhcp_vendor": "client_software"}, key="uids"),
    "ssh": NameLog("ssh", {"ssh_client": "client", "ssh_server": "server"}),
}

_NUMBERS = {"dns_query_type": pl.UInt16, "dns_response_code": pl.UInt8}


class ConnectionNames:
    """Lines of the other logs, held until their connection is read."""

    def __init__(self) -> None:
        self._pools = {
            kind: Pool({name: _NUMBERS.get(name, pl.String) for name in log.columns}) for kind, log in NAME_LOGS.items()
        }

    @property
    def unused_lines(self) -> int:
        return sum(pool.unused_lines for pool in self._pools.values())

    def add(self, kind: str, frame: pl.DataFrame) -> int:
        """Take lines of one log; those without a uid are left out, and their number is given back."""
        log = NAME_LOGS[kind]
        made = frame.select(
            _uids(frame[log.key]).alias(KEY),
            *(_converted(target, frame[source]) for target, source in log.columns.items()),
        )
        known = made.filter(pl.col(KEY).list.len() > 0)
        known = known.with_row_index("line").explode(KEY)
        self._pools[kind].add(known.with_columns(known["line"].is_first_distinct().cast(pl.Int64).alias(LINES)))
        return made.height - known["line"].n_unique()

    def complete(self, uids: pl.Series, columns: dict[str, Any]) -> int:
        """Add names to the columns of connections with these uids. Gives the lines that found their connection."""
        candidates: dict[str, list[pl.Series]] = {}
        lines = 0
        for kind, log in NAME_LOGS.items():
            pool = self._pools[kind]
            if not len(pool):
                continue
            found, used = pool.look_up(uids)
            lines += used
            seen = found[KEY].is_not_null()
            _offer(candidates, "app_protocol", _where(seen, log.protocol))
            for target in log.columns:
                _offer(candidates, target, found[target])
            if "server_name" in log.columns:
                _offer(candidates, "server_name_from", _where(found["server_name"].is_not_null(), log.protocol))
        for target, series in candidates.items():
            given = columns.get(target)
            columns[target] = coalesced(series if given is None else [given, *series])
        return lines

    def forget_used(self) -> None:
        for pool in self._pools.values():
            pool.forget_used()


def _offer(candidates: dict[str, list[pl.Series]], target: str, values: pl.Series) -> None:
    candidates.setdefault(target, []).append(values)


def _where(seen: pl.Series, text: str) -> pl.Series:
    return pl.select(pl.when(seen).then(pl.lit(text))).to_series()


def _uids(values: pl.Series) -> pl.Series:
    """A uid, or a set of them as TSV (`a,b`) and JSON (`["a","b"]`) write it → a list; empty where there is none."""
    plain = values.fill_null("").str.strip_chars('[]" ').str.replace_all(r'"\s*,\s*"', ",")
    listed = pl.select(pl.when(plain.is_in(list(UNSET))).then(None).otherwise(plain)).to_series()
    return listed.str.split(",")


def _converted(target: str, values: pl.Series) -> pl.Series:
    text = pl.select(pl.when(~values.is_in(list(UNSET))).then(values)).to_series()
    if target in _NUMBERS:
        return text.cast(_NUMBERS[target], strict=False).alias(target)
    text = unescaped(text)
    convert: dict[str, Callable[[pl.Series], pl.Series]] = {
        "server_name": _server_name,
        "dns_query": lambda names: names.str.to_lowercase(),
        "tls_version": lambda versions: versions.replace_strict(TLS_VERSIONS, default=None, return_dtype=pl.String),
    }
    return (convert[target](text) if target in convert else text).alias(target)


def _server_name(names: pl.Series) -> pl.Series:
    """Lower case, without the port that an HTTP host may have."""
    return names.str.to_lowercase().str.replace(r"^([^:]*|\[.*\]):\d*$", "$1")
