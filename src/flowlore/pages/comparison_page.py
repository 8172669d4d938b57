"""The page that `flowlore compare --html` writes."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from .page import card, cards, page, table, tiles
from .words import bytes_words, count_words, duration_words, short_count_words

if TYPE_CHECKING:
    from ..tasks.comparison import Comparison, Difference, ToldApart

HEADINGS = ("told apart", "95 % interval", "flows")
PICTURES = 12
WIDTH, HEIGHT, BASE = 420, 150, 164
MARKS = 5
NS_PER_UNIT = {"us": 1e3, "s": 1e9}


def comparison_page(comparison: "Comparison", names: tuple[str, str]) -> str:
    """One self-contained HTML page. `names` are what the two sets are called."""
    lead = f"{names[0]} beside {names[1]}: how far the two lie apart, and whether trees can tell them apart"
    return page(f"{names[0]} and {names[1]}", lead, [tiles(_tiles(comparison)), cards(_cards(comparison, names))])


def _tiles(comparison: "Comparison") -> Iterator[tuple[str, str]]:
    yield count_words(comparison.first_flows), "flows of the first"
    yield count_words(comparison.second_flows), "flows of the second"
    yield f"{comparison.apart.auc:.3f}", "told apart (0.5: not at all, 1: always)"
    for which, apart in (("first", comparison.within_first), ("second", comparison.within_second)):
        yield (f"{apart.auc:.3f}" if apart else "-"), f"halves of the {which}, told apart"


def _cards(comparison: "Comparison", names: tuple[str, str]) -> Iterator[str]:
    legend = "".join(
        f'<li><span class="swatch share-{place}"></span>{escape(name)}</li>' for place, name in enumerate(names)
    )
    body = f'<ul class="legend">{legend}</ul>'
    yield card("Where they differ most", body, aside="share of flows below each value", width="wide")
    for one in comparison.differences[:PICTURES]:
        yield card(one.name, _curves(one), aside=f"distance {one.distance:.2f}", width="third")
    if comparison.families:
        kinds = [_group(name, one) for name, one in comparison.families.items()]
        yield card("By numbers of one kind only", table(["kind", *HEADINGS], kinds), width="wide")
    if comparison.groups:
        rows = [_group(*row) for row in sorted(comparison.groups.items(), key=lambda item: item[1].auc)]
        aside = f"most alike first · too few of: {', '.join(comparison.too_few) or 'none'}"
        yield card(f"By {comparison.by}", table([comparison.by, *HEADINGS], rows), aside=aside, width="wide")
    rows_of_numbers = [
        [
            one.name,
            f"{one.distance:.3f}",
            f"{one.shift:.2f}",
            _value(one.first[50], one.unit),
            _value(one.second[50], one.unit),
            f"{100 * one.known_first:.0f} %",
            f"{100 * one.known_second:.0f} %",
        ]
        for one in comparison.differences
    ]
    headings = ["number", "distance", "shift", "median 1", "median 2", "known 1", "known 2"]
    yield card("Every number", table(headings, rows_of_numbers), width="wide")
    for which, only in (("first", comparison.only_first), ("second", comparison.only_second)):
        if only:
            yield card(f"Known in the {which} only, not compared", f"<p>{escape(', '.join(only))}</p>", width="wide")


def _group(name: str, apart: "ToldApart") -> list[str]:
    flows = f"{count_words(apart.first_flows)} and {count_words(apart.second_flows)}"
    return [name, f"{apart.auc:.3f}", f"{apart.low:.3f} to {apart.high:.3f}", flows]


def _curves(difference: "Difference") -> str:
    """Share of flows below each value, on an axis of log(1 + value), one line for each set."""
    lines = [np.log1p(np.maximum(np.asarray(values), 0.0)) for values in (difference.first, difference.second)]
    low, high = float(min(line[0] for line in lines)), float(max(line[-1] for line in lines))
    reach = (high - low) or 1.0
    left, right = 34, WIDTH - 8
    shares = np.linspace(0, 1, len(lines[0]))
    parts = [
        f'<line class="grid" x1="{left}" x2="{right}" y1="{BASE - HEIGHT * part:.1f}" y2="{BASE - HEIGHT * part:.1f}"/>'
        f'<text x="{left - 6}" y="{BASE - HEIGHT * part + 4:.1f}" text-anchor="end">{100 * part:.0f} %</text>'
        for part in (0.5, 1.0)
    ]
    for place, line in enumerate(lines):
        xs = left + (right - left) * (line - low) / reach
        parts.append(
            f'<path fill="none" stroke="var(--s{place})" stroke-width="2" d="{_path(xs, BASE - HEIGHT * shares)}"/>'
        )
    for mark in np.linspace(low, high, MARKS):
        x = left + (right - left) * (mark - low) / reach
        words = escape(_value(float(np.expm1(mark)), difference.unit))
        anchor = "start" if mark == low else "end" if mark == high else "middle"
        parts.append(f'<text x="{x:.1f}" y="{BASE + 18}" text-anchor="{anchor}">{words}</text>')
    parts.append(f'<line class="axis" x1="{left}" x2="{right}" y1="{BASE}" y2="{BASE}"/>')
    label = escape(f"{difference.name}: share of flows below each value")
    return f'<svg viewBox="0 0 {WIDTH} {BASE + 26}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _path(xs: Sequence[float] | np.ndarray, ys: Sequence[float] | np.ndarray) -> str:
    points = [f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True)]
    return "M" + "L".join(points)


def _value(value: float, unit: str) -> str:
    if unit == "bytes":
        return bytes_words(value)
    if unit in NS_PER_UNIT:
        return duration_words(value * NS_PER_UNIT[unit])
    return short_count_words(value)
