"""`flowlore inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from . import options


def inspect(
    inputs: options.Inputs = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT.html", help="Write a page with pictures to this file.")
    ] = None,
    exporters: Annotated[
        bool, typer.Option("--exporters", help="Show exporters, their templates, sampling and losses.")
    ] = False,
    where: options.Where = None,
    asn: options.Asn = None,
    geo: options.Geo = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Show what is in some traffic.

    Time span, hosts, protocols, names, ports, exporters, and everything skipped and why.

    \b
    flowlore inspect capture.pcap --html page.html
    """
    import contextlib

    from ..flows.place import FileInTheMaking, output_errors
    from ..pages.inspect_page import inspect_page
    from ..pages.inspection import Inspector
    from .inspection import print_exporters, print_inspection
    from .metering import Request, check, scanning
    from .text import print_json

    request = Request(verb="inspect", inputs=inputs or [], where=where, asn=asn, geo=geo)
    check(request)
    settings = options.resolved(config, set)
    with contextlib.ExitStack() as stack:
        page = FileInTheMaking(html, overwrite=overwrite) if html is not None else None
        if page is not None:
            stack.callback(page.abort)
        inspector = Inspector()
        scan = stack.enter_context(scanning(request, settings))
        for batch in scan:
            inspector.add(batch)
        found = inspector.finish(scan.account)
        if page is not None:
            with output_errors(page.path):
                page.stream.write(inspect_page(found, _title(request.inputs)).encode())
            page.commit()
    if json:
        print_json(found.as_json() | ({"html": str(html)} if html is not None else {}))
    elif exporters:
        print_exporters(found)
    else:
        print_inspection(found)
        if html is not None:
            print(f"\npage → {html}")


def _title(inputs: list[str]) -> str:
    name = Path(inputs[0]).name or inputs[0]
    return name if len(inputs) == 1 else f"{name} and {len(inputs) - 1} more"
