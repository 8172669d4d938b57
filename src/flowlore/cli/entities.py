"""`flowlore entities learn`, `entities update`, `entities similar` and `entities embed`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import learning, options, training

if TYPE_CHECKING:
    from ..config import PipelineConfig
    from ..flows.table import Flows
    from ..tasks.entities import EntityVectors

Folder = Annotated[
    str, typer.Argument(metavar="FOLDER", help="What `entities learn` made, by its folder or as a bundle by its name.")
]


def learn(
    flows: learning.Flowed,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the new vectors.")],
    progress: training.ShowProgress = None,
    seed: learning.Seed = 0,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Learn vectors of hosts, ports and names from who meets whom in unlabelled flows.

    FOLDER holds the addresses and names that were met in clear.

    \b
    flowlore entities learn monday.parquet -o people
    flowlore entities learn captures/ -o people --set skipgram.width=128 --set skipgram.window=5
    """
    learning.require_extra()
    import numpy as np

    from ..tasks.bundle import require_place
    from ..tasks.entities import EntityVectors

    settings = options.resolved(config, set)
    require_place(output, overwrite=overwrite)
    table = _read(flows, settings, where)
    with _watching(progress) as watch:
        found = EntityVectors.learn(table, np.random.default_rng(seed), settings=settings.skipgram, progress=watch)
    found.save(output, overwrite=overwrite)
    _print_learnt(found, str(output), as_json=json)


def update(
    folder: Folder,
    flows: learning.Flowed,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="NEW", help="Write here instead; FOLDER stays as it is.")
    ] = None,
    progress: training.ShowProgress = None,
    seed: learning.Seed = 0,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Learn on from later flows: new hosts, ports and names join, and those that are met again move.

    \b
    flowlore entities update people tuesday.parquet
    """
    learning.require_extra()
    import numpy as np

    from ..tasks.bundle import require_place
    from ..tasks.bundle_shelf import find_bundle
    from ..tasks.entities import EntityVectors

    settings = options.resolved(config, set)
    known = EntityVectors.load(folder)
    if output is not None:
        require_place(output, overwrite=overwrite)
    table = _read(flows, settings, where)
    with _watching(progress) as watch:
        found = known.update(table, np.random.default_rng(seed), progress=watch)
    target = find_bundle(folder) if output is None else output
    found.save(target, overwrite=overwrite or output is None)
    _print_learnt(found, str(target), as_json=json)


def similar(
    folder: Folder,
    word: Annotated[
        str, typer.Argument(metavar="WORD", help="An address or pseudonym, a port such as 443/tcp, or a name.")
    ],
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help="What WORD is, if it does not look it: host, port, name."),
    ] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="How many to show.")] = 10,
    json: options.Json = False,
) -> None:
    """Show the hosts, ports or names that are most like one of them, whether it was ever met or not.

    \b
    flowlore entities similar people 10.0.0.7
    flowlore entities similar people 8443/tcp
    """
    learning.require_extra()
    from dataclasses import asdict

    from ..tasks.entities import EntityVectors
    from .text import print_json, print_table

    entities = EntityVectors.load(folder)
    asked: Any = kind or entities.kind_of(word)
    found = entities.similar(word, asked, count=count)
    if json:
        print_json(
            {"word": word, "kind": asked, "is_known": entities.is_known(word, asked), "similar": [*map(asdict, found)]}
        )
        return
    if not entities.is_known(word, asked):
        print(f"this {asked} was never met; it is judged by what it shares with others")
    rows = [[one.word, f"{one.likeness:.4f}", f"{one.count:,}"] for one in found]
    print_table([asked, "likeness", "met"], rows, numbers=(1, 2))


def embed(
    folder: Folder,
    flows: learning.Flowed,
    output: Annotated[str, typer.Option("--output", "-o", metavar="OUT", help="A .parquet, .csv or .jsonl file.")],
    bundle: Annotated[
        str | None,
        typer.Option("--bundle", metavar="BUNDLE", help="Add the mean of its flows' vectors by this bundle."),
    ] = None,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Write one vector for each host that began a flow: of itself, of its ports and names, and of its flows.

    \b
    flowlore entities embed people capture.pcap -o hosts.parquet
    flowlore entities embed people capture.pcap -o hosts.parquet --bundle office
    """
    learning.require_extra()
    from ..flows.write import open_writer
    from ..tasks.entities import EntityVectors, host_vectors
    from .text import print_json, printable

    settings = options.resolved(config, set)
    entities = EntityVectors.load(folder)
    predictor = None
    if bundle is not None:
        predictor = learning.loaded(bundle, settings)
    table = _read(flows, settings, where) if predictor is None else learning.read_flows(flows, settings, where=where)
    found = host_vectors(table, entities, predictor=predictor)
    widths = {name: part.shape[1] for name, part in found.parts.items()}
    metadata = {
        "entities": folder,
        "bundle": bundle or "",
        "parts": ", ".join(f"{name} {widths[name]}" for name in widths),
    }
    with open_writer(output, overwrite=overwrite, metadata=metadata) as writer:
        for batch in found.to_arrow().to_batches():
            writer.write(batch)
    known = int(found.is_known.sum())
    if json:
        print_json({"hosts": len(found), "known": known, "parts": widths, "output": output})
    else:
        print(f"{len(found):,} hosts, {known:,} of them known → {printable(output)}")


@contextmanager
def _watching(wanted: bool | None) -> Iterator[Callable[[float], None]]:
    """A line on standard error that says how much is done, by default only on a terminal."""
    is_shown = sys.stderr.isatty() if wanted is None else wanted
    percent = -1

    def watch(share: float) -> None:
        nonlocal percent
        if is_shown and int(100 * share) > percent:
            percent = int(100 * share)
            sys.stderr.write(f"\r\x1b[2Klearning, {percent} %" if sys.stderr.isatty() else f"learning, {percent} %\n")
            sys.stderr.flush()

    try:
        yield watch
    finally:
        if is_shown and sys.stderr.isatty():
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def _read(inputs: list[str], settings: PipelineConfig, where: str | None) -> Flows:
    """What sentences are made of, and nothing else."""
    from ..features.sentences import COLUMNS
    from ..flows.table import Flows

    return Flows.from_batches([batch.select(list(COLUMNS)) for batch in learning.batches_of(inputs, settings, where)])


def _print_learnt(found: EntityVectors, output: str, *, as_json: bool) -> None:
    from .text import print_json, printable

    if as_json:
        print_json({"output": output, **found.data})
        return
    last = found.data["rounds"][-1]
    words = ", ".join(
        f"{last[f'{kind}s']:,} {kind}s in {last[f'{kind} sentences']:,} sentences" for kind in found.models
    )
    print(f"{last['flows']:,} flows: {words}")
    for kind in found.models:
        if f"{kind}s left out" in last:
            print(
                f"  note: {last[f'{kind}s left out']:,} {kind}s are known by what they share only (skipgram.most_words)"
            )
    print(f"{', '.join(f'{count:,} {name}' for name, count in found.data['known'].items())} → {printable(output)}")


WORDS: dict[str, Callable[..., None]] = {"learn": learn, "update": update, "similar": similar, "embed": embed}

app = typer.Typer(
    help="Vectors of hosts, ports and names, by whom they meet.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for name, word in WORDS.items():
    app.command(name=name)(word)
