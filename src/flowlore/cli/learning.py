"""What the learning verbs share: flows in memory with their labels, and the extra that they need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..config import PipelineConfig
    from ..features.augment.settings import AugmentSettings
    from ..flows.annotate import AnnotateReport
    from ..flows.table import Flows
    from ..settings import Settings
    from ..tasks.predictor import Predictor
    from .metering import Request

OF_TRAINING_ONLY = ("context_by", "context_s", "graph")  # features that no vector depends on, or that the model sets
BundleName = Annotated[str, typer.Argument(metavar="BUNDLE", help="Name or folder of a bundle.")]
Flowed = Annotated[
    list[str], typer.Argument(metavar="IN...", help="Captures, exports, logs or flow tables; files or folders.")
]
LabelFile = Annotated[
    Path | None, typer.Option("--labels", metavar="FILE", help="Join labels from this file first, as `annotate` does.")
]
Augment = Annotated[
    list[str] | None,
    typer.Option(
        "--augment",
        metavar="NAME[:MAGNITUDE]",
        help="Also learn from copies that are changed like this; see `flowlore augment`. May be repeated.",
    ),
]
Copies = Annotated[
    int | None, typer.Option("--copies", metavar="N", help="With --augment: changed copies of each flow (1).")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of every random choice.")]


def require_extra() -> None:
    """Learning needs packages that reading flows does not."""
    from ..tasks.extra import require_learning

    require_learning()


def augmentation(transforms: list[str] | None, copies: int | None, *, usual: int = 1) -> AugmentSettings | None:
    """What `--augment` and `--copies` ask for, checked; None without a transform."""
    if not transforms:
        if copies is not None:
            from ..errors import SettingError

            raise SettingError(
                "augment: `--copies` without `--augment` copies nothing",
                hint="add for example `--augment time-shift`; `flowlore plugins` names all",
            )
        return None
    from ..features.augment.policy import Augmenter
    from ..features.augment.settings import AugmentSettings
    from ..settings import settings_from

    asked = {"transforms": list(transforms), "copies": usual if copies is None else copies, "policy": "pre-augment"}
    settings = settings_from(AugmentSettings, asked)
    Augmenter(settings)  # refuses transforms and magnitudes that are none
    return settings


def loaded(bundle: str, settings: PipelineConfig) -> Predictor:
    """The bundle, if it fits the settings."""
    from ..tasks.predictor import load

    return fitting(load(bundle), settings)


def fitting(predictor: Predictor, settings: PipelineConfig) -> Predictor:
    """The same, waiting for late flows as was asked; windows of graphs that are not its own are refused."""
    from ..tasks.windows import in_windows

    predictor = in_windows(predictor, settings.graph.windows)
    _refuse_other_sight(predictor, settings)
    return predictor


def _refuse_other_sight(predictor: Predictor, settings: PipelineConfig) -> None:
    """What a bundle sees was decided when it was made: settings that want it otherwise would do nothing."""
    from dataclasses import fields

    from ..errors import SettingError

    stages: dict[str, tuple[Settings, Settings]] = {"features": (settings.features, predictor.features)}
    if predictor.model == "autoencoder":
        stages["autoencoder"] = (settings.autoencoder, getattr(predictor.encoder, "settings", settings.autoencoder))
    for stage, (asked, own) in stages.items():
        usual = type(asked)()
        for name in (one.name for one in fields(asked) if one.name not in OF_TRAINING_ONLY):
            wanted, is_so = getattr(asked, name), getattr(own, name)
            if wanted not in (is_so, getattr(usual, name)):
                anew = f"flowlore pretrain {predictor.model} … --set {stage}.{name}={_plain(wanted)}"
                raise SettingError(
                    f"bundle: `{predictor.name}` was made with `{stage}.{name}` {_plain(is_so)}, and {_plain(wanted)} "
                    "was asked for",
                    hint=f"leave it out, or make another: `{anew}`",
                )


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_flows(
    inputs: list[str], settings: PipelineConfig, *, where: str | None = None, labels: Path | None = None
) -> Flows:
    """All flows of the inputs in order of start, labelled where a file of labels is given. `where` may ask for labels
    that only come with the file."""
    import re

    from ..flows.annotate import annotate
    from ..flows.table import Flows

    waits = labels is not None and where is not None and re.search(r"\blabel", where) is not None
    batches, account = [], None
    with _scanning(inputs, settings, None if waits else where) as scan:
        batches = list(scan)
        account = scan.account
    flows = Flows.from_batches(batches, account).sort()
    require_flows(len(flows), inputs, where)
    if labels is None:
        return flows
    labelled, report = annotate(flows, labels)
    print_losses(labels, report)
    if waits and where is not None:
        labelled = labelled.where(where)
        require_flows(len(labelled), inputs, where)
    return labelled


def print_losses(labels: Path, report: AnnotateReport) -> None:
    """On standard error: labels that did not reach a flow, which nobody would notice in what comes of the others."""
    from .text import printable

    if lost := report.losses():
        print(f"{printable(str(labels))}: {'; '.join(lost)}", file=sys.stderr)


def require_flows(count: int, inputs: list[str], where: str | None) -> None:
    """Nothing can be learnt from nothing, nor asked about it; an empty answer would look like one."""
    if count:
        return
    from ..errors import InputError

    named = f"`{inputs[0]}`" if len(inputs) == 1 else f"any of {len(inputs)} inputs"
    raise InputError(
        f"inputs: there is no flow in {named}" + (f" for which `{where}`" if where else ""),
        hint="`flowlore inspect` shows what is in it",
    )


def batches_of(inputs: list[str], settings: PipelineConfig, where: str | None) -> Iterator[Any]:
    """Batches of flows in bounded memory."""
    with _scanning(inputs, settings, where) as scan:
        yield from scan


def batches_as_asked(request: Request, settings: PipelineConfig) -> Iterator[Any]:
    """The same of files, an interface or a socket."""
    from .metering import scanning

    with scanning(request, settings) as scan:
        yield from scan


def _scanning(inputs: list[str], settings: PipelineConfig, where: str | None) -> Any:
    from .metering import Request, scanning

    return scanning(Request(inputs=inputs, where=where), settings)


def print_masked(masked: list[str]) -> None:
    """What the bundle could have used and the flows do not have."""
    if masked:
        print(f"masked, as these flows have none of it: {', '.join(masked)}")
