"""Transforms that mix each flow with another of its class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import numpy.typing as npt

from ...errors import TaskError
from .packets import PacketSeries, drawn_window, with_gaps, with_payload
from .transform import Transform

HALFWAY = 0.5  # to the other flow, at most


def cutmix(series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries) -> PacketSeries:
    """Takes packets in a row from another flow of the class, at the same places."""
    first, last = drawn_window(series, rng, magnitude)
    places = np.arange(series.width)
    taken = (places >= first) & (places < last) & partners.is_packet
    mixed = {
        item.name: np.where(taken, getattr(partners, item.name), getattr(series, item.name)) for item in fields(series)
    }
    return PacketSeries(**mixed)


def average(series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries) -> PacketSeries:
    """Draws sizes and gaps towards those of another flow of the class, where packets go the same way."""
    weight = HALFWAY * magnitude * rng.random((len(series), 1))
    alike = series.direction == partners.direction
    sizes = np.where(alike, (1.0 - weight) * series.payload + weight * partners.payload, series.payload)
    gaps = np.where(alike, (1.0 - weight) * series.gap_ns + weight * partners.gap_ns, series.gap_ns)
    return with_gaps(with_payload(series, sizes), gaps)


def draw_partners(
    codes: npt.NDArray[np.int64],
    rng: np.random.Generator,
    pool: npt.NDArray[np.int64] | None = None,
    *,
    names: tuple[str, ...] = (),
) -> npt.NDArray[np.int64]:
    """For each flow the row of a flow of the same class in `pool` (class numbers; the flows themselves if not given).

    Among the flows themselves it is another one. Classes without any other flow are an error that names them all.
    """
    among_themselves = pool is None
    held = codes if pool is None else pool
    order = np.argsort(held, kind="stable")
    sorted_codes = held[order]
    begin, end = np.searchsorted(sorted_codes, codes), np.searchsorted(sorted_codes, codes, side="right")
    others = end - begin - among_themselves
    if len(codes) and others.min() < 1:
        alone = np.unique(codes[others < 1]).tolist()
        called = list(dict.fromkeys(names[one] if one < len(names) else f"number {one}" for one in alone))
        few = "one flow" if among_themselves else "no other flow"
        raise TaskError(
            f"augment: there is {few} of {', '.join(f'`{name}`' for name in called)}, but mixing takes two of a class",
            hint=f"leave them out (`{where_without(called)}`), or choose transforms other than `average` and `cutmix`",
        )
    drawn = begin + np.floor(rng.random(len(codes)) * others).astype(np.int64)
    if among_themselves:
        own = np.empty(len(codes), np.int64)
        own[order] = np.arange(len(codes))
        drawn += drawn >= own
    return order[drawn].astype(np.int64, copy=False)


def where_without(labels: Sequence[str]) -> str:
    """The option of the command line that leaves these classes out, and keeps flows without a label."""
    quoted = ", ".join("'" + label.replace("'", "''") + "'" for label in labels)
    return f'--where "label is null or label not in ({quoted})"'


CUTMIX = Transform(
    "cutmix",
    cutmix,
    family="mixing",
    needs_partners=True,
    meaning="all packets behind the first are the other flow's",
)
AVERAGE = Transform(
    "average",
    average,
    family="mixing",
    fewest_packets=1,
    needs_partners=True,
    meaning="sizes and gaps up to halfway to the other flow's",
)
