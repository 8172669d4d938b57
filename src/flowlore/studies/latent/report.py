"""The report of the study of latent spaces, from its result files."""

from __future__ import annotations

from collections.abc import Sequence

from ...pages.class_places import class_places
from ..augmentation.arms import NONE, SCREENED
from ..augmentation.predictors import predictors_section
from ..evidence import Evidence, Result
from ..report import Part, Picture, Report, Section, Table, Words
from ..statistics import mean_of
from ..tables import data_section, failed_section, framed_report, number_of, title_of

MACRO, VALIDATION = number_of("natural.macro_f1"), number_of("validation.macro_f1")
DRAWN = 5  # arms, beside none
GEOMETRY = (
    ("silhouette", "truth.silhouette"),
    ("Davies-Bouldin", "truth.davies_bouldin"),
    ("purity", "truth.purity"),
    ("alignment, shown", "after.alignment"),
    ("uniformity, shown", "after.uniformity"),
    ("within, shown", "after.intra"),
    ("between, shown", "after.inter"),
)
LANDING = (
    ("moved", "copies.alignment"),
    ("kept", "copies.kept"),
    ("to shown", "copies.to_train"),
    ("reach, unlabelled", "copies.reach"),
    ("reach, of the class", "truth.reach"),
    ("nearer to asked", "truth.toward_test"),
)
LANDING_WORDS = (
    "In the space of the network that was taught without augmentation. `moved`: mean squared distance of a changed "
    "flow to its own. `kept`: changed flows whose nearest shown flow is of their class. `to shown`: how far that is. "
    "`reach`: asked flows that have a changed flow nearer than any shown flow, without regard to classes and within "
    "their class. `nearer to asked`: changed flows nearer to an asked flow of their class than to any shown one."
)


def written(evidence: Evidence, question: str) -> Report:
    sections = [data_section(evidence), predictors_section(evidence, "latent")]
    for name in evidence.facts:
        sections += [_measures(evidence, name), _landing(evidence, name), _pictures(evidence, name)]
    sections += failed_section(evidence)
    return framed_report("Study: latent space", question, evidence, sections)


def _measures(evidence: Evidence, name: str) -> Section:
    results = evidence.of("latent", data=name)
    headings = ("arm", "macro F1", *(words for words, _ in GEOMETRY))
    words = (
        "After training with the arm. Silhouette, Davies-Bouldin and purity are of asked flows by their true classes: "
        "they tell how far classes lie apart, and are no predictors. Means over seeds, the best arm by macro F1 first."
    )
    rows = _rows(results, GEOMETRY)
    table = Table(headings=headings, rows=rows)
    title = f"{title_of(evidence, name)}: how classes lie"
    return Section(title=title, parts=(Words(text=words), table) if rows else ())


def _landing(evidence: Evidence, name: str) -> Section:
    results = [one for one in evidence.of("latent", data=name) if one.arm != f"{SCREENED}, {NONE}"]
    headings = ("arm", "macro F1", *(words for words, _ in LANDING))
    rows = _rows(results, LANDING)
    title = f"{title_of(evidence, name)}: where changed flows land"
    parts: tuple[Part, ...] = (Words(text=LANDING_WORDS), Table(headings=headings, rows=rows)) if rows else ()
    return Section(title=title, parts=parts)


def _rows(results: Sequence[Result], measures: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    arms = sorted(
        {one.arm for one in results}, key=lambda arm: -mean_of([MACRO(one) for one in results if one.arm == arm]).mean
    )
    rows = []
    for arm in arms:
        here = [one for one in results if one.arm == arm]
        paths = ["natural.macro_f1", *(f"measures.{path}" for _, path in measures)]
        means = [mean_of([one.number(path) for one in here]) for path in paths]
        rows.append((arm.removeprefix(f"{SCREENED}, "), *(mean.words() if mean.values else "" for mean in means)))
    return tuple(rows)


def _pictures(evidence: Evidence, name: str) -> Section:
    drawn = {one.arm: one for one in evidence.of("latent", data=name) if "places" in one.result}
    every = evidence.of("latent", data=name)
    best = sorted(
        (arm for arm in drawn if arm != f"{SCREENED}, {NONE}"),
        key=lambda arm: -mean_of([VALIDATION(one) for one in every if one.arm == arm]).mean,
    )
    parts: list[Part] = []
    for arm in [arm for arm in (f"{SCREENED}, {NONE}", *best[:DRAWN]) if arm in drawn]:
        held = drawn[arm].result["places"]
        words = arm.removeprefix(f"{SCREENED}, ")
        spaces = ("after",) if words == NONE else ("before", "after")
        for space in spaces:
            svg = class_places(held[space], held["codes"], held["kinds"], f"{words}, {space}")
            parts.append(Picture(svg=svg, caption=f"{words}: {'no augmentation' if words == NONE else space}."))
    if not parts:
        return Section(title="Pictures", parts=())
    intro = (
        "Six classes with the most asked flows, a colour each: discs are shown flows, rings changed ones, dots asked "
        "ones. Placed by neighbours (as maps are), so that distances far away mean little."
    )
    return Section(title=f"{title_of(evidence, name)}: pictures", parts=(Words(text=intro), *parts))
