"""Real data for vectors of entities: flows to learn from, hosts with labels, and which of them were never seen.

No data set says who a scanner is, so labels of senders are pseudo-labels: the service that a sender met most on later
days. Nothing of these days is learnt from. Devices of IoT Sentinel have true labels.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flowlore import Flows, read
from flowlore.features.sentences import hosts_of, ports_of
from flowlore.sources.datasets.loading import load_dataset
from flowlore.sources.datasets.settings import DatasetSettings
from flowlore.studies.material import Places
from flowlore.studies.materials.captures import devices_of, loaded_captures
from flowlore.tasks.raw import starts_ns, texts

FEWEST_OF_A_CLASS = 10
UNSEEN_SHARE = 0.3
A_DAY_NS = 86_400 * 10**9
A_MINUTE_NS = 60 * 10**9


@dataclass(frozen=True, kw_only=True)
class Question:
    """Hosts whose labels are asked, from vectors that were learnt from `flows` without labels.

    `parts` of a host's vector are of itself, or of the ports and names that it asked for in `asked_flows`.
    """

    name: str
    flows: Flows
    hosts: npt.NDArray[np.object_]
    labels: npt.NDArray[np.object_]
    is_seen: npt.NDArray[np.bool_]  # whether the host is in `flows`
    parts: tuple[str, ...]
    asked_flows: Flows
    plain: dict[str, npt.NDArray[np.object_]]  # simple answers: what a host met most before, by name


def questions(data: Path, *, validation: bool) -> Iterator[Question]:
    """All of them; for validation the earlier days only."""
    yield from _honeypot(data, validation=validation)
    if not validation:
        yield from _visitors(data)
        yield from _devices(data)


def _honeypot(data: Path, *, validation: bool) -> Iterator[Question]:
    """Eleven days of a honeypot: nine are learnt from, the last two give the labels; for validation one day earlier."""
    flows = _dataset("heralding", data)
    day = starts_ns(flows) // A_DAY_NS
    day -= day.min()
    learnt, asked = (day <= 7, day == 8) if validation else (day <= 8, day > 8)
    yield _by_later_service("honeypot senders", flows[learnt], flows[asked])


def _visitors(data: Path) -> Iterator[Question]:
    """Who came from outside to hosts on the open Internet: the first day is learnt from, the second gives labels."""
    flows = _dataset("exposed-hosts", data)
    flows = flows[pc.fill_null(pc.starts_with(flows["label"], "malicious"), False)]
    start = starts_ns(flows)
    is_first = start < start.min() + A_DAY_NS - A_MINUTE_NS  # one day ends as the other begins
    yield _by_later_service("visitors of exposed hosts", flows[is_first], flows[~is_first])


def _devices(data: Path) -> Iterator[Question]:
    """Set-up traffic of devices; each capture is a host, known by a pseudonym. Some captures are never seen."""
    loaded = loaded_captures("iot-sentinel", Places(data=data))
    flows = read(list(loaded.paths))
    captures = np.array(["/".join(Path(name).parts[-2:]) for name in texts(flows, "capture")])
    folders = np.array([name.partition("/")[0] for name in captures])
    macs = texts(flows, "src_mac")
    device = devices_of(captures, folders, macs)
    is_own = macs == np.array([device.get(folder, "") for folder in folders])
    table = flows.to_arrow()
    for name, values in (
        ("src_ip", pa.nulls(len(flows), pa.binary(16))),
        ("src_name", pa.array(captures, pa.string())),
    ):
        table = table.set_column(table.column_names.index(name), name, values)
    flows = Flows(table)[is_own]
    captures = captures[is_own]
    hosts = np.unique(captures)
    labels = np.array([host.partition("/")[0].rstrip("2") for host in hosts], dtype=object)
    is_unseen = np.zeros(len(hosts), np.bool_)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        is_unseen[own[len(own) - round(UNSEEN_SHARE * len(own)) :]] = True
    yield Question(
        name="IoT Sentinel devices, all captures seen", flows=flows, hosts=hosts, labels=labels,
        is_seen=np.ones(len(hosts), np.bool_), parts=("ports", "names"), asked_flows=flows, plain={},
    )  # fmt: skip
    yield Question(
        name="IoT Sentinel devices, last captures of each never seen",
        flows=flows[~np.isin(captures, hosts[is_unseen])], hosts=hosts, labels=labels, is_seen=~is_unseen,
        parts=("ports", "names"), asked_flows=flows, plain={},
    )  # fmt: skip


def _by_later_service(name: str, flows: Flows, later: Flows) -> Question:
    label_of = _most_met(later)
    common = {label for label, count in Counter(label_of.values()).items() if count >= FEWEST_OF_A_CLASS}
    hosts = np.array(sorted(host for host, label in label_of.items() if label in common), dtype=object)
    before = _most_met(flows)
    return Question(
        name=name,
        flows=flows,
        hosts=hosts,
        labels=np.array([label_of[host] for host in hosts], dtype=object),
        is_seen=np.array([host in before for host in hosts]),
        parts=("host",),
        asked_flows=flows,
        plain={"the service met most before": np.array([before.get(host, "") for host in hosts], dtype=object)},
    )


def _most_met(flows: Flows) -> dict[str, str]:
    """For each sender the service of most of its flows, the one that comes first in the alphabet where equal."""
    hosts, ports = hosts_of(flows), ports_of(flows)
    names, services = hosts.texts.to_pylist(), ports.texts.to_pylist()
    held: dict[str, Counter[str]] = {}
    for (host, port), count in Counter(zip(hosts.codes.tolist(), ports.codes.tolist(), strict=True)).items():
        if host >= 0 and port >= 0:
            held.setdefault(names[host], Counter())[services[port]] += count
    return {host: min(counts, key=lambda one: (-counts[one], one)) for host, counts in held.items()}


def _dataset(name: str, data: Path) -> Flows:
    loaded = load_dataset(name, data, DatasetSettings(verify=False))
    return Flows.from_batches(list(loaded.open().batches())).sort()
