"""Why flows were named as they were, as cards: the series of packets with what each was worth, parts, neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .page import card, page, table, tiles
from .words import bytes_words, count_words, duration_words

if TYPE_CHECKING:
    from ..tasks.explanation import Explanation, Part

MOST_PACKETS = 32
WIDTH, LEFT, REACH = 460, 46, 74.0


def explanation_page(explanations: Sequence[Explanation], flows: Any, title: str, lead: str) -> str:
    """A page with a card for each explained flow; `flows` are these flows, in the same order."""
    numbers = [
        (count_words(len(explanations)), "flows explained"),
        (count_words(len({one.label for one in explanations})), "answers"),
        (count_words(sum(one.unknown for one in explanations)), "like nothing known"),
    ]
    body = [explanation_style(), tiles(numbers), '<div class="cards">', _by_class(explanations)]
    return page(title, lead, [*body, *explanation_cards(explanations, flows), how_to_read(), "</div>"])


def explanation_style() -> str:
    return f"<style>{Path(__file__).with_name('explanation.css').read_text(encoding='utf-8')}</style>"


def explanation_cards(explanations: Sequence[Explanation], flows: Any) -> Iterator[str]:
    told = _rows(flows)
    for one, row in zip(explanations, told, strict=True):
        rival = f" · {one.rival} {one.rival_confidence:.0%}" if one.rival else ""
        unknown = " · like nothing known" if one.unknown else ""
        truth = f" · truly {row['label']}" if row["label"] else ""
        body = f'<p class="quiet">{escape(_flow_words(row))}</p>{_series(row, one)}{_worth(one)}{_nearest(one)}'
        yield card(one.label, body, aside=f"{one.confidence:.0%} sure{rival}{unknown}{truth}")


def how_to_read() -> str:
    words = (
        "Each part of a flow was hidden from the bundle in turn. Blue parts spoke for the answer: without them it is "
        "less likely. Orange ones spoke against it. The number is the change in log odds: at 2.3 the odds are ten "
        "times as high with the part as without it. Parts that say the same stand in for each other: then each "
        "alone seems worth little."
    )
    return card("How to read this", f"<p>{escape(words)}</p>", width="wide")


def _by_class(explanations: Sequence[Explanation]) -> str:
    from ..tasks.explanation import MODALITY_WORDS, summary_by_class

    summary = summary_by_class(explanations)
    if not summary:
        return ""
    shown = [words for words in MODALITY_WORDS.values() if any(words in held for held in summary.values())]
    rows = [[label, *(f"{held.get(words, 0.0):+.2f}" for words in shown)] for label, held in summary.items()]
    return card("What answers rest on", table(["answer", *shown], rows), aside="mean log odds", width="wide")


def _worth(one: Explanation) -> str:
    parts = [part for part in one.parts if part.kind != "packet"]
    shown = [*one.of_kind("modality"), *[part for part in parts if part.kind == "channel"][:3]]
    shown += [part for part in parts if part.kind == "quantity"][:3]
    most = max((abs(part.weight) for part in shown), default=0.0) or 1.0
    return f'<div class="worth">{"".join(_bar(part, most) for part in shown)}</div>'


def _bar(part: Part, most: float) -> str:
    side = "for" if part.weight > 0 else "against"
    value = f' <span class="value">{escape(part.value)}</span>' if part.value else ""
    tip = f"{part.what}: the answer's probability changes by {part.change:+.3f}"
    return (
        f"<span>{escape(part.what)}{value}</span><span class='track' title='{escape(tip, quote=True)}'>"
        f"<span class='{side}' style='width:{100 * abs(part.weight) / most:.1f}%'></span></span>"
        f"<span class='number'>{part.weight:+.2f}</span>"
    )


def _series(row: Mapping[str, Any], one: Explanation) -> str:
    """Packets as bars, upwards from who spoke first, coloured by what they were worth."""
    sizes, directions = row["sizes"][:MOST_PACKETS], row["directions"][:MOST_PACKETS]
    if not sizes:
        return ""
    weights = {int(part.what.rpartition(" ")[2]) - 1: part for part in one.of_kind("packet")}
    step = (WIDTH - LEFT - 8) / max(len(sizes), 12)
    most, zero = max(*sizes, 100), REACH + 6
    heaviest = max((abs(part.weight) for part in weights.values()), default=0.0) or 1.0
    marks = []
    for place, (size, direction) in enumerate(zip(sizes, directions, strict=True)):
        part = weights.get(place)
        kind = "idle" if part is None else "for" if part.weight > 0 else "against"
        strength = 1.0 if part is None else 0.25 + 0.75 * abs(part.weight) / heaviest
        tall = max(2.0, REACH * float(np.sqrt(size / most)))
        y = zero - tall if direction >= 0 else zero
        worth = f", worth {part.weight:+.2f}" if part is not None else ""
        who = "asked" if direction >= 0 else "answered"
        marks.append(
            f'<g><title>packet {place + 1}: {who}, {size:,} bytes{worth}</title><rect class="packet-{kind}" '
            f'x="{LEFT + place * step + 1:.1f}" y="{y:.1f}" width="{max(step - 2, 1.5):.1f}" height="{tall:.1f}" '
            f'rx="2" fill-opacity="{strength:.2f}"/></g>'
        )
    axis = f'<line class="axis" x1="{LEFT}" x2="{WIDTH - 8}" y1="{zero}" y2="{zero}"/>'
    words = (
        f'<text x="{LEFT - 6}" y="{zero - 8}" text-anchor="end">asked</text>'
        f'<text x="{LEFT - 6}" y="{zero + 18}" text-anchor="end">reply</text>'
    )
    label = f"the first {len(sizes)} packets, up to {most:,} bytes"
    box = f"0 0 {WIDTH} {2 * REACH + 12:.0f}"
    return f'<svg viewBox="{box}" role="img" aria-label="{label}">{"".join(marks)}{axis}{words}</svg>'


def _nearest(one: Explanation) -> str:
    if not one.neighbours:
        return ""
    said = ", ".join(f"{near.label} ({near.likeness:.2f})" for near in one.neighbours)
    return f'<p class="quiet">nearest labelled flows: {escape(said)}</p>'


def _flow_words(row: Mapping[str, Any]) -> str:
    ends = f"{row['src']} → {row['dst']}"
    name = f" · {row['name']}" if row["name"] else ""
    lasts = f" · {duration_words(row['duration_ns'])}" if row["duration_ns"] is not None else ""
    amounts = " / ".join("?" if row[side] is None else bytes_words(row[side]) for side in ("bytes_fwd", "bytes_rev"))
    return f"{ends}{name}{lasts} · {amounts}"


def _rows(flows: Any) -> list[dict[str, Any]]:
    """What cards tell of each flow, addresses as text."""
    import pyarrow as pa

    from ..flows.text import with_text

    given = pa.Table.from_batches([flows]) if isinstance(flows, pa.RecordBatch) else flows
    shown = with_text(given if isinstance(given, pa.Table) else given.to_arrow())
    wanted = ("duration_ns", "bytes_fwd", "bytes_rev", "label", "server_name", "dns_query")
    ends = ("src_ip", "src_name", "src_port", "dst_ip", "dst_name", "dst_port")
    series = ("packet_bytes", "packet_payload_bytes", "packet_direction")
    names = [name for name in (*wanted, *ends, *series) if name in shown.column_names]
    rows = []
    for held in shown.select(names).to_pylist():
        row = {name: held.get(name) for name in wanted}
        row["name"] = held.get("server_name") or held.get("dns_query") or ""
        for side in ("src", "dst"):
            host = held.get(f"{side}_ip") or held.get(f"{side}_name") or "?"
            host = f"[{host}]" if ":" in host else host
            row[side] = host if held.get(f"{side}_port") is None else f"{host}:{held[f'{side}_port']}"
        row["directions"] = held.get("packet_direction") or []
        row["sizes"] = held.get("packet_bytes") or held.get("packet_payload_bytes") or []
        if len(row["sizes"]) != len(row["directions"]):
            row["sizes"] = row["directions"] = []
        rows.append(row)
    return rows
