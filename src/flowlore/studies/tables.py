"""Parts that every study's report has: what was run on, cells with intervals, ranks, paired tests, what failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

from ..pages.curves import rank_picture
from .evidence import Evidence, Result
from .material import Facts
from .report import Part, Picture, Report, Section, Table, Words
from .statistics import Mean, mean_of, p_words, paired, ranks
from .study import ALL_LABELS

Value = Callable[[Result], float]


def number_of(path: str) -> Value:
    """A number of a result by its dotted name."""
    return lambda result: result.number(path)


def framed_report(title: str, question: str, evidence: Evidence, sections: Sequence[Section]) -> Report:
    """What every report begins with, and its sections that have something to say."""
    return Report(
        title=title,
        lead=question,
        numbers=(
            (str(len(evidence.results)), "runs"),
            (str(len(evidence.facts)), "data sets"),
            (f"{sum(one.cost['cpu_s'] for one in evidence.results) / 60:.0f} min", "of processor time"),
            (str(len(evidence.failed)), "runs failed"),
        ),
        sections=tuple(section for section in sections if section.parts),
    )


def data_section(evidence: Evidence) -> Section:
    """What each set is, how it was split, what was proved, what it lacks; and what was left out."""
    rows = tuple(
        (
            one.title,
            f"{one.train:,} of {one.whole_train:,}",
            f"{one.unlabelled:,}",
            f"{one.test:,} of {one.whole_test:,}",
            str(one.classes),
            f"{one.groups:,}",
            f"{one.novel / max(one.test, 1):.0%}",
            ", ".join(one.modalities),
            ", ".join(one.lacks) or "nothing",
        )
        for one in evidence.facts.values()
    )
    points = []
    for one in evidence.facts.values():
        notes = "; ".join(one.notes)
        points.append(
            f"{one.title}: split by {one.split_by}; proved: {one.proof}. {one.shortcuts}. Pre-training may know that "
            f"flows belong together by {one.context}. SHA-256 {one.checksum[:16]}…{'; ' + notes if notes else ''}."
        )
    for name, why in evidence.study["left_out"].items():
        points.append(f"Left out: `{name}`: {why}.")
    sizes = ("teaching", "unlabelled beside", "asked", "classes", "groups", "without a twin")
    headings = ("set", *sizes, "modalities", "lacks")
    return Section(title="Data", parts=(Table(headings=headings, rows=rows), Words(points=tuple(points))))


def by_shots(
    results: Sequence[Result], value: Value, *, arms: Sequence[str] = (), caption: str = "", signed: bool = False
) -> Table:
    """Arms down, labels a class across; a cell is the mean over seeds with half the width of its 95 % interval."""
    shots = sorted({one.shots for one in results if one.shots is not None}, key=lambda one: (one == ALL_LABELS, one))
    names = list(arms) or list(dict.fromkeys(one.arm for one in results))
    cells = {(arm, one): cell(results, value, arm, one) for arm in names for one in shots}
    kept = [arm for arm in names if any(cells[arm, one].values for one in shots)]
    best = {one: max((cells[arm, one].mean for arm in kept if cells[arm, one].values), default=0.0) for one in shots}
    rows = []
    for arm in kept:
        row = [arm]
        for one in shots:
            held = cells[arm, one]
            mark = " *" if held.values and held.mean == best[one] and not signed else ""
            row.append(held.words() + mark if held.values else "")
        rows.append(tuple(row))
    headings = ("arm", *(shots_words(one) for one in shots))
    return Table(headings=headings, rows=tuple(rows), caption=caption)


def cell(results: Sequence[Result], value: Value, arm: str, shots: int | None) -> Mean:
    """The mean over seeds."""
    return mean_of([value(one) for one in results if one.arm == arm and one.shots == shots])


def shots_words(shots: int) -> str:
    return "all" if shots == ALL_LABELS else f"{shots} a class"


def ranks_parts(results: Sequence[Result], value: Value, arms: Sequence[str]) -> list[Part]:
    """Friedman's test and Nemenyi's distance over cells of data set and labels; only arms that every cell has."""
    blocks = sorted({(one.data, one.shots or 0) for one in results})
    table = [
        [
            mean_of([value(one) for one in results if (one.data, one.shots or 0, one.arm) == (*block, arm)]).mean
            for arm in arms
        ]
        for block in blocks
    ]
    found = ranks(arms, table)
    if found is None:
        return [Words(text="Too few cells for a test of ranks.")]
    words = (
        f"Friedman over {found.blocks} cells of data set and labels: χ² = {found.statistic:.1f}, p {p_words(found.p)}. "
        f"Two mean ranks differ (Nemenyi, 5 %) where they are more than {found.critical_distance:.2f} apart. Cells of "
        "one set are not independent, so read this as a description."
    )
    rows = tuple((arm, f"{rank:.2f}") for arm, rank in zip(found.arms, found.mean_ranks, strict=True))
    picture = rank_picture(found.arms, found.mean_ranks, found.critical_distance, found.cliques())
    caption = "Mean ranks; a bar joins arms that the test cannot tell apart."
    return [Words(text=words), Picture(svg=picture, caption=caption), Table(headings=("arm", "mean rank"), rows=rows)]


def paired_table(results: Sequence[Result], value: Value, of: str, against: Sequence[str]) -> Table:
    """One arm against others over equal cells of data set, labels and seed."""
    held = {(one.data, one.shots, one.seed): value(one) for one in results if one.arm == of}
    rows = []
    for arm in against:
        other = {(one.data, one.shots, one.seed): value(one) for one in results if one.arm == arm}
        both = sorted(set(held) & set(other), key=str)
        if arm == of or not both:
            continue
        found = paired([held[one] for one in both], [other[one] for one in both])
        signed = f"{found.difference.mean:+.3f}".replace("0.", ".", 1)
        rows.append(
            (
                arm,
                signed,
                _between(found.difference),
                f"{found.better} of {found.cells}",
                p_words(found.t_test),
                p_words(found.wilcoxon),
            )
        )
    return Table(
        headings=("against", "difference", "95 % interval", "better in", "p (t)", "p (Wilcoxon)"),
        rows=tuple(rows),
        caption=f"`{of}` less the other, paired by data set, labels and seed. A positive difference is in its favour.",
    )


def failed_section(evidence: Evidence) -> list[Section]:
    """Runs that failed, each with its problem; nothing where none did."""
    if not evidence.failed:
        return []
    points = tuple(
        f"{one['configuration']['data']}, {one['configuration']['arm']}, seed {one['configuration']['seed']}, "
        f"shots {one['configuration']['shots']}: {one['problem']}"
        for one in evidence.failed
    )
    return [Section(title="Runs that failed", parts=(Words(points=points),))]


def title_of(evidence: Evidence, data: str) -> str:
    facts: Facts | None = evidence.facts.get(data)
    return facts.title if facts is not None else data


def _between(mean: Mean) -> str:
    if not isfinite(mean.low):
        return "-"
    return f"{mean.low:+.3f} to {mean.high:+.3f}".replace("0.", ".")
