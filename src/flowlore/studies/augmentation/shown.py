"""Which flows are shown, and the packet series and numbers that everything here is taught with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...features.augment.mixing import draw_partners
from ...features.augment.packets import PacketSeries
from ...features.augment.policy import Augmenter
from ...features.augment.settings import AugmentSettings
from ...features.augment.statistics import flow_statistics
from ...features.augment.tables import series_of_table
from ...tasks.raw import PACKETS, SIZE_SCALE_BYTES
from ..bench import Bench
from ..material import Material
from ..representations.methods import shown_rows
from ..study import Run

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
HELD_PACKETS = 32  # so that transforms which shift or join packets have some to move in
SEEN_PACKETS = 20  # what networks and trees see
VALIDATION_FLOWS = 2_000


@dataclass(frozen=True, kw_only=True)
class Flows:
    """All flows of a data set as packet series and class numbers, and the rows of each side."""

    series: PacketSeries
    codes: Rows
    classes: int
    shown: Rows
    validation: Rows
    test: Rows
    is_novel: npt.NDArray[np.bool_]  # test flows without a twin among the shown

    def changed(self, rows: Rows, settings: AugmentSettings, rng: np.random.Generator) -> PacketSeries:
        """The flows of these rows, each changed once; what they are mixed with is drawn from the shown."""
        augmenter, partners = Augmenter(settings), None
        if augmenter.needs_partners:
            drawn = draw_partners(self.codes[rows], rng, self.codes[self.shown])
            partners = self.series.take(self.shown[drawn])
        return augmenter.changed(self.series.take(rows), rng, partners)


def flows_for(run: Run, bench: Bench) -> Flows:
    """All arms of a seed are shown the same flows; validation flows are the same for all seeds."""
    material = bench.material(run.data)
    series = bench.at_hand(
        {"series": HELD_PACKETS, "data": run.data},
        lambda: series_of_table(material.flows.to_arrow(), HELD_PACKETS),
    )
    names, codes = np.unique(material.labels, return_inverse=True)
    share = run.values.get("share")
    rng = bench.rng_for("shown", run.data, str(share), seed=run.seed)
    if share is None:
        shown = shown_rows(material.train, material.labels, run.shots or 0, rng)
    else:
        shown = share_of_captures(material, float(share), rng)
    shown = shown[series.lengths[shown] > 0]
    validation = material.validation
    if len(validation) > VALIDATION_FLOWS:
        drawn = bench.rng_for("validation", run.data, seed=0).choice(validation, VALIDATION_FLOWS, replace=False)
        validation = np.sort(drawn)
    return Flows(
        series=series,
        codes=codes.reshape(-1).astype(np.int64),
        classes=len(names),
        shown=shown,
        validation=validation,
        test=material.test,
        is_novel=~np.isin(material.twins[material.test], material.twins[shown]),
    )


def share_of_captures(material: Material, share: float, rng: np.random.Generator) -> Rows:
    """All flows of this share of the training captures of each class, at least of one capture."""
    labels, groups = material.labels[material.train], material.groups[material.train]
    kept = []
    for label in np.unique(labels):
        here = material.train[labels == label]
        captures = rng.permutation(np.unique(groups[labels == label]))
        chosen = captures[: max(1, round(share * len(captures)))]
        kept.append(here[np.isin(groups[labels == label], chosen)])
    return np.sort(np.concatenate(kept))


def numbers_of(series: PacketSeries) -> Numbers:
    """Of the first packets, for trees and 1-NN, laid out as `tasks/raw.py` does: counters, signed sizes, gaps.

    What hidden packets would have told is left out, as a meter would not have written it.
    """
    first = series.seen().cut(SEEN_PACKETS)
    told = np.stack(
        [values for name, values in flow_statistics(first).items() if not name.startswith(("window", "syn"))], 1
    )
    sizes, gaps = np.zeros((len(first), PACKETS)), np.zeros((len(first), PACKETS))
    sizes[:, : first.width] = first.direction * first.size / SIZE_SCALE_BYTES
    gaps[:, : first.width] = np.log1p(first.gap_ns) / 16.0
    return np.hstack([np.sign(told) * np.log1p(np.abs(told)), sizes, gaps])
