"""What generators were to reach, and whether they did: every target is told, reached or not."""

from __future__ import annotations

from collections.abc import Sequence

from ..evidence import Evidence, Result
from ..report import Section, Table, Words
from ..statistics import mean_of
from ..tables import number_of, shots_words, title_of
from .arms import ALL_THREE, CRAFTED, FIDELITY, GENERATORS, MADE_ONLY, NONE, USE, WITH_MADE

MACRO, VALIDATION = number_of("natural.macro_f1"), number_of("validation.macro_f1")
WITHIN_POINTS = 4.0
Row = tuple[str, str, str, str]


def targets_section(evidence: Evidence) -> Section:
    rows: list[Row] = []
    for name in evidence.facts:
        for shots in sorted({one.shots for one in evidence.of(USE, data=name) if one.shots is not None}):
            where = f"{title_of(evidence, name)}, {shots_words(shots)}"
            rows += _of_use(evidence.of(USE, data=name, shots=shots), where)
            rows += _of_copies(evidence.of(FIDELITY, data=name, shots=shots), where)
    if not rows:
        return Section(title="Targets", parts=())
    words = "Set before anything was run. The best generator is the best by validation flows."
    headings = ("target", "wanted", "found", "reached")
    return Section(title="Targets", parts=(Words(text=words), Table(headings=headings, rows=tuple(rows))))


def _of_use(results: Sequence[Result], where: str) -> list[Row]:
    none, crafted = _mean(results, NONE), _mean(results, CRAFTED)
    if none is None or crafted is None:
        return []
    rows: list[Row] = []
    wanted = (
        (WITH_MADE, "best generator at or above hand-crafted", crafted, 0.0),
        (ALL_THREE, "hand-crafted and made together above hand-crafted", crafted, 1e-9),
        (MADE_ONLY, "taught by made-up flows only, within 4 points of real ones", none, -WITHIN_POINTS),
    )
    for what, target, against, points in wanted:
        best = _best(results, [f"{name}, {what}" for name in GENERATORS])
        if best is not None:
            found = _mean(results, best) or 0.0
            gain = 100 * (found - against)
            words = f"{found:.3f} against {against:.3f} ({best})"
            rows.append(_row(f"{where}: {target}", f"{points:+.0f} points", words, gain >= points))
    return rows


def _of_copies(results: Sequence[Result], where: str) -> list[Row]:
    rows = []
    for name in GENERATORS:
        here = [one for one in results if one.arm == name]
        if here:
            copied, chance = (
                mean_of([one.number(path) for one in here]).mean for path in ("copied", "copied_by_chance")
            )
            target = f"{where}: {name} copies no shown flow above the rate of chance"
            rows.append(_row(target, f"at most {chance:.3f}", f"{copied:.3f}", copied <= chance))
    return rows


def _best(results: Sequence[Result], arms: Sequence[str]) -> str | None:
    means = {arm: mean_of([VALIDATION(one) for one in results if one.arm == arm]) for arm in arms}
    known = {arm: mean.mean for arm, mean in means.items() if mean.values}
    return max(known, key=lambda arm: known[arm]) if known else None


def _mean(results: Sequence[Result], arm: str) -> float | None:
    mean = mean_of([MACRO(one) for one in results if one.arm == arm])
    return mean.mean if mean.values else None


def _row(target: str, wanted: str, found: str, is_reached: bool) -> Row:
    return target, wanted, found, "yes" if is_reached else "no"
