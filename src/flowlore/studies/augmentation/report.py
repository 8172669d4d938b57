"""The report of the campaign, from its result files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...pages.curves import rank_picture
from ..evidence import Evidence, Result
from ..report import Part, Picture, Report, Section, Table, Words
from ..statistics import mean_of, p_words, ranks
from ..study import ALL_LABELS
from ..tables import data_section, failed_section, framed_report, number_of, shots_words, title_of
from .arms import ENCODER, FEW, NONE, PUBLISHED, SCREENED, SPEED, TAIL, is_network, screening
from .predictors import predictors_section
from .targets import targets_section

MACRO, WEIGHTED = number_of("natural.macro_f1"), number_of("natural.weighted_f1")
NOVEL, LOWEST, VALIDATION = number_of("novel.macro_f1"), number_of("lowest_quarter"), number_of("validation.macro_f1")
SCORES = (
    ("macro F1", MACRO),
    ("weighted F1", WEIGHTED),
    ("macro F1, novel", NOVEL),
    ("macro F1, lowest quarter", LOWEST),
)
METHODS = (SCREENED, PUBLISHED, ENCODER, "1-nn", "extra-trees", "lightgbm")


def written(evidence: Evidence, question: str) -> Report:
    sections = [
        _protocol(evidence),
        data_section(evidence),
        targets_section(evidence),
        _screening(evidence),
        *(_set_section(evidence, name) for name in evidence.facts),
        _ranks(evidence),
        predictors_section(evidence),
        _speed(evidence),
        *failed_section(evidence),
    ]
    return framed_report("Study: augmentation", question, evidence, sections)


def regime_of(one: Result) -> str:
    """`20 a class`, or `2 % of captures`."""
    share = one.values.get("share")
    return f"{share:.0%} of captures" if share else shots_words(one.shots or ALL_LABELS)


def regimes_of(results: Sequence[Result]) -> list[str]:
    """In order of how much is shown."""
    found = {
        regime_of(one): (one.values.get("share") or 0.0, one.shots == ALL_LABELS, one.shots or 0) for one in results
    }
    return sorted(found, key=lambda words: found[words])


def _protocol(evidence: Evidence) -> Section:
    scale = evidence.study["scale"]
    points = (
        "Flows are split by capture, in order of time. All arms of a seed are shown the same flows; a seed draws flows "
        "and weights.",
        f"Networks: `{PUBLISHED}` is that of the published study, `{SCREENED}` the same with a vector for each size, "
        f"`{ENCODER}` the autoencoder's encoder from fresh weights. They see 20 packets, take {scale['network_steps']} "
        "steps of 128 flows for a thousand shown flows (and with the root of more), and stop by no score.",
        f"Every arm is screened with {scale['seeds_of_variants']} seeds at {scale['shots'][0]} labels a class on the "
        f"network `{SCREENED}`. The five best by macro F1 on 2,000 labelled validation flows, which no network learns "
        "from, go on; test flows choose nothing. The arm `searched` looks for a policy of its own by validation flows.",
        "In networks half of the flows of each step are changed (`replace`), unless the arm says otherwise. Trees and "
        "1-NN are given the same changes as four copies of each flow.",
        "The long tail is a share of the training captures of each class with its flows as frequent as they are; the "
        "lowest quarter are the classes with the fewest shown flows. `novel` are asked flows without a twin (the same "
        "first ten signed sizes) among the shown.",
        "A cell is the mean over seeds ± half its 95 % interval (Student's t).",
    )
    return Section(title="How it was done", parts=(Words(points=points),))


def _screening(evidence: Evidence) -> Section:
    """All arms with as many labels as were screened, in order of what validation flows say."""
    shots = _screened_shots(evidence)
    results = screening(evidence, FEW, shots, evidence.study["scale"]["seeds_of_variants"])
    results = [one for one in results if one.number("validation.macro_f1") >= 0]
    arms = list(dict.fromkeys(one.arm for one in results))
    if len(arms) < 3:
        return Section(title="Every arm", parts=())
    arms.sort(key=lambda arm: -_mean(results, arm, VALIDATION))
    none = f"{SCREENED}, {NONE}"
    rows = []
    for arm in arms:
        here = [one for one in results if one.arm == arm]
        gains = _differences(results, arm, none, WEIGHTED)
        rows.append(
            (
                arm.removeprefix(f"{SCREENED}, "),
                mean_of([VALIDATION(one) for one in here]).words(),
                *(mean_of([value(one) for one in here]).words() for _, value in SCORES[:3]),
                "" if arm == none else _signed(100 * mean_of(gains).mean),
            )
        )
    headings = ("arm", "validation, macro F1", *(words for words, _ in SCORES[:3]), "weighted F1 points over none")
    words = f"{shots_words(shots)}, network `{SCREENED}`, the best by validation flows first."
    return Section(title="Every arm", parts=(Words(text=words), Table(headings=headings, rows=tuple(rows))))


def _set_section(evidence: Evidence, name: str) -> Section:
    results = [one for one in (*evidence.of(FEW, data=name), *evidence.of(TAIL, data=name)) if _is_final(evidence, one)]
    if not results:
        return Section(title=title_of(evidence, name), parts=())
    parts: list[Part] = []
    columns = regimes_of(results)
    for words, value in SCORES:
        rows = []
        for arm in _ordered_arms(results):
            here = [one for one in results if one.arm == arm]
            means = [mean_of([value(one) for one in here if regime_of(one) == regime]) for regime in columns]
            if any(mean.values for mean in means):
                rows.append((arm, *(mean.words() if mean.values else "" for mean in means)))
        parts.append(Table(headings=("arm", *columns), rows=tuple(rows), caption=f"{words[:1].upper()}{words[1:]}."))
    none = f"{SCREENED}, {NONE}"
    others = [arm for arm in _ordered_arms(results) if is_network(arm, SCREENED) and arm != none]
    for regime in columns:
        here = [one for one in results if regime_of(one) == regime]
        rows = _gains(here, none, others)
        if rows:
            headings = ("arm", "macro F1 points over none", "95 % interval", "weighted", "lowest quarter", "better in")
            caption = f"{regime}: network `{SCREENED}`, paired by seed, in points of 100."
            parts.append(Table(headings=headings, rows=tuple(rows), caption=caption))
    return Section(title=title_of(evidence, name), parts=tuple(parts))


def _ranks(evidence: Evidence) -> Section:
    """Friedman and Nemenyi: all screened arms over seeds, then finalists over data sets, regimes and seeds."""
    parts: list[Part] = []
    shots = _screened_shots(evidence)
    screened = screening(evidence, FEW, shots, evidence.study["scale"]["seeds_of_variants"])
    parts += _ranks_of(screened, "All screened arms; a block is a seed")
    final = [one for one in (*evidence.of(FEW), *evidence.of(TAIL)) if _is_final(evidence, one)]
    every = {(one.data, regime_of(one)) for one in final}
    often = [
        arm for arm in _ordered_arms(final) if {(one.data, regime_of(one)) for one in final if one.arm == arm} == every
    ]
    parts += _ranks_of(
        [one for one in final if one.arm in often and "lightgbm" not in one.arm],
        "Finalists, no augmentation and trees; a block is a data set, a regime and a seed",
    )
    if not parts:
        return Section(title="Ranks", parts=())
    words = (
        "Friedman's test, and Nemenyi's critical distance at 5 %, over macro F1 of all asked flows. Blocks of one data "
        "set are not independent, so read this as a description."
    )
    return Section(title="Ranks", parts=(Words(text=words), *parts))


def _ranks_of(results: Sequence[Result], words: str) -> list[Part]:
    arms = list(dict.fromkeys(one.arm for one in results))
    held = {(one.data, regime_of(one), one.seed, one.arm): MACRO(one) for one in results}
    blocks = sorted({key[:3] for key in held})
    table = [[held.get((*block, arm), float("nan")) for arm in arms] for block in blocks]
    found = ranks(arms, table) if arms else None
    if found is None:
        return []
    caption = (
        f"{words}: {found.blocks} blocks, χ² = {found.statistic:.1f}, p {p_words(found.p)}, critical distance "
        f"{found.critical_distance:.2f}; a bar joins arms that the test cannot tell apart."
    )
    prefix = f"{SCREENED}, " if all(is_network(arm, SCREENED) for arm in arms) else ""
    names = [arm.removeprefix(prefix) for arm in found.arms]
    picture = rank_picture(names, found.mean_ranks, found.critical_distance, found.cliques())
    rows = tuple((arm, f"{rank:.2f}") for arm, rank in zip(found.arms, found.mean_ranks, strict=True))
    return [Picture(svg=picture, caption=caption), Table(headings=("arm", "mean rank"), rows=rows)]


def _speed(evidence: Evidence) -> Section:
    rows = tuple(
        (one.arm, f"{one.number('flows_per_s'):,.0f}", f"{one.number('runs_per_hour'):,.0f}")
        for one in evidence.of(SPEED)
    )
    words = (
        "Processor time of one core: flows that a network learns from in a second, and runs of the screening in an "
        "hour. The plain loop changes each flow alone, in float32."
    )
    if not rows:
        return Section(title="Speed", parts=())
    return Section(title="Speed", parts=(Words(text=words), Table(headings=("arm", "flows/s", "runs/h"), rows=rows)))


def _gains(results: Sequence[Result], none: str, arms: Sequence[str]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for arm in arms:
        macro, weighted, lowest = (_differences(results, arm, none, value) for value in (MACRO, WEIGHTED, LOWEST))
        if macro:
            mean = mean_of(macro)
            between = f"{100 * mean.low:+.1f} to {100 * mean.high:+.1f}" if len(macro) > 1 else "-"
            better = f"{sum(one > 0 for one in macro)} of {len(macro)}"
            means = [_signed(100 * mean_of(values).mean) for values in (macro, weighted, lowest)]
            rows.append((arm, means[0], between, means[1], means[2], better))
    return rows


def _differences(results: Sequence[Result], arm: str, none: str, value: Callable[[Result], float]) -> list[float]:
    """By data set, regime and seed."""
    keys = {(one.data, regime_of(one), one.seed): value(one) for one in results if one.arm == none}
    return [
        value(one) - keys[key]
        for one in results
        if one.arm == arm and (key := (one.data, regime_of(one), one.seed)) in keys
    ]


def _is_final(evidence: Evidence, one: Result) -> bool:
    """Whether its arm was run in more than the screening."""
    if not is_network(one.arm, SCREENED) or one.arm == f"{SCREENED}, {NONE}":
        return True
    shots = _screened_shots(evidence)
    return any(other.arm == one.arm and (other.question == TAIL or other.shots != shots) for other in evidence.results)


def _ordered_arms(results: Sequence[Result]) -> list[str]:
    def place(arm: str) -> tuple[int, bool, str]:
        method, _, changed = arm.partition(", ")
        return METHODS.index(method), changed != NONE, changed

    return sorted({one.arm for one in results}, key=place)


def _screened_shots(evidence: Evidence) -> int:
    return int(evidence.study["scale"]["shots"][0])


def _mean(results: Sequence[Result], arm: str, value: Callable[[Result], float]) -> float:
    return mean_of([value(one) for one in results if one.arm == arm]).mean


def _signed(points: float) -> str:
    return f"{points:+.1f}"
