"""`flowlore pretrain`."""

from pathlib import Path
from typing import Annotated

import typer

from . import learning, options, rates, training


def pretrain(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Which encoder: autoencoder; graph, which knows whom hosts talk to; or flowgen for rates.",
        ),
    ],
    flows: learning.Flowed,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="Folder of the new bundle.")],
    augment: learning.Augment = None,
    copies: learning.Copies = None,
    hold_out: Annotated[
        float,
        typer.Option(
            "--hold-out", metavar="SHARE", min=0, max=0.9, help="Leave the latest share of the flows unseen, for tests."
        ),
    ] = 0.0,
    apart: Annotated[
        bool,
        typer.Option(
            "--apart",
            help="Of graph: every input is a network of its own, brought to its own scale and heard as much as others.",
        ),
    ] = False,
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            "--checkpoints", metavar="FOLDER", help="Save here on the way; a training that was cut off goes on."
        ),
    ] = None,
    log: training.Log = None,
    progress: training.ShowProgress = None,
    by: rates.By = "host",
    step: rates.Step = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="NAME", help="Of flowgen: ddos learns the signs of floods instead of rates."),
    ] = None,
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
    flowlore pretrain autoencoder captures/ -o office --set training.epochs=20 --set features.use_names=false
    flowlore pretrain graph campus/ branch/ factory/ --apart -o networks
    flowlore pretrain flowgen captures/ --by host --step 1m -o dynamics
    flowlore pretrain flowgen exports/ --task ddos --step 10s -o watch
    """
    learning.require_extra()
    if model == "flowgen":
        if apart:
            from ..errors import SettingError

            raise SettingError(
                "pretrain: flowgen learns from all inputs as one", hint="`--apart` is of `graph`: leave it out"
            )
        from .pretraining import Wanted, pretrain_rates, print_made
        from .text import print_json as print_as_json

        wanted = Wanted(
            by=by, step=step, where=where, seed=seed, overwrite=overwrite, task=task, hold_out=hold_out,
            checkpoints=checkpoints, augment=bool(augment),
        )  # fmt: skip
        with training.watching(progress, log) as watch:
            card = pretrain_rates(flows, output, options.resolved(config, set), wanted, watch)
        print_as_json(card) if json else print_made(card)
        return
    if task is not None:
        from ..errors import SettingError

        raise SettingError(f"pretrain: `--task` is of flowgen, not of `{model}`", hint="leave it out")
    if by != "host" or step is not None:
        from ..errors import SettingError

        raise SettingError(f"pretrain: `--by` and `--step` are of flowgen, not of `{model}`", hint="leave them out")
    import numpy as np

    from ..errors import InputError
    from ..features.settings import FeatureSettings
    from ..models import MODELS
    from ..models.training import device_of
    from ..tasks.bundle import require_place
    from ..tasks.checkpoint import CheckpointFolder
    from ..tasks.pretraining import pretrain as train
    from .text import print_json, printable

    if apart and len(flows) < 2:
        raise InputError(
            f"pretrain: `--apart` makes every input a network of its own, and `{flows[0]}` is the only one",
            hint="name each network's folder, e.g. `campus/ branch/`, or leave `--apart` out",
        )
    settings = options.resolved(config, set)
    augmentation = learning.augmentation(augment, copies)
    MODELS.load(model)
    require_place(output, overwrite=overwrite)
    device_of(settings.training)
    tables = [
        learning.read_flows(part, settings, where=where) for part in ([[one] for one in flows] if apart else [flows])
    ]
    with training.watching(progress, log) as watch:
        made = train(
            model,
            tables[0],
            rng=np.random.default_rng(seed),
            features=settings.features if settings.features != FeatureSettings() else None,
            settings=getattr(settings, model, None),
            training=settings.training,
            hold_out=hold_out,
            others=tables[1:],
            augmentation=augmentation,
            place=None if checkpoints is None else CheckpointFolder(checkpoints),
            progress=watch,
        )
    made.save(output, overwrite=overwrite)
    if json:
        print_json({"bundle": str(output), "model": model, **made.data})
    else:
        print(f"{made.data['flows']:,} flows, {made.data['training_s']} s of training; {made.data['shortcuts']}")
        print(f"bundle → {printable(str(output))}")
