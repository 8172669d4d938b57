"""Rates by host of whole networks: days of LUFlow, exposed hosts, the laboratory, a honeypot.

Rows of several stretches of time stand in one matrix, each with its own clock; in all of them the steps before `until`
teach and the later ones ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError, TaskError
from ...features.rates.rates import Rates, rates
from ...features.rates.settings import NS_PER_S
from ...features.rates.settings import step_ns as step_ns_of
from ...sources.reading import read
from ..material import SERIES, Facts, Places, checksum_of, write_facts, write_json
from ..study import Scale
from .floods import BACKGROUND, DAY_NS, SLICED, slim
from .laboratory import largest_tap, run_folders
from .series import FILES, plain_network

COUNTS = ("in_flows", "out_flows", "in_peers", "out_peers")
FEATURES = (*COUNTS, "in_packets", "out_packets", "in_bytes", "out_bytes")
PLAIN_FEATURE = "in_bytes"  # what the loads of links and demands stand for
PLAIN = ("abilene", "esnet")  # plain series that teach beside hosts
EXPOSED, HONEYPOT = "exposed_hosts/flows.parquet", "honeypot/heralding.parquet"
TEACHING_SHARE = 0.6  # of a stretch of time that nothing else divides
LUFLOW_ASKS_NS = 1_606_780_800 * NS_PER_S  # July teaches
HONEYPOT_ASKS_NS = 1_740_009_600 * NS_PER_S
LEAST_ACTIVE = 0.01  # of the teaching steps in which a host had traffic
MOST_HOSTS = {"smoke": 16, "small": 64, "full": 256}  # of a stretch, the most active ones
LEAST_OF_A_DAY = 0.05  # of the steps with traffic of the busiest day
GAP_S = 3_600.0  # without any flow: the record has a gap
FEWEST_ACTIVE_STEPS = 8  # of series by which two are told to be the same
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

    def of(self, rows: npt.NDArray[Any]) -> HostRates:
        hosts = tuple(np.array(self.hosts, object)[rows].tolist())
        return replace(
            self, hosts=hosts, values=self.values[rows], starts_ns=self.starts_ns[rows], steps_ns=self.steps_ns[rows]
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """Rates of one network over one stretch of time."""

    name: str
    rates: Rates
    until: int  # steps from its first that teach
    crossing: int  # flows that lasted over that moment, and were left out
    features: tuple[str, ...] = FEATURES  # those that are told


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """Where rates of one network came from."""

    title: str
    stretches: tuple[Stretch, ...]
    files: tuple[str, ...]  # SHA-256 of each
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class GatheredHosts:
    """A network, and the others that a decoder may have seen which never saw this one."""

    name: str
    source: Source
    others: dict[str, Source]
    plain: tuple[HostRates, ...] = ()
    plain_files: tuple[str, ...] = ()
    transfer_only: bool = False

    def prepare(self, name: str, scale: Scale, folder: Path) -> Facts:
        folder.mkdir(parents=True, exist_ok=True)
        most = MOST_HOSTS.get(scale.name, MOST_HOSTS["small"])
        held = side_by_side(self.name, self.source.stretches, most)
        others = [side_by_side(other, source.stretches, most) for other, source in self.others.items()] + [*self.plain]
        prove_apart(held, others, self.source.files, self._others_files())
        for path in folder.glob("other-*"):
            path.unlink()
        _write(held, folder / "network")
        for place, other in enumerate(others):
            _write(other, folder / f"other-{place}")
        crossing = sum(one.crossing for one in self.source.stretches)
        known = np.isfinite(held.values)
        taught, asked = int(known[:, :, : held.until].sum()), int(known[:, :, held.until :].sum())
        steps = held.values.shape[2]
        facts = Facts(
            name=name,
            title=self.source.title,
            checksum=_checksum([*self.source.files, *self._others_files()]),
            licence="see `flowlore datasets`",
            split_by="time: the last steps examine; half of the hosts teach",
            proof=f"no step that examines is before one that teaches, and no flow lasted from one into the other "
            f"({crossing:,} that did were left out); of what teaches elsewhere no file and no host's series is one of "
            "its own",
            train=taught,
            validation=0,
            test=asked,
            novel=asked,
            whole_train=taught,
            whole_test=asked,
            classes=0,
            groups=len(held),
            smallest_class=0,
            modalities=("rates",),
            holds=SERIES,
            lacks=tuple(name for place, name in enumerate(FEATURES) if not known[:, place].any()),
            identity=(),
            context="nothing",
            shortcuts="no address or name of a host is shown; scales of its own",
            features={
                "laid": False,
                "hosts": True,
                "steps": steps,
                "until": held.until,
                "transfer_only": self.transfer_only,
                "others": [one.name for one in others],
                "numbers": int(known.sum()),
            },
            notes=(
                f"hosts that had traffic in {LEAST_ACTIVE:.0%} of the steps that teach, the {most} most active ones of "
                "each stretch",
                f"learnt elsewhere means: {', '.join(one.name for one in others) or 'nothing'}",
                *self.source.notes,
            ),
        )
        write_facts(facts, folder)
        return facts

    def _others_files(self) -> tuple[str, ...]:
        return (*(file for source in self.others.values() for file in source.files), *self.plain_files)


def load_hosts(folder: Path) -> tuple[HostRates, tuple[HostRates, ...]]:
    """What `prepare` kept: the network, and the others."""
    return _read(folder / "network"), tuple(_read(path.with_suffix("")) for path in sorted(folder.glob("other-*.npz")))


def luflow_rates(places: Places) -> GatheredHosts:
    """LUFlow, a minute a step: two days of July teach, two of December ask. A host is an AS."""
    return _gathered("luflow-rates", places)


def exposed_rates(places: Places) -> GatheredHosts:
    """Hosts on the open Internet and those of a working day, a minute a step: the last 40 % of each stretch ask."""
    return _gathered("exposed-rates", places)


def laboratory_rates(places: Places) -> GatheredHosts:
    """Runs of the laboratory, 2 s a step since its time is compressed: the last 40 % of each run ask."""
    return _gathered("laboratory-rates", places)


def honeypot_rates(places: Places) -> GatheredHosts:
    """A honeypot, 5 minutes a step: flows and peers only; nothing is learnt from it, what was learnt elsewhere asks."""
    return _gathered("honeypot-rates", places, transfer_only=True)


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


def prove_apart(
    network: HostRates, others: Sequence[HostRates], files: Sequence[str], others_files: Sequence[str]
) -> None:
    """No file, and no series of a host, of what teaches elsewhere is one of the network itself."""
    if set(files) & set(others_files):
        raise TaskError(
            f"studies: a file of `{network.name}` is also one of those that teach elsewhere",
            hint="each file in one data set only",
        )
    own = _fingerprints(network)
    for other in others:
        if own & _fingerprints(other):
            raise TaskError(
                f"studies: `{other.name}` holds a host with exactly the rates of one of `{network.name}`",
                hint="the same traffic lies in both: take one away",
            )


def _fingerprints(held: HostRates) -> set[bytes]:
    """What came one after the other, without the silence: the same traffic at another time is told as well."""
    found = set()
    for row in held.values:
        for values in row:
            active = values[np.isfinite(values) & (values > 0)]
            if len(active) >= FEWEST_ACTIVE_STEPS and len(np.unique(active)) > 2:
                found.add(active.tobytes())
    return found


def _gathered(name: str, places: Places, *, transfer_only: bool = False) -> GatheredHosts:
    source, others = SOURCES[name](places), {}
    for other in TEACHING:
        if other != name:
            try:
                others[other] = SOURCES[other](places)
            except InputError:
                continue
    files = [places.data / FILES[one] for one in PLAIN if (places.data / FILES[one]).is_file()]
    return GatheredHosts(
        name=name,
        source=source,
        others=others,
        plain=tuple(_plain_rates(places.data / FILES[one], one) for one in PLAIN if places.data / FILES[one] in files),
        plain_files=_digests(tuple(files)),
        transfer_only=transfer_only,
    )


def _luflow(places: Places) -> Source:
    flows, files = _flows(places, BACKGROUND)
    return Source(
        title="LUFlow, rates by AS, 1 min",
        stretches=(stretch_of("luflow", flows, "1m", LUFLOW_ASKS_NS),),
        files=files,
        notes=("July 2020 teaches, December asks", "a host is an AS, bytes are payload"),
    )


def _exposed(places: Places) -> Source:
    flows, files = _flows(places, EXPOSED)
    parts = _apart(flows)
    return Source(
        title="Exposed hosts, rates by host, 1 min",
        stretches=tuple(stretch_of(f"exposed-{place}", part, "1m") for place, part in enumerate(parts)),
        files=files,
        notes=(f"{len(parts)} stretches of time, the last 40 % of each ask",),
    )


def _laboratory(places: Places) -> Source:
    folders = run_folders(places)
    if not folders:
        raise InputError(
            f"studies: no run of the laboratory is below `{places.data}`",
            hint="`flowlore lab run SCENARIO -o FOLDER`, then `--lab FOLDER`",
        )
    taps = [largest_tap(folder) for folder in folders]
    parts = [stretch_of(tap.parents[1].name, slim(read(tap, settings=SLICED).to_arrow()), "2s") for tap in taps]
    return Source(
        title="Laboratory, rates by host, 2 s",
        stretches=tuple(parts),
        files=_digests(tuple(taps)),
        notes=(f"runs {', '.join(one.name for one in parts)}, the last 40 % of each ask",),
    )


def _honeypot(places: Places) -> Source:
    flows, files = _flows(places, HONEYPOT)
    stretch = stretch_of("honeypot", _sessions(flows), "5m", HONEYPOT_ASKS_NS, features=COUNTS)
    return Source(
        title="Honeypot, rates by sender and service, 5 min",
        stretches=(stretch,),
        files=files,
        notes=("a host is a sender, or a port of the honeypot; flows and peers only", "20 and 21 February 2025 ask"),
    )


SOURCES: dict[str, Callable[[Places], Source]] = {
    "luflow-rates": cache(_luflow),
    "exposed-rates": cache(_exposed),
    "laboratory-rates": cache(_laboratory),
    "honeypot-rates": cache(_honeypot),
}
TEACHING = ("luflow-rates", "exposed-rates", "laboratory-rates")


def _sessions(flows: pa.Table) -> pa.Table:
    """Sessions of which nothing is told but that they were: of a packet each, or rates would take them for silence."""
    ones = pa.array(np.ones(len(flows), np.uint64))
    ports = pc.cast(pc.fill_null(flows["dst_port"], 0), pa.string())
    names = pc.binary_join_element_wise("honeypot", ports, ":")
    for name, column in (("packets_fwd", ones), ("dst_name", names)):
        flows = flows.set_column(flows.schema.get_field_index(name), name, column.cast(flows.schema.field(name).type))
    return flows


def _flows(places: Places, file: str) -> tuple[pa.Table, tuple[str, ...]]:
    path = places.data / file
    if not path.is_file():
        raise InputError(
            f"studies: `{file}` is not below `{places.data}`", hint="`flowlore datasets` says where it comes from"
        )
    return slim(read(path).to_arrow()), _digests((path,))


@cache
def _digests(paths: tuple[Path, ...]) -> tuple[str, ...]:
    return tuple(checksum_of([path]) for path in paths)


def _checksum(files: Sequence[str]) -> str:
    import hashlib

    return hashlib.sha256("".join(sorted(files)).encode()).hexdigest()


def _apart(flows: pa.Table) -> list[pa.Table]:
    """Flows of each stretch of time: a week without any is between two."""
    start = np.sort(_starts(flows))
    ends = start[:-1][np.diff(start) > 7 * DAY_NS]
    stretch = np.searchsorted(ends, _starts(flows), side="left")
    return [flows.filter(pa.array(stretch == place)) for place in range(len(ends) + 1)]


def stretch_of(
    name: str, flows: pa.Table, step: str, until_ns: int | None = None, *, features: tuple[str, ...] = FEATURES
) -> Stretch:
    """Rates of flows, of which none lasts over the moment at which what teaches ends."""
    length = step_ns_of(step)
    start = _starts(flows)
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


def _plain_rates(path: Path, name: str) -> HostRates:
    """Loads of links, of which one feature is known."""
    held = plain_network(path, name)
    values = np.full((len(held), len(FEATURES), held.steps), np.nan)
    values[:, FEATURES.index(PLAIN_FEATURE)] = held.values
    return HostRates(
        name=name,
        hosts=held.names,
        values=values,
        starts_ns=np.full(len(held), held.start_ns),
        steps_ns=np.full(len(held), held.step_ns),
        until=held.steps,
    )


def _starts(flows: pa.Table) -> Whole:
    return np.asarray(flows["start"].cast(pa.int64()).to_numpy(), np.int64)


def _write(held: HostRates, path: Path) -> None:
    np.savez_compressed(
        path.with_suffix(".npz"),
        values=held.values.astype(np.float32),
        hosts=np.array(held.hosts),
        starts_ns=held.starts_ns,
        steps_ns=held.steps_ns,
    )
    write_json(path.with_suffix(".json"), {"name": held.name, "until": held.until})


def _read(path: Path) -> HostRates:
    import json

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
