"""Rates by host of whole networks: days of LUFlow, exposed hosts, the laboratory, a honeypot.

Each comes with the others, which a decoder may have learnt from that never saw it, and with proof that they are apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError, TaskError
from ...features.rates.settings import NS_PER_S
from ...sources.reading import read
from ..material import SERIES, Facts, Places, checksum_of, write_facts
from ..study import Scale
from .floods import BACKGROUND, DAY_NS, SLICED, slim
from .laboratory import largest_tap, run_folders
from .series import FILES, plain_network
from .stretches import (
    COUNTS,
    FEATURES,
    LEAST_ACTIVE,
    HostRates,
    Stretch,
    read_rates,
    side_by_side,
    starts_of,
    stretch_of,
    write_rates,
)

PLAIN_FEATURE = "in_bytes"  # what the loads of links and demands stand for
PLAIN = ("abilene", "esnet")  # plain series that teach beside hosts
EXPOSED, HONEYPOT = "exposed_hosts/flows.parquet", "honeypot/heralding.parquet"
LUFLOW_ASKS_NS = 1_606_780_800 * NS_PER_S  # July teaches
HONEYPOT_ASKS_NS = 1_740_009_600 * NS_PER_S
MOST_HOSTS = {"smoke": 16, "small": 64, "full": 256}  # of a stretch, the most active ones
FEWEST_ACTIVE_STEPS = 8  # of series by which two are told to be the same


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
        write_rates(held, folder / "network")
        for place, other in enumerate(others):
            write_rates(other, folder / f"other-{place}")
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
    return read_rates(folder / "network"), tuple(
        read_rates(path.with_suffix("")) for path in sorted(folder.glob("other-*.npz"))
    )


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
    start = np.sort(starts_of(flows))
    ends = start[:-1][np.diff(start) > 7 * DAY_NS]
    stretch = np.searchsorted(ends, starts_of(flows), side="left")
    return [flows.filter(pa.array(stretch == place)) for place in range(len(ends) + 1)]


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
