"""From connections and the processes that opened them to a file of labels that `flowlore annotate` reads."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from .truth import ICMP, ICMPV6, Ends, Opened

BACKGROUND = "background"
_SOON_NS = 30_000_000_000  # the kernel forgets a connection that nobody answers after this
_LARGEST_PROTOCOL = 255  # of IP; what is above is no flow
_PORTLESS = (ICMP, ICMPV6)
_COLUMNS = ("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "from", "to", "label", "label_source")


@dataclass(frozen=True, kw_only=True)
class Doing:
    """What the processes of one group id did."""

    host: str
    role: str
    application: str
    activity: str
    kind: str  # benign, misbehaviour or service
    phase: str
    instance: str


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One connection with its truth. `doing` is None for what the kernel sent of its own accord."""

    time_ns: int
    node: str
    ends: Ends
    doing: Doing | None
    translated_from: Ends | None = None

    @property
    def label(self) -> str:
        return BACKGROUND if self.doing is None else self.doing.application

    def as_dict(self) -> dict[str, object]:
        doing = asdict(self.doing) if self.doing is not None else {"application": BACKGROUND}
        before = {} if self.translated_from is None else {"translated_from": self.translated_from._asdict()}
        return {"time_ns": self.time_ns, "node": self.node, **self.ends._asdict(), **doing, **before}


def connections_of(opened: Iterable[Opened], doings: Mapping[int, Doing]) -> list[Connection]:
    """Every connection once, in order of time.

    The kernel calls every packet new until one is answered: those of one sender that follow soon are one connection.
    A server that goes on speaking after the kernel forgot a connection, and an ICMP error, belong to who opened it.
    """
    found: list[Connection] = []
    latest: dict[Ends, Connection] = {}  # by both directions
    heard_ns: dict[Ends, int] = {}
    translations = []
    for one in sorted(opened, key=lambda one: one.time_ns):
        if one.translated is not None:
            translations.append(one)
            continue
        doing = doings.get(one.group) if one.group is not None else None
        if one.caused_by is not None:
            before = latest.get(one.caused_by)
            doing = before.doing if before is not None else None
        elif doing is None or doing.kind == "service":
            before = latest.get(one.ends)
            if before is not None:
                continue
        elif one.time_ns - heard_ns.get(one.ends, -_SOON_NS) < _SOON_NS and latest[one.ends].doing == doing:
            heard_ns[one.ends] = one.time_ns
            continue
        connection = Connection(time_ns=one.time_ns, node=one.node, ends=one.ends, doing=doing)
        found.append(connection)
        if one.caused_by is None:
            latest[one.ends] = latest[one.ends.turned()] = connection
            heard_ns[one.ends] = one.time_ns
    return sorted([*found, *_translated(translations, found)], key=lambda one: one.time_ns)


def write_labels(path: Path, connections: Iterable[Connection], start_ns: int, end_ns: int) -> int:
    """A row for each 5-tuple and time in which it has one label; gives how many. ICMP has no ports in it.

    All rows together span the time of the run and no more, so that runs can be put together.
    """
    by_ends: dict[Ends, list[Connection]] = defaultdict(list)
    for connection in connections:
        ends = connection.ends
        if ends.protocol > _LARGEST_PROTOCOL:
            continue
        if ends.turned() in by_ends:
            ends = ends.turned()
        by_ends[ends].append(connection)
    rows = 0
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for ends, opened in by_ends.items():
            portless = ends.protocol in _PORTLESS
            ports = ("", "") if portless else (ends.src_port, ends.dst_port)
            for first_ns, last_ns, label in _times(opened, start_ns, end_ns):
                times = (_text(first_ns), _text(last_ns))
                writer.writerow([ends.src_ip, ends.dst_ip, *ports, ends.protocol, *times, label, "lab"])
                rows += 1
        for protocol in (ICMP, ICMPV6, 2):  # neighbour discovery, group membership: nobody's in particular
            writer.writerow(["", "", "", "", protocol, _text(start_ns), _text(end_ns), BACKGROUND, "lab"])
            rows += 1
    return rows


def _times(opened: list[Connection], start_ns: int, end_ns: int) -> list[tuple[int, int, str]]:
    """(first, last, label) of one 5-tuple, without gaps: flows are cut by time-outs that connections do not know.

    The first goes back to the start, since the kernel's word comes late where the machine is busy; where the label
    changes, halfway between the two connections.
    """
    spans: list[tuple[int, int, str]] = []
    began_ns = 0
    for connection in sorted(opened, key=lambda one: one.time_ns):
        if spans and spans[-1][2] == connection.label:
            continue
        first_ns = min(start_ns, connection.time_ns)
        if spans:
            before = spans.pop()
            first_ns = (began_ns + connection.time_ns) // 2
            spans.append((before[0], first_ns - 1000, before[2]))
        began_ns = connection.time_ns
        spans.append((first_ns, end_ns, connection.label))
    return spans


def _translated(translations: list[Opened], connections: list[Connection]) -> list[Connection]:
    by_ends: dict[Ends, list[Connection]] = defaultdict(list)
    for connection in connections:
        by_ends[connection.ends].append(connection)
    found = []
    for one in translations:
        candidates = by_ends.get(one.ends, [])
        if candidates and one.translated is not None:
            nearest = min(candidates, key=lambda candidate: abs(candidate.time_ns - one.time_ns))
            found.append(
                Connection(
                    time_ns=nearest.time_ns,
                    node=one.node,
                    ends=one.translated,
                    doing=nearest.doing,
                    translated_from=one.ends,
                )
            )
    return found


def _text(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
