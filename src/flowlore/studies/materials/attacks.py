"""Which attack a flow is part of, by its packets: the laboratory's, among what its hosts do otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...flows.annotate import annotate
from ...flows.table import Flows
from ...sources.reading import read
from ...tasks.raw import numbers, starts_ns, texts
from ...tasks.splits import Split, split_by_time
from ..material import Gathered, Places, checksum_of
from .captures import READING
from .laboratory import BEHAVIOUR, FEWEST_FLOWS, largest_tap, run_folders
from .networks import asked_run, attacks_of
from .tables import labelled_only, with_column

BENIGN = "benign"
MOST_FLOWS = 60_000
STRETCH_NS = 10 * 10**9
SIDES = ("train", "validation", "test")


def laboratory_attacks(places: Places) -> Gathered:
    """The first flows of the laboratory's `drift`, else of its last run: kinds of attack, and `benign`."""
    folder = asked_run(run_folders(places))
    tap = largest_tap(folder)
    flows = labelled_only(annotate(read(tap, settings=READING).sort(), folder / "labels.csv")[0])
    flows = Flows(flows.to_arrow().slice(0, MOST_FLOWS))
    attacks = attacks_of(folder)
    kinds = np.array([name if name in attacks else BENIGN for name in texts(flows, "label")])
    start = starts_ns(flows)
    lasts = np.nan_to_num(numbers(flows, ("duration_ns",))[:, 0]).astype(np.int64)
    split = split_by_time(start, end_ns=start + lasts, test_share=0.4)
    counts = {name: min((kinds[side] == name).sum() for side in (split.train, split.test)) for name in np.unique(kinds)}
    gone = sorted(name for name, count in counts.items() if count < FEWEST_FLOWS)
    keep = ~np.isin(kinds, gone)
    place = np.cumsum(keep) - 1
    sides = {side: place[rows[keep[rows]]] for side in SIDES for rows in (getattr(split, side),)}
    flows = with_column(with_column(flows, "label", kinds.tolist()), "capture", [folder.name] * len(flows))
    return Gathered(
        title="Laboratory, kinds of attack",
        flows=Flows(flows.to_arrow().filter(pa.array(keep))),
        split=Split(by="time", left_out=split.left_out, **sides),
        groups=_stretches(start, start[split.test].min())[keep],
        split_by="time: the last 40 % of the flows examine",
        proof="every training flow ends before the first test flow",
        features=BEHAVIOUR,
        checksum=checksum_of([tap, folder / "labels.csv"]),
        licence="made with this package",
        notes=(
            f"the first {MOST_FLOWS:,} flows of one tap; {(kinds == BENIGN).mean():.0%} are benign",
            *([f"kinds of fewer than {FEWEST_FLOWS} flows on a side are left out: {', '.join(gone)}"] if gone else []),
            "labels come from the processes that sent the packets",
        ),
    )


def _stretches(start_ns: npt.NDArray[np.int64], asked_from_ns: int) -> npt.NDArray[Any]:
    """Ten seconds are one group, and none is on both sides."""
    sides = np.where(start_ns < asked_from_ns, "before", "after")
    numbers = (start_ns - start_ns.min()) // STRETCH_NS
    return np.char.add(np.char.add(sides, " "), numbers.astype(str))
