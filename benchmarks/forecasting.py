"""Every forecaster on public series: `python -m benchmarks.forecasting --data FOLDER --set abilene > forecasting.json`.

Abilene: 132 demands, 5 min, learnt from 1 to 11 March 2004, examined on each step of 12 to 14 March. ESnet: four links
in and out, hourly, learnt from January to July 2018, examined on August and September. A demand that is absent is 0.
With `--validate` the last part of what is learnt from is examined instead, and learnt from is what comes before it.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flowlore.features.rates.plain import plain_series
from flowlore.models.flowgen.encoder import TRAINING
from flowlore.models.flowgen.settings import FlowgenSettings
from flowlore.settings import settings_hash
from flowlore.sources.plainseries import read_plain_table
from flowlore.tasks.forecast import FORECASTERS
from flowlore.tasks.forecast.backtest import backtest
from flowlore.tasks.forecast.flowgen import FlowgenForecaster
from flowlore.tasks.forecast.forecaster import Forecaster
from flowlore.tasks.forecast.mixture import MEMBERS, Mixture

from .machine import machine_class, our_versions

SETS: dict[str, dict[str, Any]] = {
    "abilene": {"file": "traffic_matrices/abilene.parquet", "until": 11 * 288, "horizons": (1, 3, 6, 9, 12)},
    "esnet": {"file": "series/esnet_hourly_2018.parquet", "until": 5080, "horizons": (1, 3, 6, 12, 24)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=sorted(SETS), default="abilene")
    parser.add_argument("--methods", nargs="+", default=[*FORECASTERS.names()])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=TRAINING.epochs, help="of flowgen")
    parser.add_argument("--identities", type=int, default=0, help="of flowgen: entities with a vector of their own")
    parser.add_argument("--identity-dropout", type=float, default=FlowgenSettings().identity_dropout)
    parser.add_argument("--validate", action="store_true", help="examine steps before those that are else examined")
    options = parser.parse_args()
    chosen = SETS[options.set]
    series = plain_series(read_plain_table(options.data / chosen["file"]), absent_is_zero=options.set == "abilene")
    until = chosen["until"]
    if options.validate:
        examined = series.steps - until
        series = series.between(series.start_ns, series.start_ns + until * series.step_ns)
        until -= examined
    settings = FlowgenSettings(
        farthest=max(chosen["horizons"]), identities=options.identities, identity_dropout=options.identity_dropout
    )
    training = replace(TRAINING, epochs=options.epochs)
    made: dict[str, Forecaster] = {}
    for name in sorted(options.methods, key=lambda name: name == "mixture"):  # of what learnt before it
        if name == "flowgen":
            made[name] = FlowgenForecaster(settings=settings, training=training)
        elif name == "mixture" and set(MEMBERS) <= set(made):
            made[name] = Mixture([made[one] for one in MEMBERS], have_learnt=True)
        else:
            made[name] = FORECASTERS.load(name)()
    names = {type(one).__name__: name for name, one in made.items()}
    began = time.process_time()
    found = backtest(
        series,
        until,
        chosen["horizons"],
        methods=list(made.values()),
        rng=np.random.default_rng(options.seed),
        said=lambda name, scores: print(f"{name}: WAPE {scores['wape']:.4f}", file=sys.stderr, flush=True),
    )
    print(
        json.dumps(
            {
                "set": options.set,
                "seed": options.seed,
                "machine": machine_class(),
                "versions": our_versions(),
                "settings_hash": {"flowgen": settings_hash(settings), "training": settings_hash(training)},
                "epochs": options.epochs,
                "identities": options.identities,
                "identity_dropout": options.identity_dropout,
                "validation": options.validate,
                "cpu_s": round(time.process_time() - began, 1),
                "methods": {names[name]: scores for name, scores in found.items()},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
