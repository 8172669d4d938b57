"""The gallery that `flowlore augment --gallery` writes: one flow, and what every transform makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import TaskError
from ..features.augment import AUGMENTATIONS
from ..features.augment.packets import PacketSeries, Times
from ..features.augment.statistics import flow_statistics
from ..features.augment.tables import series_of_table
from .page import card, cards, page, tiles
from .words import bytes_words, count_words, duration_words

if TYPE_CHECKING:
    from ..features.augment.transform import Transform

MOST_PACKETS = 32
SHORTEST_GOOD = 12
FAMILIES = {
    "amplitude": "other sizes and gaps",
    "masking": "packets that are not shown",
    "sequence": "other packets, another order",
    "retransmission": "loss, and what the sender does about it",
    "path": "another path between the two hosts",
    "mixing": "another flow of the same class mixed in",
}
WIDE, HIGH, BEFORE, AFTER, REACH = 420.0, 158.0, 40.0, 116.0, 32.0
NAMED = ((12, "before"), (88, "after"))
NS_PER_MS = 1e6


def augment_page(flows: Any, rng: np.random.Generator, *, magnitude: float = 0.5) -> str:
    """One self-contained HTML page with a picture of every transform, over one of these flows."""
    table = flows.to_arrow()
    row, partner = _example(table)
    series = series_of_table(table.take([row]), MOST_PACKETS)
    theirs = series_of_table(table.take([partner]), MOST_PACKETS)
    body = [tiles(_numbers(series, magnitude))]
    transforms = [AUGMENTATIONS.load(name) for name in AUGMENTATIONS.names()]
    for family in dict.fromkeys([*FAMILIES, *(one.family for one in transforms)]):
        members = [one for one in transforms if one.family == family]
        if members:
            body.append(f"<h2>{escape(family.capitalize())}: {escape(FAMILIES.get(family, ''))}</h2>")
            body.append(cards(_card(one, series, theirs, rng, magnitude) for one in members))
    lead = (
        "The same flow before (grey) and after each transform. Up is who spoke first, down the answers; height grows "
        "with the root of the size, distance with the logarithm of the gap. Hollow packets are hidden from the model."
    )
    return page("Augmentations", lead, body)


def _numbers(series: PacketSeries, magnitude: float) -> Iterator[tuple[str, str]]:
    found = flow_statistics(series)
    yield count_words(int(series.lengths[0])), "packets shown of the flow"
    yield bytes_words(float(found["bytes_fwd"][0] + found["bytes_rev"][0])), "in them"
    yield duration_words(float(found["duration_ns"][0])), "from first to last"
    yield f"{magnitude:g}", "magnitude"


def _example(table: Any) -> tuple[int, int]:
    """A flow whose first packets are many and varied, and another of its label, or any other."""
    series = series_of_table(table, MOST_PACKETS)
    lengths = series.lengths
    if not (lengths > 0).any():
        raise TaskError(
            "augment: none of these flows has a packet series, so there is nothing to draw",
            hint="meter captures (`flowlore flows capture.pcap -o flows.parquet`); exports and logs hold totals only",
        )
    both = (series.direction > 0).any(axis=1) & (series.direction < 0).any(axis=1)
    varied = np.array([len(set(sizes[sizes > 0].tolist())) for sizes in np.where(series.payload > 0, series.size, 0)])
    value = varied + 100 * (both & (lengths >= SHORTEST_GOOD)) - np.abs(lengths - 16) / 2
    row = int(np.where(lengths > 0, value, -np.inf).argmax())
    labels = table.column("label").to_pylist() if "label" in table.column_names else [None] * len(lengths)
    alike = np.array([label == labels[row] and label is not None for label in labels]) & (lengths > 1)
    alike[row] = False
    others = alike if alike.any() else (lengths > 1) & (np.arange(len(lengths)) != row)
    return row, int(np.where(others, value, -np.inf).argmax()) if others.any() else row


def _card(
    transform: Transform,
    series: PacketSeries,
    theirs: PacketSeries,
    rng: np.random.Generator,
    magnitude: float,
) -> str:
    strength = transform.checked(min(max(magnitude, transform.lowest), transform.highest))
    changed = transform(series, rng, strength, theirs)
    title = (transform.__doc__ or "").strip().partition("\n")[0]
    words = f"<p class='quiet'>{escape(title)} At {transform.highest:g}: {escape(transform.meaning)}.</p>"
    return card(transform.name, _picture(series, changed) + words, width="third")


def _picture(before: PacketSeries, after: PacketSeries) -> str:
    """Both series over one scale of gaps."""
    most = max(int(before.size.max()), int(after.size.max()), 1)
    places = [_places(before), _places(after)]
    far = max(float(places[0].max()), float(places[1].max()), 1.0)
    parts = []
    for series, at, base, is_after in ((before, places[0], BEFORE, False), (after, places[1], AFTER, True)):
        parts.append(f'<line class="axis" x1="0" x2="{WIDE:.0f}" y1="{base}" y2="{base}"/>')
        for place in range(int(series.lengths[0])):
            x = 6 + (WIDE - 14) * float(at[0, place]) / far
            parts.append(_packet(series, place, x, base, most, is_after))
    parts += [f'<text x="{WIDE}" y="{y}" text-anchor="end">{name}</text>' for y, name in NAMED]
    label = "packets before and after"
    return f'<svg viewBox="0 0 {WIDE:.0f} {HIGH:.0f}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _packet(series: PacketSeries, place: int, x: float, base: float, most: int, is_after: bool) -> str:
    direction, size = int(series.direction[0, place]), int(series.size[0, place])
    tall = max(REACH * (size / most) ** 0.5, 1.5)
    y = base - tall if direction > 0 else base
    kind = "flows" if not is_after else "forward" if direction > 0 else "reverse"
    is_hidden = bool(series.hidden[0, place])
    drawn = f'class="hollow {kind}"' if is_hidden else f'class="{kind}"'
    gap = duration_words(float(series.gap_ns[0, place]))
    side = "first speaker" if direction > 0 else "answer"
    tip = f"packet {place + 1}, {side}: {size:,} bytes after {gap}" + (", hidden" if is_hidden else "")
    box = f'x="{x:.1f}" y="{y:.1f}" width="4" height="{tall:.1f}" rx="1"'
    return f"<rect {drawn} {box}><title>{escape(tip)}</title></rect>"


def _places(series: PacketSeries) -> Times:
    """How far along each packet stands: a step each, and one more for every factor of ten of its gap over 0.1 ms."""
    steps = 1.0 + np.log10(1.0 + 10.0 * series.gap_ns / NS_PER_MS)
    steps[:, :1] = 0.0
    return np.asarray(np.cumsum(np.where(series.is_packet, steps, 0.0), axis=1))
