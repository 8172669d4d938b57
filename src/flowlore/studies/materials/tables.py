"""Data sets that come as tables of flows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...features.settings import FeatureSettings
from ...flows.table import Flows
from ...sources.datasets.loading import LoadedDataset, load_dataset
from ...sources.datasets.settings import DatasetSettings
from ...tasks.raw import starts_ns, texts
from ...tasks.splits import Split, prove_order, split_by_capture
from ..material import Gathered, Places, checksum_of

NS_PER_MINUTE = 60 * 10**9
NS_PER_DAY = 1440 * NS_PER_MINUTE
LUFLOW_TEST_FROM = np.datetime64("2020-12-01", "ns").astype(np.int64)
NO_IDENTITY = FeatureSettings(use_addresses=False, use_ports=False, use_names=False)


def fgnet(places: Places) -> Gathered:
    """FG-Net: 53 Android apps, packet series of payload sizes and totals, split by capture in order of time."""
    loaded = _loaded("fgnet", places)
    flows = _read(loaded)
    labels = texts(flows, "label")
    captures = np.array([f"{app}/{capture}" for app, capture in zip(labels, texts(flows, "capture"), strict=True)])
    split = split_by_capture(captures, starts_ns(flows), classes=labels, test_share=0.2, validation_share=0.1)
    return Gathered(
        title="FG-Net, 53 Android apps",
        flows=flows,
        split=split,
        groups=captures,
        split_by="capture, for each app in order of time: 70 % teach, 10 % stop the training, the last 20 % examine",
        proof=f"none of {len(np.unique(captures)):,} captures is on two sides",
        features=NO_IDENTITY,
        checksum=checksum_of(loaded.paths),
        licence=loaded.dataset.licence,
        notes=("sizes are of payloads, without retransmissions", "each capture is of one app, played by a script"),
    )


def fgnet_days(places: Places) -> Gathered:
    """FG-Net once more: captures of the first day teach, all later days examine."""
    gathered = fgnet(places)
    start, captures = starts_ns(gathered.flows), gathered.groups
    firsts = {
        one: at for one, at in zip(captures[::-1].tolist(), start[::-1].tolist(), strict=True)
    }  # rows are in order
    day = np.array([firsts[one] for one in captures.tolist()]) // NS_PER_DAY
    on_first = np.flatnonzero(day == day.min())
    first = split_by_capture(
        captures[on_first], start[on_first], classes=texts(gathered.flows, "label")[on_first], test_share=0.1
    )
    return replace(
        gathered,
        title="FG-Net, taught by its first day",
        split=Split(
            by="capture",
            train=on_first[first.train],
            validation=on_first[first.test],
            test=np.flatnonzero(day > day.min()),
        ),
        split_by="day: captures of the first day teach (each app's last 10 % stop the training), later days examine",
    )


def luflow(places: Places) -> Gathered:
    """LUFlow: benign, malicious, outlier; counters only. July teaches and December examines."""
    loaded = _loaded("luflow", places)
    flows = _read(loaded)
    start = starts_ns(flows)
    before = np.flatnonzero(start < LUFLOW_TEST_FROM)
    before = before[np.argsort(start[before], kind="stable")]
    cut = start[before[int(0.85 * len(before))]]
    split = Split(
        by="time",
        train=before[start[before] < cut],
        validation=before[start[before] >= cut],
        test=np.flatnonzero(start >= LUFLOW_TEST_FROM),
    )
    prove_order(start[split.train], start[np.concatenate([split.validation, split.test])])
    days = (start // NS_PER_DAY).astype("datetime64[D]").astype(str)
    return Gathered(
        title="LUFlow, honeypot and campus",
        flows=flows,
        split=split,
        groups=days,
        split_by="time: two days of July teach, two days of December examine",
        proof="every training flow begins before the first test flow",
        features=NO_IDENTITY,
        checksum=checksum_of(loaded.paths),
        licence=loaded.dataset.licence,
        notes=("no addresses, no ports: both are the label here", "outliers are kept: three classes"),
    )


def cic_ids2017(places: Places) -> Gathered:
    """CIC-IDS2017 with corrected labels; identity and clock off. Whole minutes teach or examine."""
    loaded = _loaded("cic-ids2017", places)
    flows = _read(loaded)
    labels = texts(flows, "label")
    minutes = np.array(
        [f"{one}/{minute}" for one, minute in zip(labels, starts_ns(flows) // NS_PER_MINUTE, strict=True)]
    )
    split = split_by_capture(minutes, starts_ns(flows), classes=labels, test_share=0.3, validation_share=0.1)
    return Gathered(
        title="CIC-IDS2017, attacks and benign",
        flows=flows,
        split=split,
        groups=minutes,
        split_by="minute: for each class the first minutes teach, the last 30 % examine",
        proof=f"none of {len(np.unique(minutes)):,} minutes of a class is on two sides",
        features=NO_IDENTITY,
        checksum=checksum_of(loaded.paths),
        licence=loaded.dataset.licence,
        notes=("one attacker, each attack in its own hour: no address, port or clock is shown",),
    )


def with_column(flows: Flows, name: str, values: Any) -> Flows:
    """The same flows with a text column replaced or added."""
    table = flows.to_arrow()
    column = pa.array(list(values), pa.string())
    place = table.schema.get_field_index(name)
    return Flows(table.append_column(name, column) if place < 0 else table.set_column(place, name, column))


def labelled_only(flows: Flows) -> Flows:
    """Flows that have a label."""
    return Flows(flows.to_arrow().filter(pc.is_valid(flows.to_arrow().column("label"))))


def _loaded(name: str, places: Places) -> LoadedDataset:
    return load_dataset(name, Path(places.data), DatasetSettings(verify=False))


def _read(loaded: LoadedDataset) -> Flows:
    return labelled_only(Flows.from_batches(loaded.open().batches()).sort())
