"""Flows of a stretch of time → rates of its most active hosts, and the step at which what teaches ends.

Hosts of several stretches stand in one matrix, each with its own clock; in all of them the steps before `until` teach
and the later ones ask.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError
from ...features.rates.rates import Rates, rates
from ...features.rates.settings import step_ns as step_ns_of
from ..material import write_json
from .floods import DAY_NS

COUNTS = ("in_flows", "out_flows", "in_peers", "out_peers")
FEATURES = (*COUNTS, "in_packets", "out_packets", "in_bytes", "out_bytes")
TEACHING_SHARE = 0.6  # of a stretch of time that nothing else divides
LEAST_ACTIVE = 0.01  # of the teaching steps in which a host had traffic
LEAST_OF_A_DAY = 0.05  # of the steps with traffic of the busiest day
GAP_S = 3_600.0  # without any flow: the record has a gap
Values = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class HostRates:
    """`values` is [hosts, FEATURES, steps], NaN where nothing is known; all hosts' steps before `until` teach."""

    name: str
    hosts: tuple[str, ...]
    values: Values
    starts_ns: Whole  # of each host's first step
    steps_ns: Whole
    until: int

    def __len__(self) -> int:
        return len(self.hosts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """Rates of one network over one stretch of time."""

    name: str
    rates: Rates
    until: int  # steps from its first that teach
    crossing: int  # flows that lasted over that moment, and were left out
    features: tuple[str, ...] = FEATURES  # those that are told


def stretch_of(
    name: str, flows: pa.Table, step: str, until_ns: int | None = None, *, features: tuple[str, ...] = FEATURES
) -> Stretch:
    """Rates of flows, of which none lasts over the moment at which what teaches ends."""
    length = step_ns_of(step)
    start = starts_of(flows)
    end = start + np.asarray(pc.fill_null(flows["duration_ns"], 0).to_numpy(), np.int64)
    if until_ns is None:
        until_ns = int(start.min() + TEACHING_SHARE * (end.max() - start.min()))
    until_ns = int(until_ns) // length * length
    crossing = (start < until_ns) & (end > until_ns)
    made = rates(flows.filter(pa.array(~crossing)), "host", step, settings={"gap_after_s": GAP_S})
    made, until_ns = _without_empty_days(made, until_ns)
    first = int(made.table["step"].cast(pa.int64()).to_numpy().min())
    until = int(until_ns - first) // length
    if not 0 < until < made.steps:
        raise InputError(
            f"studies: of `{name}` nothing is on one side of the moment at which what teaches ends",
            hint="a whole record of the set",
        )
    return Stretch(name=name, rates=made, until=until, crossing=int(crossing.sum()), features=features)


def side_by_side(name: str, stretches: Sequence[Stretch], most: int) -> HostRates:
    """Hosts of all stretches, the boundary between teaching and asking at one step, unknown where others are longer."""
    parts = [(one, *_matrix(one, most)) for one in stretches]
    until = max(one.until for one in stretches)
    after = max(values.shape[2] - one.until for one, _, _, values in parts)
    rows, hosts, starts, steps = [], [], [], []
    for place, (one, names, start_ns, values) in enumerate(parts):
        before = until - one.until
        wide = ((0, 0), (0, 0), (before, after - (values.shape[2] - one.until)))
        rows.append(np.pad(values, wide, constant_values=np.nan))
        hosts += [f"{place}/{host}" if len(parts) > 1 else host for host in names]
        starts += [start_ns - before * one.rates.step_ns] * len(names)
        steps += [one.rates.step_ns] * len(names)
    values = np.concatenate(rows)
    if not len(values):
        raise InputError(f"studies: no host of `{name}` had traffic often enough", hint="a longer record")
    return HostRates(
        name=name,
        hosts=tuple(hosts),
        values=values,
        starts_ns=np.array(starts, np.int64),
        steps_ns=np.array(steps, np.int64),
        until=until,
    )


def write_rates(held: HostRates, path: Path) -> None:
    np.savez_compressed(
        path.with_suffix(".npz"),
        values=held.values.astype(np.float32),
        hosts=np.array(held.hosts),
        starts_ns=held.starts_ns,
        steps_ns=held.steps_ns,
    )
    write_json(path.with_suffix(".json"), {"name": held.name, "until": held.until})


def read_rates(path: Path) -> HostRates:
    about = json.loads(path.with_suffix(".json").read_text())
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as held:
        return HostRates(
            name=about["name"],
            hosts=tuple(held["hosts"].tolist()),
            values=held["values"].astype(np.float64),
            starts_ns=held["starts_ns"],
            steps_ns=held["steps_ns"],
            until=about["until"],
        )


def starts_of(flows: pa.Table) -> Whole:
    return np.asarray(flows["start"].cast(pa.int64()).to_numpy(), np.int64)


def _without_empty_days(made: Rates, until_ns: int) -> tuple[Rates, int]:
    """Days without traffic, or with hardly any beside the busiest, left out as a whole: clocks stay right."""
    steps = made.table["step"].cast(pa.int64()).to_numpy()
    days, counts = np.unique(np.unique(steps) // DAY_NS, return_counts=True)
    days = days[counts >= LEAST_OF_A_DAY * counts.max()]

    def moved(instants: Whole) -> Whole:
        place = np.searchsorted(days, instants // DAY_NS)
        is_kept = np.isin(instants // DAY_NS, days)
        return np.asarray((days[0] + place) * DAY_NS + np.where(is_kept, instants % DAY_NS, 0), np.int64)

    at, field = made.table.schema.get_field_index("step"), made.table.schema.field("step")
    table = made.table.set_column(at, field, pa.array(moved(steps)).cast(field.type))
    table = table.filter(pa.array(np.isin(steps // DAY_NS, days)))
    gaps = moved(np.array(made.gaps, np.int64).reshape(-1, 2))
    kept = tuple((int(begin), int(end)) for begin, end in gaps if end > begin)
    return replace(made, table=table, gaps=kept), int(moved(np.array([until_ns]))[0])


def _matrix(stretch: Stretch, most: int) -> tuple[list[str], int, Values]:
    """Names of the hosts that were most active while it teaches, when the first step begins, and their rates."""
    table = stretch.rates.table
    steps = table["step"].cast(pa.int64()).to_numpy() // stretch.rates.step_ns
    taught = table["entity"].filter(pa.array(steps < steps.min() + stretch.until))
    counts = pc.value_counts(taught.combine_chunks()).to_pylist()
    often = sorted(
        (-one["counts"], one["values"])
        for one in counts
        if one["values"] and one["counts"] >= LEAST_ACTIVE * stretch.until
    )[:most]
    names = [name for _, name in often]
    start_ns, found = stretch.rates.matrices(FEATURES, names)
    values = np.stack([found[feature] for feature in FEATURES], axis=1)
    values[:, [feature not in stretch.features for feature in FEATURES]] = np.nan
    return names, start_ns, values
