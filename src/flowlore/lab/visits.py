"""What web servers of a run wrote down of their visitors, from `logs/HOST.SERVICE.access.log`.

nginx and lighttpd write lines of one form, Caddy objects of JSON, which do not say which port was asked.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

_SUFFIX = ".access.log"
_LINE = re.compile(
    r'^(?P<time>[\d.]+) (?P<client>\S+) (?P<port>\d+) (?P<server_port>\d+) \d+ \d+ "[^"]*" "(?P<request>[^"]*)" '
    r'"(?P<agent>[^"]*)"'
)


class Connected(NamedTuple):
    """Both ends of a connection, from the visitor's side."""

    client: str
    client_port: int
    server: str
    server_port: int


class Visit(NamedTuple):
    """One request over a connection."""

    time_ns: int
    request: str  # method and URI
    agent: str


def visits_of(logs: Path, described: Mapping[str, Any]) -> dict[Connected, list[Visit]]:
    """Visits by connection; `described` is run.json, by which a server has several addresses."""
    ports = {f"{one['host']}.{one['service']}": int(one["port"]) for one in described["services"]}
    found: dict[Connected, list[Visit]] = defaultdict(list)
    for log in sorted(logs.glob(f"*{_SUFFIX}")):
        instance = log.name.removesuffix(_SUFFIX)
        networks = described["nodes"].get(instance.partition(".")[0], {})
        servers = [address for addresses in networks.values() for address in addresses]
        for line in log.read_text(errors="replace").splitlines():
            told = _from_json(line, ports.get(instance)) if line.startswith("{") else _from_line(line)
            if told is not None:
                client, client_port, server_port, visit = told
                for server in servers:
                    found[Connected(client, client_port, server, server_port)].append(visit)
    return found


_Told = tuple[str, int, int, Visit]  # the visitor's address and port, the server's port, and the visit


def _from_line(line: str) -> _Told | None:
    words = _LINE.match(line)
    if words is None:
        return None
    visit = Visit(round(float(words["time"]) * 1e9), words["request"], words["agent"])
    return words["client"], int(words["port"]), int(words["server_port"]), visit


def _from_json(line: str, server_port: int | None) -> _Told | None:
    try:
        said = json.loads(line)
        asked = said["request"]
        visit = Visit(
            round(float(said["ts"]) * 1e9),
            f"{asked['method']} {asked['uri']}",
            " ".join(asked.get("headers", {}).get("User-Agent", ())),
        )
        return None if server_port is None else (asked["remote_ip"], int(asked["remote_port"]), server_port, visit)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
