"""The report on the graph network, from its result files."""

from __future__ import annotations

from collections.abc import Sequence

from ..evidence import Evidence, Result
from ..report import Part, Report, Section, Table, Words
from ..statistics import mean_of
from ..tables import (
    Value,
    by_shots,
    data_section,
    failed_section,
    framed_report,
    number_of,
    paired_table,
    ranks_parts,
    title_of,
)
from .arms import (
    ABLATION,
    DISTURBANCES,
    DISTURBED,
    HERE,
    LINKS,
    SCRATCH,
    SHARE,
    SHOTS,
    UNLABELLED,
    WITH_WINDOWS,
    WITHOUT_WINDOWS,
)
from .targets import BESIDE_NUMBERS, MACRO_F1, ON_VECTORS, PR_AUC, TUNED, of_task, targets_section

FALSE_A_DAY = number_of("false_a_day")
NOVEL = number_of("novel.macro_f1")
TRIVIAL = 0.95  # macro F1 of a simple method without windows, from the least share of labels
RANKED = (*ON_VECTORS, *BESIDE_NUMBERS, SCRATCH, "never trained, probe", *WITH_WINDOWS, *WITHOUT_WINDOWS)


def written(evidence: Evidence, question: str) -> Report:
    few, share = evidence.of(SHOTS), evidence.of(SHARE)
    sections = [
        _protocol(evidence),
        data_section(evidence),
        targets_section(evidence),
        _trivial(evidence, share),
        *[
            section
            for data, task in _cells([*few, *share])
            for section in _set_section(evidence, data, task, few, share)
        ],
        _unlabelled(evidence),
        Section(title="Pair by pair", parts=_pairs([*few, *share])),
        Section(title="Ranks", parts=tuple(ranks_parts(_told_apart(share), MACRO_F1, _ranked(share))) if share else ()),
        _ablation(evidence),
        _disturbed(evidence),
        _links(evidence),
        _costs(share),
        *failed_section(evidence),
    ]
    return framed_report("Study: graph", question, evidence, sections)


def _ranked(share: Sequence[Result]) -> tuple[str, ...]:
    return tuple(arm for arm in RANKED if any(one.arm == arm for one in share))


def _protocol(evidence: Evidence) -> Section:
    scale = evidence.study["scale"]
    return Section(
        title="How it was done",
        parts=(
            Words(
                points=(
                    "Flows are split by time or capture, and each split is proved. Every flow stays in its network, "
                    "labelled or not; none is thinned away. Addresses join flows and are no number of anything; ports, "
                    "names and clocks are seen by nobody.",
                    f"{scale['seeds']} seeds draw the labelled flows and the weights. A cell is the mean over seeds, "
                    "± half its 95 % interval. All methods see the same labelled flows and the same numbers of flows; "
                    "`with windows` adds what both hosts did in the flow's window, which the network is shown too.",
                    "`elsewhere` is taught without labels by the teaching sides of all other sets of this report, each "
                    "brought to its own scale, and never by the set that is asked, of which only the scales of numbers "
                    "are taken, from its unlabelled teaching side (`flowlore accustom`); `here` by the teaching "
                    "side, without labels; `never` has weights as they were drawn. `probe` is a linear head "
                    "on vectors that stay, `fine-tuned` lets all weights follow the labels from the probe on, teaches "
                    "a new linear head with all labelled flows, and `from scratch` does the same from drawn "
                    "weights, at the same rates. Where flows held out say that tuning does worse than the probe, the "
                    "probe answers.",
                    "`false a day` are ordinary flows called attacks in a day of watched time, where 90 % of the "
                    "attacks are found. Without labels, every method learns from all flows of the teaching side, "
                    "attacks among them; sets where more than a fifth is attack are left out there. What is usual for "
                    "`surprise, pre-trained elsewhere` is what the other networks do.",
                    "That the network keeps a flow's own state and tells numbers in steps was chosen by one look at "
                    "the asked side of UNSW-NB15, with drawn weights. What teaches the network, at which rates it "
                    "is tuned and what surprise is were chosen on the later or held-out part of the teaching sides.",
                )
            ),
        ),
    )


def _trivial(evidence: Evidence, share: Sequence[Result]) -> Section:
    points = []
    for data, task in _cells(share):
        of_cell = [one for one in of_task(share, task) if one.data == data]
        best = max(
            ((mean_of([MACRO_F1(one) for one in of_cell if one.arm == arm]).mean, arm) for arm in WITHOUT_WINDOWS),
            default=(0.0, ""),
            key=lambda pair: pair[0] if pair[0] == pair[0] else -1.0,
        )
        if best[0] >= TRIVIAL:
            points.append(
                f"{title_of(evidence, data)}, {task}: {best[1]} on numbers of single flows has {best[0]:.3f}: that a "
                "network does as well says little."
            )
    return Section(title="What is trivial", parts=(Words(points=tuple(points)),) if points else ())


def _set_section(
    evidence: Evidence, data: str, task: str, few: Sequence[Result], share: Sequence[Result]
) -> list[Section]:
    shown = [one for one in of_task(few, task) if one.data == data]
    shares = [one for one in of_task(share, task) if one.data == data]
    parts: list[Part] = []
    if shown:
        parts.append(by_shots(shown, MACRO_F1, caption="Macro F1 over labelled flows of each class."))
        if any(value == value for value in map(PR_AUC, shown)):
            parts.append(by_shots(shown, PR_AUC, caption="PR-AUC."))
    for part in sorted({one.values["share"] for one in shares}):
        cells = [one for one in shares if one.values["share"] == part]
        columns: list[tuple[str, Value]] = [("macro F1", MACRO_F1), ("without a twin", NOVEL)]
        if any(value == value for value in map(PR_AUC, cells)):
            columns += [("PR-AUC", PR_AUC), ("false a day", FALSE_A_DAY)]
        parts.append(_arms_table(cells, columns, f"{part:.0%} of the labels ({_shown(cells)} flows)."))
        kinds = _kinds(cells)
        if kinds:
            parts.append(kinds)
    return [Section(title=f"{title_of(evidence, data)}: {task}", parts=tuple(parts))] if parts else []


def _arms_table(cells: Sequence[Result], columns: Sequence[tuple[str, Value]], caption: str) -> Table:
    rows = []
    for arm in dict.fromkeys(one.arm for one in sorted(cells, key=lambda one: _place(one.arm))):
        of_arm = [one for one in cells if one.arm == arm]
        words = [_cell(of_arm, value, is_large=value is FALSE_A_DAY) for _, value in columns]
        rows.append((arm, *words))
    return Table(headings=("arm", *(heading for heading, _ in columns)), rows=tuple(rows), caption=caption)


def _kinds(cells: Sequence[Result]) -> Table | None:
    """Which kinds of attack are found at the head's own threshold, over all seeds together."""
    arms = [
        arm for arm in (TUNED, f"{HERE}, probe", "extra trees with windows") if any(one.arm == arm for one in cells)
    ]
    found: dict[str, dict[str, list[int]]] = {}
    for one in cells:
        for kind, (hits, of) in (one.result.get("found_by_kind") or {}).items():
            tally = found.setdefault(kind, {}).setdefault(one.arm, [0, 0])
            tally[0] += hits
            tally[1] += of
    if not found or not arms:
        return None
    rows = tuple(
        (kind, *(f"{hits / of:.2f} of {of:,}" if of else "" for hits, of in (by_arm.get(arm, (0, 0)) for arm in arms)))
        for kind, by_arm in sorted(found.items())
    )
    return Table(headings=("kind of attack", *arms), rows=rows, caption="Found, all seeds together.")


def _unlabelled(evidence: Evidence) -> Section:
    results = evidence.of(UNLABELLED)
    parts: list[Part] = []
    for data in evidence.facts:
        cells = [one for one in results if one.data == data]
        why = next((one.result["left_out"] for one in cells if "left_out" in one.result), None)
        if why is not None:
            parts.append(Words(text=f"{title_of(evidence, data)} is left out: {why}."))
        elif cells:
            chance = mean_of([one.number("attack_share") for one in cells]).mean
            caption = f"{title_of(evidence, data)}; chance is {chance:.3f}."
            parts.append(_arms_table(cells, [("PR-AUC", PR_AUC), ("false a day", FALSE_A_DAY)], caption))
    return Section(title="Without any label", parts=tuple(parts))


def _pairs(results: Sequence[Result]) -> tuple[Part, ...]:
    apart = _told_apart(results)
    tables = [paired_table(apart, MACRO_F1, arm, RANKED) for arm in (TUNED, f"{HERE}, probe")]
    return tuple(table for table in tables if table.rows)


def _ablation(evidence: Evidence) -> Section:
    results = evidence.of(ABLATION)
    cells = _cells(results)
    arms = list(dict.fromkeys(one.arm for one in sorted(results, key=lambda one: one.arm != "whole")))
    rows = tuple(
        (
            arm,
            *(
                _cell([one for one in of_task(results, task) if (one.data, one.arm) == (data, arm)], MACRO_F1)
                for data, task in cells
            ),
        )
        for arm in arms
    )
    words = "Pre-trained here without one of its parts, or with other windows; probe, least share of labels, macro F1."
    headings = ("arm", *(f"{data}: {task}" for data, task in cells))
    return Section(title="Ablations", parts=(Words(text=words), Table(headings=headings, rows=rows)) if rows else ())


def _disturbed(evidence: Evidence) -> Section:
    results = evidence.of(DISTURBED)
    parts: list[Part] = []
    for data, task in _cells(results):
        of_cell = [one for one in of_task(results, task) if one.data == data]
        arms = list(dict.fromkeys(one.arm for one in of_cell))
        rows = []
        for kind in DISTURBANCES:
            cells = [one for one in of_cell if one.values["disturbance"] == kind]
            if cells:
                left = mean_of([one.number("left") for one in cells]).mean
                rows.append(
                    (kind, f"{left:.2f}", *(_cell([one for one in cells if one.arm == arm], PR_AUC) for arm in arms))
                )
        headings = ("what is asked is", "flows left", *arms)
        parts.append(Table(headings=headings, rows=tuple(rows), caption=f"{title_of(evidence, data)}, {task}: PR-AUC."))
    words = (
        "Taught by flows as they were; those that are asked, and their neighbours, are as a poorer meter tells them. "
        "Scores are over the flows that are left."
    )
    return Section(title="Lost, late, sampled and noisy flows", parts=(Words(text=words), *parts) if parts else ())


def _links(evidence: Evidence) -> Section:
    results = evidence.of(LINKS)
    rows = []
    for data in evidence.facts:
        for arm in dict.fromkeys(one.arm for one in results if one.data == data):
            cells = [one for one in results if (one.data, one.arm) == (data, arm)]
            for kind in cells[0].result["links"]:
                methods = cells[0].result["links"][kind]
                found = [_cell(cells, number_of(f"links.{kind}.{method}.mrr")) for method in methods]
                rows.append((f"{title_of(evidence, data)}, {arm}: {kind}", *found))
    headings = ("set, network: wrong answers", "network", "EdgeBank", "recency", "popularity")
    words = "Where a flow arrives, told among up to 20 wrong hosts: mean reciprocal rank. Remembering needs no network."
    return Section(title="Links", parts=(Words(text=words), Table(headings=headings, rows=tuple(rows))) if rows else ())


def _costs(share: Sequence[Result]) -> Section:
    rows = []
    for arm in dict.fromkeys(one.arm for one in sorted(share, key=lambda one: _place(one.arm))):
        of_arm = [one for one in share if one.arm == arm]
        rows.append(
            (
                arm,
                _cell(of_arm, number_of("encoder_parameters.all"), is_large=True),
                *(_seconds(of_arm, path) for path in ("pretrain_s", "train_s")),
                _cell(of_arm, number_of("embedded_per_cpu_s"), is_large=True),
            )
        )
    headings = ("arm", "parameters", "pre-training s", "teaching s", "embedded flows/s")
    caption = "Processor seconds, means over sets, on a machine that did other things too."
    return Section(
        title="What it costs", parts=(Table(headings=headings, rows=tuple(rows), caption=caption),) if rows else ()
    )


def _seconds(cells: Sequence[Result], path: str) -> str:
    mean = mean_of([one.number(path) for one in cells])
    return f"{mean.mean:,.1f}" if mean.values else ""


def _told_apart(results: Sequence[Result]) -> list[Result]:
    """Each task of a set as a set of its own, so that cells of two tasks are not one."""
    from dataclasses import replace

    return [replace(one, data=f"{one.data}: {one.values['task']}") for one in results]


def _cells(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Sets and tasks that results are there of."""
    return sorted({(one.data, str(one.values["task"])) for one in results})


def _place(arm: str) -> int:
    return RANKED.index(arm) if arm in RANKED else len(RANKED)


def _shown(cells: Sequence[Result]) -> str:
    return f"{mean_of([one.number('shown') for one in cells]).mean:,.0f}"


def _cell(cells: Sequence[Result], value: Value, *, is_large: bool = False) -> str:
    mean = mean_of([value(one) for one in cells])
    if not mean.values:
        return ""
    return f"{mean.mean:,.0f}" if is_large else mean.words()
