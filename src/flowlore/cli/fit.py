"""`flowlore fit`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from . import learning, options, rates, training

SHOTS = 5
VALIDATION_SHARE = 0.1  # of the captures, where all labels are shown: they say when fine-tuning stops


def fit(
    bundle: learning.BundleName,
    labelled: learning.Flowed,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW", help="Folder of the taught bundle.")],
    task: Annotated[
        str,
        typer.Option(
            "--task", metavar="NAME", help="classify flows, ddos (floods against hosts), or roles (of hosts)."
        ),
    ] = "classify",
    attacks: Annotated[
        Path | None,
        typer.Option(
            "--attacks",
            metavar="FILE",
            help="With --task ddos: victim, from, to and kind of known attacks, as .csv or .jsonl.",
        ),
    ] = None,
    step: rates.Step = None,
    shots: Annotated[
        int | None, typer.Option("--shots", metavar="N", min=1, help="Labelled flows shown of each class (5).")
    ] = None,
    all_labels: Annotated[
        bool, typer.Option("--all-labels", help="Show every labelled flow of the training side instead.")
    ] = False,
    share: Annotated[
        float | None,
        typer.Option(
            "--share",
            metavar="SHARE",
            min=0.0001,
            max=1.0,
            help="Show this share of the labelled flows that teach instead, classes as frequent as they are.",
        ),
    ] = None,
    fine_tune: Annotated[
        bool,
        typer.Option(
            "--fine-tune",
            help="Let the whole encoder follow the labels, if that beats the linear probe; of ddos, the whole decoder.",
        ),
    ] = False,
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            metavar="NAME",
            help="forest (default of roles), joined, knn, probe (default of all else) or prototypes.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            metavar="BY",
            help="What keeps shown and asked flows apart: capture, time, host, network; random-which-leaks shows why. "
            "Of roles: host (default) or time.",
        ),
    ] = None,
    test_share: Annotated[
        float, typer.Option("--test-share", min=0.05, max=0.9, help="Share of captures, time or hosts that examines.")
    ] = 0.5,
    labels: learning.LabelFile = None,
    drop_small_classes: Annotated[
        bool, typer.Option("--drop-small-classes", help="Leave out classes with fewer flows than shots.")
    ] = False,
    coverage: Annotated[
        float, typer.Option("--coverage", min=0.5, max=0.999, help="Share of answer sets that hold the truth.")
    ] = 0.9,
    augment: learning.Augment = None,
    copies: learning.Copies = None,
    log: training.Log = None,
    progress: training.ShowProgress = None,
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
    flowlore fit none exports/ --task ddos --attacks attacks.csv -o floods
    flowlore fit none exports/ --task roles --labels hosts.csv -o roles
    """
    learning.require_extra()
    from ..errors import SettingError
    from ..tasks.bundle import require_place
    from .floods import check_task

    check_task(task)
    from . import floods, roles
    from .text import print_json as print_as_json

    if task == "ddos":
        require_place(output, overwrite=overwrite)
        with training.watching(progress, log) as watch:
            found = floods.fit_floods(
                bundle, labelled, attacks, output, options.resolved(config, set),
                step=step, test_share=test_share, where=where, seed=seed, overwrite=overwrite, fine_tune=fine_tune,
                watch=watch,
            )  # fmt: skip
        print_as_json(found) if json else floods.print_floods(found)
        return
    if task == "roles":
        require_place(output, overwrite=overwrite)
        with training.watching(progress, log) as watch:
            found = roles.fit_roles(
                bundle, labelled, labels, output, options.resolved(config, set), step=step, split=split or "host",
                head=head or "forest", test_share=test_share, where=where, seed=seed, overwrite=overwrite,
                watch=watch,
            )  # fmt: skip
        print_as_json(found) if json else roles.print_roles(found)
        return
    if attacks is not None or step is not None:
        raise SettingError("fit: `--attacks` and `--step` are about floods", hint="add `--task ddos`")
    split, head = split or "capture", head or "probe"
    from dataclasses import replace

    import numpy as np

    from ..tasks import HEADS
    from ..tasks.few_shot import check_split, examine, prepare, teach
    from ..tasks.fine_tuning import fine_tune as tune
    from ..tasks.raw import texts
    from .text import print_json, printable

    if (shots is not None) + (share is not None) + all_labels > 1:
        raise SettingError("fit: `--shots`, `--share` and `--all-labels` exclude each other", hint="choose one of them")
    if fine_tune and head != "probe":
        raise SettingError(f"fit: `--fine-tune` begins with the probe, not with `{head}`", hint="leave out `--head`")
    if log is not None and not fine_tune:
        raise SettingError("fit: `--log` is of training by steps, and a head has none", hint="add `--fine-tune`")
    shown = None if all_labels or share is not None else shots or SHOTS
    # What is asked for is looked at before the work, not after it.
    check_split(split)
    HEADS.load(head)
    augmentation = learning.augmentation(augment, copies)
    require_place(output, overwrite=overwrite)
    settings = options.resolved(config, set)
    if fine_tune:
        from ..models.training import device_of

        device_of(settings.fine_tuning)
    predictor = learning.loaded(bundle, settings)
    flows = learning.read_flows(labelled, settings, where=where, labels=labels)
    _refuse_one_class(texts(flows, "label"))
    rng = np.random.default_rng(seed)
    kept_back = VALIDATION_SHARE if all_labels and fine_tune else 0.0
    lesson = prepare(predictor, flows, by=split, rng=rng, test_share=test_share, validation_share=kept_back)
    taught, episode = teach(
        predictor,
        lesson,
        shots=shown,
        rng=rng,
        head=head,
        coverage=coverage,
        drop_small_classes=drop_small_classes,
        augmentation=augmentation,
        share=share,
    )
    _refuse_one_class(lesson.labels[episode.support], split=split)
    tuning = None
    if fine_tune:
        with training.watching(progress, log) as watch:
            taught, lesson, tuning = tune(
                taught, lesson, episode, rng=rng, settings=settings.fine_tuning, coverage=coverage, progress=watch
            )
    report = examine(taught, lesson, episode, rng=rng)
    report |= {"shots": shown, "share": share, "seed": seed, "head": taught.head_name}
    report |= {"test_share": test_share, "fine_tuning": tuning}
    replace(taught, metrics=report).save(output, overwrite=overwrite)
    report |= {"masked": list(lesson.embedding.masked), "bundle": str(output)}
    if json:
        print_json(report)
        return
    _print_report(report)
    print(f"bundle → {printable(str(output))}")


def _refuse_one_class(labels: Any, *, split: str | None = None) -> None:
    """With one class every answer is right, which says nothing. Without any the task refuses by itself."""
    from ..errors import InputError
    from ..tasks.classify.episodes import labelled

    names = set(labels[labelled(labels)].tolist())
    if len(names) == 1:
        where = "" if split is None else f" on the training side of the split by {split}"
        raise InputError(
            f"fit: `{names.pop()}` is the only class{where}, so that every answer would be right",
            hint="give flows of another class too, or split by another thing"
            if split
            else "give flows of another class too",
        )


def _print_report(report: dict[str, Any]) -> None:
    from .text import print_table

    learning.print_masked(report["masked"])
    if report["share"] is not None:
        shown = f"{report['share']:.3g} of the labelled flows ({report['shown']:,})"
    elif report["shots"] is None:
        shown = f"all {report['shown']:,} labelled flows"
    else:
        shown = f"{report['shots']} flows of each"
    print(
        f"{shown} of {report['classes']} classes were shown, {report['asked']:,} others asked "
        f"({report['novel']:,} without a twin among the shown; split by {report['split']['by']})"
    )
    if left_out := _left_out(report):
        print(f"left out: {left_out}")
    if report["fine_tuning"]:
        _print_tuning(report["fine_tuning"])
    rows = [
        [name, *(f"{both[side][key]:.3f}" for side in ("natural", "novel") for key in ("accuracy", "macro_f1"))]
        for name, both in report["scores"].items()
    ]
    headings = ["method", "accuracy", "macro F1", "novel accuracy", "novel macro F1"]
    print_table(headings, rows, numbers=(1, 2, 3, 4))
    if report["best"] != report["head"]:
        print(f"`{report['best']}` on raw numbers does better here than the bundle's head")


def _left_out(report: dict[str, Any]) -> str:
    """Classes that were not shown, why, and what became of their flows; empty where all were shown."""
    from .text import printable

    reasons = []
    for key, why in (
        ("dropped_classes", f"fewer than {report['shots']} flows to show"),
        ("absent_classes", "none on the training side"),
    ):
        if report[key]:
            reasons.append(f"{', '.join(f'`{printable(name)}`' for name in report[key])} ({why})")
    if report["not_asked"]:
        reasons.append(f"{report['not_asked']:,} flows of them were not asked")
    if report["asked_in_vain"]:
        reasons.append(
            f"{report['asked_in_vain']:,} flows of them were asked all the same and count as wrong; "
            "`--drop-small-classes` does not ask them"
        )
    return "; ".join(reasons)


def _print_tuning(found: dict[str, Any]) -> None:
    said = "is kept" if found["kept"] == "tuned" else "is no better than the probe, which is kept"
    print(
        f"fine-tuned for {found['epochs']} epochs in {found['seconds']:.0f} s; macro F1 on {found['held_out']:,} flows "
        f"held out by {found['held_out_by']}: {found['tuned_macro_f1']:.3f}, of the probe "
        f"{found['probe_macro_f1']:.3f}; the tuned encoder {said}"
    )
    if found["kept"] == "tuned" and found["neighbours_share"]:
        print(f"the nearest labelled flows have {found['neighbours_share']:.0%} of the answer")
