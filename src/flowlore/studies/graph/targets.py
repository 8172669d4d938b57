"""What the study was to reach, and whether it did: every target is told, reached or not."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ..evidence import Evidence, Result
from ..report import Section, Table, Words
from ..statistics import mean_of, p_words, paired
from ..tables import Value, number_of, shots_words, title_of
from .arms import (
    ELSEWHERE,
    HERE,
    KITSUNE,
    SCRATCH,
    SHARE,
    SHOTS,
    SURPRISE_ELSEWHERE,
    SURPRISE_HERE,
    TASKS,
    UNLABELLED,
    WITH_WINDOWS,
)

MACRO_F1 = number_of("natural.macro_f1")
PR_AUC = number_of("pr_auc")
GAIN, AT_SHARE = 0.0687, 0.05
FEW = (5, 10, 20)
TUNED = f"{ELSEWHERE}, fine-tuned"
ON_VECTORS = (f"{ELSEWHERE}, probe", TUNED, f"{HERE}, probe", f"{HERE}, fine-tuned")
BESIDE_NUMBERS = (f"{ELSEWHERE}, extra trees", f"{ELSEWHERE}, extra trees with windows")
Row = tuple[str, str, str, str]


def targets_section(evidence: Evidence) -> Section:
    rows = [*_over_scratch(evidence), *_over_windows(evidence), *_over_kitsune(evidence)]
    if not rows:
        return Section(title="Targets", parts=())
    return Section(
        title="Targets",
        parts=(
            Words(text="Set before anything was run. Speeds are measured by `python -m benchmarks.graphs`."),
            Table(headings=("target", "wanted", "found", "reached"), rows=tuple(rows)),
        ),
    )


def task_names() -> list[str]:
    """Words of the targets, in order of their first set."""
    return list(dict.fromkeys(task for tasks in TASKS.values() for task in tasks))


def of_task(results: Sequence[Result], task: str) -> list[Result]:
    return [one for one in results if one.values.get("task") == task]


def _over_scratch(evidence: Evidence) -> list[Row]:
    """Relative gain in macro F1 with 5 % of the labels, mean over sets of a task, then over tasks."""
    results = [one for one in evidence.of(SHARE) if one.values["share"] == AT_SHARE]
    gains, words, pairs = [], [], []
    for task in task_names():
        of_sets = []
        for data in dict.fromkeys(one.data for one in of_task(results, task)):
            cells = [one for one in of_task(results, task) if one.data == data]
            by_seed = {arm: {one.seed: MACRO_F1(one) for one in cells if one.arm == arm} for arm in (TUNED, SCRATCH)}
            seeds = sorted(set(by_seed[TUNED]) & set(by_seed[SCRATCH]))
            pairs += [(by_seed[TUNED][seed], by_seed[SCRATCH][seed]) for seed in seeds]
            if seeds:
                ours, scratch = (mean_of([by_seed[arm][seed] for seed in seeds]).mean for arm in (TUNED, SCRATCH))
                of_sets.append(ours / scratch - 1)
                words.append(f"{data} {task} {ours / scratch - 1:+.1%}")
        if of_sets:
            gains.append(sum(of_sets) / len(of_sets))
    if not gains:
        return []
    mean = sum(gains) / len(gains)
    found = paired([one for one, _ in pairs], [other for _, other in pairs])
    is_sure = isfinite(found.wilcoxon) and found.wilcoxon < 0.05
    told = f"{mean:+.1%} ({', '.join(words)}); p {p_words(found.wilcoxon)} (Wilcoxon, {found.cells} cells)"
    is_reached = mean >= GAIN and is_sure and len(gains) == len(task_names())
    return [
        _row(
            f"{TUNED} over {SCRATCH}, 5 % of the labels, {len(gains)} tasks", f"{GAIN:+.2%}, p < .05", told, is_reached
        )
    ]


def _over_windows(evidence: Evidence) -> list[Row]:
    """The best arm of the network over the best simple method with windows, few-shot, by task."""
    rows = (
        _few_shot(evidence, "best head on vectors alone", ON_VECTORS),
        _few_shot(evidence, "trees on vectors beside numbers", BESIDE_NUMBERS),
    )
    return [row for row in rows if row is not None]


def _few_shot(evidence: Evidence, name: str, arms: Sequence[str]) -> Row | None:
    results = evidence.of(SHOTS)
    won, words = 0, []
    for task in task_names():
        differences = []
        for data in dict.fromkeys(one.data for one in of_task(results, task)):
            for shots in FEW:
                cells = [one for one in of_task(results, task) if (one.data, one.shots) == (data, shots)]
                ours, simple = _best(cells, arms), _best(cells, WITH_WINDOWS)
                if ours is not None and simple is not None:
                    differences.append(ours - simple)
        if differences:
            mean = sum(differences) / len(differences)
            won += mean > 0
            words.append(f"{task} {mean:+.3f}")
    if not words:
        return None
    shown = ", ".join(shots_words(shots) for shots in FEW)
    return _row(f"{name} over the best simple method with windows, {shown}", "2 of 3 tasks", "; ".join(words), won >= 2)


def _over_kitsune(evidence: Evidence) -> list[Row]:
    rows = []
    for data in evidence.facts:
        cells = [one for one in evidence.of(UNLABELLED, data=data) if isfinite(PR_AUC(one))]
        ours, other = _best(cells, (SURPRISE_HERE, SURPRISE_ELSEWHERE), PR_AUC), _best(cells, (KITSUNE,), PR_AUC)
        if ours is not None and other is not None:
            target = f"{title_of(evidence, data)}: PR-AUC without labels over {KITSUNE}"
            rows.append(_row(target, "above", f"{ours:.3f} against {other:.3f}", ours > other))
    return rows


def _best(cells: Sequence[Result], arms: Sequence[str], value: Value = MACRO_F1) -> float | None:
    means = [mean_of([value(one) for one in cells if one.arm == arm]) for arm in arms]
    return max((mean.mean for mean in means if mean.values), default=None)


def _row(target: str, wanted: str, found: str, is_reached: bool) -> Row:
    return target, wanted, found, "yes" if is_reached else "no"
