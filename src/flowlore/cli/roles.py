"""What `fit --task roles` and `hosts` do with bundles that know rates: what hosts are, and how odd their steps were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, SettingError

if TYPE_CHECKING:
    import pyarrow as pa

    from ..config import PipelineConfig

NONE = "none"
STEP = "10s"


def fit_roles(
    bundle: str, inputs: Sequence[str], labels: Path | None, output: Path, settings: PipelineConfig, *,
    step: str | None, split: str, head: str, test_share: float, where: str | None, seed: int, overwrite: bool,
    watch: Any,
) -> dict[str, Any]:  # fmt: skip
    """Teach what hosts are from their rates, and examine it on other hosts (or later), beside simple methods."""
    from dataclasses import replace

    import numpy as np

    from ..features.rates.settings import step_words
    from ..models.settings import TrainingSettings
    from ..tasks.forecast.bundles import load_flowgen
    from ..tasks.roles.labels import read_labels
    from ..tasks.roles.teaching import taught_and_examined
    from .seriesinputs import read_rates

    if labels is None:
        raise SettingError(
            "fit: `--task roles` learns from hosts that are known, and no file of them is given",
            hint="`--labels FILE` with host and label",
        )
    known = read_labels(labels)
    encoder = None if bundle == NONE else load_flowgen(bundle)
    default_step = STEP if encoder is None else step_words(encoder.step_ns)
    found = read_rates(inputs, settings, by="host", step=step, default_step=default_step, where=where)
    training = None if settings.training == TrainingSettings() else settings.training
    classifier, report = taught_and_examined(
        found, known, rng=np.random.default_rng(seed), encoder=encoder, head=head, by=split, test_share=test_share,
        settings=settings.flowgen, training=training, progress=watch,
    )  # fmt: skip
    replace(classifier, metrics=report).save(output, overwrite=overwrite)
    return report | {"bundle": str(output), "seed": seed}


def print_roles(report: dict[str, Any]) -> None:
    from .text import print_table, printable

    print(
        f"{report['hosts_taught']:,} hosts of {len(report['classes'])} classes taught, {report['hosts_asked']:,} asked "
        f"(split by {report['split']['by']})"
    )
    if report["not_taught"]:
        names = ", ".join(f"`{printable(name)}`" for name in report["not_taught"])
        print(f"asked without having been taught, so that no answer can be right: {names}")
    keys = ("host_accuracy", "host_macro_f1", "window_accuracy", "window_macro_f1")
    rows = [[name, *(f"{one[key]:.3f}" for key in keys)] for name, one in report["scores"].items()]
    headings = ["method", "hosts right", "macro F1", "windows right", "macro F1"]
    print_table(headings, rows, numbers=(1, 2, 3, 4))
    if report["best"] != "flowgen":
        print(f"`{report['best']}` does better here than what was taught")
    print(f"bundle → {printable(report['bundle'])}")


def asks_rates(bundle: str, *, maker: str = "pretrain autoencoder FLOWS") -> bool:
    """Whether it is a bundle of rates, and not of flows, as its manifest says: the rest is not read for that."""
    from ..tasks.bundle import read_manifest
    from ..tasks.bundle_shelf import find_bundle

    return bool(read_manifest(find_bundle(bundle, maker=maker))["needs"] == ["rates.values"])


def hosts_by_rates(
    bundle: str, inputs: Sequence[str], settings: PipelineConfig, *, output: str, surprise: str, top: int,
    host: str | None, where: str | None, overwrite: bool, as_json: bool,
) -> None:  # fmt: skip
    """Say what hosts are, where the bundle was taught that; else which hosts moved as was least likely."""
    from ..features.rates.settings import step_words
    from ..tasks.dynamics import Dynamics
    from ..tasks.loading import load
    from ..tasks.roles.classifier import RoleClassifier
    from .seriesinputs import read_rates
    from .text import print_json, print_table, printable

    model = load(bundle)
    if not isinstance(model, Dynamics | RoleClassifier):
        raise SettingError(
            f"hosts: `{bundle}` finds floods, and says nothing else of hosts",
            hint=f"`flowlore detect --bundle {bundle}`",
        )
    step = step_words(model.encoder.step_ns)
    rates = read_rates(inputs, settings, by="host", step=None, default_step=step, where=where)
    if isinstance(model, RoleClassifier):
        if surprise:
            raise SettingError(
                "hosts: a bundle that was taught roles tells no surprise", hint="give what `pretrain flowgen` made"
            )
        table = model.predict(rates).sort_by([("confidence", "descending"), ("entity", "ascending")])
    else:
        steps = model.oddness(rates)
        if surprise:
            _write(steps, surprise, overwrite)
        table = oddest_hosts(steps)
    if output:
        _write(table, output, overwrite)
    rows = table.to_pylist()
    if host is not None:
        rows = [row for row in rows if row["entity"] == host]
        if not rows:
            raise InputError(f"hosts: no rates are of `{host}`", hint="`flowlore rates` shows the hosts of the input")
    if as_json:
        print_json({"hosts": table.num_rows, "verdicts": rows[:top], "output": output or None} |
                   {"surprise": surprise or None})  # fmt: skip
        return
    print_table(table.column_names, [[_cell(one) for one in row.values()] for row in rows[:top]])
    for path in (output, surprise):
        if path:
            print(f"→ {printable(path)}")


def oddest_hosts(steps: pa.Table) -> pa.Table:
    """Of each host its oddest step beside its own mean, the oddest host first. `steps` is what `oddness` told."""
    import numpy as np
    import pyarrow as pa

    entities, places = np.unique(np.asarray(steps["entity"].to_pylist(), str), return_inverse=True)
    bits = steps["bits"].to_numpy()
    counts = np.maximum(np.bincount(places, minlength=len(entities)), 1)
    means = np.bincount(places, bits, len(entities)) / counts
    order = np.lexsort((-bits, places))
    peak = order[np.searchsorted(places[order], np.arange(len(entities)))]
    ranked = np.argsort(means - bits[peak], kind="stable")
    chosen = peak[ranked]
    return pa.table(
        {
            "entity": pa.array(entities[ranked].tolist(), pa.string()),
            "bits_above_mean": pa.array((bits[peak] - means)[ranked]),
            "mean_bits": pa.array(means[ranked]),
            "oddest_step": steps["step"].take(pa.array(chosen)),
            "oddest": steps["oddest"].take(pa.array(chosen)),
        }
    )


def _write(table: pa.Table, path: str, overwrite: bool) -> None:
    from ..flows.tablefile import TableFile

    with TableFile(path, table.schema, overwrite=overwrite) as file:
        for batch in table.to_batches():
            file.write(batch)
        file.commit()


def _cell(value: Any) -> str:
    import datetime

    from .text import printable

    if isinstance(value, datetime.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return f"{value:.3g}" if isinstance(value, float) else printable(str(value))
