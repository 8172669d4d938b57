"""A report as plain parts, written as Markdown and as one HTML page that needs neither network nor script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ..pages.page import card, cards, page, table, tiles


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """A paragraph, or a list of points."""

    text: str = ""
    points: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells as text; the first column is words, the others numbers. `best` marks one cell of a row by its place."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """Inline SVG for the page; Markdown gets the caption, and the table that stands with it."""

    svg: str
    caption: str


Part = Words | Table | Picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Title, one sentence, a few large numbers, and sections."""

    title: str
    lead: str
    numbers: tuple[tuple[str, str], ...]  # (number, what it counts)
    sections: tuple[Section, ...]


def as_markdown(report: Report, notice: str) -> str:
    """`notice` says how the file was made."""
    lines = [f"# {report.title}", "", notice, "", report.lead, ""]
    lines += [f"- **{number}** {what}" for number, what in report.numbers]
    for section in report.sections:
        lines += ["", f"## {section.title}", ""]
        for part in section.parts:
            lines += [*_markdown(part), ""]
    return "\n".join(_single_blanks(lines)).strip() + "\n"


def as_html(report: Report, notice: str) -> str:
    body = [
        card(section.title, "".join(_html(part) for part in section.parts), width="wide") for section in report.sections
    ]
    return page(
        report.title, report.lead, [f'<p class="quiet">{escape(notice)}</p>', tiles(report.numbers), cards(body)]
    )


def _markdown(part: Part) -> list[str]:
    if isinstance(part, Words):
        return [*([part.text] if part.text else []), *(f"- {point}" for point in part.points)]
    if isinstance(part, Picture):
        return [f"*{part.caption} The picture is in the page beside this file.*"]
    rule = ["---", *(["--:"] * (len(part.headings) - 1))]
    rows = [part.headings, rule, *part.rows]
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return [*([f"{part.caption}", ""] if part.caption else []), *lines]


def _html(part: Part) -> str:
    if isinstance(part, Words):
        points = "".join(f"<li>{escape(point)}</li>" for point in part.points)
        return (f"<p>{escape(part.text)}</p>" if part.text else "") + (f"<ul>{points}</ul>" if points else "")
    if isinstance(part, Picture):
        return f'{part.svg}<p class="quiet">{escape(part.caption)}</p>'
    caption = f'<p class="quiet">{escape(part.caption)}</p>' if part.caption else ""
    return caption + table(list(part.headings), [list(row) for row in part.rows])


def _single_blanks(lines: Sequence[str]) -> list[str]:
    return [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
