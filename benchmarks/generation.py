"""How faithful generators are on FG-Net, split by capture and time, from the few labels that a classifier may see.

    python -m benchmarks.generation DATA/fgnet/d1.parquet --generator transformer --shots 100 --out results.json

The report compares as many made-up flows as were learnt from with test flows; `enlarged` is the macro F1 of trees
taught by real and made-up flows together.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import flowlore
from benchmarks.machine import machine_class
from flowlore.flows.table import Flows, concat
from flowlore.models.generators import GENERATORS
from flowlore.models.training import TrainingSettings, gains_by_bf16
from flowlore.settings import settings_hash
from flowlore.tasks.fidelity import fidelity
from flowlore.tasks.generation import imitate
from flowlore.tasks.raw import starts_ns, texts
from flowlore.tasks.splits import split_by_capture

ASKED = 6_000


def main() -> None:
    asked = _arguments()
    flows = flowlore.read(asked.flows)
    labels = texts(flows, "label").astype(str)
    split = split_by_capture(
        texts(flows, "capture"), starts_ns(flows), classes=labels, test_share=0.2, validation_share=0.1
    )
    test = _taken(flows, np.random.default_rng(0).choice(split.test, ASKED, replace=False))
    done = json.loads(asked.out.read_text()) if asked.out.is_file() else {"machine": machine_class(), "runs": []}
    make = GENERATORS.load(asked.generator)
    settings = replace(make().settings, packets=asked.packets)
    usual: TrainingSettings = make().usual_training
    training = replace(
        usual, epochs=asked.epochs or usual.epochs, bf16=asked.generator != "wgan" and gains_by_bf16("cpu")
    )
    rng = np.random.default_rng([asked.seed, asked.shots])
    shown = np.concatenate(
        [rng.choice(split.train[labels[split.train] == one], asked.shots, replace=False) for one in np.unique(labels)]
    )
    seen = _taken(flows, shown)
    began = time.process_time()
    imitator = imitate(asked.generator, seen, rng=rng, settings=settings, training=training)
    learning_s = time.process_time() - began
    made = Flows(imitator.generate(None, len(seen), rng))
    run: dict[str, Any] = {
        "generator": asked.generator,
        "shots": asked.shots,
        "seed": asked.seed,
        "parameters": imitator.generator.parameters(),
        "epochs": training.epochs,
        "cpu_s": round(learning_s, 1),
        "config_hash": settings_hash(settings),
        **fidelity(made, test, seen, rng=rng),
        "enlarged": fidelity(concat([seen, made]), test, rng=rng)["tstr"],
    }
    done["runs"].append(run)
    asked.out.write_text(json.dumps(done, indent=1) + "\n")
    print(json.dumps(run))


def _taken(flows: Any, rows: Any) -> Flows:
    return Flows(flows.to_arrow().take(pa.array(np.sort(rows))))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flows", help="labelled flows with captures: a file that `flowlore.read` knows")
    parser.add_argument("--generator", default="transformer")
    parser.add_argument("--shots", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=0, help="0 is what the generator usually takes")
    parser.add_argument("--packets", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("generation.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
