"""The report of the audit, from its result files."""

from __future__ import annotations

from collections.abc import Sequence

from ..evidence import Evidence, Result
from ..report import Report, Section, Table, Words
from ..statistics import mean_of
from ..tables import data_section, failed_section, framed_report, title_of
from .arms import ADVERSARIAL, MEMBERSHIP, RECONSTRUCTION, UNKNOWN

COLUMNS = {
    ADVERSARIAL: (
        ("before", "before"),
        ("random disguise", "at_random"),
        ("worst of 8", "attacked"),
        ("evaded", "evaded"),
        ("bytes added", "overhead.bytes"),
        ("packets added", "overhead.packets"),
        ("time added", "overhead.time"),
    ),
    UNKNOWN: (("ROC AUC", "roc_auc"), ("PR AUC", "pr_auc"), ("found at 5 % false", "found_at_5_percent")),
    MEMBERSHIP: (
        ("ROC AUC", "roc_auc"),
        ("found at 1 % false", "found_at_1_percent"),
        ("ROC AUC without twins", "roc_auc_without_twins"),
    ),
    RECONSTRUCTION: (("right", "right"), ("each secret equally", "told_apart"), ("kinds", "kinds"), ("flows", "flows")),
}
TITLES = {
    ADVERSARIAL: "Disguised traffic",
    UNKNOWN: "Classes that nobody was taught",
    MEMBERSHIP: "Was a flow among those that taught?",
    RECONSTRUCTION: "What can be read back",
}
WORDS = {
    ADVERSARIAL: (
        "The sender pads, delays or makes up packets of its own, within a share of its bytes, time or packets (one "
        "packet is always allowed). It sees probabilities only, tries eight disguises of each flow and keeps the one "
        "that the classifier likes least. Macro F1 over all flows asked; `evaded` is the share of flows named rightly "
        "before that are not any more. Counters follow the packets; spreads of flows longer than their series do not."
    ),
    UNKNOWN: (
        "A fifth of the classes is kept from encoder and head. Flows of all classes are asked: is it told which are of "
        "none that is known? .5 is chance for ROC AUC; for PR AUC the share of unknown flows is."
    ),
    MEMBERSHIP: (
        "Half of the captures of the teaching side, drawn at random, taught encoder and head; the other half did not. "
        "The attacker knows a flow and its class and asks how sure the classifier is of it; or it sees vectors only, "
        "and learns from captures of which it knows. .5 is chance. Flows with a twin on the other side hide it."
    ),
    RECONSTRUCTION: (
        "From vectors with known secrets the attacker learns the way back (extremely randomised trees), and is asked "
        "on the test side. What it gets from nothing (the most frequent secret) and from the flow's own raw numbers "
        "stands beside: an embedding gives nothing away where it is not above them."
    ),
}


def written(evidence: Evidence, question: str) -> Report:
    sections = [data_section(evidence), *(_section(evidence, one) for one in TITLES), *failed_section(evidence)]
    return framed_report("Study: audit", question, evidence, sections)


def _section(evidence: Evidence, question: str) -> Section:
    tables = []
    for name in evidence.facts:
        results = evidence.of(question, data=name)
        arms = list(dict.fromkeys(one.arm for one in sorted(results, key=lambda one: one.arm)))
        rows = tuple((arm, *(_cell(results, arm, path) for _, path in COLUMNS[question])) for arm in arms)
        if rows:
            headings = ("arm", *(words for words, _ in COLUMNS[question]))
            tables.append(Table(headings=headings, rows=rows, caption=title_of(evidence, name)))
    return Section(title=TITLES[question], parts=(Words(text=WORDS[question]), *tables) if tables else ())


def _cell(results: Sequence[Result], arm: str, path: str) -> str:
    mean = mean_of([one.number(path) for one in results if one.arm == arm])
    if not mean.values:
        return ""
    return f"{mean.mean:,.0f}" if path in ("kinds", "flows") else mean.words()
