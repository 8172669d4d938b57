"""What augmentation is worth with few labels: FG-Net split by capture and time, beside trees that saw the same flows.

    python -m benchmarks.augmentation DATA/fgnet/d1.parquet --shots 20 100 --seeds 3 --out results.json

The result file grows by one run at a time; runs that are in it already are not made again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import flowlore
from benchmarks.machine import machine_class
from flowlore.features.augment.packets import PacketSeries
from flowlore.features.augment.policy import Augmenter
from flowlore.features.augment.settings import AugmentSettings
from flowlore.features.augment.statistics import flow_statistics
from flowlore.features.augment.tables import series_of_table
from flowlore.models.convnet import ConvnetClassifier, ConvnetSettings
from flowlore.models.training import TrainingSettings, gains_by_bf16
from flowlore.settings import settings_hash
from flowlore.tasks.metrics import scores
from flowlore.tasks.raw import starts_ns, texts
from flowlore.tasks.splits import split_by_capture

HELD_PACKETS, SEEN_PACKETS = 32, 20
ASKED = 15_000
STEPS = {1: 300, 5: 300, 10: 300, 20: 600, 100: 1200}
TWIN_PACKETS = 10
ARMS: dict[str, AugmentSettings] = {
    "none": AugmentSettings(),
    "change-rtt": AugmentSettings(transforms=("change-rtt:1",)),
    "gaussian-noise": AugmentSettings(transforms=("gaussian-noise:0.5",)),
    "bernoulli-mask": AugmentSettings(transforms=("bernoulli-mask:0.25",)),
    "translation": AugmentSettings(transforms=("translation:0.5",)),
    "packet-loss": AugmentSettings(transforms=("packet-loss:0.5",)),
    "wrap": AugmentSettings(transforms=("wrap:0.5",)),
    "cutmix": AugmentSettings(transforms=("cutmix:0.5",)),
    "mtu": AugmentSettings(transforms=("mtu:0.5",)),
    "masked-stack": AugmentSettings(
        transforms=("translation:0.5", "wrap:0.5", "bernoulli-mask:0.25", "change-rtt:1"),
        combine="masked-stack",
        stack_probability=0.3,
        replaced=1.0,
    ),
}
MODELS = ("scaled", "words", "extra-trees")


def main() -> None:
    asked = _arguments()
    flows = flowlore.read(asked.flows)
    series = series_of_table(flows.to_arrow(), HELD_PACKETS)
    names, codes = np.unique(texts(flows, "label").astype(str), return_inverse=True)
    split = split_by_capture(
        texts(flows, "capture"), starts_ns(flows), classes=codes, test_share=0.2, validation_share=0.1
    )
    rng = np.random.default_rng(0)
    test = np.sort(rng.choice(split.test, min(ASKED, len(split.test)), replace=False))
    done = json.loads(asked.out.read_text()) if asked.out.is_file() else {"machine": machine_class(), "runs": []}
    known = {(run["model"], run["arm"], run["shots"], run["seed"]) for run in done["runs"]}
    for seed in range(asked.seeds):
        for shots in asked.shots:
            shown = _draw(codes, split.train, shots, np.random.default_rng([seed, shots]))
            is_novel = _novel(series, shown, test)
            for model in asked.models:
                for arm in asked.arms:
                    if (model, arm, shots, seed) in known:
                        continue
                    run = _run(
                        model, arm, shots, seed, series, codes.astype(np.int64), shown, test, is_novel, len(names)
                    )
                    done["runs"].append(run)
                    asked.out.write_text(json.dumps(done, indent=1) + "\n")
                    print(json.dumps(run), flush=True)


def _run(
    model: str,
    arm: str,
    shots: int,
    seed: int,
    series: PacketSeries,
    codes: npt.NDArray[np.int64],
    shown: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
    is_novel: npt.NDArray[np.bool_],
    classes: int,
) -> dict[str, Any]:
    """One training and its examination; trees get the arm's changes as copies, four of each flow."""
    began, augmentation = time.process_time(), ARMS[arm]
    rng = np.random.default_rng([seed, shots, 7])
    train, taught = series.take(shown), codes[shown]
    if model == "extra-trees":
        from sklearn.ensemble import ExtraTreesClassifier

        if augmentation.transforms:
            copying = AugmentSettings(
                transforms=augmentation.transforms, combine=augmentation.combine, policy="pre-augment", copies=4
            )
            train, rows = Augmenter(copying).enlarged(train, rng, codes=taught)
            taught = taught[rows]
        trees = ExtraTreesClassifier(n_estimators=300, random_state=seed)
        answers = trees.fit(_numbers(train), taught).predict(_numbers(series.take(test)))
    else:
        settings = ConvnetSettings(packets=SEEN_PACKETS, sizes="words" if model == "words" else "scaled")
        rows_a_step = min(128, len(shown))
        steps_an_epoch = -(-len(shown) // rows_a_step)
        training = TrainingSettings(
            epochs=max(1, round(STEPS[shots] / steps_an_epoch)),
            batch_rows=rows_a_step,
            learning_rate=4e-3,
            weight_decay=0.05,
            bf16=gains_by_bf16("cpu"),
        )
        network = ConvnetClassifier(classes, settings)
        network.fit(train, taught, rng, augmentation=augmentation, training=training)
        answers = network.predict(series.take(test))
    truth = codes[test]
    natural, novel = scores(truth, answers), scores(truth[is_novel], answers[is_novel])
    return {
        "model": model,
        "arm": arm,
        "shots": shots,
        "seed": seed,
        "macro_f1": round(natural.macro_f1, 4),
        "weighted_f1": round(natural.weighted_f1, 4),
        "accuracy": round(natural.accuracy, 4),
        "novel_macro_f1": round(novel.macro_f1, 4),
        "cpu_s": round(time.process_time() - began, 1),
        "config_hash": settings_hash(augmentation),
    }


def _draw(
    codes: npt.NDArray[np.int64], train: npt.NDArray[np.int64], shots: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """So many training flows of each class."""
    return np.sort(
        np.concatenate([rng.choice(train[codes[train] == one], shots, replace=False) for one in np.unique(codes)])
    )


def _novel(series: PacketSeries, shown: npt.NDArray[np.int64], test: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Test flows without a twin among the shown: none has the same first ten signed sizes."""
    signed = (series.direction * series.size)[:, :TWIN_PACKETS]
    keys = np.unique(signed, axis=0, return_inverse=True)[1].reshape(-1)
    return ~np.isin(keys[test], keys[shown])


def _numbers(series: PacketSeries) -> npt.NDArray[np.float64]:
    """Signed sizes, gaps and statistics of the first 20 packets; trees take NaN as -1."""
    first = series.seen().cut(SEEN_PACKETS)
    statistics = flow_statistics(first)
    told = np.stack([values for name, values in statistics.items() if not name.startswith(("window", "syn"))], 1)
    return np.hstack([first.direction * first.size, first.gap_ns / 1000, np.nan_to_num(told, nan=-1.0)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flows", help="labelled flows with captures: a file that `flowlore.read` knows")
    parser.add_argument("--shots", type=int, nargs="+", default=[20, 100], choices=sorted(STEPS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--out", type=Path, default=Path("augmentation.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
