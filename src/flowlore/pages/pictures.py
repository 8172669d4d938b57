"""Pictures as inline SVG: no script, no network, colours from the page's style so that light and dark both work.

A picture is drawn 960 units wide and scales with its card. Every mark has a `<title>`, which browsers show as a tip.
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape

import numpy as np
import numpy.typing as npt

from .timeline import Timeline
from .words import NS_PER_S, bytes_words, count_words, duration_words, short_count_words, time_words

WIDTH = 960
LEFT = 74
RIGHT = 10
PLOT = WIDTH - LEFT - RIGHT


def traffic_over_time(timeline: Timeline) -> str:
    """Bytes per second upwards (from initiators) and downwards (to initiators), and flows begun below."""
    seconds = timeline.width_ns / NS_PER_S
    forward, reverse = timeline.bytes_fwd / seconds, timeline.bytes_rev / seconds
    bins = len(forward)
    edges = LEFT + PLOT * np.arange(bins + 1) / bins
    top_rate, bottom_rate = _round_up(float(forward.max())), _round_up(float(reverse.max()))
    height = 210.0
    whole = (top_rate + bottom_rate) or 1.0
    up = max(24.0, min(height - 24.0, height * top_rate / whole))
    zero = 14 + up
    parts = [_rate_axis(zero, up, top_rate, -1), _rate_axis(zero, height - up, bottom_rate, 1)]
    parts.append(f'<path class="forward" d="{_steps(edges, zero - up * forward / (top_rate or 1), zero)}"/>')
    parts.append(
        f'<path class="reverse" d="{_steps(edges, zero + (height - up) * reverse / (bottom_rate or 1), zero)}"/>'
    )
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{zero:.1f}" y2="{zero:.1f}"/>')
    flows_top, flows_height = 14 + height + 18, 46.0
    most_flows = float(timeline.flows.max()) or 1.0
    flows_base = flows_top + flows_height
    levels = flows_base - flows_height * timeline.flows / most_flows
    parts.append(f'<path class="flows" d="{_steps(edges, levels, flows_base)}"/>')
    parts.append(_text(LEFT - 8, flows_top + 10, short_count_words(most_flows), "end"))
    parts.append(_text(LEFT - 8, flows_base, "flows", "end"))
    parts.append(_time_axis(timeline, flows_base))
    parts += [_tip(timeline, edges, place, 14, flows_base) for place in range(bins)]
    return _svg(flows_base + 26, "traffic over time", parts)


def columns(edges: Sequence[float], counts: Sequence[int], label: Callable[[float], str], what: str) -> str:
    """A histogram for a narrow card: each column has equal width, edges are labelled where there is room."""
    if not counts:
        return '<p class="empty">nothing to show</p>'
    left, right, height, base = 46, 420, 170.0, 184.0
    most = max(counts) or 1
    step = (right - left) / len(counts)
    parts = [_grid_line(base - height * part, short_count_words(most * part), left, right) for part in (0.5, 1.0)]
    for place, count in enumerate(counts):
        tall = height * count / most
        tip = f"{label(edges[place])} to {label(edges[place + 1])}: {count_words(count)} {what}"
        x = left + place * step
        parts.append(
            f'<g><title>{escape(tip)}</title><rect class="hit" x="{x:.1f}" y="{base - height:.1f}" width="{step:.1f}" '
            f'height="{height:.1f}"/><rect class="column" x="{x + 1:.1f}" y="{base - tall:.1f}" '
            f'width="{max(step - 2, 1):.1f}" height="{tall:.1f}" rx="2"/></g>'
        )
    every = max(1, math.ceil(len(edges) / 6))
    for place in range(0, len(edges), every):
        parts.append(_text(left + place * step, base + 18, label(edges[place]), "middle"))
    parts.append(f'<line class="axis" x1="{left}" x2="{right}" y1="{base}" y2="{base}"/>')
    return _svg(base + 26, what, parts, width=right + 20)


def shares(parts: Sequence[tuple[str, float, str]]) -> str:
    """One bar divided by share, with a legend: (name, amount, amount in words) largest first; at most eight colours."""
    total = sum(amount for _, amount, _ in parts)
    if not total:
        return '<p class="empty">nothing to show</p>'
    x = 0.0
    bar, legend = [], []
    for place, (name, amount, words) in enumerate(parts):
        wide = WIDTH * amount / total
        colour = f"share-{min(place, 7)}"
        tip = f"{name}: {words} ({100 * amount / total:.1f} %)"
        bar.append(
            f'<rect class="{colour}" x="{x:.2f}" y="0" width="{max(wide - 1.5, 0.5):.2f}" height="30">'
            f"<title>{escape(tip)}</title></rect>"
        )
        legend.append(
            f'<li><span class="swatch {colour}"></span>{escape(name)} <span class="quiet">{escape(words)} · '
            f"{100 * amount / total:.1f} %</span></li>"
        )
        x += wide
    svg = _svg(30, "shares", bar, class_="shares", stretch=True)
    return f'{svg}<ul class="legend">{"".join(legend)}</ul>'


def _svg(
    height: float,
    label: str,
    parts: Sequence[str],
    class_: str = "",
    *,
    stretch: bool = False,
    width: float = WIDTH,
) -> str:
    aspect = ' preserveAspectRatio="none"' if stretch else ""
    return (
        f'<svg class="{class_}" viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(label)}"{aspect}>'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _grid_line(y: float, words: str, left: float = LEFT, right: float = WIDTH - RIGHT) -> str:
    line = f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _text(left - 8, y + 4, words, "end")


def _rate_axis(zero: float, reach: float, most: float, direction: int) -> str:
    if not most:
        return ""
    fractions = (0.5, 1.0) if reach > 60 else (1.0,)
    return "".join(
        _grid_line(zero + direction * reach * fraction, f"{bytes_words(most * fraction)}/s") for fraction in fractions
    )


def _steps(edges: npt.NDArray[np.float64], levels: npt.NDArray[np.float64], base: float) -> str:
    """A closed outline that stays level within each bin. Runs of equal levels are one line."""
    commands = [f"M{edges[0]:.1f} {base:.1f}V{levels[0]:.1f}"]
    for place in range(1, len(levels)):
        if abs(levels[place] - levels[place - 1]) >= 0.05:
            commands.append(f"H{edges[place]:.1f}V{levels[place]:.1f}")
    commands.append(f"H{edges[-1]:.1f}V{base:.1f}Z")
    return "".join(commands)


def _tip(timeline: Timeline, edges: npt.NDArray[np.float64], place: int, top: float, bottom: float) -> str:
    forward, reverse, flows = (float(row[place]) for row in (timeline.bytes_fwd, timeline.bytes_rev, timeline.flows))
    if not (forward or reverse or flows):
        return ""
    begin = timeline.start_ns + place * timeline.width_ns
    words = (
        f"{time_words(begin)}, {duration_words(timeline.width_ns)}: {bytes_words(forward)} out, "
        f"{bytes_words(reverse)} back, {count_words(round(flows))} flows begun"
    )
    return (
        f'<rect class="hit" x="{edges[place]:.1f}" y="{top}" width="{edges[place + 1] - edges[place]:.2f}" '
        f'height="{bottom - top:.0f}"><title>{escape(words)}</title></rect>'
    )


def _time_axis(timeline: Timeline, base: float) -> str:
    end_ns = timeline.start_ns + len(timeline.flows) * timeline.width_ns
    span_ns = end_ns - timeline.start_ns
    step_ns = _time_step_ns(span_ns)
    parts = [f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base:.1f}" y2="{base:.1f}"/>']
    moment_ns = -(-timeline.start_ns // step_ns) * step_ns
    while moment_ns <= end_ns:
        x = LEFT + PLOT * (moment_ns - timeline.start_ns) / span_ns
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{base:.1f}" y2="{base + 4:.1f}"/>')
        if x < WIDTH - 40:
            parts.append(_text(x, base + 18, _moment(moment_ns, step_ns), "middle"))
        moment_ns += step_ns
    return "".join(parts)


def _time_step_ns(span_ns: int) -> int:
    ms = 1_000_000
    steps_s = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
    days = (2, 7, 14, 30, 90, 365, 1825, 3650, 9125, 36_500)
    steps = [*(ms * size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500)), *(size * NS_PER_S for size in steps_s)]
    steps += [size * 86_400 * NS_PER_S for size in days]
    return next((step for step in steps if span_ns / step <= 8), steps[-1])


def _moment(time_ns: int, step_ns: int) -> str:
    try:
        moment = datetime.fromtimestamp(time_ns // NS_PER_S, UTC)
    except (OverflowError, ValueError, OSError):
        return str(time_ns)
    if step_ns >= 86_400 * NS_PER_S:
        return f"{moment:%Y-%m-%d}"
    if step_ns >= 3600 * NS_PER_S and moment.hour == 0:
        return f"{moment:%d %b}"
    if step_ns >= 60 * NS_PER_S:
        return f"{moment:%H:%M}"
    if step_ns >= NS_PER_S:
        return f"{moment:%H:%M:%S}"
    return f"{moment:%S}.{time_ns % NS_PER_S // 1_000_000:03d}"


def _round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((factor * power for factor in (1, 1.5, 2, 3, 4, 5, 6, 8) if value <= factor * power), 10 * power)
