"""The report of the study of floods, from its result files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..evidence import Evidence, Result
from ..report import Part, Report, Section, Table, Words
from ..statistics import mean_of, p_words, paired
from ..tables import Value, by_shots, failed_section, framed_report, number_of, paired_table, title_of
from .arms import FEW, FROZEN, LABELS, LEARNED, OWN, PRETRAINED, SAMPLED, SCRATCH, THRESHOLDS, UNSEEN

STRATA = ("all", "half to 1", "1 to 3", "3 to 10", "10 to 20")
TARGET = "1 to 3"


def written(evidence: Evidence, question: str) -> Report:
    sections = [
        _data(evidence),
        _labels(evidence),
        _unseen(evidence),
        _sampled(evidence),
        _own(evidence),
        Section(title="How it was measured", parts=(Words(points=_METHOD),)),
        *failed_section(evidence),
    ]
    return framed_report("Study: ddos", question, evidence, sections)


def _data(evidence: Evidence) -> Section:
    points = [
        f"{one.title}: {one.train:,} flows teach, {one.test:,} ask; split by {one.split_by}; proved: {one.proof}. "
        f"{one.shortcuts}. SHA-256 {one.checksum[:16]}…; {'; '.join(one.notes)}."
        for one in evidence.facts.values()
    ]
    points += [f"Left out: `{name}`: {why}." for name, why in evidence.study["left_out"].items()]
    return Section(title="Data", parts=(Words(points=tuple(points)),))


def _labels(evidence: Evidence) -> Section:
    results = evidence.of(LABELS)
    if not results:
        return Section(title="", parts=())
    parts: list[Part] = [
        Words(text="Kinds that were taught, by other captures and on other hosts. Labelled attacks are of all kinds."),
        _by_labels(
            results,
            number_of(f"strata.{TARGET}.pr_auc"),
            f"PR AUC of attacks at {TARGET} times the victim's 99th percentile, by labelled attacks",
        ),
        _by_labels(results, number_of("strata.all.pr_auc"), "PR AUC, all rates, by labelled attacks"),
        _strata([one for one in results if one.shots in (None, FEW)], f"{FEW} labelled attacks"),
        _alarms([one for one in results if one.shots in (None, FEW)], f"{FEW} labelled attacks"),
    ]
    return Section(title="Few labelled attacks", parts=tuple(parts))


def _by_labels(results: Sequence[Result], value: Value, caption: str) -> Table:
    """Labels are attacks of whatever kind, not so many of each."""
    table = by_shots(results, value, arms=tuple(LEARNED), caption=caption)
    return replace(table, headings=tuple(one.removesuffix(" a class") for one in table.headings))


def _unseen(evidence: Evidence) -> Section:
    results = evidence.of(UNSEEN)
    if not results:
        return Section(title="", parts=())
    kinds = sorted({str(one.values["kind"]) for one in results})
    arms = [arm for arm in (*THRESHOLDS, *LEARNED) if any(one.arm.endswith(f": {arm}") for one in results)]
    rows = []
    for arm in arms:
        cells = [mean_of([_area(one) for one in results if one.arm == f"{kind}: {arm}"]) for kind in kinds]
        mean = mean_of([cell.mean for cell in cells])
        rows.append((arm, *(cell.words() if cell.values else "" for cell in cells), mean.words()))
    caption = f"PR AUC at {TARGET} times the 99th percentile; {FEW} labelled attacks of all other kinds"
    plain = [_plain(one) for one in results]
    every = {kind for one in results for kind in evidence.facts[one.data].features["kinds"]}
    missing = sorted(every - set(kinds))
    words = f"Kinds that were not left out, as the study was stopped before: {', '.join(missing)}." if missing else ""
    parts: list[Part] = [
        *([Words(text=words)] if words else []),
        Table(headings=("arm", *kinds, "mean of kinds"), rows=tuple(rows), caption=caption),
        _strata(plain, "all kinds left out in turn"),
        _alarms(plain, "all kinds left out in turn"),
        _target(plain),
        *(
            paired_table(_as_cells(plain), _area, ours, [*THRESHOLDS, "lightgbm", "gru", SCRATCH, other])
            for ours, other in ((PRETRAINED, FROZEN), (FROZEN, PRETRAINED))
        ),
    ]
    return Section(title="A kind that nobody taught", parts=tuple(parts))


def _target(results: Sequence[Result]) -> Words:
    """What was aimed at, and what came: of the decoder that is tuned, and of the frozen one."""
    area = {arm: mean_of([_area(one) for one in results if one.arm == arm]).mean for arm in (*THRESHOLDS, *LEARNED)}
    best = max(THRESHOLDS, key=lambda arm: np.nan_to_num(area[arm]))
    fresh = {_cell(one): _area(one) for one in results if one.arm == SCRATCH}
    points = []
    for arm in (PRETRAINED, FROZEN):
        delay = _median_delay([one for one in results if one.arm == arm], TARGET, "1")
        points += [
            f"{arm}, aimed at: 10 points above the best threshold method; came: {100 * (area[arm] - area[best]):+.1f} "
            f"(against `{best}`)",
            f"{arm}, aimed at: 5 points above LightGBM and the GRU; came: {100 * (area[arm] - area['lightgbm']):+.1f} "
            f"and {100 * (area[arm] - area['gru']):+.1f}",
            f"{arm}, aimed at: a median delay of at most 20 s at one false alarm a day; came: {_delay_words(delay)}",
        ]
        ours = {_cell(one): _area(one) for one in results if one.arm == arm}
        points.append(f"{arm}, aimed at: above from scratch over seeds; came: {_worth(ours, fresh)}")
    return Words(points=tuple(points))


def _worth(ours: Mapping[tuple[str, int], float], fresh: Mapping[tuple[str, int], float]) -> str:
    """What pre-training is worth, over kinds and seeds."""
    both = sorted(set(ours) & set(fresh))
    if not both:
        return "not asked of one seed"
    test = paired([ours[one] for one in both], [fresh[one] for one in both])
    return (
        f"{100 * test.difference.mean:+.1f} points, better in {test.better} of {test.cells}, "
        f"p {p_words(test.wilcoxon)} (Wilcoxon)"
    )


def _sampled(evidence: Evidence) -> Section:
    results = evidence.of(SAMPLED)
    if not results:
        return Section(title="", parts=())
    rates = sorted({int(one.values["sampled"]) for one in results})
    arms = [arm for arm in (*THRESHOLDS, *LEARNED) if any(one.arm.endswith(f": {arm}") for one in results)]
    rows = []
    for arm in arms:
        own = [[one for one in results if one.arm == f"1:{rate}: {arm}"] for rate in rates]
        cells = [mean_of([one.number("strata.all.pr_auc") for one in held]).words() for held in own]
        rows.append((arm, *cells))
    caption = f"PR AUC, all rates, {FEW} labelled attacks; packets sampled when teaching and asking"
    table = Table(headings=("arm", *(f"1:{rate}" for rate in rates)), rows=tuple(rows), caption=caption)
    return Section(title="Sampled NetFlow", parts=(table,))


def _own(evidence: Evidence) -> Section:
    results = evidence.of(OWN)
    if not results:
        return Section(title="", parts=())
    kinds = sorted({kind for one in results for kind in one.result["by_kind"]})
    arms = [arm for arm in (*THRESHOLDS, *LEARNED) if any(one.arm == arm for one in results)]
    rows = tuple(
        (
            arm,
            *(
                mean_of([one.number(f"by_kind.{kind}.pr_auc") for one in results if one.arm == arm]).words()
                for kind in kinds
            ),
        )
        for arm in arms
    )
    words = (
        f"{title_of(evidence, results[0].data)}: {results[0].result['attacks_taught']} attacks of the first third "
        "of the run teach; those of the second half ask, and quiet steps between set the thresholds."
    )
    parts = (
        Words(text=words),
        _alarms(results, "all kinds"),
        Table(headings=("arm", *kinds), rows=rows, caption="PR AUC by kind"),
    )
    return Section(title="The laboratory", parts=parts)


def _strata(results: Sequence[Result], words: str) -> Table:
    rows = []
    for arm in (*THRESHOLDS, *LEARNED):
        own = [one for one in results if one.arm == arm]
        if own:
            rows.append(
                (arm, *(mean_of([one.number(f"strata.{name}.pr_auc") for one in own]).words() for name in STRATA))
            )
    shares = [mean_of([one.number(f"strata.{name}.prevalence") for one in results]).mean for name in STRATA]
    rows.append(("chance (prevalence)", *(f"{share:.4f}".replace("0.", ".", 1) for share in shares)))
    headings = ("arm", *(name if name == "all" else f"{name} times" for name in STRATA))
    return Table(headings=headings, rows=tuple(rows), caption=f"PR AUC by rate, {words}")


def _alarms(results: Sequence[Result], words: str) -> Table:
    """Alarms at both thresholds. False ones are counts of a run, since a day or less says little of a rate."""
    rare, often = results[0].result["at"]
    rows = []
    for arm in (*THRESHOLDS, *LEARNED):
        own = [one for one in results if one.arm == arm]
        if own:
            rows.append(
                (
                    arm,
                    mean_of([one.number(f"strata.all.at.{rare}.found") for one in own]).words(2),
                    _delay_words(_median_delay(own, "all", rare)),
                    mean_of([one.number(f"at.{rare}.false_alarms") for one in own]).words(1),
                    mean_of([one.number(f"strata.all.at.{often}.found") for one in own]).words(2),
                    _delay_words(_median_delay(own, "all", often)),
                    mean_of([one.number(f"at.{often}.false_alarms") for one in own]).words(1),
                )
            )
    days = mean_of([one.number("background_days") for one in results]).mean
    hosts = mean_of([one.number("hosts") for one in results]).mean
    each = [
        (f"found, {allowed * days:.2g} allowed", "median delay", "false alarms")
        for allowed in (float(rare), float(often))
    ]
    return Table(
        headings=("arm", *each[0], *each[1]),
        rows=tuple(rows),
        caption=f"Thresholds for {rare} and {often} false alarms a day over all hosts, {words}; a run watches "
        f"{hosts:.0f} hosts for {days * 24:.2g} hours, so a count of a few says little of a rate",
    )


def _median_delay(results: Sequence[Result], stratum: str, allowed: str) -> float:
    """Seconds: the median of the runs' medians, which are endless where most attacks are missed."""
    delays = [one.number(f"strata.{stratum}.at.{allowed}.median_delay_s") for one in results]
    return float(np.median([np.inf if np.isnan(one) else one for one in delays])) if delays else float("nan")


def _delay_words(delay_s: float) -> str:
    return f"{delay_s:.0f} s" if np.isfinite(delay_s) else "missed"


def _area(one: Result) -> float:
    return one.number(f"strata.{TARGET}.pr_auc")


def _plain(one: Result) -> Result:
    """The same with the arm's name without the kind that was left out."""
    return replace(one, arm=one.arm.partition(": ")[2])


def _as_cells(results: Sequence[Result]) -> list[Result]:
    """Cells of kind and seed, so that pairs are of equal ones."""
    return [replace(one, data=f"{one.data} {one.values['kind']}", shots=None) for one in results]


def _cell(one: Result) -> tuple[str, int]:
    return str(one.values["kind"]), one.seed


_METHOD = (
    "An episode is a loop of the slices of one real attack capture, of 30 s to 30 min, with a ramp of 0 to 120 s up to "
    "a plateau of 0.5 to 20 times the victim's own 99th percentile of packets in steps of 10 s with traffic. What the "
    "victim would have answered is not made up.",
    "Attacks are told no more precisely than the background tells its own flows (LUFlow: no flags, payload only), and "
    "what hosts send is hidden from all arms: an overlay makes up no answers, so that silence would tell every attack.",
    "Thresholds of all arms are set in the same way, on another day than that of the attacks, for so many steps over "
    "it a day and network; what is rarer than the 20 largest scores of that day is taken to fall off exponentially.",
    "A delay is from the first packet of an attack to the end of the first step over the threshold; 10 s steps allow 0 "
    "to 10 s at best. Attacks that are missed count as endless.",
    "Intervals of single runs (in the result files) are from resampled source captures, and episodes within them.",
)
