"""Pictures of answers: what was taken for what, and how far confidence can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from .words import count_words

MOST_CLASSES = 40
LETTERS = 16  # of a class's name that a picture shows


def confusion_picture(classes: Sequence[str], counts: npt.NDArray[np.int64]) -> str:
    """A square for each pair; the darker, the larger the share of the row's flows. The diagonal is right."""
    if not len(classes):
        return '<p class="empty">nothing was asked</p>'
    if len(classes) > MOST_CLASSES:  # the most frequent ones, in their order
        kept = np.sort(np.argsort(-(counts.sum(axis=0) + counts.sum(axis=1)), kind="stable")[:MOST_CLASSES])
        classes, counts = [classes[place] for place in kept], counts[np.ix_(kept, kept)]
    side = min(44.0, 520.0 / len(classes))
    left, top = 132.0, 12.0
    whole = side * len(classes)
    totals = np.maximum(counts.sum(axis=1), 1)
    parts = [f'<rect class="ground" x="{left}" y="{top}" width="{whole:.1f}" height="{whole:.1f}"/>']
    for true, name in enumerate(classes):
        y = top + true * side
        parts.append(f'<text x="{left - 8}" y="{y + side / 2 + 4:.1f}" text-anchor="end">{escape(_short(name))}</text>')
        for given in np.flatnonzero(counts[true]).tolist():
            share = float(counts[true, given] / totals[true])
            kind = "right" if given == true else "wrong"
            tip = f"{name} called {classes[given]}: {count_words(int(counts[true, given]))} ({share:.0%} of {name})"
            x = left + given * side
            parts.append(
                f'<g><title>{escape(tip)}</title><rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{side - 1:.1f}" '
                f'height="{side - 1:.1f}" fill-opacity="{0.12 + 0.88 * share:.2f}"/>'
                + (_count(x, y, side, int(counts[true, given]), share) if side >= 22 else "")
                + "</g>"
            )
    for place, name in enumerate(classes):
        x, y = left + place * side + side / 2 + 4, top + whole + 8
        parts.append(
            f'<text transform="translate({x:.1f} {y:.1f}) rotate(-55)" text-anchor="end">{escape(_short(name))}</text>'
        )
    style = (
        "<style>.ground { fill: var(--back); } .right { fill: var(--forward); } .wrong { fill: var(--s6); } "
        ".on { fill: #fff !important; }</style>"
    )
    return style + _svg(left + whole + 20, top + whole + 96, "what was taken for what", parts)


def confidences(bins: Sequence[tuple[float, float, int]]) -> str:
    """Share right over mean confidence, a disc for each bin, its area by flows; on the line confidence is true."""
    if not bins:
        return '<p class="empty">nothing was asked</p>'
    left, top, wide, tall = 56.0, 12.0, 380.0, 240.0
    parts = []
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        y, x = top + tall * (1 - part), left + wide * part
        parts.append(f'<line class="grid" x1="{left}" x2="{left + wide}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{part:.0%}</text>')
        parts.append(f'<text x="{x:.1f}" y="{top + tall + 20}" text-anchor="middle">{part:.0%}</text>')
    parts.append(
        f'<line class="axis" x1="{left}" y1="{top + tall}" x2="{left + wide}" y2="{top}" stroke-dasharray="4 4"/>'
    )
    most = max(count for _, _, count in bins)
    for sure, right, count in bins:
        radius = 4 + 14 * float(np.sqrt(count / most))
        tip = f"{count_words(count)} flows at {sure:.0%} confidence: {right:.0%} right"
        parts.append(
            f'<g><title>{escape(tip)}</title><circle class="forward" fill-opacity=".75" cx="{left + wide * sure:.1f}" '
            f'cy="{top + tall * (1 - right):.1f}" r="{radius:.1f}"/></g>'
        )
    parts.append(f'<text x="{left + wide / 2}" y="{top + tall + 40}" text-anchor="middle">confidence</text>')
    parts.append(f'<text transform="translate(14 {top + tall / 2}) rotate(-90)" text-anchor="middle">right</text>')
    return _svg(left + wide + 24, top + tall + 48, "share right by confidence", parts)


def _count(x: float, y: float, side: float, count: int, share: float) -> str:
    on = ' class="on"' if share > 0.55 else ""
    return f'<text{on} x="{x + side / 2 - 0.5:.1f}" y="{y + side / 2 + 4:.1f}" text-anchor="middle">{count}</text>'


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def _svg(width: float, height: float, label: str, parts: Sequence[Any]) -> str:
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
