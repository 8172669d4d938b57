"""Which measure of a latent space, computed without test labels, tells beforehand how much an augmentation gains."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ..evidence import Evidence, Result
from ..report import Section, Table, Words
from ..statistics import mean_of, p_words
from .arms import FEW, NONE, SCREENED, SEARCHED, screening
from .geometry import MEASURES, WITH_LABELS

FEWEST_ARMS = 5


def predictors_section(evidence: Evidence, question: str = FEW) -> Section:
    """Spearman's rank correlation over arms between each measure and the gain in macro F1 over no augmentation."""
    scale = evidence.study["scale"]
    results = [
        one
        for one in screening(evidence, question, scale["shots"][0], scale["seeds_of_variants"])
        if "measures" in one.result and SEARCHED not in one.arm
    ]
    found = {path: correlation(results, path) for path in (*MEASURES, *WITH_LABELS)}
    known = {path: one for path, one in found.items() if one is not None}
    if not known:
        return Section(title="What tells the gain beforehand", parts=())
    words = (
        "Spearman's rank correlation over arms between a measure and the gain in macro F1 of all asked flows over no "
        "augmentation, both as means over seeds; beside it the mean of the same within each seed. `before` is a "
        "network taught without augmentation, `after` one taught with it. p is not corrected: where many measures are "
        "tried, the best of them looks better than it is, and p times their number is the safe reading."
    )
    tables = []
    for names, caption in ((MEASURES, "Without any label of an asked flow."), (WITH_LABELS, "With labels.")):
        order = sorted((path for path in names if path in known), key=lambda path: -abs(known[path][0]))
        rows = tuple(
            (names[path], f"{known[path][0]:+.2f}", p_words(known[path][1]), known[path][2], str(known[path][3]))
            for path in order
        )
        if rows:
            headings = ("measure", "rank correlation", "p", "within a seed", "arms")
            tables.append(Table(headings=headings, rows=rows, caption=caption))
    return Section(title="What tells the gain beforehand", parts=(Words(text=words), *tables))


def correlation(results: Sequence[Result], path: str) -> tuple[float, float, str, int] | None:
    """Of means over seeds, its p, the mean of those within seeds in words, and over how many arms."""
    none = f"{SCREENED}, {NONE}"
    base = {one.seed: one.number("natural.macro_f1") for one in results if one.arm == none}
    measured: dict[str, dict[int, tuple[float, float]]] = {}
    for one in results:
        value = one.number(path if path.startswith("validation.") else f"measures.{path}")
        if one.arm != none and one.seed in base and isfinite(value):
            gain = one.number("natural.macro_f1") - base[one.seed]
            measured.setdefault(one.arm, {})[one.seed] = (value, gain)
    if len(measured) < FEWEST_ARMS:
        return None
    means = [tuple(sum(side) / len(cells) for side in zip(*cells.values(), strict=True)) for cells in measured.values()]
    rho, p = _spearman([one[0] for one in means], [one[1] for one in means])
    if not isfinite(rho):
        return None
    each = []
    for seed in base:
        here = [cells[seed] for cells in measured.values() if seed in cells]
        if len(here) >= FEWEST_ARMS:
            each.append(_spearman([one[0] for one in here], [one[1] for one in here])[0])
    return rho, p, mean_of(each).words(2) if each else "", len(measured)


def _spearman(left: Sequence[float], right: Sequence[float]) -> tuple[float, float]:
    from scipy.stats import spearmanr

    if len(set(left)) < 2 or len(set(right)) < 2:
        return float("nan"), float("nan")
    found = spearmanr(left, right)
    return float(found.statistic), float(found.pvalue)
