"""Any source to flows on a disk, with an account of everything that was read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, OutputError, SettingError
from .text import printable

if TYPE_CHECKING:
    from ..config import PipelineConfig

LIVE_INTERFACE = "live interface"
UNRECOGNISED = 3  # files that no source reads, of which so many are shown


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a verb was asked to read, what to keep of it, and where to put it."""

    verb: str = "reading"  # as messages name it
    may_be_live: bool = False
    inputs: list[str] = field(default_factory=list)
    interface: str | None = None
    listen: str | None = None
    duration_s: float | None = None
    count: int | None = None
    where: str | None = None
    asn: Path | None = None
    geo: Path | None = None
    state: Path | None = None
    last: bool = False
    output: str = ""
    overwrite: bool = False
    progress: bool | None = None

    @property
    def is_live(self) -> bool:
        return self.interface is not None or self.listen is not None


def meter(request: Request, settings: PipelineConfig) -> dict[str, Any]:
    """Write the flows and give the account as plain JSON."""
    from ..flows.write import open_writer
    from ..settings import as_toml, settings_hash

    began = time.perf_counter()
    check(request)
    if not request.output:
        raise OutputError(
            "output: where the flows should go was not said",
            hint="`-o flows.parquet`, `-o flows.csv`, `-o flows.jsonl`, or `-o lake/` for a lake",
        )
    config_hash = settings_hash(settings)
    metadata = {"config": as_toml(settings, with_meanings=False), "config_hash": config_hash}
    with (
        open_writer(
            request.output, overwrite=request.overwrite, metadata=metadata, background=not request.is_live
        ) as writer,
        scanning(request, settings) as scan,
    ):
        for batch in scan:
            writer.write(batch)
    return report(scan.account, written=writer.rows) | {
        "is_repeat": writer.is_repeat,
        "seconds": round(time.perf_counter() - began, 6),
        "output": request.output,
        "config_hash": config_hash,
    }


def check(request: Request) -> None:
    """One way in, and stops only where there is something to stop."""
    asked = [bool(request.inputs), request.interface is not None, request.listen is not None]
    verb = request.verb
    if sum(asked) == 0:
        live = ", `-i eth0` for an interface, or `--listen :2055`" if request.may_be_live else ""
        raise InputError(
            f"{verb}: nothing to read was named", hint=f"name files or folders, `-` for standard input{live}"
        )
    if sum(asked) > 1:
        raise InputError(f"{verb}: files, `-i` and `--listen` exclude each other", hint="choose one of them")
    if request.last and request.state is None:
        raise SettingError(f"{verb}: `--last` ends the flows of a state, but none was named", hint="add `--state FILE`")
    if not request.is_live and (request.duration_s is not None or request.count is not None):
        raise SettingError(
            f"{verb}: `--duration` and `--count` stop a live reading, but files were named",
            hint="cut a file with `--where`, for example `--where \"start < '2026-05-01 12:00'\"`",
        )


@contextmanager
def scanning(request: Request, settings: PipelineConfig) -> Iterator[Any]:
    """The flows of a request as an iterable of batches with an `account`, with progress on standard error."""
    from .progress import progress_bar

    if request.is_live:
        from .live import live_scan

        with live_scan(request, settings) as scan:
            yield scan
        return
    from ..sources.reading import scan as scan_files

    files = scan_files(
        request.inputs,
        settings=settings,
        where=request.where,
        asn=request.asn,
        geo=request.geo,
        state=request.state,
        last=request.last,
    )
    if files.needs_kernels:
        from .warming import warm_up_once

        warm_up_once()
    with progress_bar(files, request.progress):
        yield files


def report(account: Any, *, written: int) -> dict[str, Any]:
    """An account as plain JSON. `flows` are rows written; what `--where` left out is the note `rows-filtered`."""
    values = {
        "packets": account.packets,
        "packets_in_flows": account.packets_in_flows,
        "records": account.records,
        "records_in_flows": account.records_in_flows,
        "flows": written,
        "skipped": dict(account.skipped),
        "notes": dict(account.notes),
        "recognised": dict(account.recognised),
        "unrecognised": dict(account.details.get("unrecognised", {})),
    }
    if "datagrams" in account.details:  # of a live reading only
        values["datagrams"] = account.details["datagrams"]
    return {key: dict(sorted(one.items())) if isinstance(one, dict) else one for key, one in values.items()}


def print_report(report: dict[str, Any]) -> None:
    """The account for a person: what it was, what became of it, where it is."""
    recognised = report["recognised"]
    for name, kind in list(recognised.items())[:8]:
        print(f"{printable(name)}: {printable(kind)}")
    if len(recognised) > 8:
        print(f"… and {len(recognised) - 8:,} more inputs")
    print_unrecognised(report["unrecognised"])
    for unit in ("packets", "records"):
        if report[unit]:
            print(f"{report[unit]:,} {unit}, {report[f'{unit}_in_flows']:,} of them in flows")
    if "datagrams" in report:
        print(f"{report['datagrams']:,} datagrams came")
    elif not report["packets"] and not report["records"]:
        is_live = LIVE_INTERFACE in recognised.values()
        print("0 packets came" if is_live else "no packet and no record was in it")
    for title, counts in (("skipped", report["skipped"]), ("note", report["notes"])):
        for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"  {title}: {count:,} {printable(reason)}")
    seconds = report["seconds"]
    units = [unit for unit in ("packets", "records") if report[unit] and seconds > 0]
    rate = "".join(f", {report[unit] / seconds:,.0f} {unit} a second" for unit in units)
    print(f"{report['flows']:,} flows → {printable(report['output'])} ({seconds:.1f} s{rate})")
    if report.get("is_repeat"):
        print("  note: the lake held these flows already; nothing was added")


def print_unrecognised(found: dict[str, str]) -> None:
    """The first files of a folder that no source reads, and what they look like."""
    for name, looks in list(found.items())[:UNRECOGNISED]:
        print(f"{printable(name)}: not read ({printable(looks)})")
    if len(found) > UNRECOGNISED:
        print(f"… and {len(found) - UNRECOGNISED:,} more that are not read; `--json` names them")
