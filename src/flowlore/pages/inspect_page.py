"""The page that `flowlore inspect --html` writes."""

from collections.abc import Iterator
from typing import Any

from .inspection import BYTE_KINDS, Inspection
from .page import card, cards, page, table, tiles
from .pictures import columns, shares, traffic_over_time
from .tally import Ranking
from .words import NS_PER_S, bytes_words, count_words, duration_words, time_words

BYTE_KIND_WORDS = {
    "bytes": "IP bytes",
    "frame_bytes": "bytes on the wire",
    "payload_bytes": "payload bytes",
    "mixed": f"bytes of several kinds ({', '.join(BYTE_KINDS)})",
}
ROWS = 12
EXPORTERS = 40
UNNAMED = "-"  # datagrams from a file do not say who sent them


def inspect_page(inspection: Inspection, title: str) -> str:
    """One self-contained HTML page with everything in the inspection."""
    return page(title, _lead(inspection), [tiles(_numbers(inspection)), cards(_cards(inspection))])


def _lead(inspection: Inspection) -> str:
    kinds = sorted(set(inspection.account.recognised.values()))
    what = "; ".join(kinds[:4]) + (f" and {len(kinds) - 4} more" if len(kinds) > 4 else "")
    if inspection.first_ns is None or inspection.last_ns is None:
        return what or "no flows"
    span = f"{time_words(inspection.first_ns)} to {time_words(inspection.last_ns)}"
    return f"{what} · {span}" if what else span


def _numbers(inspection: Inspection) -> Iterator[tuple[str, str]]:
    account = inspection.account
    yield count_words(inspection.flows), "flows"
    yield count_words(account.packets or inspection.packets), "packets"
    if account.records:
        yield count_words(account.records), "records"
    yield bytes_words(inspection.bytes), BYTE_KIND_WORDS[inspection.byte_kind]
    hosts = inspection.rankings["hosts"]
    yield ("≥ " if hosts.approximate else "") + count_words(hosts.distinct), "hosts"
    if inspection.first_ns is not None and inspection.last_ns is not None:
        yield duration_words(inspection.last_ns - inspection.first_ns), "from first to last"
    yield count_words(sum(account.skipped.values())), "skipped"


def _cards(inspection: Inspection) -> Iterator[str]:
    rankings, histograms = inspection.rankings, inspection.histograms
    if inspection.timeline:
        body = traffic_over_time(inspection.timeline)
        aside = f"per {duration_words(inspection.timeline.width_ns)} · up: from who spoke first · down: the answers"
        yield card("Traffic over time", body, aside=aside, width="wide")
    yield card("Protocols", _share_of(rankings["protocols"], "protocol", "bytes"), aside="by bytes")
    yield card(
        "Applications", _share_of(rankings["applications"], "app_protocol", "flows"), aside="by flows, as proved"
    )
    yield card("Flow sizes", columns(*_histogram(histograms, "bytes"), bytes_words, "flows"), width="third")
    yield card("Flow durations", columns(*_histogram(histograms, "duration_s"), _seconds, "flows"), width="third")
    yield card("Packets in a flow", columns(*_histogram(histograms, "packets"), _whole, "flows"), width="third")
    yield card("Hosts", _hosts(rankings["hosts"]), aside=_how_many(rankings["hosts"]))
    yield card("Names", _ranked(rankings["names"], ["server_name"], "bytes"), aside=_how_many(rankings["names"]))
    yield card(
        "Ports", _ranked(rankings["ports"], ["protocol", "dst_port"], "flows"), aside="of the side that answered"
    )
    if rankings["queries"].rows:
        yield card("DNS questions", _ranked(rankings["queries"], ["dns_query"], "flows"))
    yield from _further(rankings)
    yield from _exporters(inspection.account.details.get("exporters", []))
    yield from _accounts(inspection)


def _further(rankings: dict[str, Ranking]) -> Iterator[str]:
    titles = {
        "exporters": ("Exporters", ["exporter", "sampling_rate"]),
        "exporter_applications": ("Applications as exporters name them", ["application"]),
        "labels": ("Labels", ["label"]),
        "countries": ("Countries", ["dst_country"]),
        "networks": ("Autonomous systems", ["dst_as"]),
        "end_reasons": ("Why flows ended", ["end_reason"]),
        "captures": ("Where from", ["capture"]),
    }
    for name, (title, keys) in titles.items():
        if rankings[name].rows:
            yield card(title, _ranked(rankings[name], keys, "flows"), aside=_how_many(rankings[name]))


def _exporters(exporters: list[dict[str, Any]]) -> Iterator[str]:
    """What exporters sent, what went missing, and how their records look."""
    if not exporters:
        return
    columns = ["datagrams", "records", "missing", "sequence_gaps", "template_changes"]
    cells = [
        [
            f"{one['exporter'] or UNNAMED} · {one['version']} · domain {one['domain']}",
            *(count_words(one[name]) for name in columns),
        ]
        for one in exporters[:EXPORTERS]
    ]
    headings = ["exporter", *(name.replace("_", " ") for name in columns)]
    yield card("What exporters sent", table(headings, cells), width="wide", aside=f"{len(exporters):,} in all")
    templates = [
        [
            f"{one['exporter'] or UNNAMED} · {template['id']} · {', '.join(template['fields'])}",
            duration_words(template["age_s"] * 1e9),
        ]
        for one in exporters[:EXPORTERS]
        for template in one["templates"]
        if template["age_s"] is not None  # the fields of v5 and v7 are fixed and were never sent
    ]
    if templates:
        yield card("Templates", table(["exporter, template, fields", "age"], templates[:EXPORTERS]), width="wide")


def _accounts(inspection: Inspection) -> Iterator[str]:
    account = inspection.account
    skipped = [[reason, count_words(count)] for reason, count in account.skipped.most_common()]
    whole = account.packets + account.records
    aside = f"{count_words(sum(account.skipped.values()))} of {count_words(whole)}" if whole else ""
    yield card("Skipped, and why", table(["reason", "packets or records"], skipped), aside=aside)
    if account.notes:
        notes = [[note, count_words(count)] for note, count in account.notes.most_common()]
        yield card("Worth knowing", table(["note", "times"], notes))
    if account.recognised:
        recognised = sorted(account.recognised.items())
        more = [[f"and {len(recognised) - 40} more", ""]] if len(recognised) > 40 else []
        rows = [[f"{name}", kind] for name, kind in recognised[:40]] + more
        yield card("Recognised as", table(["input", "what it is"], rows), width="wide")


def _histogram(histograms: dict[str, Any], name: str) -> tuple[list[float], list[int]]:
    return histograms[name].edges, histograms[name].counts


def _share_of(ranking: Ranking, key: str, amount: str) -> str:
    words = bytes_words if amount == "bytes" else _flows
    rows = sorted(ranking.rows, key=lambda row: -row[amount])
    parts = [(str(row[key]), float(row[amount]), words(row[amount])) for row in rows if row[amount]]
    if len(parts) > 8:
        rest = sum(amount for _, amount, _ in parts[7:])
        parts = [*parts[:7], ("others", rest, words(rest))]
    return shares(parts)


def _hosts(ranking: Ranking) -> str:
    rows = ranking.rows[:ROWS]
    most = max((row["bytes"] for row in rows), default=0) or 1
    cells = [
        [row["host"], count_words(row["flows"]), bytes_words(row["bytes_sent"]), bytes_words(row["bytes_received"])]
        for row in rows
    ]
    return table(["host", "flows", "sent", "received"], cells, shares=[row["bytes"] / most for row in rows])


def _ranked(ranking: Ranking, keys: list[str], amount: str) -> str:
    rows = ranking.rows[:ROWS]
    most = max((row[amount] for row in rows), default=0) or 1
    cells = [
        [_key_words(row, keys), count_words(row["flows"]), count_words(row["packets"]), bytes_words(row["bytes"])]
        for row in rows
    ]
    headings = [keys[-1].replace("_", " "), "flows", "packets", "bytes"]
    return table(headings, cells, shares=[row[amount] / most for row in rows])


def _key_words(row: dict[str, Any], keys: list[str]) -> str:
    if keys == ["exporter", "sampling_rate"]:
        return f"{row['exporter']} · 1 in {row['sampling_rate'] or 1:,}"
    if keys == ["protocol", "dst_port"]:
        return f"{row['protocol']} {row['dst_port'] if row['dst_port'] is not None else ''}".strip()
    return " ".join(str(row[key]) for key in keys)


def _how_many(ranking: Ranking) -> str:
    return f"{'at least ' if ranking.approximate else ''}{count_words(ranking.distinct)} in all" if ranking.rows else ""


def _flows(count: float) -> str:
    return f"{count_words(round(count))} flows"


def _seconds(seconds: float) -> str:
    return duration_words(seconds * NS_PER_S)


def _whole(count: float) -> str:
    return count_words(round(count))
