"""Trains the packaged bundle on runs of the laboratory, and says on its card how good it is on others."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import flowlore
from flowlore.cli.demo import BUNDLE, LABELLED_CAPTURE, LABELS
from flowlore.errors import FlowloreError, InputError
from flowlore.flows.table import Flows
from flowlore.models.autoencoder.settings import AutoencoderSettings
from flowlore.models.settings import TrainingSettings
from flowlore.tasks.bundle_shelf import PACKAGED
from flowlore.tasks.few_shot import examine, prepare, teach
from flowlore.tasks.metrics import purity, rounded
from flowlore.tasks.predictor import Predictor
from flowlore.tasks.pretraining import pretrain
from flowlore.tasks.raw import raw_matrix, texts
from flowlore.tasks.sampling import FlowSample

SEED, EXAM_SEEDS = 7, (1, 2, 3)
SHOTS = (1, 5, 10)
MOST_FLOWS = 40_000  # that are trained on
MOST_ASKED = 6_000  # of each run that is not
TRAINING = TrainingSettings(epochs=8, bf16=True)
MOST_BYTES = 5_000_000
CAPTURES = ("staff", "guests", "things", "home", "gate")  # vantage points that are trained on, where a run has them
COMMAND = "scripts/make_bundle"


def main() -> int:
    arguments = sys.argv[1:]
    place = arguments.index("--") if "--" in arguments else len(arguments)
    try:
        make([Path(one) for one in arguments[:place]], [Path(one) for one in arguments[place + 1 :]])
    except FlowloreError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def make(runs: Sequence[Path], unseen: Sequence[Path]) -> None:
    began = time.perf_counter()
    flows, rule = sampled(runs)
    print(f"{len(flows):,} flows of {len(runs)} runs, {time.perf_counter() - began:.0f} s")
    settings = AutoencoderSettings(size="small")  # the default's tables of words would not fit in what may ship
    rng = np.random.default_rng(SEED)
    made = pretrain("autoencoder", flows, rng=rng, settings=settings, training=TRAINING)
    print(f"trained, {time.perf_counter() - began:.0f} s")
    scores = {"demo": score(made, labelled(LABELLED_CAPTURE, LABELS))}
    for run in unseen:
        scores[run.name] = score(made, thinned(run_flows(run, with_labels=True)))
    made = replace(
        made,
        data={
            "what": "runs of the laboratory that ships with flowlore: real programs, nobody's traffic",
            "runs": {run.name: run_identity(run) for run in runs},
            "chosen": rule,
            "licence": "CC0 1.0",
            "made by": COMMAND,
            "seed": SEED,
        }
        | dict(made.data),
        metrics={
            "how": "few labels of runs that training never saw, split by time, means over three draws; macro F1 of the "
            "head `probe` on vectors, beside methods that saw the raw numbers of the same flows, among which are no "
            "names",
            **scores,
        },
    )
    PACKAGED.mkdir(parents=True, exist_ok=True)
    folder = made.save(PACKAGED / BUNDLE, overwrite=True)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(json.dumps(scores, indent=1))
    print(f"{folder}: {size:,} bytes, {time.perf_counter() - began:.0f} s")
    if size > MOST_BYTES:
        raise InputError(f"bundle: {size:,} bytes are more than the {MOST_BYTES:,} that ship", hint="a smaller `size`")


def sampled(runs: Sequence[Path]) -> tuple[Flows, str]:
    """Some flows of every run, rare protocols among them; no label takes part."""
    sample = FlowSample(MOST_FLOWS, by=("app_protocol",))
    for run in runs:
        sample.add(run_flows(run).to_arrow())
    return Flows(sample.finish()[0]).sort(), sample.rule()


def run_flows(run: Path, *, with_labels: bool = False) -> Flows:
    """Flows of a run's vantage points; connections that cross two of them are two flows."""
    if not (run / "run.json").is_file():
        raise InputError(f"bundle: `{run}` is no run of the laboratory", hint="`flowlore lab run SCENARIO -o RUN`")
    captures = [path for name in CAPTURES if (path := run / "capture" / f"{name}.pcapng").is_file()]
    if not with_labels:
        return flowlore.read([str(path) for path in captures])
    return labelled(captures[0], run / "labels.csv")


def thinned(flows: Flows) -> Flows:
    kept = np.zeros(len(flows), np.bool_)
    kept[np.random.default_rng(SEED).permutation(len(flows))[:MOST_ASKED]] = True
    return flows[kept]


def labelled(capture: Path, labels: Path) -> Flows:
    flows, _ = flowlore.annotate(flowlore.read(capture), labels)
    return flows[np.array([one not in (None, "background") for one in texts(flows, "label")])]


def run_identity(run: Path) -> str:
    held = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return f"scenario {held['scenario']['name']} {held.get('scenario_hash', '')}, seed {held['scenario']['seed']}"


def score(made: Predictor, flows: Flows) -> dict[str, Any]:
    """Macro F1 by number of labels a class and method, and how often the nearest flow is of the same class."""
    found: dict[str, Any] = {"flows": len(flows), "classes": len(set(texts(flows, "label")))}
    for shots in SHOTS:
        draws = []
        for seed in EXAM_SEEDS:
            rng = np.random.default_rng(seed)
            lesson = prepare(made, flows, by="time", rng=rng)
            taught, episode = teach(made, lesson, shots=shots, rng=rng, drop_small_classes=True)
            draws.append(examine(taught, lesson, episode, rng=rng)["scores"])
        found[f"{shots} a class"] = {
            name: round(float(np.mean([draw[name]["natural"]["macro_f1"] for draw in draws])), 3) for name in draws[0]
        }
    labels = texts(flows, "label").astype(str)
    raw = np.nan_to_num(raw_matrix(flows), nan=-1.0)
    scaled = (raw - raw.mean(axis=0)) / np.maximum(raw.std(axis=0), 1e-9)
    found["nearest flow of the same class"] = rounded(
        {"vectors": purity(made.embed(flows).vectors, labels)[1], "raw numbers": purity(scaled, labels)[1]}, 3
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
