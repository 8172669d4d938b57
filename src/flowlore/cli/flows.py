"""`flowlore flows`."""

from pathlib import Path
from typing import Annotated

import typer

from . import options


def flows(
    inputs: options.Inputs = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="OUT", help="A .parquet, .csv or .jsonl file, LAKE/ for a lake, - for JSON lines."
        ),
    ] = "",
    interface: options.Interface = None,
    listen: options.Listen = None,
    duration: options.Duration = None,
    count: Annotated[
        int | None,
        typer.Option("--count", metavar="N", min=1, help="Stop after this many packets or datagrams (live only)."),
    ] = None,
    where: options.Where = None,
    asn: options.Asn = None,
    geo: options.Geo = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="FILE", help="Take up open flows from this file, and leave those still open in it."
        ),
    ] = None,
    last: Annotated[
        bool, typer.Option("--last", help="With --state: end the flows still open, and remove the file.")
    ] = False,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    progress: Annotated[
        bool | None, typer.Option("--progress/--no-progress", help="Show progress; by default on a terminal.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Turn any record of traffic into flows.

    \b
    flowlore flows capture.pcap -o flows.parquet
    flowlore flows exports/ conn.log.gz -o lake/
    flowlore flows -i eth0 --duration 60 -o flows.parquet
    flowlore flows --listen :2055 -o lake/
    """
    from .metering import Request, meter

    request = Request(
        verb="flows",
        may_be_live=True,
        inputs=inputs or [],
        interface=interface,
        listen=listen,
        duration_s=duration,
        count=count,
        where=where,
        asn=asn,
        geo=geo,
        state=state,
        last=last,
        output=output,
        overwrite=overwrite,
        progress=progress,
    )
    report = meter(request, options.resolved(config, set))
    if json:
        from .text import print_json

        print_json(report)
    else:
        _print_report(report, to_stderr=output == "-")


def _print_report(report: dict[str, object], *, to_stderr: bool) -> None:
    import contextlib
    import sys

    from .metering import print_report

    with contextlib.redirect_stdout(sys.stderr) if to_stderr else contextlib.nullcontext():
        print_report(report)
