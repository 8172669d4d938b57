"""The report of the study of dynamics, from its result files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..evidence import Evidence, Result
from ..material import Facts
from ..report import Part, Report, Section, Table, Words
from ..statistics import mean_of
from ..tables import failed_section, framed_report, title_of
from .arms import ELSEWHERE, FORECAST, HERE, MIXTURE, NEW_SERIES, SCALING, TRANSFER, TUNED
from .host_report import host_points, host_sections

SCORES = (("WAPE", "wape"), ("MASE", "mase"), ("WQL", "wql"), ("held by the 80 % band", "coverage_80"))
BITS = (
    ("decoder", "bits.flowgen"),
    ("GRU", "bits.gru"),
    ("which follows which", "bits.transitions"),
    ("how often", "bits.frequency"),
)
GOALS = {"abilene": 0.150}  # WAPE
TITLES = {
    FORECAST: "Later time",
    TRANSFER: "Networks that were never seen",
    NEW_SERIES: "Series that were never seen",
    SCALING: "Size and data",
}
WORDS = {
    FORECAST: "Each method learns from the first steps and is asked at every later one.",
    TRANSFER: (
        "`elsewhere`: of this network nothing was seen in training, only hourly series of others; its own past is what "
        "the decoder is asked with. `and here`: then trained on here as well."
    ),
    NEW_SERIES: "Half of the series teach, the other half ask, at later time.",
    SCALING: "Smaller networks, and only the last part of the time that teaches.",
}


def written(evidence: Evidence, question: str) -> Report:
    sections = [_data(evidence), *(_section(evidence, one) for one in TITLES), _likelihood(evidence)]
    sections += [*host_sections(evidence), _target(evidence)]
    sections += failed_section(evidence)
    return framed_report("Study: dynamics", question, evidence, sections)


def _data(evidence: Evidence) -> Section:
    points = [
        f"{one.title}: {one.groups:,} {'hosts' if one.features.get('hosts') else 'series'}, "
        f"{one.features['until']:,} of {one.features['steps']:,} steps teach; "
        f"{_horizons(one)}proved: {one.proof}. "
        f"SHA-256 {one.checksum[:16]}…; {'; '.join(one.notes)}."
        for one in evidence.facts.values()
    ]
    points += [f"Left out: `{name}`: {why}." for name, why in evidence.study["left_out"].items()]
    missing = int(evidence.study["runs"]) - len(evidence.results)
    if missing > 0:
        points.append(f"{missing} of {evidence.study['runs']} planned runs were not made; the same command goes on.")
    return Section(title="Data", parts=(Words(points=tuple(points)),))


def _horizons(facts: Facts) -> str:
    told = facts.features.get("horizons", ())
    return f"horizons of {', '.join(str(step) for step in told)} steps; " if told else ""


def _section(evidence: Evidence, question: str) -> Section:
    parts: list[Part] = []
    for name in evidence.facts:
        results = evidence.of(question, data=name)
        if question == TRANSFER:
            results = results + [
                one for one in evidence.of(FORECAST, data=name) if one.arm in (HERE, "ewma", "persistence")
            ]
        if question == SCALING and results:
            results = results + [one for one in evidence.of(FORECAST, data=name) if one.arm == HERE]
        if results:
            parts.append(_table(results, title_of(evidence, name)))
    return Section(title=TITLES[question], parts=(Words(text=WORDS[question]), *parts) if parts else ())


def _table(results: Sequence[Result], caption: str) -> Table:
    means = {arm: mean_of([one.number("wape") for one in results if one.arm == arm]).mean for arm in _arms(results)}
    rows = []
    for arm in sorted(means, key=lambda arm: means[arm]):
        own = [one for one in results if one.arm == arm]
        cpu = mean_of([one.cost["cpu_s"] for one in own]).mean
        rows.append((arm, *(mean_of([one.number(path) for one in own]).words() for _, path in SCORES), f"{cpu:,.0f}"))
    return Table(headings=("arm", *(name for name, _ in SCORES), "CPU s"), rows=tuple(rows), caption=caption)


def _likelihood(evidence: Evidence) -> Section:
    rows = []
    for one in evidence.results:
        if (
            np.isfinite(one.number("bits.flowgen"))
            and one.arm in (HERE, ELSEWHERE, TUNED)
            and one.question != NEW_SERIES
        ):
            bits = [one.number(path) for _, path in BITS]
            cells = ("-" if np.isnan(number) else f"{number:.2f}" for number in bits)
            rows.append((f"{title_of(evidence, one.data)}: {one.arm}", *cells, f"{one.number('oracle_bin_error'):.3f}"))
    if not rows:
        return Section(title="", parts=())
    headings = ("arm", *(name for name, _ in BITS), "error of who knows every bin")
    caption = (
        "Bits of the next step's bin; how often a bin is and which follows which were counted on the steps that teach"
    )
    return Section(title="Likelihood", parts=(Table(headings=headings, rows=tuple(rows), caption=caption),))


def _target(evidence: Evidence) -> Section:
    points = []
    for name in evidence.facts:
        here = mean_of([one.number("wape") for one in evidence.of(FORECAST, data=name, arm=HERE)]).mean
        others = {
            one.arm: one.number("wape") for one in evidence.of(FORECAST, data=name) if one.arm not in (HERE, MIXTURE)
        }
        mixed = mean_of([one.number("wape") for one in evidence.of(FORECAST, data=name, arm=MIXTURE)]).mean
        title = title_of(evidence, name)
        if np.isfinite(here) and others:
            best = min(others, key=lambda arm: others[arm])
            points.append(
                f"{title}, aimed at: below every baseline; came: {here:.3f}, best baseline `{best}` {others[best]:.3f}"
                + (f", mean of decoder and trees {mixed:.3f}" if np.isfinite(mixed) else "")
            )
            if name in GOALS:
                points.append(f"{title}, aimed at: {GOALS[name]:.3f}; came: {here:.3f}")
            band = mean_of([one.number("coverage_80") for one in evidence.of(FORECAST, data=name, arm=HERE)]).mean
            points.append(f"{title}, aimed at: bands within 3 points of 80 %; came: {band:.1%}")
        zero = mean_of([one.number("wape") for one in evidence.of(TRANSFER, data=name, arm=ELSEWHERE)]).mean
        if np.isfinite(here) and np.isfinite(zero):
            points.append(f"{title}, aimed at: never seen within 10 % of trained here; came: {zero / here - 1:+.0%}")
    points += host_points(evidence)
    return Section(title="What was aimed at", parts=(Words(points=tuple(points)),) if points else ())


def _arms(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(one.arm for one in results))
