"""Attacks from few labels, by the graph network and by simple methods that know the same windows.

`python -m benchmarks.graph_detection` writes results/graph-detection.json and prints it.

Each set is cut in the middle of its time. The first half teaches: the network learns from all of it without labels, and
methods are shown `shots` flows of attack and as many others. The second half is asked. Addresses, ports and clocks are
features of nobody.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowlore.features.batch import FeatureBatch
from flowlore.features.extract import extract
from flowlore.features.graphs.aggregates import window_aggregates
from flowlore.features.scaling import Scaling
from flowlore.flows.table import Flows
from flowlore.models.graph.encoder import GraphEncoder
from flowlore.models.graph.settings import GraphEncoderSettings
from flowlore.models.training import TrainingSettings
from flowlore.settings import settings_hash
from flowlore.sources.datasets.loading import load_dataset
from flowlore.tasks.classify.baselines import boosted_trees, extra_trees
from flowlore.tasks.classify.probe import ProbeHead
from flowlore.tasks.metrics import false_positives_a_day, pr_auc, scores
from flowlore.tasks.raw import raw_matrix, texts

from .machine import machine_class, our_versions

RESULTS = Path(__file__).parent / "results"
SETS = ("unsw-nb15", "exposed-hosts", "iot-23")
ORDINARY = ("benign", "normal", "background", "unknown")
Numbers = npt.NDArray[np.float64]


def main() -> None:
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    parser = argparse.ArgumentParser(prog="benchmarks.graph_detection")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--shots", nargs="+", type=int, default=[5, 20, 100])
    parser.add_argument("--seeds", type=int, default=5, help="draws of the labelled flows")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--kind", choices=("reference", "lean"), default="reference")
    parser.add_argument("--output", type=Path, default=RESULTS / "graph-detection.json")
    arguments = parser.parse_args()
    settings = GraphEncoderSettings(kind=arguments.kind, training_flows=512)
    result: dict[str, Any] = {
        "part": "graph-detection",
        "command": "python -m benchmarks.graph_detection",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine_class(),
        "versions": our_versions(),
        "config_hash": settings_hash(settings),
        "epochs": arguments.epochs,
        "seeds": arguments.seeds,
        "sets": {},
    }
    for name in arguments.sets:
        result["sets"][name] = judged(name, settings, arguments)
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")
        print(json.dumps(result["sets"][name], indent=1), flush=True)


def judged(name: str, settings: GraphEncoderSettings, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything about one set."""
    flows = Flows.from_batches(list(load_dataset(name).open().batches())).sort()
    batch = extract(flows, GraphEncoder.features)
    is_attack = np.array([str(label).lower().partition("/")[0] not in ORDINARY for label in texts(flows, "label")])
    order = np.argsort(batch.channels["graph.times_ns"][:, 1], kind="stable")
    teach, ask = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    taught, asked = batch.take(teach), batch.take(ask)
    fresh, trained = GraphEncoder(settings), GraphEncoder(settings)
    fresh.prepare([taught], np.random.default_rng(0))
    training = TrainingSettings(batch_rows=1, epochs=arguments.epochs, learning_rate=1e-3)
    report = trained.fit([taught], np.random.default_rng(0), training=training)
    raw = raw_matrix(flows)
    with_windows = np.hstack([raw, np.log1p(window_aggregates(batch, settings.windows))])
    known = np.nan_to_num(Scaling.fit(taught.channels["quantities"]).apply(batch.channels["quantities"]))
    vectors, surprise = _embedded(trained, batch)
    inputs: dict[str, tuple[Callable[[np.random.Generator], Any], Numbers]] = {
        "graph network, probe": (lambda _: ProbeHead(), vectors),
        "the same, never trained": (lambda _: ProbeHead(), fresh.embed(batch).astype(np.float64)),
        "quantities, probe": (lambda _: ProbeHead(), known.astype(np.float64)),
        "LightGBM": (boosted_trees, raw),
        "LightGBM with windows": (boosted_trees, with_windows),
        "extra trees": (extra_trees, raw),
        "extra trees with windows": (extra_trees, with_windows),
        "extra trees with windows and graph network": (extra_trees, np.hstack([with_windows, vectors])),
    }
    duration_ns = int(np.ptp(asked.channels["graph.times_ns"][:, 1]))
    return {
        **_described(batch, is_attack, teach, ask),
        "steps": report.steps,
        "training_s": round(report.seconds, 1),
        "few_shot": {
            str(shots): {
                method: _repeated(make, matrix, is_attack, teach, ask, shots, arguments.seeds, duration_ns)
                for method, (make, matrix) in inputs.items()
            }
            for shots in arguments.shots
        },
        "without_labels": _without_labels(surprise, with_windows, is_attack, teach, ask),
        "links": trained.judge_links(
            asked.take(np.arange(min(2000, len(asked)))), np.random.default_rng(0), history=taught
        ),
    }


def _embedded(encoder: GraphEncoder, batch: FeatureBatch) -> tuple[Numbers, Numbers]:
    vectors, surprise = np.zeros((len(batch), encoder.width)), np.zeros((len(batch), 3))
    embedder = encoder.embedder(with_surprise=True)
    for part in (*embedder.add(batch), *embedder.finish()):
        vectors[part.rows], surprise[part.rows] = part.vectors, part.surprise
    return vectors, np.nan_to_num(surprise).mean(axis=1)


def _described(batch: FeatureBatch, is_attack: Any, teach: Any, ask: Any) -> dict[str, Any]:
    ends = batch.channels["graph.ends"]
    keys, counts = np.unique(ends, return_counts=True)
    return {
        "flows": len(batch),
        "hosts": len(keys),
        "hub_share": round(float((ends == keys[counts.argmax()]).any(axis=1).mean()), 4),
        "attack_share_teaching": round(float(is_attack[teach].mean()), 4),
        "attack_share_asked": round(float(is_attack[ask].mean()), 4),
    }


def _repeated(
    make: Callable[[np.random.Generator], Any],
    matrix: Numbers,
    is_attack: npt.NDArray[np.bool_],
    teach: npt.NDArray[np.int64],
    ask: npt.NDArray[np.int64],
    shots: int,
    seeds: int,
    duration_ns: int,
) -> dict[str, list[float]]:
    """Mean and deviation over draws of the labelled flows."""
    found = []
    words = np.where(is_attack, "attack", "other")
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        sides = (teach[is_attack[teach]], teach[~is_attack[teach]])
        shown = np.concatenate([rng.choice(side, min(shots, len(side)), replace=False) for side in sides])
        head = make(rng).fit(matrix[shown], words[shown])
        sure = head.predict_proba(matrix[ask])
        attack = sure[:, list(head.classes_).index("attack")]
        truth = is_attack[ask]
        found.append(
            [
                scores(words[ask], head.classes_[sure.argmax(axis=1)]).macro_f1,
                pr_auc(truth, attack),
                false_positives_a_day(truth, attack, recall=0.9, duration_ns=duration_ns),
            ]
        )
    mean, deviation = np.mean(found, axis=0), np.std(found, axis=0)
    names = ("macro_f1", "pr_auc", "false_positives_a_day_at_90_recall")
    return {name: [round(float(mean[place]), 4), round(float(deviation[place]), 4)] for place, name in enumerate(names)}


def _without_labels(
    surprise: Numbers, matrix: Numbers, is_attack: Any, teach: Any, ask: Any
) -> dict[str, float] | None:
    """PR-AUC of scores that saw no label; None where more than a fifth of either half is attack."""
    if max(is_attack[teach].mean(), is_attack[ask].mean()) > 0.2:
        return None
    from sklearn.ensemble import IsolationForest

    whole = np.nan_to_num(matrix, nan=-1.0)
    forest = IsolationForest(random_state=0).fit(whole[teach])
    return {
        "surprise of the graph network": round(pr_auc(is_attack[ask], surprise[ask]), 4),
        "isolation forest with windows": round(pr_auc(is_attack[ask], -forest.score_samples(whole[ask])), 4),
        "chance": round(float(is_attack[ask].mean()), 4),
    }


if __name__ == "__main__":
    main()
