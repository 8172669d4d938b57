"""An inspection on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from .metering import print_unrecognised
from .text import print_table, printable

if TYPE_CHECKING:
    from ..pages.inspection import Inspection
    from ..pages.tally import Ranking

ROWS = 8
WIDTH = 110  # of lines that list fields
UNNAMED = "-"  # datagrams from a file do not say who sent them
EXPORTER_COLUMNS = (
    *("exporter", "version", "domain", "datagrams", "records", "options_records"),
    *("missing", "sequence_gaps", "sequence_restarts", "template_changes"),
)


def print_inspection(inspection: Inspection) -> None:
    """What it is, when, who, what, and everything skipped and why."""
    from ..pages.words import bytes_words, count_words, duration_words, time_words

    account, rankings = inspection.account, inspection.rankings
    for name, kind in list(account.recognised.items())[:ROWS]:
        print(f"{printable(name)}: {printable(kind)}")
    if len(account.recognised) > ROWS:
        print(f"… and {len(account.recognised) - ROWS:,} more inputs")
    print_unrecognised(account.details.get("unrecognised", {}))
    if inspection.first_ns is not None and inspection.last_ns is not None:
        span = duration_words(inspection.last_ns - inspection.first_ns)
        print(f"{time_words(inspection.first_ns)} to {time_words(inspection.last_ns)} ({span})")
    hosts = rankings["hosts"]
    numbers = [f"{count_words(inspection.flows)} flows", f"{count_words(inspection.packets)} packets in them"]
    numbers += [bytes_words(inspection.bytes), f"{'at least ' if hosts.approximate else ''}{hosts.distinct:,} hosts"]
    print(", ".join(numbers))
    _print_ranking("protocol", rankings["protocols"], ["protocol"])
    _print_ranking("application", rankings["applications"], ["app_protocol"])
    _print_ranking("host", hosts, ["host"])
    _print_ranking("name", rankings["names"], ["server_name"])
    _print_ranking("port", rankings["ports"], ["protocol", "dst_port"])
    _print_ranking("exporter", rankings["exporters"], ["exporter", "sampling_rate"])
    _print_ranking("label", rankings["labels"], ["label"])
    print_account(account)


def print_account(account: Any) -> None:
    """Everything skipped and why, and what is worth knowing; an `Account`."""
    whole = account.packets + account.records
    print(f"\nskipped: {sum(account.skipped.values()):,} of {whole:,}" if whole else "\nskipped: nothing")
    for reason, count in account.skipped.most_common():
        print(f"  {count:>12,}  {printable(reason)}")
    if account.notes:
        print("worth knowing:")
        for note, count in account.notes.most_common():
            print(f"  {count:>12,}  {printable(note)}")


def print_exporters(inspection: Inspection) -> None:
    """Exporters with their templates, sampling and losses, as far as the inputs hold any."""
    exporters = inspection.account.details.get("exporters")
    if not exporters:
        print("no exporters: the inputs hold no NetFlow, IPFIX or sFlow")
        return
    headings = [name.removeprefix("sequence_").replace("s_records", "s").replace("_", " ") for name in EXPORTER_COLUMNS]
    print_table(headings, [_exporter_cells(row) for row in exporters])
    for row in exporters:
        lines = list(_exporter_lines(row))
        if lines:
            print("\n" + printable(f"{row['exporter'] or UNNAMED}, {row['version']}, domain {row['domain']}"))
        for line in lines:
            print("\n".join(wrap(printable(line), WIDTH, initial_indent="  ", subsequent_indent="    ")))


def _exporter_cells(row: dict[str, Any]) -> list[str]:
    named = {"exporter": row["exporter"] or UNNAMED, "missing": f"{row['missing']:,} {row['missing_unit']}"}
    names = {"exporter", "version", "domain", "missing"}  # a domain is a number without thousands
    return [str((row | named)[name]) if name in names else f"{row[name]:,}" for name in EXPORTER_COLUMNS]


def _exporter_lines(row: dict[str, Any]) -> Iterator[str]:
    """What has no place in a table: sampling, names by number, templates with their fields."""
    for one in row["sampling"]:
        yield f"sampling: 1 in {one['rate']:,}, said by {one['from']}, {one['records']:,} records"
    for what in ("interfaces", "vrfs"):
        if row[what]:
            yield f"{what}: " + ", ".join(f"{number} {name}" for number, name in row[what].items())
    for count, what in ((row["applications"], "applications named"), (row["held_sets"], "sets wait for a template")):
        if count:
            yield f"{what}: {count:,}"
    for template in row["templates"]:
        if template["age_s"] is not None:  # the fields of v5 and v7 are fixed and were never sent
            kind = "options template" if template["options"] else "template"
            yield f"{kind} {template['id']}, {template['age_s']:,.0f} s old: {', '.join(template['fields'])}"


def _print_ranking(title: str, ranking: Ranking, keys: list[str]) -> None:
    from ..pages.words import bytes_words, count_words

    if not ranking.rows:
        return
    rows = []
    for row in ranking.rows[:ROWS]:
        key = " ".join(str(row[one]) for one in keys if row[one] is not None)
        rows.append([key, count_words(row["flows"]), count_words(row["packets"]), bytes_words(row["bytes"])])
    print()
    print_table([title, "flows", "packets", "bytes"], rows, numbers=(1, 2, 3))
    if ranking.distinct > ROWS:
        print(f"… and {'at least ' if ranking.approximate else ''}{ranking.distinct - ROWS:,} more")
