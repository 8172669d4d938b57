"""The page that `flowlore graph` writes: a picture of hosts and their flows to move in, in one file with its script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from .host_graph import BINS, HostGraph
from .page import card, cards, page, table, tiles
from .words import bytes_words, count_words, duration_words, time_words

LABELLED_HOSTS = 16  # the largest hosts keep their names in a crowd
ROWS = 25


def graph_page(graph: HostGraph, title: str, *, said: Mapping[str, str] | None = None) -> str:
    """One self-contained page. `said` is a line about hosts by name, whose dots are marked."""
    middle = graph.hosts[0]
    lead = (
        f"around {middle.name}: {len(graph.hosts):,} of {graph.hosts_in_all:,} hosts, "
        f"{graph.flows:,} of {graph.flows_in_all:,} flows · {time_words(graph.first_ns)} to {time_words(graph.last_ns)}"
    )
    numbers = [
        (count_words(middle.partners), "partners of the host in the middle"),
        (count_words(middle.flows), "of its flows are drawn"),
        (bytes_words(middle.bytes), "in them"),
        (duration_words(graph.last_ns - graph.first_ns), "from first to last flow"),
    ]
    return page(
        title, lead, [tiles(numbers), cards([_stage(graph, said or {}), _details(), _hosts(graph, said or {})])]
    )


def _stage(graph: HostGraph, said: Mapping[str, str]) -> str:
    folder = Path(__file__).parent
    data = json.dumps(_data(graph, said), ensure_ascii=False, separators=(",", ":"))
    safe = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")  # no name may end the script
    body = (
        f"<style>{(folder / 'graph.css').read_text(encoding='utf-8')}</style>"
        '<div class="stage"><svg id="picture" viewBox="0 0 1000 640" role="img" aria-label="hosts and their flows">'
        '</svg><div class="tip" id="tip"></div></div>'
        '<svg id="bars" viewBox="0 0 1000 46" preserveAspectRatio="none" role="img" aria-label="flows over time"></svg>'
        '<div class="controls"><button id="play">play</button>'
        f'<input type="range" id="time" min="0" max="{BINS - 1}" value="0" aria-label="time">'
        '<label>span <input type="range" id="span" min="1" '
        f'max="{BINS}" value="{BINS}" aria-label="span of time"></label>'
        '<button id="whole">whole</button><span id="moment" class="quiet"></span></div>'
        '<noscript><p class="empty">The picture needs a browser with scripts; the tables below do not.</p></noscript>'
        f'<script type="application/json" id="graph-data">{safe}</script>'
    )
    aside = "scroll to zoom, drag to move, click a host for its flows"
    return card("Hosts and their flows", body, aside=aside, width="wide")


def _details() -> str:
    script = (Path(__file__).parent / "graph.js").read_text(encoding="utf-8")
    return f'<section class="card wide" id="details"></section><script>{script}</script>'


def _hosts(graph: HostGraph, said: Mapping[str, str]) -> str:
    rows = [
        [
            host.name,
            count_words(host.hops),
            count_words(host.flows),
            bytes_words(host.bytes),
            count_words(host.partners),
            said.get(host.name) or ", ".join(f"{name} ({count:,})" for name, count in list(host.labels.items())[:3]),
        ]
        for host in sorted(graph.hosts, key=lambda host: (host.hops, -host.flows))[:ROWS]
    ]
    headings = ["host", "hops away", "flows", "bytes", "partners", "what is said of it"]
    return card("Hosts", table(headings, rows), aside=f"{len(graph.hosts):,} drawn", width="wide")


def _data(graph: HostGraph, said: Mapping[str, str]) -> dict[str, Any]:
    span = max(1, graph.last_ns - graph.first_ns)
    sizes = sorted((host.flows for host in graph.hosts), reverse=True)
    return {
        "bins": BINS,
        "moments": [_clock(graph.first_ns + span * place // BINS) for place in range(BINS + 1)],
        "label_from": sizes[min(len(sizes), LABELLED_HOSTS) - 1],
        "hosts": [
            {
                "name": host.name,
                "hops": host.hops,
                "flows": host.flows,
                "bytes": host.bytes,
                "partners": host.partners,
                "others": host.others,
                "labels": list(host.labels.items()),
                "x": round(host.x, 4),
                "y": round(host.y, 4),
                "said": said.get(host.name, ""),
                "marked": host.name in said,
            }
            for host in graph.hosts
        ],
        "exchanges": [
            {
                "source": one.source,
                "target": one.target,
                "flows": one.flows,
                "bytes": one.bytes,
                "packets": one.packets,
                "answered": one.answered,
                "services": list(one.services),
                "labels": list(one.labels.items()),
                "over_time": one.over_time,
            }
            for one in graph.exchanges
        ],
    }


def _clock(time_ns: int) -> str:
    """The moment without its fraction of a second."""
    return escape(time_words(time_ns).partition(".")[0])
