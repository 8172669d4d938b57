"""Pictures of studies as inline SVG: curves with intervals, and mean ranks with their critical distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .pictures import WIDTH, _grid_line, _svg, _text

LEFT, RIGHT, TOP, HEIGHT = 60, 20, 14, 220
COLOURS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Values at places of the axis (None is a gap), with their lower and upper ends where they are known."""

    name: str
    values: Sequence[float | None]
    lows: Sequence[float | None] = ()
    highs: Sequence[float | None] = ()


def curves(places: Sequence[str], drawn: Sequence[Curve], what: str) -> str:
    """Curves over places at equal distances, from 0 (or the lowest value) to the highest."""
    held = (value for one in drawn for value in (*one.values, *one.highs, *one.lows))
    known = [value for value in held if value is not None and math.isfinite(value)]
    if not known or not places:
        return '<p class="empty">nothing to show</p>'
    low, high = min(0.0, *known), max(known)
    high = high if high > low else low + 1.0
    step = (WIDTH - LEFT - RIGHT) / max(len(places) - 1, 1)

    def x(place: int) -> float:
        return LEFT + step * place

    def y(value: float) -> float:
        return TOP + HEIGHT * (high - value) / (high - low)

    parts = [
        _grid_line(y(low + (high - low) * share), f"{low + (high - low) * share:.2f}", LEFT, WIDTH - RIGHT)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    parts += [_text(x(number), TOP + HEIGHT + 18, words, "middle") for number, words in enumerate(places)]
    for number, one in enumerate(drawn):
        colour = f"var(--s{number % COLOURS})"
        dash = ' stroke-dasharray="5 3"' if number >= COLOURS else ""
        points = [
            (x(place), y(value)) for place, value in enumerate(one.values) if value is not None and _is_known(value)
        ]
        line = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
        parts.append(f'<polyline points="{line}" fill="none" style="stroke:{colour}" stroke-width="2"{dash}/>')
        for place, value in enumerate(one.values):
            if value is None or not _is_known(value):
                continue
            tip = escape(f"{one.name}, {places[place]}: {value:.3f}")
            parts.append(
                f'<circle cx="{x(place):.1f}" cy="{y(value):.1f}" r="3.5" style="fill:{colour}">'
                f"<title>{tip}</title></circle>"
            )
            ends = [side[place] if place < len(side) else None for side in (one.lows, one.highs)]
            if ends[0] is not None and ends[1] is not None and _is_known(ends[0]) and _is_known(ends[1]):
                parts.append(
                    f'<line x1="{x(place):.1f}" x2="{x(place):.1f}" y1="{y(ends[0]):.1f}" y2="{y(ends[1]):.1f}" '
                    f'style="stroke:{colour}" stroke-width="1"/>'
                )
    legend = "".join(
        f'<li><span class="swatch" style="background:var(--s{number % COLOURS})"></span>{escape(one.name)}</li>'
        for number, one in enumerate(drawn)
    )
    return f'{_svg(TOP + HEIGHT + 26, what, parts)}<ul class="legend">{legend}</ul>'


def rank_picture(
    names: Sequence[str], mean_ranks: Sequence[float], critical_distance: float, cliques: Sequence[tuple[int, int]]
) -> str:
    """A critical-distance picture: rank 1 at the left; a bar joins arms that the test cannot tell apart."""
    count = len(names)
    if count < 2:
        return '<p class="empty">nothing to show</p>'
    axis = 46.0
    left, right = 190.0, WIDTH - 190.0

    def x(rank: float) -> float:
        return left + (right - left) * (rank - 1) / (count - 1)

    parts = [f'<line class="axis" x1="{left:.1f}" x2="{right:.1f}" y1="{axis}" y2="{axis}"/>']
    for mark in range(1, count + 1):
        parts.append(f'<line class="axis" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{axis - 5}" y2="{axis}"/>')
        parts.append(_text(x(mark), axis - 9, str(mark), "middle"))
    reach = x(1 + min(critical_distance, count - 1)) - x(1)
    parts.append(
        f'<line x1="{left:.1f}" x2="{left + reach:.1f}" y1="14" y2="14" style="stroke:var(--s0)" stroke-width="3"/>'
    )
    parts.append(_text(left + reach + 8, 18, f"critical distance {critical_distance:.2f}", "start"))
    for number, (first, last) in enumerate(cliques):
        bar = axis + 10.0 + 7 * number
        parts.append(
            f'<line x1="{x(mean_ranks[first]) - 3:.1f}" x2="{x(mean_ranks[last]) + 3:.1f}" y1="{bar}" y2="{bar}" '
            'style="stroke:var(--s1)" stroke-width="4"/>'
        )
    base = axis + 24.0 + 7 * len(cliques)
    half = math.ceil(count / 2)
    for place, (name, rank) in enumerate(zip(names, mean_ranks, strict=True)):
        is_left = place < half
        down = base + 18.0 * (place if is_left else count - 1 - place)
        end = left - 8 if is_left else right + 8
        words = f"{name} {rank:.2f}" if is_left else f"{rank:.2f} {name}"
        parts.append(f'<path class="axis" d="M{x(rank):.1f} {axis}V{down:.1f}H{end:.1f}" fill="none"/>')
        parts.append(_text(end - 4 if is_left else end + 4, down + 4, words, "end" if is_left else "start"))
    return _svg(base + 18 * half + 6, "mean ranks", parts)


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
