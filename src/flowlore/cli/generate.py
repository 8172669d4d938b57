"""`flowlore imitate` and `flowlore generate`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from . import learning, options, training

AS_LEARNT = "as-learnt"
MOSTLY_SEEN = 0.5
PATHS, TOP = 1, 20  # of rates, where nothing else is said
USUAL_COUNT = 100
COPIES = 4  # of each flow that a generator learns from, where changed ones are asked for


def imitate(
    labelled: learning.Flowed,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="Folder of the new bundle.")],
    model: Annotated[
        str, typer.Option("--generator", metavar="NAME", help="Which generator; `flowlore plugins` lists them.")
    ] = "transformer",
    labels: learning.LabelFile = None,
    augment: learning.Augment = None,
    copies: Annotated[
        int | None,
        typer.Option("--copies", metavar="N", help=f"With --augment: changed copies of each flow ({COPIES})."),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            metavar="BUNDLE",
            help="Also tell it where this bundle places each flow, so that `generate --place` may ask for places.",
        ),
    ] = None,
    joint: Annotated[
        bool,
        typer.Option(
            "--joint",
            help="Also teach a classifier with it, whose misses teach the generator; `predict` asks it. (wgan)",
        ),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            metavar="N",
            min=1,
            help="Times that every flow is seen; more often where flows are few, up to 200 steps.",
        ),
    ] = None,
    log: training.Log = None,
    progress: training.ShowProgress = None,
    seed: learning.Seed = 0,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Learn from labelled flows to make up others like them, and keep it as a bundle.

    Give it only the flows that a classifier may see: what it makes up is made from them.

    \b
    flowlore imitate labelled.parquet -o office-generator
    """
    learning.require_extra()
    import numpy as np

    from ..models.generators import GENERATORS
    from ..tasks.bundle import require_place
    from ..tasks.generation import imitate as learn
    from ..tasks.generation import with_classifier
    from .text import print_json, printable

    # What is asked for is looked at before the work, not after it.
    GENERATORS.load(model)
    settings = with_classifier(model) if joint else None
    augmentation = learning.augmentation(augment, copies, usual=COPIES)
    require_place(output, overwrite=overwrite)
    flows = learning.read_flows(labelled, options.resolved(config, set), where=where, labels=labels)
    vectors = None if encoder is None else _vectors(encoder, flows)
    shown = False if json and progress is None else progress
    with training.watching(shown, log) as watch:
        made = learn(
            model,
            flows,
            rng=np.random.default_rng(seed),
            settings=settings,
            epochs=epochs,
            augmentation=augmentation,
            vectors=vectors,
            progress=watch,
        )
    made.save(output, overwrite=overwrite)
    if json:
        print_json({"bundle": str(output), "model": model, "labels": list(made.labels), **made.data})
    else:
        print(f"{made.data['flows']:,} flows of {len(made.labels)} classes, {made.data['training_s']} s of training")
        print(f"bundle → {printable(str(output))}")


def generate(
    bundle: learning.BundleName,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="OUT", help="A capture (.pcap), or a flow table (.parquet, .csv, .jsonl)."
        ),
    ],
    label: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Of this class; else of all as they were learnt.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", metavar="N", help="How many flows, or steps of rates. (100)")
    ] = None,
    following: Annotated[
        str | None,
        typer.Option(
            "--follow",
            metavar="RATES",
            help="As many flows, of the hosts, at the times and as large as this file of rates by host says.",
        ),
    ] = None,
    path: Annotated[
        int | None, typer.Option("--path", metavar="N", min=0, help="With --follow: which path of made-up rates.")
    ] = None,
    draw: Annotated[
        int | None,
        typer.Option(
            "--draw",
            metavar="N",
            min=1,
            help="With --follow: flows to make up and choose from; else twice as many as are asked for, up to 20,000.",
        ),
    ] = None,
    place: Annotated[
        str,
        typer.Option(
            "--place",
            metavar="PLACE",
            help="as-learnt; or more where classes are thin, or near a boundary to others (thin, boundary).",
        ),
    ] = AS_LEARNT,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="FLOWS",
            help="Labelled flows that the generator did not see: also report how faithful it is. May be repeated.",
        ),
    ] = None,
    learnt_from: Annotated[
        list[str] | None,
        typer.Option(
            "--learnt-from", metavar="FLOWS", help="What it learnt from, to look for copies. May be repeated."
        ),
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option(
            "--after",
            metavar="IN",
            help="With a bundle of rates: traffic, or a file of rates, that what is made up follows. May be repeated.",
        ),
    ] = None,
    paths: Annotated[
        int | None,
        typer.Option("--paths", metavar="N", min=1, help="With a bundle of rates: how many ways to go on (1)."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", min=1, help="With a bundle of rates: of so many busiest hosts (20)."),
    ] = None,
    seed: learning.Seed = 0,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Make up flows like those that a generator has seen, as a flow table or a capture.

    With a bundle of `flowlore pretrain flowgen`: rates of hosts that may follow given ones, `-n` steps of them.

    \b
    flowlore generate office-generator --class video -n 1000 -o video.pcap
    flowlore generate dynamics --after rates.parquet -n 60 --paths 10 -o made.parquet
    flowlore generate office-generator --follow made.parquet --path 3 -o flows.parquet
    """
    learning.require_extra()
    from ..tasks.generation import MAKER, load_imitator
    from ..tasks.thin_places import checked_place
    from .generating import CAPTURES, check_flows, check_following, check_rates
    from .roles import asks_rates

    check_following(
        following,
        not_with={
            "--after": after,
            "--against": against,
            "--learnt-from": learnt_from,
            "--paths": paths,
            "--top": top,
            "-n": count is not None,
        },
        only_with={"--path": path is not None, "--draw": draw is not None},
    )
    settings = options.resolved(config, set)
    if following is not None:
        from .followed import generate_following, print_following
        from .text import print_json as print_report

        report = generate_following(
            bundle, output, following, label=label, path=path, place=place, draw=draw, seed=seed,
            overwrite=overwrite,
        )  # fmt: skip
        if json:
            print_report(report)
        else:
            print_following(report)
        return
    count = USUAL_COUNT if count is None else count
    if asks_rates(bundle, maker=MAKER):
        from .likely_rates import generate_rates
        from .text import print_json as print_as_json
        from .text import printable

        of_flows = {"--class": label, "--place": place != AS_LEARNT, "--against": against, "--learnt-from": learnt_from}
        check_rates(bundle, output, steps=count, after=after or (), of_flows=of_flows, overwrite=overwrite)
        found = generate_rates(
            bundle, output, after or (), settings, steps=count, paths=paths or PATHS,
            top=top or TOP, seed=seed, overwrite=overwrite,
        )  # fmt: skip
        if json:
            print_as_json(found)
        else:
            print(
                f"{found['hosts']:,} hosts, {found['paths']:,} paths of {found['steps']:,} steps → {printable(output)}"
            )
        return
    import numpy as np

    from ..flows.table import Flows
    from ..flows.write import open_writer

    check_flows(
        bundle,
        output,
        count=count,
        place=place,
        against=against or (),
        learnt_from=learnt_from or (),
        of_rates={"--after": after, "--paths": paths, "--top": top},
        overwrite=overwrite,
    )
    imitator, asked_at = load_imitator(bundle), checked_place(place)
    real, seen = (learning.read_flows(one, settings) if one else None for one in (against, learnt_from))
    rng = np.random.default_rng(seed)
    report = {"class": label, "output": output}
    if output.endswith(CAPTURES):
        write_capture(imitator.capture(label, count, rng, where=asked_at), output, overwrite)
        report["flows"] = count
    else:
        table = imitator.generate(label, count, rng, where=asked_at)
        with open_writer(output, overwrite=overwrite, metadata={"bundle": bundle}) as writer:
            for batch in table.to_batches():
                writer.write(batch)
        report["flows"] = writer.rows
    if real is not None:
        from ..tasks.fidelity import fidelity

        made = Flows(imitator.generate(None, max(len(real), 1), rng))
        report["fidelity"] = fidelity(made, real, seen, rng=rng)
    _print(report, json)


def _vectors(encoder: str, flows: Any) -> Any:
    from ..tasks.predictor import load

    return load(encoder).embed(flows).vectors


def write_capture(data: bytes, output: str, overwrite: bool) -> None:
    from ..flows.place import FileInTheMaking, output_errors

    place = FileInTheMaking(output, overwrite=overwrite)
    try:
        with output_errors(place.path):
            place.stream.write(data)
        place.commit()
    finally:
        place.abort()


def _print(report: dict[str, Any], json: bool) -> None:
    from .text import print_json, print_table, printable

    if json:
        print_json(report)
        return
    print(f"{report['flows']:,} flows → {printable(report['output'])}")
    found = report.get("fidelity")
    if found:
        if found.get("copied_by_chance", 0.0) > MOSTLY_SEEN:
            print("  note: most flows of `--against` look like flows that it learnt from: later ones would say more")
        rows = [
            [name, *(f"{one[key]:.3f}" for key in ("jsd", "wasserstein"))] for name, one in found["features"].items()
        ]
        print_table(["feature", "Jensen-Shannon", "Wasserstein"], rows, numbers=(1, 2))
        for name, value in found.items():
            if not isinstance(value, dict):
                print(f"{name.replace('_', ' '):>28}  {value}")
