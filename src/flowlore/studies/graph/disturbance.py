"""Flows as a poorer meter would tell them: some lost, some late, packets sampled, counters with noise.

Who teaches saw the flows as they were; only those that are asked, and their neighbours of that time, are disturbed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.batch import FeatureBatch
from ...features.quantities import quantities
from ..bench import Bench
from ..study import Run
from .asked import Floats, Rows, asked_of, numbers_of, scored, shown_rows
from .encoders import encoded, teaching_rows
from .examination import seen, teach

DELAY_S, NOISE = 60.0, 0.3
NS_PER_S = 1e9
NAMES = {one.name: place for place, one in enumerate(quantities())}
SIDES = ("fwd", "rev")
FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg")


def examine_disturbed(run: Run, bench: Bench) -> dict[str, Any]:
    """Taught by flows as they were, asked about flows as this disturbance leaves them."""
    material = bench.material(run.data)
    asked = asked_of(material, run.values["truth"])
    shown = shown_rows(asked, run, bench)
    own, _ = seen(run, bench)
    taught = teach(run, bench, own, asked, shown)
    teaching = teaching_rows(material)
    rng = bench.rng_for("disturbed", run.data, run.values["disturbance"], seed=run.seed)
    batch, rows = disturbed(material.batch, teaching, run.values["disturbance"], rng)
    numbers = _numbers(run, bench, batch, np.flatnonzero(np.isin(rows, teaching)))
    is_asked = np.isin(rows, asked.test)
    result = scored(material, asked, taught.classes, taught.sure(numbers[is_asked]), rows=rows[is_asked])
    return result | {"shown": len(shown), "left": round(float(is_asked.sum() / len(asked.test)), 4)}


def disturbed(
    flows: FeatureBatch, spared: Rows, kind: str, rng: np.random.Generator
) -> tuple[FeatureBatch, npt.NDArray[np.int64]]:
    """The flows that are left, and which rows they were."""
    is_spared = np.zeros(len(flows), np.bool_)
    is_spared[spared] = True
    stays = np.ones(len(flows), np.bool_)
    values = flows.channels["quantities"].astype(np.float64)
    times = flows.channels["graph.times_ns"].copy()
    if kind == "1 in 10 lost":
        stays = rng.random(len(flows)) >= 0.1
    elif kind == "half lost":
        stays = rng.random(len(flows)) >= 0.5
    elif kind == "a third delayed":
        late = (rng.random(len(flows)) < 1 / 3) & ~is_spared
        times[late, 1] += (rng.exponential(DELAY_S, int(late.sum())) * NS_PER_S).astype(np.int64)
    elif kind.startswith("sampled 1:"):
        sampled, stays = sample_packets(values, int(kind.partition(":")[2]), rng)
        values[~is_spared] = sampled[~is_spared]
    elif kind == "noise":
        factors = np.exp(rng.normal(0.0, NOISE, values.shape))
        values[~is_spared] *= factors[~is_spared]
    elif kind != "none":
        raise ValueError(f"no disturbance is called {kind}")
    rows = np.flatnonzero(stays | is_spared)
    changed = {"quantities": values.astype(np.float32), "graph.times_ns": times}
    whole = FeatureBatch(length=len(flows), channels={**flows.channels, **changed}, present=flows.present)
    return whole.take(rows), rows


def sample_packets(
    values: npt.NDArray[np.float64], one_in: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Quantities as an exporter tells them that sees one packet in so many, and multiplies; and which flows it sees.

    Sizes of packets and flags stay, times between packets grow, and what needs two certain packets is not known.
    """
    found = values.copy()
    counts = {side: np.nan_to_num(values[:, NAMES[f"packets_{side}"]]) for side in SIDES}
    seen = {side: rng.binomial(counts[side].astype(np.int64), 1 / one_in) for side in SIDES}
    for side in SIDES:
        share = np.divide(seen[side] * one_in, counts[side], out=np.ones(len(found)), where=counts[side] > 0)
        for name in ("packets", "bytes", "payload_bytes", *(f"{flag}_packets" for flag in FLAGS)):
            found[:, NAMES[f"{name}_{side}"]] *= share
        found[seen[side] < 1, NAMES[f"size_mean_bytes_{side}"]] = np.nan
        for name in ("gap_min", "gap_mean", "gap_max", "gap_std"):
            found[:, NAMES[f"{name}_us_{side}"]] *= np.where(seen[side] > 1, one_in, np.nan)
    total = seen["fwd"] + seen["rev"]
    found[:, NAMES["duration_us"]] *= np.where(total > 1, (total - 1) / np.maximum(total, 1), 0.0)
    for name in ("syn_to_synack_us", "synack_to_ack_us"):
        found[:, NAMES[name]] = np.nan
    for name, column in (("packets", "packets"), ("bytes", "bytes"), ("payload", "payload_bytes")):
        below, above = found[:, NAMES[f"{column}_fwd"]], found[:, NAMES[f"{column}_rev"]]
        ratio = np.divide(above, below, out=np.full(len(found), np.nan), where=below > 0)
        found[:, NAMES[f"{name}_rev_per_fwd"]] = ratio
    is_counted = counts["fwd"] + counts["rev"] > 0
    return found, np.where(is_counted, total > 0, rng.random(len(found)) < 1 / one_in)


def _numbers(run: Run, bench: Bench, batch: FeatureBatch, teaching: Rows) -> Floats:
    """What the run's method sees of disturbed flows, on the scale of the flows as they were."""
    if "encoder" in run.values:
        found: Floats = encoded(bench, run).encoder.embed(batch)
        return found
    return numbers_of(batch, teaching, windows=bool(run.values["windows"]))
