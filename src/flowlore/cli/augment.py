"""`flowlore augment`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from . import learning, options

if TYPE_CHECKING:
    from ..features.augment.settings import Combination

Transforms = Annotated[
    list[str] | None,
    typer.Option(
        "--transform",
        metavar="NAME[:MAGNITUDE]",
        help="How packets are changed; `flowlore plugins` lists augmentations. May be repeated.",
    ),
]


def augment(
    flows: learning.Flowed,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="OUT", help="A .parquet, .csv or .jsonl file, or LAKE/ for a lake."),
    ] = "",
    transform: Transforms = None,
    magnitude: Annotated[
        float, typer.Option("--magnitude", metavar="M", help="Of transforms that name none, from 0 to 1.")
    ] = 0.5,
    copies: Annotated[int, typer.Option("--copies", metavar="N", help="Changed copies of each flow.")] = 1,
    combine: Annotated[
        str,
        typer.Option(
            "--combine",
            metavar="HOW",
            help="ensemble: one transform a flow; random-stack: all, in any order; masked-stack: each by chance.",
        ),
    ] = "ensemble",
    probability: Annotated[
        float | None, typer.Option("--probability", metavar="P", help="Of each transform in a masked stack; else 0.5.")
    ] = None,
    only_copies: Annotated[bool, typer.Option("--only-copies", help="Leave the flows themselves out.")] = False,
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", metavar="FILE.html", help="Also draw what every transform does to one of the flows."),
    ] = None,
    seed: learning.Seed = 0,
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Add changed copies of flows, as other paths, senders or losses might have shown them.

    Counters follow the packets. Copies keep capture, start and label, so that splits keep them with their original;
    augment what teaches, never what examines.

    \b
    flowlore augment labelled.parquet -o more.parquet --transform packet-loss --transform mtu:0.3 --copies 4
    """
    import numpy as np

    from ..errors import OutputError, SettingError
    from ..features.augment.policy import Augmenter
    from ..features.augment.settings import AugmentSettings
    from ..settings import settings_from

    if not output and gallery is None:
        raise OutputError(
            "augment: where the flows should go was not said", hint="`-o more.parquet`, or `--gallery page.html`"
        )
    if output and not transform:
        raise SettingError(
            "augment: no transform was named",
            hint="for example `--transform packet-loss`; `--gallery page.html` shows what each does",
        )
    if probability is not None and combine != "masked-stack":
        raise SettingError(
            f"augment: `--probability` is of a masked stack, and `--combine` is `{combine}`",
            hint="`--combine masked-stack`, or leave out `--probability`",
        )
    if not 0 <= magnitude < math.inf:
        raise SettingError(
            f"augment: `--magnitude` is {magnitude:g}, but must be a number from 0 to 1",
            hint="0 changes nothing, and 1 as much as the transform can; 0.5 is usual",
        )
    asked = settings_from(
        AugmentSettings,
        {
            "transforms": list(transform or ()),
            "magnitude": magnitude,
            "copies": copies,
            "combine": cast("Combination", combine),
            "policy": "pre-augment",
        }
        | ({} if probability is None else {"stack_probability": probability}),
    )
    augmenter = Augmenter(asked)
    held = learning.read_flows(flows, options.resolved(config, set), where=where)
    rng = np.random.default_rng(seed)
    report: dict[str, Any] = {}
    if output:
        report = _write(held, augmenter, rng, output, only_copies=only_copies, overwrite=overwrite)
    if gallery is not None:
        report |= _draw(held, gallery, magnitude, seed, overwrite=overwrite)
    _print(report, json)


def _write(held: Any, augmenter: Any, rng: Any, output: str, *, only_copies: bool, overwrite: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from ..features.augment.tables import augment_table
    from ..flows.write import open_writer
    from ..settings import as_toml, settings_hash

    metadata = {
        "config": as_toml(augmenter.settings, with_meanings=False),
        "config_hash": settings_hash(augmenter.settings),
    }
    batches, copying = augment_table(held.to_arrow(), augmenter, rng, keep_originals=not only_copies)
    with open_writer(output, overwrite=overwrite, metadata=metadata) as writer:
        for batch in batches:
            writer.write(batch)
    return asdict(copying) | {"output": output, "config_hash": metadata["config_hash"]}


def _draw(held: Any, gallery: Path, magnitude: float, seed: int, *, overwrite: bool) -> dict[str, Any]:
    import numpy as np

    from ..flows.place import whole_file
    from ..pages.augment_page import augment_page

    with whole_file(gallery, overwrite=overwrite) as page:
        page.write(augment_page(held, np.random.default_rng(seed), magnitude=magnitude).encode())
    return {"gallery": str(gallery)}


def _print(report: dict[str, Any], json: bool) -> None:
    from .text import print_json, printable

    if json:
        print_json(report)
        return
    reasons = {
        "without_packets": "flows without a packet series were not copied",
        "too_short": "flows too short for every transform were not copied",
        "unchanged": "copies are as the original, as the transforms found nothing to change",
        "unlabelled": "flows without a label were not copied, as flows of a class are mixed",
    }
    for name, words in reasons.items():
        if report.get(name):
            print(f"  note: {report[name]:,} {words}")
    if "output" in report:
        print(
            f"{report['flows']:,} flows, {report['copied']:,} of them copied; {report['written']:,} → "
            f"{printable(report['output'])}"
        )
    if "gallery" in report:
        print(f"gallery → {printable(report['gallery'])}")
