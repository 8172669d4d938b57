"""`flowlore accustom`."""

from pathlib import Path
from typing import Annotated

import typer

from . import learning, options


def accustom(
    bundle: learning.BundleName,
    flows: learning.Flowed,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW", help="Folder of the new bundle.")],
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Let a bundle of graphs take scales, and what is usual, from unlabelled flows of another network.

    \b
    flowlore accustom campus branch/ -o branch
    """
    learning.require_extra()
    from ..tasks.accustoming import accustom as accustomed
    from ..tasks.bundle import require_place
    from .text import print_json, printable

    require_place(output, overwrite=overwrite)
    settings = options.resolved(config, set)
    predictor = learning.loaded(bundle, settings)
    made = accustomed(predictor, learning.read_flows(flows, settings, where=where))
    made.save(output, overwrite=overwrite)
    card = made.data["accustomed_to"]
    if json:
        print_json({"bundle": str(output), "model": made.model, **card})
    else:
        print(f"accustomed to {card['flows']:,} flows; {card['shortcuts']}")
        print(f"bundle → {printable(str(output))}")
