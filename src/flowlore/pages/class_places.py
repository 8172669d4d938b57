"""Flows of a few classes on a plane: what is shown, what was made of it, and what is asked, each with a mark."""

from __future__ import annotations

from collections.abc import Sequence

from .pictures import WIDTH, _svg

COLOURS = 8
SIDE = 1000
MARGIN = 12.0


def class_places(places: Sequence[Sequence[int]], codes: Sequence[int], kinds: Sequence[int], what: str) -> str:
    """`places` run from 0 to 1000; a kind is 0 for a disc, 1 for a ring, 2 for a dot."""
    if not places:
        return '<p class="empty">nothing to show</p>'
    scale = (WIDTH / 2 - 2 * MARGIN) / SIDE
    tallest = max(down for _, down in places)
    parts = []
    for kind in (2, 1, 0):  # what is shown lies above what is asked
        for (across, down), code, one in zip(places, codes, kinds, strict=True):
            if one != kind:
                continue
            x, y = MARGIN + scale * across, MARGIN + scale * down
            colour = f"var(--s{code % COLOURS})"
            style = (f"fill:{colour}", f"fill:none;stroke:{colour}", f"fill:{colour};opacity:0.45")[kind]
            radius = (4, 3.5, 1.8)[kind]
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" style="{style}"/>')
    return _svg(2 * MARGIN + scale * tallest, what, parts, width=WIDTH / 2)
