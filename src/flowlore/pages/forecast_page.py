"""The page that `flowlore forecast --html` writes: each series as it was, and as it will probably be, with bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from .page import card, cards, page, table, tiles
from .words import count_words, duration_words, short_count_words, time_words

WIDTH, HEIGHT, LEFT, TOP = 960, 220, 74, 10
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - 10, 180
SHOWN_STEPS = 400  # of the past
BANDS = ((0, -1, 0.12), (1, -2, 0.16), (3, -4, 0.22))  # 90 %, 80 % and 40 % of a rising row of eleven quantiles
Values = npt.NDArray[np.float64]


def forecast_page(
    title: str,
    names: Sequence[str],
    history: Values,
    ends_ns: int,
    step_ns: int,
    horizons: Sequence[int],
    quantiles: Values,
    *,
    method: str,
    over_capacity: Values,
    flags: Mapping[str, tuple[str, ...]],
) -> str:
    """One page without script: `history` [series, steps] ends at `ends_ns`, `quantiles` [series, horizons, 11]."""
    lead = f"{count_words(len(names))} series, {method}, from {time_words(ends_ns)}"
    ahead = duration_words(max(horizons) * step_ns)
    parts = [tiles([(count_words(len(names)), "series"), (ahead, "ahead"), (duration_words(step_ns), "a step")])]
    drawn = []
    for place, name in enumerate(names):
        aside = " · ".join(flags.get(name, ()))
        body = _picture(history[place, -SHOWN_STEPS:], np.asarray(horizons), quantiles[place], step_ns)
        drawn.append(
            card(
                name,
                body + _numbers(horizons, quantiles[place], over_capacity[place], step_ns),
                aside=aside,
                width="wide",
            )
        )
    return page(title, lead, [*parts, cards(drawn)])


def _picture(past: Values, horizons: npt.NDArray[np.int64], quantiles: Values, step_ns: int) -> str:
    """The past as a line with gaps, the future as a median within three bands."""
    most = float(max(np.nanmax(past, initial=0.0), quantiles.max())) or 1.0
    ahead = max(int(horizons[-1]), 1)
    shown = past[-min(len(past), max(4 * ahead, 96)) :]
    total = len(shown) + ahead

    def x(step: float) -> float:
        return LEFT + PLOT_WIDTH * step / total

    def y(value: float) -> float:
        return TOP + PLOT_HEIGHT * (1 - value / most)

    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(most * part):.1f}" y2="{y(most * part):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y(most * part) + 4:.1f}" text-anchor="end">{short_count_words(most * part)}</text>'
        for part in (0.0, 0.5, 1.0)
    ]
    at = [x(len(shown) - 1 + int(horizon)) for horizon in horizons]
    for low, high, opacity in BANDS:
        upper = " ".join(f"{one:.1f},{y(value):.1f}" for one, value in zip(at, quantiles[:, high], strict=True))
        lower = " ".join(
            f"{one:.1f},{y(value):.1f}" for one, value in zip(reversed(at), quantiles[::-1, low], strict=True)
        )
        parts.append(f'<polygon points="{upper} {lower}" style="fill:var(--reverse);opacity:{opacity}"/>')
    parts.append(_line([(x(step), y(value)) for step, value in enumerate(shown)], "--forward"))
    middle = quantiles.shape[1] // 2
    parts.append(_line([(one, y(value)) for one, value in zip(at, quantiles[:, middle], strict=True)], "--reverse"))
    now = x(len(shown) - 1)
    parts.append(f'<line class="axis" x1="{now:.1f}" x2="{now:.1f}" y1="{TOP}" y2="{TOP + PLOT_HEIGHT}"/>')
    parts.append(f'<text x="{now:.1f}" y="{HEIGHT - 12}" text-anchor="middle">now</text>')
    far = duration_words(ahead * step_ns)
    parts.append(f'<text x="{WIDTH - 10}" y="{HEIGHT - 12}" text-anchor="end">+ {escape(far)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="forecast">{"".join(parts)}</svg>'


def _line(points: Sequence[tuple[float, float]], colour: str) -> str:
    """A line that is broken where a value is not known."""
    commands, drawing = [], False
    for across, up in points:
        if np.isnan(up):
            drawing = False
            continue
        commands.append(f"{'L' if drawing else 'M'}{across:.1f} {up:.1f}")
        drawing = True
    return f'<path d="{"".join(commands)}" style="fill:none;stroke:var({colour});stroke-width:1.6"/>'


def _numbers(horizons: Sequence[int], quantiles: Values, over: Values, step_ns: int) -> str:
    middle = quantiles.shape[1] // 2
    has_capacity = bool(np.isfinite(over).any())
    rows = [
        [
            f"in {duration_words(horizon * step_ns)}",
            *(short_count_words(float(quantiles[place, column])) for column in (1, middle, -2)),
            *([f"{100 * over[place]:.1f} %"] if has_capacity else []),
        ]
        for place, horizon in enumerate(horizons)
    ]
    headings = ["", "10 %", "median", "90 %", *(["over capacity"] if has_capacity else [])]
    return f"<details><summary>numbers</summary>{table(headings, rows)}</details>"
