"""`flowlore fit`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from . import learning, options


def fit(
    bundle: learning.BundleName,
    labelled: learning.Flowed,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW", help="Folder of the taught bundle.")],
    shots: Annotated[int, typer.Option("--shots", metavar="N", min=1, help="Labelled flows shown of each class.")] = 5,
    head: Annotated[str, typer.Option("--head", metavar="NAME", help="knn, probe or prototypes.")] = "probe",
    split: Annotated[
        str,
        typer.Option(
            "--split",
            metavar="BY",
            help="What keeps shown and asked flows apart: capture, time, host, network; random-which-leaks shows why.",
        ),
    ] = "capture",
    labels: learning.LabelFile = None,
    drop_small_classes: Annotated[
        bool, typer.Option("--drop-small-classes", help="Leave out classes with fewer flows than shots.")
    ] = False,
    coverage: Annotated[
        float, typer.Option("--coverage", min=0.5, max=0.999, help="Share of answer sets that hold the truth.")
    ] = 0.9,
    augment: learning.Augment = None,
    copies: learning.Copies = 1,
    seed: learning.Seed = 0,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Teach a bundle classes from a few labelled flows, and examine it on others beside simple methods.

    \b
    flowlore fit office labelled.parquet --shots 5 -o office-5shot
    """
    learning.require_extra()
    from dataclasses import replace

    import numpy as np

    from ..tasks.few_shot import examine, prepare, teach
    from ..tasks.predictor import load
    from .text import print_json, printable

    predictor = load(bundle)
    flows = learning.read_flows(labelled, options.resolved(config, set), where=where, labels=labels)
    rng = np.random.default_rng(seed)
    lesson = prepare(predictor, flows, by=split, rng=rng)
    taught, episode = teach(
        predictor,
        lesson,
        shots=shots,
        rng=rng,
        head=head,
        coverage=coverage,
        drop_small_classes=drop_small_classes,
        augmentation=learning.augmentation(augment, copies),
    )
    report = examine(taught, lesson, episode, rng=rng) | {"shots": shots, "seed": seed, "head": head}
    replace(taught, metrics=report).save(output, overwrite=overwrite)
    report |= {"masked": list(lesson.embedding.masked), "bundle": str(output)}
    if json:
        print_json(report)
        return
    _print_report(report)
    print(f"bundle → {printable(str(output))}")


def _print_report(report: dict[str, Any]) -> None:
    from .text import print_table

    learning.print_masked(report["masked"])
    print(
        f"{report['shots']} flows of each of {report['classes']} classes were shown, {report['asked']:,} others asked "
        f"({report['novel']:,} without a twin among the shown; split by {report['split']['by']})"
    )
    rows = [
        [name, *(f"{both[side][key]:.3f}" for side in ("natural", "novel") for key in ("accuracy", "macro_f1"))]
        for name, both in report["scores"].items()
    ]
    headings = ["method", "accuracy", "macro F1", "novel accuracy", "novel macro F1"]
    print_table(headings, rows, numbers=(1, 2, 3, 4))
    if report["best"] != report["head"]:
        print(f"`{report['best']}` on raw numbers does better here than the bundle's head")
