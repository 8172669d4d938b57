"""An inspection on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .text import print_table, printable

if TYPE_CHECKING:
    from ..pages.inspection import Inspection
    from ..pages.tally import Ranking

ROWS = 8


def print_inspection(inspection: Inspection) -> None:
    """What it is, when, who, what, and everything skipped and why."""
    from ..pages.words import bytes_words, count_words, duration_words, time_words

    account, rankings = inspection.account, inspection.rankings
    for name, kind in list(account.recognised.items())[:ROWS]:
        print(f"{printable(name)}: {printable(kind)}")
    if len(account.recognised) > ROWS:
        print(f"… and {len(account.recognised) - ROWS} more inputs")
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
    headings = list(
        dict.fromkeys(key for row in exporters for key, one in row.items() if not isinstance(one, list | dict))
    )
    rows = [[_cell(row.get(key)) for key in headings] for row in exporters]
    print_table([one.replace("_", " ") for one in headings], rows)
    for row in exporters:
        for template in row.get("templates", ()):
            fields = ", ".join(template["fields"])
            print(printable(f"{row['exporter']} domain {row['domain']}, template {template['id']}: {fields}"))


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


def _cell(value: Any) -> str:
    return (
        "" if value is None else f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    )
