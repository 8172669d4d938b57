"""One run: a network or trees are taught with real, changed and made-up flows, or made-up flows are examined."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.augment.packets import PacketSeries, concat_series
from ...features.augment.settings import AugmentSettings
from ...settings import settings_from
from ...tasks.fidelity import fidelity_of_series
from ...tasks.metrics import rounded
from ..augmentation.arms import SCREENED, steps_of
from ..augmentation.examination import scored, train_network
from ..augmentation.shown import SEEN_PACKETS, Flows, flows_for, numbers_of
from ..bench import Bench
from ..representations.methods import made_method
from ..study import Run
from .arms import JOINT
from .making import generator_for, made_up

Codes = npt.NDArray[np.int64]
MADE_TIMES = 3  # made-up flows for each shown one, where they are alone


def examine(run: Run, bench: Bench) -> dict[str, Any]:
    """Scores of what was taught, as in the campaign of augmentation."""
    flows = flows_for(_without_share(run), bench)
    rng = bench.rng_for("taught", run.data, str(run.shots), seed=run.seed)
    asked = {"test": flows.test} | ({"validation": flows.validation} if len(flows.validation) else {})
    if run.values.get("mode") == JOINT:
        generator, _, cost = generator_for(run, bench, flows)
        answers = {
            side: generator.classify(flows.series.take(rows).cut(SEEN_PACKETS)).argmax(axis=1)
            for side, rows in asked.items()
        }
        return scored(flows, answers) | {"generator": cost}
    series, codes, more = _teaching(run, bench, flows, rng)
    if run.values.get("method"):
        model = made_method(run.values["method"], rng, bench.scale)
        model.fit(numbers_of(series), codes)
        answers = {
            side: model.classes_[model.predict_proba(numbers_of(flows.series.take(rows))).argmax(axis=1)]
            for side, rows in asked.items()
        }
        return scored(flows, answers) | more
    settings = settings_from(AugmentSettings, run.values.get("augmentation", {}))
    steps = steps_of(len(flows.shown), bench.scale)
    network = train_network(series, codes, flows.classes, SCREENED, settings, steps, rng)
    answers = {side: network.predict(flows.series.take(rows)) for side, rows in asked.items()}
    return scored(flows, answers) | more


def how_faithful(run: Run, bench: Bench) -> dict[str, Any]:
    """As many made-up flows as were shown against those that are asked; and against what was shown, for copies."""
    flows = flows_for(_without_share(run), bench)
    rng = bench.rng_for("fidelity", run.data, str(run.shots), seed=run.seed)
    generator, vectors, cost = generator_for(run, bench, flows)
    made, codes = made_up(generator, vectors, flows, run.values, len(flows.shown), rng)
    names = np.arange(flows.classes).astype(str)
    sides = [
        (made, names[codes]),
        (flows.series.take(flows.test), names[flows.codes[flows.test]]),
        (flows.series.take(flows.shown), names[flows.codes[flows.shown]]),
    ]
    return rounded(fidelity_of_series(*sides, rng=rng)) | {"generator": cost}


def _teaching(
    run: Run, bench: Bench, flows: Flows, rng: np.random.Generator
) -> tuple[PacketSeries, Codes, dict[str, Any]]:
    """Shown flows, with made-up ones that are a share of the whole, or made-up ones alone."""
    series, codes = flows.series.take(flows.shown), flows.codes[flows.shown]
    share = float(run.values.get("share") or 0.0)
    if "generator" not in run.values or not share:
        return series, codes, {}
    generator, vectors, cost = generator_for(run, bench, flows)
    wanted = MADE_TIMES * len(series) if share == 1.0 else round(len(series) * share / (1 - share))
    made, theirs = made_up(generator, vectors, flows, run.values, wanted, rng)
    made = _as_wide(made, series.width)
    more = {"made": len(made), "generator": cost}
    if share == 1.0:
        return made, theirs, more
    return concat_series([series, made]), np.concatenate([codes, theirs]), more


def _as_wide(series: PacketSeries, width: int) -> PacketSeries:
    missing = width - series.width
    if missing <= 0:
        return series.cut(width)
    return PacketSeries(
        **{item.name: np.pad(getattr(series, item.name), ((0, 0), (0, missing))) for item in fields(series)}
    )


def _without_share(run: Run) -> Run:
    """`share` is that of made-up flows here, not of captures."""
    return replace(run, values={**run.values, "share": None})
