"""`flowlore annotate`."""

from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from . import options

if TYPE_CHECKING:
    from ..flows.labels import How


def annotate(
    flows: Annotated[str, typer.Argument(metavar="FLOWS", help="Flows to label: anything that `flows` reads.")],
    labels: Annotated[str, typer.Argument(metavar="LABELS", help="A CSV, JSON lines or Parquet file of labels.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="A .parquet, .csv or .jsonl file, or LAKE/ for a lake.")
    ],
    how: Annotated[
        str | None,
        typer.Option(
            "--how", metavar="HOW", help="Join by flow-id, five-tuple, host, mac or capture; else as the columns allow."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="New labels replace those that flows have already.")
    ] = False,
    allow_no_match: Annotated[
        bool, typer.Option("--allow-no-match", help="Labels of which none fits any flow are no error.")
    ] = False,
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
    from ..flows.annotate import Annotator
    from ..flows.write import open_writer
    from ..settings import as_toml, settings_hash
    from .metering import Request, scanning
    from .text import print_json, printable

    settings = options.resolved(config, set)
    metadata = {"config": as_toml(settings, with_meanings=False), "config_hash": settings_hash(settings)}
    with (
        Annotator(labels, how=as_how(how), overwrite=replace) as annotator,
        open_writer(output, overwrite=overwrite, metadata=metadata) as writer,
        scanning(Request(inputs=[flows], where=where), settings) as scan,
    ):
        for batch in scan:
            writer.write(annotator(batch))
        if not allow_no_match:
            annotator.require_match()
    report = annotator.report()
    if json:
        print_json(report.as_dict() | {"output": output})
    else:
        for name, value in report.lines():
            print(f"{printable(name):>13}  {printable(value)}")
        print(f"{writer.rows:,} flows → {printable(output)}")


def as_how(text: str | None) -> "How | None":
    """What `--how` says, checked."""
    from ..errors import SettingError
    from ..flows.labels import How

    ways = get_args(How)
    if text is not None and text not in ways:
        raise SettingError(
            f"annotate: `--how {text}` is no way to join labels", hint=f"choose from {', '.join(ways)}, or leave it out"
        )
    return cast("How | None", text)
