"""Data sets that come as captures: they are metered here, and labelled by documented rules."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import InputError, TaskError
from ...features.settings import FeatureSettings
from ...flows.annotate import annotate
from ...flows.table import Flows
from ...sources.datasets.loading import LoadedDataset, load_dataset
from ...sources.datasets.settings import DatasetSettings
from ...sources.reading import read
from ...tasks.raw import starts_ns, texts
from ...tasks.splits import Split, split_by_capture
from ..material import Gathered, Places, checksum_of
from .tables import labelled_only, with_column

PAYLOAD_BYTES = 32
READING = {"meter.payload_bytes": PAYLOAD_BYTES}
FEWEST_CAPTURES = 5  # of a protocol
MOST_SHOTS_OF_PROTOCOLS = 5
PAIRS = re.compile(r"^(EdimaxCam|EdnetCam|WeMoInsightSwitch|WeMoSwitch)\d?$")
VERDICT = re.compile(
    r"^\s*\d+\s+(?P<protocol>TCP|UDP|SCTP)\s+(?P<src>\S+):(?P<sport>\d+)\s+<?->\s+(?P<dst>\S+):(?P<dport>\d+)\s+"
    r".*?\[proto: [\d.]+/(?P<verdict>[^\]]+)\]"
)
PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}


def iot_sentinel(places: Places) -> Gathered:
    """IoT Sentinel: set-up traffic of devices of 27 types, told apart by the flows of the device's own MAC address.

    Folders of the same type (`WeMoSwitch`, `WeMoSwitch2`) are one class. The device is the source MAC that is in most
    captures of its folder and in fewest of the others.
    """
    loaded = loaded_captures("iot-sentinel", places)
    flows = read(list(loaded.paths), settings=READING)
    captures = np.array(["/".join(Path(name).parts[-2:]) for name in texts(flows, "capture")])
    folders = np.array([name.partition("/")[0] for name in captures])
    macs = {side: texts(flows, f"{side}_mac") for side in ("src", "dst")}
    device = devices_of(captures, folders, macs["src"])
    own = np.array([device.get(folder, "") for folder in folders])
    is_own = (macs["src"] == own) | (macs["dst"] == own)
    labels = np.array([_device_type(folder) for folder in folders], dtype=object)
    labels[~is_own] = None
    flows = labelled_only(with_column(with_column(flows, "capture", captures), "label", labels))
    split = split_by_capture(
        texts(flows, "capture"),
        starts_ns(flows),
        classes=texts(flows, "label"),
        test_share=0.3,
        validation_share=0.1,
    )
    return Gathered(
        title="IoT Sentinel, devices by behaviour",
        flows=flows,
        split=split,
        groups=texts(flows, "capture"),
        split_by="capture: for each device type the last 30 % of the captures examine",
        proof=f"none of {len(np.unique(texts(flows, 'capture').astype(str))):,} captures is on two sides",
        features=FeatureSettings(use_names=False, payload_bytes=PAYLOAD_BYTES, context_by="client"),
        checksum=checksum_of(loaded.paths),
        licence=loaded.dataset.licence,
        notes=(
            f"{int((~is_own).sum()):,} flows of other machines in the captures are left out",
            "addresses, MACs, ports and names are off",
        ),
    )


def devices_of(captures: Any, folders: Any, src_macs: Any) -> dict[str, str]:
    """For each folder the MAC that sends in most of its captures and in fewest of other folders'.

    >>> captures = np.array(["a/1", "a/1", "a/2", "a/2", "b/1", "b/1"])
    >>> macs = np.array(["device", "gateway", "device", "gateway", "other", "gateway"], dtype=object)
    >>> devices_of(captures, np.array(["a", "a", "a", "a", "b", "b"]), macs)
    {'a': 'device', 'b': 'other'}
    """
    seen: dict[str, set[str]] = defaultdict(set)
    of_folder: dict[str, set[str]] = defaultdict(set)
    sent: Counter[tuple[str, str]] = Counter()
    for capture, folder, mac in zip(captures.tolist(), folders.tolist(), src_macs.tolist(), strict=True):
        of_folder[folder].add(capture)
        if mac:
            seen[mac].add(capture)
            sent[folder, mac] += 1
    found = {}
    total = sum(len(held) for held in of_folder.values())
    for folder, held in sorted(of_folder.items()):

        def score(mac: str, folder: str = folder, held: set[str] = held) -> tuple[float, int, str]:
            inside = len(seen[mac] & held) / len(held)
            outside = len(seen[mac] - held) / max(total - len(held), 1)
            return inside - outside, sent[folder, mac], mac

        candidates = [mac for mac in seen if seen[mac] & held]
        if candidates:
            found[folder] = max(candidates, key=score)
    return found


def ndpi(places: Places) -> Gathered:
    """nDPI's test captures: master protocols that occur in five captures at least, by nDPI's own verdict."""
    loaded = loaded_captures("ndpi", places)
    table = pa.Table.from_pylist(all_verdicts(loaded))
    flows = labelled_only(annotate(read(list(loaded.paths), settings=READING), table, how="five-tuple")[0])
    captures = np.array([Path(name).name for name in texts(flows, "capture")])
    labels = texts(flows, "label").astype(str)
    held_in = {one: len(np.unique(captures[labels == one])) for one in np.unique(labels)}
    chosen = sorted(one for one, count in held_in.items() if count >= FEWEST_CAPTURES and one != "Unknown")
    if len(chosen) < 2:
        raise TaskError(
            f"studies: {len(chosen)} protocols are in {FEWEST_CAPTURES} or more of {len(loaded.paths)} captures",
            hint="get all of nDPI's test captures",
        )
    keep = np.isin(labels, chosen)
    flows = Flows(with_column(flows, "capture", captures).to_arrow().filter(pa.array(keep)))
    labels = labels[keep]
    split, missing = _of_known_classes(
        split_by_capture(captures[keep], starts_ns(flows), classes=labels, test_share=0.3), labels
    )
    notes = [f"{len(held_in) - len(chosen)} protocols in fewer captures are left out"]
    if missing:
        notes.append(f"not on both sides, and left out: {', '.join(missing)}")
    return Gathered(
        title="nDPI's test captures, protocols",
        flows=Flows(flows.to_arrow().drop_columns(["app_protocol"])),
        split=split,
        groups=captures[keep],
        split_by="capture: for each protocol the latest 30 % of the captures examine",
        proof=f"none of {len(np.unique(captures[keep])):,} captures is on two sides",
        features=FeatureSettings(use_names=False, payload_bytes=PAYLOAD_BYTES),
        checksum=checksum_of([*loaded.paths, *sorted(verdict_folder(loaded).glob("*.out"))]),
        licence=loaded.dataset.licence,
        most_shots=MOST_SHOTS_OF_PROTOCOLS,
        notes=(*notes, "the verdict is nDPI's, made from payload and names: payload is shown, names and ports are not"),
    )


def loaded_captures(name: str, places: Places) -> LoadedDataset:
    """The captures of a data set where they lie, as they are."""
    return load_dataset(name, Path(places.data), DatasetSettings(verify=False))


def verdict_folder(loaded: LoadedDataset) -> Path:
    """Where nDPI's verdicts lie beside its captures."""
    return Path(loaded.paths[0]).parent.parent / "result"


def all_verdicts(loaded: LoadedDataset) -> list[dict[str, Any]]:
    """A row for each flow of every capture that nDPI has a verdict of."""
    folder = verdict_folder(loaded)
    rows = [row for path in loaded.paths for row in verdicts(folder / f"{path.name}.out", path.name)]
    if not rows:
        raise InputError(
            f"studies: no verdict of nDPI is in `{folder}`", hint="nDPI's tests/cfgs/default/result belongs there"
        )
    return rows


def verdicts(path: Path, capture: str) -> Iterator[dict[str, Any]]:
    """A row of labels for each flow that nDPI's result file names; `91.126/TLS.Google` is `TLS`."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        found = VERDICT.match(line)
        if found is not None:
            yield {
                "src_ip": found["src"].strip("[]"),
                "dst_ip": found["dst"].strip("[]"),
                "src_port": int(found["sport"]),
                "dst_port": int(found["dport"]),
                "protocol": PROTOCOLS[found["protocol"]],
                "capture": capture,
                "label": found["verdict"].partition(".")[0],
            }


def _of_known_classes(split: Split, labels: Any) -> tuple[Split, list[str]]:
    """The split without classes that are not on both sides, and which they are."""
    both = np.intersect1d(labels[split.train], labels[split.test])
    missing = sorted(set(np.unique(labels).tolist()) - set(both.tolist()))
    parts = {side: getattr(split, side) for side in ("train", "validation", "test")}
    kept = {side: rows[np.isin(labels[rows], both)] for side, rows in parts.items()}
    return Split(by=split.by, left_out=split.left_out, **kept), missing


def _device_type(folder: str) -> str:
    found = PAIRS.match(folder)
    return found[1] if found else folder
