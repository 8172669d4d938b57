"""Our flow table beside tshark, NFStream and a second computation, on every real capture; docs/correctness.md is
written from the results."""

import argparse
import gzip
import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "conformance")]

from rivals import (  # noqa: E402
    TsharkSays,
    is_equal,
    key_of,
    key_of_row,
    nfstream_flows,
    our_conversations,
    tshark_says,
)

from comparing import assert_rows_equal, rows_of, second_rows, settings  # noqa: E402
from flowlore.errors import FlowloreError  # noqa: E402
from flowlore.sources.reading import read  # noqa: E402

SETS = {"ndpi": "ndpi/pcap", "iot_sentinel": "iot_sentinel", "malicious_pcap": "malicious_pcap", "hostile": "hostile"}
WITH_NFSTREAM = ("ndpi", "iot_sentinel", "malicious_pcap")
ENDLESS = {"idle_timeout_s": 86_400, "active_timeout_s": 604_800, "tcp_linger_s": 86_400}
NFSTREAM_IDLE_S, NFSTREAM_ACTIVE_S = 120, 1800
MOST_PACKETS_OF_SECOND = 60_000  # a larger capture is not computed twice in plain Python
EXAMPLES = 12
PORTLESS = (1, 58, 2)  # NFStream gives ICMP and IGMP no ports


@dataclass
class Results:
    """Everything that was counted over one set of captures."""

    captures: int = 0
    packets: int = 0
    packets_in_flows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    account_wrong: list[str] = field(default_factory=list)
    second_captures: int = 0
    second_flows: int = 0
    second_wrong: list[str] = field(default_factory=list)
    conversations: Counter[str] = field(default_factory=Counter)
    conversation_examples: list[str] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)
    name_examples: list[str] = field(default_factory=list)
    nfstream: Counter[str] = field(default_factory=Counter)
    nfstream_examples: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="every capture, and write docs/correctness.md")
    parser.add_argument("--sample", type=int, default=12, help="captures of each set where not --full")
    parser.add_argument("--set", action="append", choices=sorted(SETS), help="only this set")
    parser.add_argument("--json", type=Path, default=REPOSITORY / "build" / "compare_rivals.json")
    parser.add_argument("--nfstream", type=Path, help="Python that has NFStream 6.6", default=_nfstream_python())
    parser.add_argument("--page", action="store_true", help="only write the page, from results of before")
    chosen = parser.parse_args()
    if chosen.page:
        _write_page(json.loads(chosen.json.read_text()))
        return
    data = Path(os.environ.get("FLOWLORE_DATA", REPOSITORY.parent / "shared" / "data"))
    results: dict[str, Any] = json.loads(chosen.json.read_text()) if chosen.full and chosen.json.exists() else {}
    for name in chosen.set or SETS:
        captures = sorted(path for path in (data / SETS[name]).rglob("*") if path.is_file())
        if not chosen.full:
            captures = random.Random(7).sample(captures, min(chosen.sample, len(captures)))
        began = time.monotonic()
        counted = compare_set(name, captures, data, chosen.nfstream)
        results[name] = vars(counted) | {"seconds": round(time.monotonic() - began)}
        print(name, json.dumps(results[name], indent=1))
        if chosen.full:
            chosen.json.parent.mkdir(parents=True, exist_ok=True)
            chosen.json.write_text(json.dumps(results, indent=1))
    if chosen.full:
        _write_page(results)


def _write_page(results: dict[str, Any]) -> None:
    from rival_page import page

    (REPOSITORY / "docs" / "correctness.md").write_text(page(results))


def compare_set(name: str, captures: list[Path], data: Path, nfstream: Path | None) -> Results:
    results = Results()
    for capture in captures:
        where = str(capture.relative_to(data))
        try:
            flows = read(capture, settings=settings(**ENDLESS))
        except FlowloreError as error:
            results.skipped[type(error).__name__] += 1
            continue
        rows = rows_of(flows)
        _check_account(results, where, flows.account, rows)
        if flows.account.packets <= MOST_PACKETS_OF_SECOND:
            _compare_second(results, where, capture)
        if shutil.which("tshark"):
            says = tshark_says(capture)
            _compare_conversations(results, where, capture, rows, says)
            _compare_names(results, where, rows, says)
    if nfstream is not None and name in WITH_NFSTREAM:
        theirs = nfstream_flows(nfstream, captures, idle_s=NFSTREAM_IDLE_S, active_s=NFSTREAM_ACTIVE_S)
        for capture in captures:
            _compare_nfstream(results, str(capture.relative_to(data)), capture, theirs.get(str(capture)))
    return results


def _check_account(results: Results, where: str, account: Any, rows: list[dict[str, Any]]) -> None:
    results.captures += 1
    results.packets += account.packets
    results.packets_in_flows += account.packets_in_flows
    results.skipped.update(account.skipped)
    in_rows = sum(row["packets_fwd"] + row["packets_rev"] for row in rows)
    if in_rows != account.packets_in_flows or account.packets != in_rows + account.skipped.total():
        results.account_wrong.append(where)


def _compare_second(results: Results, where: str, capture: Path) -> None:
    """With the settings as they come, so that flows end."""
    chosen = settings()
    rows = rows_of(read(capture, settings=chosen))
    results.second_captures += 1
    results.second_flows += len(rows)
    try:
        assert_rows_equal(rows, second_rows(_bytes_of(capture), chosen.meter))
    except AssertionError as error:
        results.second_wrong.append(f"{where}: {str(error)[:300]}")


def _bytes_of(capture: Path) -> bytes:
    return gzip.decompress(capture.read_bytes()) if capture.suffix == ".gz" else capture.read_bytes()


def _compare_conversations(
    results: Results, where: str, capture: Path, rows: list[dict[str, Any]], says: TsharkSays
) -> None:
    ours, theirs = our_conversations(rows), says.conversations
    tunnelled = {key_of_row(row) for row in rows if row["tunnel"]}
    outer: Any = None
    for key in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(key), theirs.get(key)
        if one is not None and other is not None and is_equal(one, other):
            results.conversations["equal"] += 1
            continue
        if outer is None:
            outer = our_conversations(rows_of(read(capture, settings=settings(tunnels="outer", **ENDLESS))))
        later = says.later_fragments[frozenset((key[1][0], key[2][0]))]
        if one is None and other is not None and key in outer:
            category = "outer headers of a tunnel, which tshark counts too"
        elif one is not None and other is not None and 0 < one.frames - other.frames <= later:
            category = "later fragments, which we count in the flow of the first"
        elif key in tunnelled or (key in outer and outer[key] != one):
            category = "tunnel that one of the two does not open"
        elif one is None:
            category = "only tshark"
        elif other is None:
            category = "only ours"
        else:
            category = "other counts"
        results.conversations[category] += 1
        if len(results.conversation_examples) < EXAMPLES * 4 and not category.startswith(("outer", "later")):
            results.conversation_examples.append(f"{where}: {category}: {key} ours {one} tshark {other}")


def _compare_names(results: Results, where: str, rows: list[dict[str, Any]], says: TsharkSays) -> None:
    ours: dict[str, dict[Any, set[str]]] = {"server_name": {}, "alpn": {}, "dns_query": {}}
    for row in rows:
        for column, known in ours.items():
            if row[column] and (column != "server_name" or row["server_name_from"] in ("tls", "quic")):
                known.setdefault(key_of_row(row), set()).add(row[column])
    for column, theirs in (
        ("server_name", says.server_names), ("alpn", says.alpn), ("dns_query", says.dns_queries),
    ):  # fmt: skip
        for key in sorted(ours[column].keys() | theirs.keys(), key=repr):  # the same examples each time
            mine = ours[column].get(key, set())
            said = theirs.get(key, [])
            first = said[0].split("|") if said else []
            wanted = {",".join(first)} if column == "alpn" else {one.lower() for one in first[:1]}
            if not said:
                verdict = "only ours"
            elif not mine:
                verdict = "only tshark"
            elif mine & wanted or _is_among(mine, said, column):
                verdict = "equal"
            else:
                verdict = "different"
            results.names[f"{column}: {verdict}"] += 1
            if verdict != "equal" and len(results.name_examples) < EXAMPLES * 4:
                results.name_examples.append(
                    f"{where}: {column} {verdict}: {key} ours {sorted(mine)} tshark {said[:2]}"
                )


def _is_among(mine: set[str], said: list[str], column: str) -> bool:
    """Whether ours is any of the names in one of tshark's fields; ALPN in the order of tshark, or a part of it."""
    if column == "alpn":
        return any(set(one.split(",")) <= set(line.split("|")) for one in mine for line in said)
    return bool(mine & {one.lower() for line in said for one in line.split("|")})


def _compare_nfstream(results: Results, where: str, capture: Path, theirs: list[Any] | None) -> None:
    """Flows of each pair of ends, with NFStream's timeouts, and why the numbers differ."""
    if theirs is None:
        results.nfstream["captures that NFStream refuses"] += 1
        return
    chosen = settings(idle_timeout_s=NFSTREAM_IDLE_S, active_timeout_s=NFSTREAM_ACTIVE_S)
    rows = rows_of(read(capture, settings=chosen))
    ours: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        ours.setdefault(_portless(key_of_row(row)), []).append(row)
    counted: dict[Any, list[int]] = {}
    for protocol, one, other, packets in theirs:
        key = _portless(key_of(protocol, (one[0], one[1]), (other[0], other[1])))
        counted.setdefault(key, []).append(packets)
    results.nfstream["our flows"] += len(rows)
    results.nfstream["flows of NFStream"] += len(theirs)
    for key in sorted(ours.keys() | counted.keys(), key=repr):
        mine, said = ours.get(key, []), counted.get(key, [])
        if len(mine) == len(said):
            results.nfstream["equal: flows"] += len(mine)
            results.nfstream["equal: ends"] += 1
            continue
        category = _why(key, mine, said)
        results.nfstream[f"{category}: ends"] += 1
        results.nfstream[f"{category}: our flows more"] += len(mine) - len(said)
        if category == "unexplained" and len(results.nfstream_examples) < EXAMPLES * 4:
            brief = [(row["end_reason"], row["packets_fwd"] + row["packets_rev"], row["vlan"]) for row in mine[:6]]
            results.nfstream_examples.append(f"{where}: {key} ours {brief} NFStream {said[:6]}")


def _why(key: Any, mine: list[dict[str, Any]], said: list[int]) -> str:
    if not mine:
        return "only NFStream"
    if any(row["tunnel"] for row in mine):
        return "tunnel"
    if not said:
        return "only ours"
    if key[0] in PORTLESS:
        return "ICMP by type and code"
    ends = Counter(row["end_reason"] for row in mine)
    if len(mine) > len(said) and len(mine) - len(said) <= ends["tcp-end"] + ends["reuse"]:
        return "TCP end or ports used again"
    if len({(row["vlan"], row["inner_vlan"]) for row in mine}) > 1:
        return "VLAN"
    if ends["idle"] or ends["active"]:
        return "timeouts counted otherwise"
    return "unexplained"


def _portless(key: Any) -> Any:
    if key[0] in PORTLESS:
        return (key[0], *sorted(((key[1][0], 0), (key[2][0], 0))))
    return key


def _nfstream_python() -> Path | None:
    for folder in (REPOSITORY / "build" / "benchmarks" / "venv",):
        if list(folder.glob("lib/python*/site-packages/nfstream")):
            return folder / "bin" / "python"
    return None


if __name__ == "__main__":
    main()
