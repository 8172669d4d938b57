"""The report of learning from few labels: scores beside simple methods, confusion, confidence, map, examples."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from .explanation_cards import explanation_cards, explanation_style, how_to_read
from .learning_pictures import confidences, confusion_picture
from .map_page import map_cards, map_notes, map_script, map_style
from .page import card, cards, page, table, tiles
from .words import count_words

if TYPE_CHECKING:
    from ..tasks.learning_report import LearningReport

METHODS = {
    "nearest": "nearest flow, raw numbers",
    "extra-trees": "extremely randomised trees, raw numbers",
    "lightgbm": "LightGBM, raw numbers",
}


def learning_page(report: LearningReport, title: str, lead: str, *, more: Iterator[str] | tuple[str, ...] = ()) -> str:
    """The whole page; `more` are further cards, shown last."""
    return page(
        title,
        lead,
        [
            map_style(),
            explanation_style(),
            tiles(_numbers(report)),
            cards([*_cards(report), *more]),
            map_script(report.flow_map),
        ],
    )


def _numbers(report: LearningReport) -> Iterator[tuple[str, str]]:
    examination = report.examination
    natural = examination["scores"][report.head]["natural"]
    yield count_words(report.flow_map.seen), "flows"
    yield count_words(examination["classes"]), "classes"
    yield f"{report.shots}", "labelled flows of each were shown"
    yield count_words(examination["asked"]), "others asked"
    yield f"{natural['accuracy']:.1%}", "answers right"
    yield f"{natural['macro_f1']:.3f}", "macro F1"


def _cards(report: LearningReport) -> Iterator[str]:
    yield card("Beside simple methods that saw the same flows", _scores(report))
    yield card(
        "Confidence",
        confidences(report.reliability()),
        aside="when it is so sure, how often is it right?",
        width="half",
    )
    yield from map_cards(report.flow_map)
    classes, counts = report.confusion()
    yield card("What was taken for what", confusion_picture(classes, counts), aside="rows: truth")
    rows = [[name, f"{value:.3f}", count_words(asked)] for name, (value, asked) in report.f1().items()]
    yield card("Class by class", table(["class", "F1", "asked"], rows))
    if report.explanations:
        yield how_to_read()
        yield from explanation_cards(report.explanations, report.explained)
    yield from map_notes(report.flow_map)
    yield card("How this was done", _how(report), width="wide")


def _scores(report: LearningReport) -> str:
    scores, best = report.examination["scores"], report.examination["best"]
    rows = []
    for name, sides in sorted(scores.items(), key=lambda item: -item[1]["natural"]["macro_f1"]):
        words = METHODS.get(name, f"bundle's embedding and head `{name}`" if name == report.head else name)
        rows.append([words, *(_score(sides[side], key) for side, key in _COLUMNS)])
    said = table(["method", "accuracy", "macro F1", "novel: accuracy", "macro F1"], rows)
    note = "Novel flows are those without a near duplicate among the flows that were shown."
    if best != report.head:
        note += " A simple method on raw numbers does better here than the bundle's head."
    return f'{said}<p class="quiet">{escape(note)}</p>'


_COLUMNS = (("natural", "accuracy"), ("natural", "macro_f1"), ("novel", "accuracy"), ("novel", "macro_f1"))


def _score(values: dict[str, Any], key: str) -> str:
    value = values[key]
    return "-" if value is None or value != value else f"{value:.3f}"


def _how(report: LearningReport) -> str:
    examination = report.examination
    split = examination["split"]
    dropped = examination["dropped_classes"]
    said = [
        f"Bundle {report.flow_map.bundle}; {report.flow_map.shortcuts}; head {report.head}; seed {report.seed}.",
        f"Split by {split['by']}: {examination['shown']:,} flows were shown with their labels, "
        f"{examination['asked']:,} others were asked, {examination['novel']:,} of them novel.",
        f"Left out, as they have fewer than {report.shots} labelled flows to show: {', '.join(dropped)}."
        if dropped
        else "",
        f"Like nothing labelled, by the bundle: {int(report.unknown.sum()):,} of the asked flows.",
        f"Confidence is off by {examination['calibration_error']:.3f} on average.",
        "Seconds: " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in report.seconds.items()) + ".",
    ]
    return "".join(f"<p>{escape(words)}</p>" for words in said if words)
