"""Labels of a run checked by a second way: what servers logged, what payloads say, which names were asked for, what
activities wrote down.

Labels come from the kernel, which tells what process opened a connection. Nothing here looks at that: it compares them
with what can be seen from the other end of the wire. A flow is checked if one way has a word about it at least, and
wrong if one way contradicts its label.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from .labels import BACKGROUND
from .visits import Connected, visits_of

EXAMPLES = 10
SLACK_NS = 2_000_000_000
WAYS = ("server logs", "payload", "names", "diary")

_PAGES = frozenset({"web", "http-proxy", "socks", "software-update"})
# What a request says about who made it: the first pattern that fits "METHOD URI | agent" counts.
_REQUESTS = tuple(
    (re.compile(pattern), allowed)
    for pattern, allowed in (
        (r"\| Debian APT-HTTP", frozenset({"software-update"})),
        (r"^GET /video/", frozenset({"video"})),
        (r"^PUT /upload/piece-", frozenset({"bulk-upload"})),
        (r"^PUT /upload/", frozenset({"web-upload"})),
        (r"^POST /login", frozenset({"web-guessing", "beacon"})),
        (r"^GET /api\?since=", frozenset({"web-api"})),
        (r"^GET /api\?\d+", frozenset({"http-flood"})),
        (r"^GET /api\b", frozenset({"web-api", "beacon", "http-flood"})),
        (r"^GET /(page|image)-\d+ ", _PAGES),
        (r"^GET /films/", frozenset({"video"})),
        (r"^GET /\?0\.\d+", frozenset({"slow-http"})),
    )
)
_SCANS = frozenset({"port-scan", "host-scan", "udp-scan", "spreading"})
# Applications that a payload of this kind can belong to, beside scans, to which servers speak as well. Kinds that are
# not here say nothing.
_SPOKEN = {
    "dns": frozenset({"dns", "dns-tunnel", "dns-flood", "reflection"}),
    "ssh": frozenset({"ssh", "sftp", "ssh-guessing", "bulk-upload"}),
    "ftp": frozenset({"ftp", "ftp-guessing", "bulk-upload"}),
    "smtp": frozenset({"smtp"}),
    "imap": frozenset({"imap"}),
    "smb": frozenset({"smb"}),
    "sip": frozenset({"voice"}),
    "mqtt": frozenset({"mqtt"}),
    "snmp": frozenset({"snmp"}),
    "ntp": frozenset({"ntp", "reflection"}),
    "bittorrent": frozenset({"bittorrent"}),
    "quic": frozenset({"web-quic"}),
}


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Flows of all captures of a run. `by_way` has (checked, contradicted) of each way."""

    flows: int = 0
    labelled: int = 0
    checked: int = 0
    wrong: int = 0
    by_way: dict[str, tuple[int, int]] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "flows": self.flows,
            "labelled": self.labelled,
            "labelled_share": _share(self.labelled, self.flows),
            "checked": self.checked,
            "checked_share": _share(self.checked, self.flows),
            "wrong": self.wrong,
            "wrong_share_of_checked": _share(self.wrong, self.checked),
            "by_way": {
                way: {"checked": checked, "contradicted": wrong} for way, (checked, wrong) in self.by_way.items()
            },
            "examples": self.examples,
        }


def verify_run(folder: Path) -> Verification:
    """Meter the captures of a run again, join its labels, and ask every way about every flow."""
    from ..flows.annotate import annotate
    from ..sources.reading import read

    run, labels = folder / "run.json", folder / "labels.csv"
    captures = sorted((folder / "capture").glob("*.pcapng"))
    if not (run.is_file() and labels.is_file() and captures):
        raise InputError(
            f"lab: `{folder}` is no folder of a run: it lacks run.json, labels.csv or capture/*.pcapng",
            hint="`flowlore lab run SCENARIO -o FOLDER` makes one",
        )
    ways = _ways(folder, _described(run))
    counts: Counter[str] = Counter()
    by_way: dict[str, list[int]] = {name: [0, 0] for name in ways}
    examples: list[dict[str, Any]] = []
    for capture in captures:
        flows = annotate(read(capture), labels)[0]
        for row in _rows(flows):
            counts["flows"] += 1
            if not row["label"]:
                continue
            counts["labelled"] += 1
            verdicts = {name: way(row) for name, way in ways.items()}
            asked = {name: verdict for name, verdict in verdicts.items() if verdict is not None}
            for name, agrees in asked.items():
                by_way[name][0] += 1
                by_way[name][1] += not agrees
            counts["checked"] += bool(asked)
            against = [name for name, agrees in asked.items() if not agrees]
            counts["wrong"] += bool(against)
            if against and len(examples) < EXAMPLES:
                examples.append({"capture": capture.name, **_shown(row), "against": against})
    return Verification(
        flows=counts["flows"],
        labelled=counts["labelled"],
        checked=counts["checked"],
        wrong=counts["wrong"],
        by_way={name: (checked, wrong) for name, (checked, wrong) in by_way.items()},
        examples=examples,
    )


def _described(path: Path) -> dict[str, Any]:
    """run.json, which has all that is asked of it here."""
    with suppress(ValueError, KeyError, TypeError):
        found: dict[str, Any] = json.loads(path.read_text())
        parts = (found["nodes"], found["scenario"]["hosts"], found["services"])
        if all(map(isinstance, parts, (dict, dict, list))):
            return found
    raise InputError(
        f"lab: `{path}` is not what a run wrote, or is damaged",
        hint="`flowlore lab run … --overwrite` makes the folder anew",
    )


def _ways(folder: Path, described: Mapping[str, Any]) -> dict[str, Any]:
    """Functions from a flow to True (agrees), False (contradicts) or None (has no word about it)."""
    hosts = _hosts_of_addresses(described)
    visits = visits_of(folder / "logs", described)
    names = _names_of_hosts(described)
    actions = _actions(folder / "actions.jsonl")
    proxies = {one["host"] for one in described["services"] if one["service"] in ("proxy", "socks")}

    def by_logs(row: Mapping[str, Any]) -> bool | None:
        found = visits.get(Connected(row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"]), ())
        words = [
            _who_asks_so(visit.request, visit.agent)
            for visit in found
            if row["start_ns"] - SLACK_NS <= visit.time_ns <= row["end_ns"] + SLACK_NS
        ]
        said = [allowed for allowed in words if allowed is not None]
        return all(row["label"] in allowed for allowed in said) if said else None

    def by_payload(row: Mapping[str, Any]) -> bool | None:
        allowed = _SPOKEN.get(row["app_protocol"])
        return None if allowed is None else row["label"] in allowed | _SCANS

    def by_name(row: Mapping[str, Any]) -> bool | None:
        host = hosts.get(row["dst_ip"])
        if host is None or not row["server_name"] or row["server_name_from"] == "dns" or host in proxies:
            return None
        if row["label"] == "dns-tunnel" or row["app_protocol"] == "dns":
            return None
        return row["server_name"] in names[host] or row["server_name"] == row["dst_ip"]

    def by_diary(row: Mapping[str, Any]) -> bool | None:
        """One of the two hosts was at it: the one that was asked may open a connection back, as TFTP and FTP do."""
        ends = [hosts.get(row[name]) for name in ("src_ip", "dst_ip")]
        known = [actions[host] for host in ends if host in actions]
        if not known or None in ends or proxies & set(ends) or row["label"] in (BACKGROUND, "dns"):
            return None
        spans = [span for one in known for span in one.get(row["label"], ())]
        return any(first - SLACK_NS <= row["start_ns"] <= last + SLACK_NS for first, last in spans)

    return dict(zip(WAYS, (by_logs, by_payload, by_name, by_diary), strict=True))


def _hosts_of_addresses(described: Mapping[str, Any]) -> dict[str, str]:
    """Hosts by address; routers are left out, as behind them stands somebody else."""
    return {
        address: name
        for name, networks in described["nodes"].items()
        if name in described["scenario"]["hosts"]
        for addresses in networks.values()
        for address in addresses
    }


def _names_of_hosts(described: Mapping[str, Any]) -> dict[str, set[str]]:
    hosts = described["scenario"]["hosts"]
    return {name: {*host["names"], f"{name}.example"} for name, host in hosts.items()}


def _who_asks_so(request: str, agent: str) -> frozenset[str] | None:
    """Applications that make such a request; None where many would."""
    words = f"{request} | {agent}"
    return next((allowed for pattern, allowed in _REQUESTS if pattern.search(words)), None)


def _actions(path: Path) -> dict[str, dict[str, list[tuple[int, int]]]]:
    """When each host did what, by label."""
    found: dict[str, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    if path.is_file():
        for line in path.read_text().splitlines():
            action = json.loads(line)
            found[action["host"]][action["application"]].append((action["from_ns"], action["to_ns"]))
    return found


def _rows(flows: Any) -> Iterator[dict[str, Any]]:
    import polars as pl

    wanted = ["src_ip", "dst_ip", "src_port", "dst_port", "label", "app_protocol", "server_name", "server_name_from"]
    frame = flows.to_polars().select(*wanted, pl.col("start").dt.epoch("ns").alias("start_ns"), "duration_ns")
    for row in frame.iter_rows(named=True):
        yield row | {"end_ns": row["start_ns"] + (row.pop("duration_ns") or 0)}


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("src_ip", "src_port", "dst_ip", "dst_port", "label", "app_protocol", "server_name")
    return {name: row[name] for name in kept if row[name] is not None}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
