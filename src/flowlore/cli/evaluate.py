"""`flowlore evaluate`."""

from typing import Annotated, Any

import typer

from . import learning, options

RECALL = 0.9


def evaluate(
    bundle: learning.BundleName,
    labelled: learning.Flowed,
    labels: learning.LabelFile = None,
    benign: Annotated[
        list[str] | None,
        typer.Option(
            "--benign",
            metavar="CLASS",
            help="Flows of all other classes are alarms: say how well those are found. May be repeated.",
        ),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(
            "--recall",
            metavar="SHARE",
            min=0.01,
            max=1.0,
            help=f"Count false alarms a day where this share of them is found ({RECALL}).",
        ),
    ] = None,
    seed: learning.Seed = 0,
    where: options.Where = None,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Measure a taught bundle on labelled flows that it was not shown.

    \b
    flowlore evaluate office-5shot labelled.parquet
    flowlore evaluate guard labelled.parquet --benign benign --recall 0.95
    """
    learning.require_extra()
    import numpy as np

    from ..errors import SettingError
    from ..tasks.evaluation import evaluate as measure
    from .text import print_json

    if recall is not None and not benign:
        raise SettingError("evaluate: `--recall` is of alarms", hint="`--benign CLASS` says which classes are none")
    settings = options.resolved(config, set)
    predictor = learning.loaded(bundle, settings)
    flows = learning.read_flows(labelled, settings, where=where, labels=labels)
    found = measure(
        predictor,
        flows,
        rng=np.random.default_rng(seed),
        benign=benign or (),
        recall=RECALL if recall is None else recall,
    )
    if json:
        print_json(found)
        return
    _print(found)


def _print(found: dict[str, Any]) -> None:
    from .text import print_table

    learning.print_masked(found["masked"])
    low, high = found["macro_f1_interval"]
    print(f"{found['asked']:,} flows asked; {found['shown_before']:,} were shown in training and are left out")
    print(f"accuracy {found['accuracy']:.3f}, macro F1 {found['macro_f1']:.3f} (95 % interval {low:.3f} to {high:.3f})")
    print(f"confidence is off by {found['calibration_error']:.3f}; neighbours agree {found['purity']['1']:.3f}", end="")
    print("" if found["adjusted_rand"] is None else f", clusters {found['adjusted_rand']:.3f} (adjusted Rand)")
    if found["classes_never_shown"]:
        print(f"never shown: {', '.join(found['classes_never_shown'])}; {found['unknown_found']:.0%} told as unknown")
    if found["alarms"]:
        print(_alarm_words(found["alarms"]))
    print()
    each = sorted(found["f1_by_class"].items(), key=lambda item: -item[1])
    areas = found["pr_auc_by_class"]
    rows = [
        [name, f"{found['flows_by_class'][name]:,}", f"{value:.3f}", _three(areas.get(name))] for name, value in each
    ]
    print_table(["class", "flows", "F1", "PR-AUC"], rows, numbers=(1, 2, 3))


def _alarm_words(alarms: dict[str, Any]) -> str:
    """One sentence; over less than a day false alarms are counted on as if it went on like this."""
    if alarms["pr_auc"] is None:
        return "alarms: no asked flow is one"
    false = alarms["false_alarms_a_day"]
    asked = f"over {alarms['days']:.2g} days" if false is not None else "times unknown"
    return (
        f"alarms ({alarms['flows']:,} flows, {alarms['prevalence']:.1%}): PR-AUC {alarms['pr_auc']:.3f}, "
        f"ROC-AUC {_three(alarms['roc_auc'])}, {'?' if false is None else f'{false:,.0f}'} false a day "
        f"where {alarms['recall']:.0%} are found ({asked})"
    )


def _three(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}"
