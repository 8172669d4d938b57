"""`flowlore hosts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import learning, options

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from ..config import PipelineConfig
    from ..tasks.hosts import HostReport, HostVerdict
    from .metering import Request


def hosts(
    bundle: learning.BundleName,
    flows: options.Inputs = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="OUT", help="Verdicts and vectors of all hosts: .parquet, .csv or .jsonl."
        ),
    ] = "",
    surprise: Annotated[
        str,
        typer.Option(
            "--surprise", metavar="OUT", help="Surprise of every flow, without labels: .parquet, .csv or .jsonl."
        ),
    ] = "",
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Hosts that are shown.")] = 15,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Show this host, and why, instead.")
    ] = None,
    ordinary: Annotated[
        list[str] | None,
        typer.Option(
            "--ordinary", metavar="LABEL", help="A class that is no news, e.g. benign. May be repeated; told by name."
        ),
    ] = None,
    interface: options.Interface = None,
    listen: options.Listen = None,
    duration: options.Duration = None,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Say what each host is, or how surprising, and which flows, partners and windows decided.

    The bundle is one of `flowlore pretrain graph`; taught by `flowlore fit` it names classes too. One of `flowlore
    pretrain flowgen` tells hosts by their rates alone: which moved oddly, or, after `fit --task roles`, what each is.

    \b
    flowlore hosts campus capture.pcap
    flowlore hosts campus capture.pcap --surprise strange.parquet
    flowlore hosts campus-5shot capture.pcap --host 10.0.0.7
    flowlore hosts campus-5shot --listen :2055 --duration 3600
    flowlore hosts roles rates.parquet -o roles.parquet
    """
    learning.require_extra()
    import contextlib

    from . import roles
    from .metering import Request, check

    request = Request(
        verb="hosts", may_be_live=True, inputs=flows or [], interface=interface, listen=listen, duration_s=duration,
        where=where,
    )  # fmt: skip
    check(request)
    settings = options.resolved(config, set)
    if roles.asks_rates(bundle, maker="pretrain graph FLOWS"):
        _refuse_live(request, bundle)
        roles.hosts_by_rates(
            bundle, request.inputs, settings, output=output, surprise=surprise, top=top, host=host,
            where=where, overwrite=overwrite, as_json=json,
        )  # fmt: skip
        return
    from ..flows.addresses import host_text
    from ..tasks.hosts import HostWatch, surprise_table

    watch = HostWatch(learning.loaded(bundle, settings), ordinary=ordinary, patient=not request.is_live)
    rows = 0
    with contextlib.ExitStack() as stack:
        strange = stack.enter_context(_writer(surprise, bundle, overwrite=overwrite)) if surprise else None
        verdicts = stack.enter_context(_writer(output, bundle, overwrite=overwrite)) if output else None
        for batch, surprises in watch.through(_counted(request, settings)):
            rows += len(surprises)
            if strange is not None:
                _write(surprise_table(batch, surprises), strange)
        report = watch.report(explained=top, host=None if host is None else host_text(host))
        if verdicts is not None:
            _write(report.to_arrow(), verdicts)
    shown = report.verdicts[:top] if host is None else [_wanted(report, host)]
    if json:
        from .text import print_json

        told = [one.as_json() for one in shown]
        written = {"output": output or None, "surprise": surprise or None}
        print_json({"hosts": len(report.verdicts), "flows": report.counts, "verdicts": told} | written)
        return
    if host is None:
        _print_table(report, shown)
    else:
        _print_host(shown[0])
    _print_outputs(report, rows, output, surprise)


def _refuse_live(request: Request, bundle: str) -> None:
    from ..errors import SettingError

    if request.is_live:
        raise SettingError(
            f"hosts: `{bundle}` judges hosts by their rates, of files only",
            hint="`flowlore rates` writes the rates of a live reading, which `hosts` takes",
        )


def _counted(request: Request, settings: PipelineConfig) -> Iterator[Any]:
    """The batches that were asked for; nothing at all is an error that names the inputs."""
    rows = 0
    for batch in learning.batches_as_asked(request, settings):
        rows += len(batch)
        yield batch
    if not request.is_live:
        learning.require_flows(rows, request.inputs, request.where)


def _wanted(report: HostReport, host: str) -> HostVerdict:
    from ..errors import InputError
    from ..flows.addresses import host_text

    for one in report.verdicts:
        if one.host == host_text(host):
            return one
    raise InputError(f"hosts: no flow has the host `{host}`", hint="`flowlore inspect` lists the hosts of the input")


def _writer(output: str, bundle: str, *, overwrite: bool) -> Any:
    from ..flows.write import open_writer

    return open_writer(output, overwrite=overwrite, metadata={"bundle": bundle})


def _write(table: pa.Table, writer: Any) -> None:
    for batch in table.to_batches():
        writer.write(batch)


def _print_outputs(report: HostReport, flows: int, output: str, surprise: str) -> None:
    from .text import printable

    if output:
        print(f"{len(report.verdicts):,} hosts → {printable(output)}")
    if surprise:
        print(f"surprise of {flows:,} flows → {printable(surprise)}")


def _print_table(report: HostReport, shown: list[HostVerdict]) -> None:
    from .text import print_table

    is_taught = any(one.label is not None for one in shown)
    rows = []
    for one in shown:
        said = [one.label or "", f"{one.confidence or 0:.2f}"] if is_taught else []
        why = ", ".join(f"{name} ({count})" for name, count in one.deciding_partners.items())
        rows.append(
            [one.host, f"{one.role}", *said, f"{one.surprise:.2f}", f"{one.flows_out:,}", f"{one.flows_in:,}", why]
        )
    headings = [
        "host",
        "as",
        *(["label", "sure"] if is_taught else []),
        "surprise",
        "out",
        "in",
        "because of flows with",
    ]
    print_table(headings, rows, numbers=(3, 4, 5, 6) if is_taught else (2, 3, 4))
    _print_counts(report.counts, len(report.verdicts))


def _print_host(one: HostVerdict) -> None:
    from ..pages.words import time_words
    from .text import print_table, printable

    said = f"{one.label} ({one.confidence:.2f} sure), " if one.label is not None and one.confidence is not None else ""
    print(f"{printable(one.host)}: {said}surprise {one.surprise:.2f}")
    print(
        f"{one.flows_out:,} flows out, {one.flows_in:,} in, with {one.partners:,} partners in {one.windows:,} windows, "
        f"{time_words(one.first_ns)} to {time_words(one.last_ns)}"
    )
    if one.labels:
        print("its flows: " + ", ".join(f"{printable(name)} ({count:,})" for name, count in one.labels.items()))
    nearly = "" if one.nearly is None else f"{printable(one.nearly)}, of which too few flows are sure"
    print(f"\nflows nearest to {nearly}:" if nearly else "\nflows that decided:")
    rows = [
        [
            time_words(why.start_ns),
            "to" if why.role == "source" else "from",
            why.partner,
            why.service,
            f"{why.score:.2f}",
            "" if why.alone is None else f"{why.alone:.2f}",
            why.flow_id,
        ]
        for why in one.reasons
    ]
    print_table(["start", "", "partner", "service", "score", "without neighbours", "flow"], rows, numbers=(4, 5))
    if one.deciding_partners:
        print(
            "partners: " + ", ".join(f"{printable(name)} ({count:,})" for name, count in one.deciding_partners.items())
        )


def _print_counts(counts: dict[str, Any], hosts: int) -> None:
    left_out = {
        name: counts.get(name, 0) for name in ("alone", "copies", "sampled", "distant", "unjudged", "late", "hurried")
    }
    words = ", ".join(f"{count:,} {_LEFT_OUT[name]}" for name, count in left_out.items() if count)
    print(
        f"{hosts:,} hosts, {counts['flows']:,} flows in {counts['windows']:,} windows" + (f"; {words}" if words else "")
    )


_LEFT_OUT = {
    "alone": "without ends or time",
    "copies": "left out as further slices of a flow",
    "sampled": "left out of crowded windows",
    "distant": "told too long before their end",
    "unjudged": "of hosts beyond the first million",
    "late": "reported late",
    "hurried": "of windows that closed early",
}
