"""The page that `flowlore map` writes: one file, which needs no network, and no script for its picture."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .page import card, cards, page, table, tiles
from .scatter import NONE_COLOUR, OTHERS, OTHERS_COLOUR, PALETTE, data_address, scatter_png, shown_codes
from .words import NS_PER_S, count_words

if TYPE_CHECKING:
    import pyarrow as pa

    from ..tasks.flow_map import Colouring, FlowMap

NUMBERS = ("packets_fwd", "packets_rev", "bytes_fwd", "bytes_rev", "src_port", "dst_port", "protocol")
MOST_CLUSTERS = 16
LIST_NOTE = "None yet: click a flow, draw around some, or search."
HELP = (
    "Drag to move, wheel or pinch to zoom, shift and drag to draw around flows, click for a list of what is there. "
    "Keys: arrows, + and -, 0 for all, Enter for the flows in view, Escape to clear."
)


def map_page(flow_map: FlowMap, title: str) -> str:
    """The whole page."""
    lead = f"{flow_map.rule}, as bundle {flow_map.bundle} sees them"
    return page(
        title,
        lead,
        [
            map_style(),
            tiles(_numbers(flow_map)),
            cards([*map_cards(flow_map), *map_notes(flow_map)]),
            map_script(flow_map),
        ],
    )


def map_cards(flow_map: FlowMap) -> Iterator[str]:
    """The map and the flows chosen on it, for pages that hold more. They need `map_style`, and `map_script` behind."""
    aside = "close together is alike; directions and empty room mean nothing"
    yield card("Map", _map(flow_map), aside=aside, width="wide")
    yield card("Chosen flows", _chosen(), width="wide")


def map_notes(flow_map: FlowMap) -> Iterator[str]:
    """What stands below a map: its clusters, and how it was made."""
    if flow_map.clusters:
        yield card("Clusters, and what tells each from the rest", _clusters(flow_map), width="wide")
    yield card("How this map was made", _how(flow_map), width="wide")


def map_style() -> str:
    return f"<style>{Path(__file__).with_name('map.css').read_text(encoding='utf-8')}</style>"


def map_script(flow_map: FlowMap) -> str:
    """The flows as data, and the script that draws them. Nothing in the data can end its element."""
    held = json.dumps(_data(flow_map), ensure_ascii=False, separators=(",", ":"))
    held = held.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    scripts = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("map_parts.js", "map.js"))
    return f'<script type="application/json" id="map-data">{held}</script>' + "".join(
        f"<script>{script}</script>" for script in scripts
    )


def _numbers(flow_map: FlowMap) -> Iterator[tuple[str, str]]:
    yield count_words(flow_map.seen), "flows"
    yield count_words(len(flow_map)), "on the map"
    if flow_map.blank:
        yield count_words(flow_map.blank), "with nothing to look at"
    yield f"{flow_map.faith.trustworthiness:.3f}", "trustworthiness of the map"
    if flow_map.clusters:
        yield count_words(len(flow_map.clusters)), "clusters"


def _map(flow_map: FlowMap) -> str:
    first = flow_map.colourings[0]
    codes = shown_codes(first.codes)
    picture = data_address(scatter_png(flow_map.places, codes))
    words = f"{count_words(len(flow_map))} flows as points, coloured by {first.name}"
    return (
        '<div class="map"><div class="bar needs-script">'
        '<label>colour by <select id="map-colour"></select></label>'
        '<label>search <input type="search" id="map-search" placeholder="name, address, :port, class, id"></label>'
        '<label><input type="checkbox" id="map-names" checked> names on the map</label>'
        '<span class="end"><button type="button" id="map-lasso" aria-pressed="false">draw around</button>'
        '<button type="button" id="map-closer" aria-label="zoom in">+</button>'
        '<button type="button" id="map-farther" aria-label="zoom out">&minus;</button>'
        '<button type="button" id="map-all">all</button>'
        '<button type="button" id="map-clear">clear</button></span></div>'
        f'<figure id="map-figure"><img src="{picture}" alt="{escape(words)}">'
        f'<canvas id="map-canvas" tabindex="0" role="img" aria-label="{escape(words)}" aria-describedby="map-help">'
        '</canvas><div id="map-tip" hidden></div></figure>'
        '<div><span class="needs-script"><button type="button" id="map-every">all</button> '
        '<button type="button" id="map-no">none</button></span>'
        f'<ul class="classes" id="map-legend">{_legend(first)}</ul></div>'
        f'<p class="hint needs-script" id="map-help">{HELP}</p>'
        f'<p class="hint unscripted">Coloured by {escape(first.name)}. With scripts allowed it can be looked into.</p>'
        '<p class="said" id="map-said" aria-live="polite"></p></div>'
    )


def _legend(colouring: Colouring) -> str:
    counts = colouring.counts()
    rows = [(name, PALETTE[place], counts[place]) for place, name in enumerate(colouring.names[:OTHERS])]
    if len(colouring.names) > OTHERS:
        rows.append((f"{len(colouring.names) - OTHERS} others", OTHERS_COLOUR, sum(counts[OTHERS:])))
    if (colouring.codes < 0).any():
        rows.append(("no value", NONE_COLOUR, int((colouring.codes < 0).sum())))
    return "".join(
        f'<li><span class="class"><span class="swatch" style="background:{colour}"></span><span class="what">'
        f'{escape(name)}</span> <span class="quiet">{count_words(count)}</span></span></li>'
        for name, colour, count in rows
        if count
    )


def _chosen() -> str:
    return (
        f'<p class="needs-script"><span id="map-listed">{LIST_NOTE}</span> '
        '<button type="button" class="save" id="map-save" hidden>save as CSV</button></p>'
        '<p class="unscripted empty">Choosing flows needs scripts.</p>'
        '<div class="listed needs-script" id="map-table" tabindex="0" hidden><table><thead id="map-headings"></thead>'
        '<tbody id="map-rows"></tbody></table></div>'
    )


def _clusters(flow_map: FlowMap) -> str:
    rows = [
        [
            f"{one.number + 1}: " + ("; ".join(trait.words for trait in one.traits) or "nothing tells it apart"),
            count_words(one.flows),
        ]
        for one in flow_map.clusters[:MOST_CLUSTERS]
    ]
    left = flow_map.clusters[MOST_CLUSTERS:]
    if left:
        rows.append([f"and {len(left)} smaller ones", count_words(sum(one.flows for one in left))])
    return table(["cluster", "flows"], rows)


def _how(flow_map: FlowMap) -> str:
    faith, simple = flow_map.faith, flow_map.faith_of_components
    said = [
        f"Shown: {flow_map.rule}.",
        f"The bundle saw: {flow_map.shortcuts}."
        + (f" These flows have none of {', '.join(flow_map.masked)}, so it was masked." if flow_map.masked else ""),
        "Each flow's vector is tied to its 15 nearest by cosine; ties pull, everything else pushes (as UMAP does), "
        f"from the two main components on, with seed {flow_map.seed}. Flows with equal vectors lie around one place.",
        f"Trustworthiness {faith.trustworthiness:.3f}, continuity {faith.continuity:.3f} over {faith.neighbours} "
        f"neighbours, measured on {faith.rows:,} distinct vectors: 1 is perfect, 0.5 is chance. The two main "
        f"components alone have {simple.trustworthiness:.3f} and {simple.continuity:.3f}.",
        "A map bends what has more than two dimensions: to be sure that two flows are alike, ask `flowlore similar`.",
    ]
    return "".join(f"<p>{escape(words)}</p>" for words in said)


def _data(flow_map: FlowMap) -> dict[str, Any]:
    flows = flow_map.flows
    columns: dict[str, dict[str, str]] = {
        "x": _packed(flow_map.places[:, 0], "f4"),
        "y": _packed(flow_map.places[:, 1], "f4"),
        "start_ms": _packed(_whole(flows, "start") / 1e6, "f8"),
        "duration_s": _packed(_whole(flows, "duration_ns") / NS_PER_S, "f4"),
        "flow_id": _packed(_ids(flows), "u1"),
    }
    for name in NUMBERS:
        columns[name] = _packed(_whole(flows, name), "f4")
    if flow_map.confidence is not None:
        columns["confidence"] = _packed(flow_map.confidence, "f4")
    texts: dict[str, list[str]] = {}
    for name, values in _texts(flow_map).items():
        names, codes = np.unique(
            np.array(["" if value is None else str(value) for value in values]), return_inverse=True
        )
        if names.tolist() != [""]:
            texts[name] = names.tolist()
            columns[name] = _packed(codes, "u2" if len(names) <= 1 << 16 else "u4")
    return {
        "count": len(flow_map),
        "palette": PALETTE,
        "others": OTHERS_COLOUR,
        "none": NONE_COLOUR,
        "columns": columns,
        "texts": texts,
        "colourings": [
            {
                "name": one.name,
                "names": list(one.names[:OTHERS]),
                "others": max(0, len(one.names) - OTHERS),
                "codes": _packed(shown_codes(one.codes), "u1"),
            }
            for one in flow_map.colourings
        ],
    }


def _texts(flow_map: FlowMap) -> dict[str, npt.NDArray[Any]]:
    from ..flows.text import with_text
    from ..tasks.flow_map import application_words
    from ..tasks.raw import texts

    shown = with_text(flow_map.flows.select([name for name in flow_map.flows.column_names if name != "flow_id"]))
    found = {name: texts(shown, name) for name in ("label", "capture")}
    for side in ("src", "dst"):
        found[side] = _first(texts(shown, f"{side}_ip"), texts(shown, f"{side}_name"))
    found["server"] = _first(texts(shown, "server_name"), texts(shown, "dns_query"))
    found["application"] = application_words(flow_map.flows)
    predicted = next((one for one in flow_map.colourings if one.name == "predicted"), None)
    if predicted is not None:
        found["predicted"] = np.array([*predicted.names, ""], dtype=object)[predicted.codes]
    return found


def _first(values: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.array([other if one is None else one for one, other in zip(values, others, strict=True)], dtype=object)


def _whole(flows: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """A column as numbers, NaN where null or absent."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if name not in flows.column_names:
        return np.full(flows.num_rows, np.nan)
    column = flows.column(name)
    if pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.int64())
    numbers: npt.NDArray[np.float64] = pc.cast(column, pa.float64(), safe=False).to_numpy()
    return numbers


def _ids(flows: pa.Table) -> npt.NDArray[np.uint8]:
    from ..tasks.predictor import flow_id_bytes

    return flow_id_bytes(flows)


def _packed(values: npt.NDArray[Any], kind: str) -> dict[str, str]:
    """Numbers as little-endian bytes in base64."""
    kept = np.ascontiguousarray(values).astype(f"<{kind}")
    return {"kind": kind, "data": base64.b64encode(kept.tobytes()).decode()}
