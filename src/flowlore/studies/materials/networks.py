"""Networks as a whole, for what looks at neighbours: every flow stays, labelled or not, and labels say what attacks.

A label is `attack/KIND`, or what ordinary traffic is. The flows that teach are over before the first that is asked, or
they are of other captures. Unlabelled flows are on the side of their time or capture.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...errors import InputError
from ...features.extract import extract
from ...features.settings import FeatureSettings
from ...flows.annotate import annotate
from ...flows.table import Flows
from ...sources.datasets.loading import load_dataset
from ...sources.datasets.settings import DatasetSettings
from ...sources.reading import read
from ...tasks.classify.episodes import labelled
from ...tasks.raw import numbers, starts_ns, texts
from ...tasks.splits import Split, prove_disjoint, split_by_capture, split_by_time
from ..material import Gathered, Places, checksum_of
from .captures import all_verdicts, devices_of, loaded_captures
from .laboratory import largest_tap, run_folders
from .tables import with_column

NEIGHBOURS = FeatureSettings(graph=True, series=False, entities=False)
ATTACK = "attack/"
ORDINARY = ("benign", "normal", "background", "unknown")
TEACHING, ASKED = "teaching", "asked"
ASKED_SCENARIO = "drift"
MOST_FLOWS_OF_A_RUN = 40_000
FEWEST_FLOWS, FEWEST_CAPTURES = 20, 5
MIRAI_SIDE = ("34-1", "4-1")
NOBODY: npt.NDArray[np.int64] = np.zeros(0, np.int64)


def unsw_nb15(places: Places) -> Gathered:
    """UNSW-NB15: seven minutes; the first half of the flows teaches."""
    return by_time(
        *_table("unsw-nb15", places),
        title="UNSW-NB15, attacks",
        notes=("four attackers, whose addresses join flows and are seen by nobody", "times are whole seconds"),
    )


def exposed_hosts(places: Places) -> Gathered:
    """Hosts on the open Internet: two days and a benign working day; the first half of the flows teaches."""
    return by_time(
        *_table("exposed-hosts", places),
        title="Exposed hosts, attacks",
        notes=("`inbound without an answer` solves most of it",),
    )


def iot_23(places: Places) -> Gathered:
    """IoT-23: a camera with Mirai and a honeypot teach; a lock with Torii and another honeypot are asked."""
    flows, used, licence = _table("iot-23", places)
    captures = texts(flows, "capture").astype(str)
    is_taught = np.isin([name.rpartition("Capture-")[2] for name in captures], MIRAI_SIDE)
    split = Split(by="capture", train=np.flatnonzero(is_taught), validation=NOBODY, test=np.flatnonzero(~is_taught))
    prove_disjoint(captures, split, what="capture")
    return Gathered(
        title="IoT-23, bots of another family",
        flows=flows,
        split=split,
        groups=captures,
        split_by="capture: Mirai (34-1) and a honeypot (4-1) teach, Torii (20-1) and a honeypot (5-1) are asked",
        proof="no capture, and no family of bots, is on two sides",
        features=NEIGHBOURS,
        checksum=checksum_of(used),
        licence=licence,
        notes=(
            _shape(flows, split),
            "two families, and 16 malicious flows of the second: a demonstration, no evidence",
        ),
        is_network=True,
    )


def laboratory_network(places: Places) -> Gathered:
    """The laboratory's `drift`, else its last run: the first half of the flows teaches."""
    folder = asked_run(run_folders(places))
    flows = _laboratory_flows(folder)
    return by_time(
        flows,
        [records_of(folder), folder / "labels.csv"],
        "made with this package",
        title="Laboratory, one network",
        notes=(
            f"the first {MOST_FLOWS_OF_A_RUN:,} flows at most, as an exporter told them",
            "labels come from the processes that sent the packets",
        ),
    )


def laboratory_elsewhere(places: Places) -> Gathered:
    """All other runs of the laboratory: nothing is asked of them; they teach without labels."""
    folders = run_folders(places)
    asked = asked_run(folders)
    others = [folder for folder in folders if folder != asked]
    if not others:
        raise InputError(
            "studies: one run of the laboratory is not enough to learn in one network and ask in another",
            hint="`flowlore lab run office -o FOLDER`, then `--lab FOLDER` beside the other",
        )
    tables = [_laboratory_flows(folder).to_arrow() for folder in others]
    flows = Flows(pa.concat_tables(tables, promote_options="default"))
    taught = np.flatnonzero(labelled(texts(flows, "label")))
    return Gathered(
        title=f"Laboratory, {len(others)} other networks" if len(others) > 1 else "Laboratory, another network",
        flows=flows,
        split=Split(by="run", train=taught, validation=NOBODY, test=NOBODY),
        groups=texts(flows, "capture").astype(str),
        split_by="nothing: all of it teaches, without labels",
        proof="its networks are not those of any set that is asked",
        features=NEIGHBOURS,
        checksum=checksum_of([path for folder in others for path in (records_of(folder), folder / "labels.csv")]),
        licence="made with this package",
        notes=(
            _shape(flows, Split(by="run", train=taught, validation=NOBODY, test=NOBODY)),
            f"of each run the first {MOST_FLOWS_OF_A_RUN:,} flows, as its exporter told them",
        ),
        is_network=True,
    )


def iot_sentinel_network(places: Places) -> Gathered:
    """IoT Sentinel: which type a device is, among all flows of its captures."""
    loaded = loaded_captures("iot-sentinel", places)
    flows = read(list(loaded.paths))
    captures = np.array(["/".join(Path(name).parts[-2:]) for name in texts(flows, "capture")])
    folders = np.array([name.partition("/")[0] for name in captures])
    macs = {side: texts(flows, f"{side}_mac") for side in ("src", "dst")}
    device = devices_of(captures, folders, macs["src"])
    own = np.array([device.get(folder, "") for folder in folders])
    labels = np.array([_without_number(folder) for folder in folders], dtype=object)
    labels[(macs["src"] != own) & (macs["dst"] != own)] = None
    return by_capture(
        flows, captures, labels, list(loaded.paths), loaded.dataset.licence, title="IoT Sentinel, devices among others"
    )


def ndpi_network(places: Places) -> Gathered:
    """nDPI's test captures: protocols by nDPI's verdict, among all flows of the captures."""
    loaded = loaded_captures("ndpi", places)
    flows = annotate(read(list(loaded.paths)), pa.Table.from_pylist(all_verdicts(loaded)), how="five-tuple")[0]
    captures = np.array([Path(name).name for name in texts(flows, "capture")])
    labels = texts(flows, "label")
    labels[labels == "Unknown"] = None
    return by_capture(
        flows, captures, labels, list(loaded.paths), loaded.dataset.licence, title="nDPI's test captures among others"
    )


def kinds_of_attack(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`attack/…` for all that is not ordinary; None stays None.

    >>> kinds_of_attack(np.array(["Benign", "malicious/c&c", None], dtype=object)).tolist()
    ['benign', 'attack/malicious/c&c', None]
    """
    found = np.empty(len(labels), dtype=object)
    for place, label in enumerate(labels):
        word = None if label is None else str(label).lower()
        is_ordinary = word is not None and word.partition("/")[0] in ORDINARY
        found[place] = word if word is None or is_ordinary else ATTACK + word
    return found


def _table(name: str, places: Places) -> tuple[Flows, list[Path], str]:
    loaded = load_dataset(name, Path(places.data), DatasetSettings(verify=False))
    flows = Flows.from_batches(list(loaded.open().batches())).sort()
    return (
        with_column(flows, "label", kinds_of_attack(texts(flows, "label"))),
        list(loaded.paths),
        loaded.dataset.licence,
    )


def by_time(flows: Flows, used: Sequence[Path], licence: str, *, title: str, notes: tuple[str, ...] = ()) -> Gathered:
    start = starts_ns(flows)
    lasts = np.nan_to_num(numbers(flows, ("duration_ns",))[:, 0]).astype(np.int64)
    split = split_by_time(start, end_ns=start + lasts, test_share=0.5)
    groups = np.where(start + lasts < start[split.test].min(), TEACHING, ASKED)
    split = _of(split, labelled(texts(flows, "label")))
    return Gathered(
        title=title,
        flows=flows,
        split=split,
        groups=groups,
        split_by="time: the first half of the flows teaches",
        proof="every training flow ends before the first test flow",
        features=NEIGHBOURS,
        checksum=checksum_of(list(used)),
        licence=licence,
        notes=(_shape(flows, split), *notes),
        is_network=True,
    )


def by_capture(
    flows: Flows, captures: npt.NDArray[Any], labels: npt.NDArray[Any], used: list[Path], licence: str, *, title: str
) -> Gathered:
    """Classes of few captures or flows lose their labels, their flows stay as neighbours."""
    words = np.array(["" if label is None else str(label) for label in labels])
    for name in np.unique(words[words != ""]):
        here = words == name
        if here.sum() < FEWEST_FLOWS or len(np.unique(captures[here])) < FEWEST_CAPTURES:
            words[here] = ""
    is_named = words != ""
    places = np.flatnonzero(is_named)
    split = split_by_capture(captures[is_named], starts_ns(flows)[is_named], classes=words[is_named], test_share=0.4)
    sides = {side: places[getattr(split, side)] for side in ("train", "validation", "test")}
    both = np.intersect1d(words[sides["train"]], words[sides["test"]])
    sides = {side: rows[np.isin(words[rows], both)] for side, rows in sides.items()}
    made = Split(by="capture", **sides)
    prove_disjoint(captures, made, what="capture")
    named = with_column(with_column(flows, "capture", captures), "label", [word or None for word in words])
    return Gathered(
        title=title,
        flows=named,
        split=made,
        groups=captures,
        split_by="capture: for each class the last 40 % of the captures are asked",
        proof=f"none of {len(np.unique(captures)):,} captures is on two sides",
        features=NEIGHBOURS,
        checksum=checksum_of(used),
        licence=licence,
        notes=(
            _shape(named, made),
            f"{int((~is_named).sum()):,} flows without a label are neighbours only",
        ),
        is_network=True,
    )


def _shape(flows: Flows, split: Split) -> str:
    """How many hosts there are, how much one of them has a part in, and how much is attack."""
    ends = extract(flows, FeatureSettings(graph=True, quantities=False, series=False, entities=False)).channels[
        "graph.ends"
    ]
    keys, codes, counts = np.unique(ends[(ends != 0).all(axis=1)], return_inverse=True, return_counts=True)
    hub = float((codes.reshape(-1, 2) == counts.argmax()).any(axis=1).mean())
    is_attack = np.char.startswith(texts(flows, "label").astype(str), ATTACK)
    sides = (("what teaches", split.train), ("what is asked", split.test))
    shares = [f"{is_attack[rows].mean():.1%} of {side}" for side, rows in sides if len(rows)]
    attacks = f"; attacks are {' and '.join(shares)}" if is_attack.any() else ""
    return f"{len(flows):,} flows of {len(keys):,} hosts, of which one has a part in {hub:.0%} of all{attacks}"


def _of(split: Split, wanted: npt.NDArray[np.bool_]) -> Split:
    parts = {side: getattr(split, side) for side in ("train", "validation", "test")}
    return Split(by=split.by, left_out=split.left_out, **{side: rows[wanted[rows]] for side, rows in parts.items()})


def asked_run(folders: Sequence[Path]) -> Path:
    if not folders:
        raise InputError(
            "studies: no run of the laboratory was named, and none is below the data folder",
            hint="`flowlore lab run drift -o FOLDER`, then `--lab FOLDER`",
        )
    scenarios = {folder: json.loads((folder / "run.json").read_text())["scenario"]["name"] for folder in folders}
    named = [folder for folder, name in scenarios.items() if name == ASKED_SCENARIO]
    return (named or list(folders))[-1]


def records_of(folder: Path) -> Path:
    """What the run's exporters told (the largest file of them), or its largest capture where nothing was exported."""
    exported = sorted((folder / "exports").glob("*")) if (folder / "exports").is_dir() else []
    return max(exported, key=lambda path: path.stat().st_size) if exported else largest_tap(folder)


def _laboratory_flows(folder: Path) -> Flows:
    """The first flows of a run; what an episode of attack did is `attack/APPLICATION`."""
    flows = annotate(read(records_of(folder)), folder / "labels.csv")[0].sort()
    flows = Flows(flows.to_arrow().slice(0, MOST_FLOWS_OF_A_RUN))
    attacks = attacks_of(folder)
    labels = [ATTACK + name if name in attacks else name for name in texts(flows, "label")]
    return with_column(with_column(flows, "label", labels), "capture", [folder.name] * len(flows))


def attacks_of(folder: Path) -> set[str]:
    """What the episodes of a run were."""
    told = folder / "episodes.jsonl"
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    return {json.loads(line)["application"] for line in lines if line.strip()}


def _without_number(folder: str) -> str:
    """`WeMoSwitch2` is another capture folder of `WeMoSwitch`."""
    from .captures import PAIRS

    found = PAIRS.match(folder)
    return found[1] if found else folder
