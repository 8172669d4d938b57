"""Public series of whole networks: traffic matrices and link loads, each split by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...features.rates.plain import plain_series
from ...features.rates.series import Series
from ...sources.plainseries import read_plain_table
from ..material import SERIES, Facts, Places, checksum_of, write_facts, write_json
from ..study import Scale

HOUR_NS = 3_600_000_000_000
FILES = {
    "abilene": "traffic_matrices/abilene.parquet",
    "esnet": "series/esnet_hourly_2018.parquet",
    "germany50": "traffic_matrices/germany50.parquet",
    "isp": "series/internet-traffic-data-in-bits-fr.csv",
}
ABSENT_IS_ZERO = ("abilene", "germany50")


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """Series of one network. Steps before `until` teach, the others ask."""

    name: str
    series: Series
    until: int
    horizons: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class GatheredNetwork:
    """A network, and the others, hourly where they are finer: what a decoder may have seen that never saw this one."""

    title: str
    network: Network
    others: tuple[Network, ...]
    checksum: str
    transfer_only: bool = False
    notes: tuple[str, ...] = ()

    def prepare(self, name: str, scale: Scale, folder: Path) -> Facts:
        folder.mkdir(parents=True, exist_ok=True)
        _write(self.network, folder / "network")
        for place, other in enumerate(self.others):
            _write(other, folder / f"other-{place}")
        held = self.network
        count, asked = len(held.series), held.series.steps - held.until
        facts = Facts(
            name=name,
            title=self.title,
            checksum=self.checksum,
            licence="see `flowlore datasets`",
            split_by="time: the last steps examine",
            proof="no step that examines is before one that teaches; what was learnt elsewhere holds no step of it",
            train=count * held.until,
            validation=0,
            test=count * asked,
            novel=count * asked,
            whole_train=count * held.until,
            whole_test=count * asked,
            classes=0,
            groups=count,
            smallest_class=0,
            modalities=("rates",),
            holds=SERIES,
            lacks=(),
            identity=(),
            context="nothing",
            shortcuts="no name of a series is shown; a scale of its own",
            features={
                "laid": False,
                "steps": held.series.steps,
                "until": held.until,
                "horizons": list(held.horizons),
                "transfer_only": self.transfer_only,
                "others": [one.name for one in self.others],
            },
            notes=self.notes,
        )
        write_facts(facts, folder)
        return facts


def load_network(folder: Path) -> tuple[Network, tuple[Network, ...]]:
    """What `prepare` kept: the network, and the others."""
    others = sorted(folder.glob("other-*.npz"))
    return _read(folder / "network"), tuple(_read(path.with_suffix("")) for path in others)


def abilene(places: Places) -> GatheredNetwork:
    """132 demands every 5 minutes; 1 to 11 March 2004 teach, 12 to 14 March ask."""
    return _gathered(places, "abilene", "Abilene, 132 demands, 5 min", 11 * 288, (1, 3, 6, 9, 12))


def esnet(places: Places) -> GatheredNetwork:
    """Four transatlantic links in and out, hourly; January to July 2018 teach, August and September ask."""
    return _gathered(places, "esnet", "ESnet, four links in and out, hourly", 5_080, (1, 3, 6, 12, 24))


def germany50(places: Places) -> GatheredNetwork:
    """Demands by day, of which there are too few to learn from: what was learnt elsewhere is asked."""
    return _gathered(places, "germany50", "Germany50, demands by day", 20, (1, 2), transfer_only=True)


def _gathered(
    places: Places, name: str, title: str, until: int, horizons: tuple[int, ...], *, transfer_only: bool = False
) -> GatheredNetwork:
    path = places.data / FILES[name]
    if not path.is_file():
        raise InputError(
            f"studies: `{FILES[name]}` is not below `{places.data}`",
            hint="`flowlore datasets` says where it comes from",
        )
    others, used = [], [path]
    for other, file in FILES.items():
        if other != name and other != "germany50" and (places.data / file).is_file():
            used.append(places.data / file)
            series = _series(places.data / file, other)
            series = series if series.step_ns >= HOUR_NS else series.coarser(HOUR_NS)
            others.append(Network(name=other, series=series, until=series.steps, horizons=horizons))
    return GatheredNetwork(
        title=title,
        network=Network(name=name, series=plain_network(path, name), until=until, horizons=horizons),
        others=tuple(others),
        checksum=checksum_of(used),
        transfer_only=transfer_only,
        notes=(f"learnt elsewhere means: {', '.join(one.name for one in others) or 'nothing'}, hourly",),
    )


def plain_network(path: Path, name: str) -> Series:
    """Series of one of `FILES`, of those that are ever above zero."""
    series = _series(path, name)
    busy = np.nansum(series.values, axis=1) > 0
    return series.of([one for one, is_busy in zip(series.names, busy, strict=True) if is_busy])


def _series(path: Path, name: str) -> Series:
    found = plain_series(read_plain_table(path), absent_is_zero=name in ABSENT_IS_ZERO)
    return replace(found, feature="value")


def _write(network: Network, path: Path) -> None:
    series = network.series
    np.savez(path.with_suffix(".npz"), values=series.values, names=np.array(series.names))
    about = {"name": network.name, "until": network.until, "horizons": list(network.horizons)}
    write_json(path.with_suffix(".json"), about | {"start_ns": series.start_ns, "step_ns": series.step_ns})


def _read(path: Path) -> Network:
    import json

    about = json.loads(path.with_suffix(".json").read_text())
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as held:
        names: Sequence[str] = held["names"].tolist()
        values = held["values"]
    series = Series(names=tuple(names), start_ns=about["start_ns"], step_ns=about["step_ns"], values=values)
    return Network(name=about["name"], series=series, until=about["until"], horizons=tuple(about["horizons"]))
