"""`flowlore pretrain`."""

from pathlib import Path
from typing import Annotated

import typer

from . import learning, options


def pretrain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Which encoder, e.g. autoencoder.")],
    flows: learning.Flowed,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="Folder of the new bundle.")],
    augment: learning.Augment = None,
    copies: learning.Copies = 1,
    seed: learning.Seed = 0,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Learn from unlabelled flows what traffic looks like, and keep it as a bundle.

    \b
    flowlore pretrain autoencoder captures/ -o office
    """
    learning.require_extra()
    import numpy as np

    from ..tasks.pretraining import pretrain as train
    from .text import print_json, printable

    settings = options.resolved(config, set)
    augmentation = learning.augmentation(augment, copies)
    held = learning.read_flows(flows, settings, where=where)
    made = train(model, held, rng=np.random.default_rng(seed), augmentation=augmentation)
    made.save(output, overwrite=overwrite)
    if json:
        print_json({"bundle": str(output), "model": model, **made.data})
    else:
        print(f"{made.data['flows']:,} flows, {made.data['training_s']} s of training; {made.data['shortcuts']}")
        print(f"bundle → {printable(str(output))}")
