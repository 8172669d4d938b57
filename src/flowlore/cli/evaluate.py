"""`flowlore evaluate`."""

from . import learning, options


def evaluate(
    bundle: learning.BundleName,
    labelled: learning.Flowed,
    labels: learning.LabelFile = None,
    seed: learning.Seed = 0,
    where: options.Where = None,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Measure a taught bundle on labelled flows that it was not shown.

    \b
    flowlore evaluate office-5shot labelled.parquet
    """
    learning.require_extra()
    import numpy as np

    from ..tasks.evaluation import evaluate as measure
    from .text import print_json, print_table

    settings = options.resolved(config, set)
    predictor = learning.loaded(bundle, settings)
    flows = learning.read_flows(labelled, settings, where=where, labels=labels)
    found = measure(predictor, flows, rng=np.random.default_rng(seed))
    if json:
        print_json(found)
        return
    learning.print_masked(found["masked"])
    low, high = found["macro_f1_interval"]
    print(f"{found['asked']:,} flows asked; {found['shown_before']:,} were shown in training and are left out")
    print(f"accuracy {found['accuracy']:.3f}, macro F1 {found['macro_f1']:.3f} (95 % interval {low:.3f} to {high:.3f})")
    print(f"confidence is off by {found['calibration_error']:.3f}; neighbours agree {found['purity']['1']:.3f}")
    if found["classes_never_shown"]:
        print(f"never shown: {', '.join(found['classes_never_shown'])}; {found['unknown_found']:.0%} told as unknown")
    print()
    each = sorted(found["f1_by_class"].items(), key=lambda item: -item[1])
    rows = [[name, f"{found['flows_by_class'][name]:,}", f"{value:.3f}"] for name, value in each]
    print_table(["class", "flows", "F1"], rows, numbers=(1, 2))
