"""Captures of our own laboratory, whose labels come from processes: folders of `flowlore lab run`, and the demo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from ...errors import InputError
from ...features.settings import FeatureSettings
from ...flows.annotate import annotate
from ...flows.table import Flows
from ...sources.reading import read
from ...tasks.raw import numbers, starts_ns, texts
from ...tasks.splits import Split, split_by_group, split_by_time
from ..material import Gathered, Places, checksum_of
from .captures import PAYLOAD_BYTES, READING
from .tables import labelled_only, with_column

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo"
BEHAVIOUR = FeatureSettings(use_names=False, payload_bytes=PAYLOAD_BYTES)
RUNS_TO_SPLIT_BY = 3
FEWEST_FLOWS = 5  # of a class, else it is left out


def laboratory(places: Places) -> Gathered:
    """Every run of the laboratory below the data folder (`run.json` beside `capture/` and `labels.csv`) or named."""
    folders = run_folders(places)
    if not folders:
        raise InputError(
            f"studies: no run of the laboratory is below `{places.data}`",
            hint="`flowlore lab run SCENARIO -o FOLDER`, then `--lab FOLDER`",
        )
    parts, used = [], []
    for folder in folders:
        tap = largest_tap(folder)
        flows = labelled_only(annotate(read(tap, settings=READING), folder / "labels.csv")[0])
        parts.append(with_column(flows, "capture", [folder.name] * len(flows)).to_arrow())
        used += [tap, folder / "labels.csv"]
    return _gathered(
        Flows(pa.concat_tables(parts)),
        f"Laboratory, {len(folders)} runs" if len(folders) > 1 else "Laboratory, one run",
        used,
        runs=len(folders),
    )


def office(places: Places) -> Gathered:
    """The capture that ships with the package: a small office for 39 seconds. For trying things, not for claims."""
    capture, labels = DEMO / "office.pcapng", DEMO / "labels.csv"
    flows = labelled_only(annotate(read(capture, settings=READING), labels)[0])
    return _gathered(flows, "The packaged office capture", [capture, labels], runs=1)


def largest_tap(folder: Path) -> Path:
    """The capture of a run that holds most."""
    return max(sorted((folder / "capture").iterdir()), key=lambda path: path.stat().st_size)


def run_folders(places: Places) -> list[Path]:
    """Runs of the laboratory below the data folder, or named."""
    found = {path.parent for folder in places.laboratories for path in _runs_below(folder)}
    if places.data.is_dir():
        found |= {path.parent for folder in sorted(places.data.glob("lab*")) for path in _runs_below(folder)}
    return sorted(folder for folder in found if (folder / "labels.csv").is_file() and (folder / "capture").is_dir())


def _gathered(flows: Flows, title: str, used: list[Path], *, runs: int) -> Gathered:
    names, counts = np.unique(texts(flows, "label").astype(str), return_counts=True)
    small = names[counts < FEWEST_FLOWS]
    keep = ~np.isin(texts(flows, "label").astype(str), small)
    flows = Flows(flows.to_arrow().filter(pa.array(keep)))
    split, by, proof = _split(flows, runs)
    notes = [f"classes with fewer than {FEWEST_FLOWS} flows are left out: {', '.join(small)}"] if len(small) else []
    return Gathered(
        title=title,
        flows=flows,
        split=split,
        groups=texts(flows, "capture"),
        split_by=by,
        proof=proof,
        features=BEHAVIOUR,
        checksum=checksum_of(used),
        licence="made with this package",
        notes=(*notes, "labels come from the processes that sent the packets"),
    )


def _split(flows: Flows, runs: int) -> tuple[Split, str, str]:
    start = starts_ns(flows)
    if runs >= RUNS_TO_SPLIT_BY:
        split = split_by_group(
            texts(flows, "capture"), by="run", start_ns=start, test_share=1 / runs, validation_share=0.0
        )
        return split, "run: the last run examines", f"none of {runs} runs is on two sides"
    lasts = np.nan_to_num(numbers(flows, ("duration_ns",))[:, 0]).astype(np.int64)
    split = split_by_time(start, end_ns=start + lasts, test_share=0.4, validation_share=0.1)
    return split, "time: the last 40 % of the flows examine", "every training flow ends before the first test flow"


def _runs_below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"studies: `{folder}` is no folder of a laboratory run", hint="the OUT of `flowlore lab run`")
    return [folder / "run.json"] if (folder / "run.json").is_file() else sorted(folder.glob("*/run.json"))
