"""`flowlore lab run`, `lab scenarios`, `lab check`, `lab verify` and `lab clean`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from . import options

Scenario = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A TOML file, or a scenario that ships: `lab scenarios` lists them.")
]


def run(
    scenario: Scenario,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Folder that the run makes.")],
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out roles whose programs are not installed, and say so.")
    ] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Make labelled traffic by real programs in network namespaces.

    Needs root. OUT holds captures, labels, and run.json, which says how they were made. The namespaces have no way
    out, and are taken away at the end.

    \b
    sudo flowlore lab run quick -o quick
    flowlore flows quick/capture -o flows.parquet
    flowlore annotate flows.parquet quick/labels.csv -o labelled.parquet
    """
    import signal
    import sys

    from ..lab.run import run_scenario
    from ..lab.scenario import read_scenario
    from .text import print_json, printable

    signals = (signal.SIGINT, signal.SIGTERM)

    def end(number: int, frame: object) -> None:
        for one in signals:
            signal.signal(one, signal.SIG_IGN)  # what is built is taken away first
        print("ending: everything is taken away …", file=sys.stderr, flush=True)
        raise KeyboardInterrupt

    chosen = read_scenario(scenario)
    before = [signal.signal(one, end) for one in signals]
    try:
        report = run_scenario(
            chosen,
            output,
            overwrite=overwrite,
            skip_missing=skip_missing,
            tell=lambda words: None if json else print(f"{words} …", file=sys.stderr, flush=True),
        )
    finally:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)
    if json:
        print_json(vars(report))
    else:
        for name, value in report.lines():
            print(f"{printable(name):>13}  {printable(value)}")


def scenarios(json: options.Json = False) -> None:
    """List the scenarios that ship."""
    from ..lab.scenario import read_scenario, shipped_scenarios
    from .text import print_json, print_table

    found = [read_scenario(path) for path in shipped_scenarios().values()]
    described = [
        {
            "name": one.name,
            "real_s": one.real_s,
            "hosts": len(one.hosts),
            "activities": len({plan.activity for plan in one.timetable}),
        }
        for one in found
    ]
    if json:
        print_json(described)
    else:
        rows = [
            [str(one["name"]), f"{one['real_s']:.0f} s", str(one["hosts"]), str(one["activities"])] for one in described
        ]
        print_table(["scenario", "takes", "hosts", "activities"], rows, numbers=(1, 2, 3))


def check(
    scenario: Annotated[str | None, typer.Argument(metavar="SCENARIO", help="Also look for its programs.")] = None,
    json: options.Json = False,
) -> None:
    """Tell what this machine can do.

    Which parts of the kernel are there, and which programs are missing for all roles, or for those of one scenario.
    """
    from dataclasses import asdict

    from ..lab.checking import check_machine
    from .text import print_json

    found = check_machine(scenario)
    if json:
        print_json(asdict(found))
    else:
        for line in found.lines():
            print(line)


def clean(
    everything: Annotated[bool, typer.Option("--all", help="Also end runs that are still going on.")] = False,
    json: options.Json = False,
) -> None:
    """Take away what killed runs left behind.

    Every `lab run` does so as well, before it begins.
    """
    from ..lab.machine import require_machine
    from ..lab.world import clean_up
    from .text import print_json

    require_machine()
    gone = clean_up(everything=everything)
    if json:
        print_json({"removed": gone})
    else:
        spaces = sum(not name.startswith("/") for name in gone)
        print(f"{spaces} namespaces and {len(gone) - spaces} folders taken away")


def verify(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `lab run` made.")],
    json: options.Json = False,
) -> None:
    """Check the labels of a run by a second way.

    Labels say which process opened a connection. Beside them stand the logs of servers, payloads, names that were
    asked for, and what activities wrote down.
    """
    from ..lab.verifying import verify_run
    from .text import print_json, printable

    found = verify_run(folder)
    if json:
        print_json(found.as_json())
        return
    print(
        f"{found.flows:,} flows, {found.labelled:,} labelled, {found.checked:,} checked, {found.wrong:,} contradicted"
    )
    for way, (checked, wrong) in found.by_way.items():
        print(f"{way:>12}  {checked:,} checked, {wrong:,} contradicted")
    for example in found.examples:
        print(f"  {printable(', '.join(f'{name} {value}' for name, value in example.items()))}")


WORDS: dict[str, Callable[..., None]] = {
    "run": run,
    "scenarios": scenarios,
    "check": check,
    "verify": verify,
    "clean": clean,
}

app = typer.Typer(
    help="Make labelled traffic by real programs in namespaces.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for name, word in WORDS.items():
    app.command(name=name)(word)
