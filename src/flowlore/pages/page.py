"""The frame of every page: one file with its style inside, which needs no network, and no script to be read."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

from .. import __version__

# A browser that keeps to this asks nobody for anything, whatever names in the page may try.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(title: str, lead: str, body: Iterable[str]) -> str:
    """A whole page. `title` and `lead` are text, `body` is HTML."""
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="generator" content="flowlore {__version__}">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>"
        f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{"".join(body)}'
        f"<footer>flowlore {__version__}</footer></main></body></html>\n"
    )


def tiles(values: Iterable[tuple[str, str]]) -> str:
    """The row of large numbers: (number, what it counts), both text."""
    cells = (f"<div class='tile'><b>{escape(number)}</b><span>{escape(what)}</span></div>" for number, what in values)
    return f'<div class="tiles">{"".join(cells)}</div>'


def cards(parts: Iterable[str]) -> str:
    return f'<div class="cards">{"".join(parts)}</div>'


def card(title: str, body: str, *, aside: str = "", width: str = "half") -> str:
    """One card: `title` and `aside` are text, `body` is HTML, `width` is wide, half or third."""
    quiet = f' <span class="quiet">{escape(aside)}</span>' if aside else ""
    return f'<section class="card {width}"><h2>{escape(title)}{quiet}</h2>{body}</section>'


def table(headings: list[str], rows: list[list[str]], *, shares: list[float] | None = None) -> str:
    """A table whose first column is text, the others numbers; `shares` (0 to 1) draws a bar behind the first."""
    if not rows:
        return '<p class="empty">none</p>'
    head = f"<th>{escape(headings[0])}</th>"
    head += "".join(f'<th class="number">{escape(heading)}</th>' for heading in headings[1:])
    body = []
    for number, row in enumerate(rows):
        bar = f' class="barred" style="--share:{100 * shares[number]:.1f}%"' if shares else ""
        cells = f"<td{bar}>{escape(row[0])}</td>" + "".join(f'<td class="number">{escape(one)}</td>' for one in row[1:])
        body.append(f"<tr>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
