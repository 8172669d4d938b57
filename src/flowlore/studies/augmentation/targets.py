"""What the campaign was to reach, and whether it did: every target is told, reached or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..evidence import Evidence, Result
from ..report import Section, Table, Words
from ..statistics import mean_of
from ..tables import number_of, title_of
from .arms import ENCODER, FEW, NONE, PUBLISHED, SCREENED, SHARES, TAIL, is_network

GAIN_POINTS, LOWEST_POINTS = 4.76, 6.0
MACRO, WEIGHTED, LOWEST = (number_of(path) for path in ("natural.macro_f1", "natural.weighted_f1", "lowest_quarter"))
VALIDATION = number_of("validation.macro_f1")
Row = tuple[str, str, str, str]


def targets_section(evidence: Evidence) -> Section:
    rows = [row for name in evidence.facts for row in _of_set(evidence, name)]
    if not rows:
        return Section(title="Targets", parts=())
    words = "Set before anything was run. The best is the best by validation flows, not by those that are asked."
    headings = ("target", "wanted", "found", "reached")
    return Section(title="Targets", parts=(Words(text=words), Table(headings=headings, rows=tuple(rows))))


def _of_set(evidence: Evidence, name: str) -> list[Row]:
    title = title_of(evidence, name)
    rows: list[Row] = []
    for network in (PUBLISHED, SCREENED, ENCODER):
        results = evidence.of(FEW, data=name, shots=100)
        best = best_arm(results, network)
        if best is not None:
            gain = 100 * gain_of(results, network, best, WEIGHTED)
            target = f"{title}: best policy over none, weighted F1 points, 100 a class, network `{network}`"
            rows.append(_row(target, f"{GAIN_POINTS:+.2f}", f"{gain:+.2f} ({best})", gain >= GAIN_POINTS))
    for share in SHARES:
        results = [one for one in evidence.of(TAIL, data=name) if one.values.get("share") == share]
        best = best_arm(results, SCREENED)
        if best is not None:
            gain = 100 * gain_of(results, SCREENED, best, LOWEST)
            target = f"{title}: lowest quarter of classes, macro F1 points, {share:.0%} of captures, best policy"
            rows.append(_row(target, f"{LOWEST_POINTS:+.2f}", f"{gain:+.2f} ({best})", gain >= LOWEST_POINTS))
    for shots in (20, 100):
        results = evidence.of(FEW, data=name, shots=shots)
        best = best_arm(results, SCREENED)
        trees = {
            arm: mean_of([MACRO(one) for one in results if one.arm == arm]).mean
            for arm in {one.arm for one in results if one.arm.partition(",")[0] in ("extra-trees", "lightgbm", "1-nn")}
        }
        if best is not None and trees:
            ours = mean_of([MACRO(one) for one in results if one.arm == f"{SCREENED}, {best}"]).mean
            other = max(trees, key=lambda arm: trees[arm])
            target = f"{title}: augmented network over the best tree, macro F1, {shots} a class"
            words = f"{ours:.3f} ({best}) against {trees[other]:.3f} ({other})"
            rows.append(_row(target, "above", words, ours > trees[other]))
    return rows


def best_arm(results: Sequence[Result], network: str) -> str | None:
    """By validation flows, of what is more than none."""
    means = {}
    for arm in {one.arm for one in results if is_network(one.arm, network)}:
        mean = mean_of([VALIDATION(one) for one in results if one.arm == arm])
        name = arm.removeprefix(f"{network}, ")
        if mean.values and name != NONE:
            means[name] = mean.mean
    is_there = any(one.arm == f"{network}, {NONE}" for one in results)
    return max(means, key=lambda name: means[name]) if means and is_there else None


def gain_of(results: Sequence[Result], network: str, arm: str, value: Callable[[Result], float]) -> float:
    """Over none, paired by seed."""
    base = {one.seed: value(one) for one in results if one.arm == f"{network}, {NONE}"}
    gains = [value(one) - base[one.seed] for one in results if one.arm == f"{network}, {arm}" and one.seed in base]
    return mean_of(gains).mean


def _row(target: str, wanted: str, found: str, is_reached: bool) -> Row:
    return target, wanted, found, "yes" if is_reached else "no"
