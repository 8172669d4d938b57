"""`flowlore annotate`."""

from typing import Annotated

import typer

from . import options


def annotate(
    flows: Annotated[str, typer.Argument(metavar="FLOWS", help="Flows to label: anything that `flows` reads.")],
    labels: Annotated[str, typer.Argument(metavar="LABELS", help="A CSV, JSON lines or Parquet file of labels.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="A .parquet, .csv or .jsonl file, or LAKE/ for a lake.")
    ],
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Join labels to flows.

    By flow id, addresses and time, host and time, MAC, or capture, as the columns of LABELS allow.

    \b
    flowlore annotate flows.parquet labels.csv -o labelled.parquet
    """
    raise NotImplementedError
