"""`flowlore graph`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import learning, options

if TYPE_CHECKING:
    from ..config import PipelineConfig
    from ..tasks.hosts import HostReport
    from ..tasks.predictor import Predictor


def graph(
    inputs: options.Inputs = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT.html", help="The page that is written.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Who is in the middle; else who has the most partners."),
    ] = None,
    hops: Annotated[int, typer.Option("--hops", min=1, max=4, help="How far from the middle hosts are drawn.")] = 2,
    most_hosts: Annotated[
        int, typer.Option("--most-hosts", metavar="N", min=2, max=400, help="Hosts that are drawn at most.")
    ] = 80,
    bundle: Annotated[
        str | None,
        typer.Option("--bundle", metavar="BUNDLE", help="Mark hosts by its verdicts, and begin with the first."),
    ] = None,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Draw who talks to whom around one host, or in one incident, as a page to move in.

    \b
    flowlore graph capture.pcap -o graph.html
    flowlore graph capture.pcap --host 10.0.0.7 --where "dst_port = 445" -o graph.html
    """
    from ..errors import OutputError
    from ..flows.place import FileInTheMaking, output_errors
    from ..pages.graph_page import graph_page
    from ..pages.host_graph import host_graph
    from .metering import Request, check
    from .text import print_json, printable

    check(Request(verb="graph", inputs=inputs or [], where=where))
    if output is None:
        raise OutputError("output: where the page should go was not said", hint="`-o graph.html`")
    page = FileInTheMaking(output, overwrite=overwrite)
    try:
        settings = options.resolved(config, set)
        predictor = None if bundle is None else _loaded(bundle, settings)  # before the flows are read
        table = learning.read_flows(inputs or [], settings, where=where)
        report = None if predictor is None else _verdicts(predictor, table)
        scores = {one.host: float(-rank) for rank, one in enumerate(report.verdicts)} if report else None
        drawn = host_graph(table, middle=host, hops=hops, most_hosts=most_hosts, scores=scores)
        said = _said(report) if report is not None else None
        with output_errors(page.path):
            page.stream.write(graph_page(drawn, _title(inputs or []), said=said).encode())
        page.commit()
    finally:
        page.abort()
    if json:
        print_json(
            {"html": str(output), "middle": drawn.hosts[0].name, "hosts": len(drawn.hosts), "flows": drawn.flows}
        )
    else:
        print(f"{len(drawn.hosts):,} hosts and {drawn.flows:,} flows around {printable(drawn.hosts[0].name)}")
        print(f"page → {printable(str(output))}")


MARKED = 10


def _loaded(bundle: str, settings: PipelineConfig) -> Predictor:
    learning.require_extra()
    return learning.loaded(bundle, settings)


def _verdicts(predictor: Predictor, table: object) -> HostReport:
    from ..tasks.hosts import host_verdicts

    return host_verdicts(predictor, table, explained=0)


def _said(report: HostReport) -> dict[str, str]:
    """A line on the hosts that are first in the report, but for those of an ordinary class."""
    from ..tasks.hosts import ORDINARY

    said = {}
    for one in report.verdicts[:MARKED]:
        if one.label is not None and one.label.lower().partition("/")[0] in ORDINARY:
            continue
        named = f"{one.label} ({one.confidence or 0:.2f} sure), " if one.label is not None else ""
        said[one.host] = f"{named}surprise {one.surprise:.2f}"
    return said


def _title(inputs: list[str]) -> str:
    name = Path(inputs[0]).name or inputs[0]
    return name if len(inputs) == 1 else f"{name} and {len(inputs) - 1} more"
