"""The report of the study of generation, from its result files."""

from __future__ import annotations

from collections.abc import Sequence

from ...pages.curves import Curve, curves, rank_picture
from ..evidence import Evidence, Result
from ..report import Part, Picture, Report, Section, Table, Words
from ..statistics import mean_of, p_words, ranks
from ..tables import data_section, failed_section, framed_report, number_of, shots_words, title_of
from .arms import CRAFTED, DOSE, FIDELITY, NONE, REAL_ONLY, SHARES, USE
from .targets import targets_section

MACRO, WEIGHTED = number_of("natural.macro_f1"), number_of("natural.weighted_f1")
NOVEL = number_of("novel.macro_f1")
MEASURES = (
    ("TSTR", "tstr"),
    ("TRTR", "trtr"),
    ("TRTS", "trts"),
    ("discriminator AUC", "discriminator_auc"),
    ("coverage", "coverage"),
    ("density", "density"),
    ("MMD", "mmd"),
    ("copied", "copied"),
    ("by chance", "copied_by_chance"),
    ("membership AUC", "membership_auc"),
)
COST = ("parameters", "learning_s")
FEATURES = ("signed size", "log gap", "packets", "log bytes", "log duration", "share answered")


def written(evidence: Evidence, question: str) -> Report:
    sections = [_protocol(evidence), data_section(evidence), targets_section(evidence)]
    for name in evidence.facts:
        sections += [_use(evidence, name), _ranks(evidence, name), _fidelity(evidence, name), _dose(evidence, name)]
    sections += failed_section(evidence)
    return framed_report("Study: generation", question, evidence, sections)


def _protocol(evidence: Evidence) -> Section:
    scale = evidence.study["scale"]
    points = (
        "Splits, shown flows and the network (a vector for each size) are those of the study of augmentation. A "
        "generator learns from the shown flows alone, and from no validation flow.",
        f"Transformer and diffusion see their flows {scale['epochs']} times, the WGAN four times as often. Made-up "
        "flows are half of every step where they teach with real ones, of classes as often as these were shown.",
        "`asked where it is thin` and `boundary`: the generator is told where a classifier that saw the shown flows "
        "places each of them, and is asked for places where a class is thin, or near another class. `from augmented "
        "flows`: it learns from four changed copies of each flow too. `joint`: a classifier over the bits of packets "
        "learns with maker and critic, and what it cannot name teaches the maker; beside it the same classifier alone.",
        "`hand-crafted` changes half of the flows of each step by one of translation, wrap, a mask and another round "
        "trip. Nothing was tuned on the asked flows. A cell is the mean over seeds ± half its 95 % interval.",
    )
    return Section(title="How it was done", parts=(Words(points=points),))


def _use(evidence: Evidence, name: str) -> Section:
    results = evidence.of(USE, data=name)
    parts: list[Part] = []
    for shots in _shots(results):
        here = [one for one in results if one.shots == shots]
        arms = list(dict.fromkeys(one.arm for one in sorted(here, key=lambda one: -MACRO(one))))
        arms.sort(key=lambda arm: -mean_of([MACRO(one) for one in here if one.arm == arm]).mean)
        rows = []
        for arm in arms:
            scores = [mean_of([value(one) for one in here if one.arm == arm]) for value in (MACRO, WEIGHTED, NOVEL)]
            gains = [_gain(here, arm, other) for other in (NONE, CRAFTED)]
            rows.append((arm, *(mean.words() for mean in scores), *gains))
        headings = (
            *("arm", "macro F1", "weighted F1", "macro F1, novel"),
            *(f"macro points over {NONE}", f"over {CRAFTED}"),
        )
        parts.append(Table(headings=headings, rows=tuple(rows), caption=f"{shots_words(shots)}, the best first."))
    return Section(title=f"{title_of(evidence, name)}: what made-up flows teach", parts=tuple(parts))


def _ranks(evidence: Evidence, name: str) -> Section:
    results = [one for one in evidence.of(USE, data=name) if not one.arm.startswith("joint")]
    arms = list(dict.fromkeys(one.arm for one in results))
    held = {(one.shots, one.seed, one.arm): MACRO(one) for one in results}
    blocks = sorted({key[:2] for key in held}, key=str)
    table = [[held.get((*block, arm), float("nan")) for arm in arms] for block in blocks]
    found = ranks(arms, table) if arms else None
    if found is None:
        return Section(title="Ranks", parts=())
    caption = (
        f"Mean ranks over {found.blocks} blocks of labels and seed: χ² = {found.statistic:.1f}, p {p_words(found.p)}, "
        f"critical distance {found.critical_distance:.2f} (Nemenyi, 5 %)."
    )
    picture = rank_picture(found.arms, found.mean_ranks, found.critical_distance, found.cliques())
    rows = tuple((arm, f"{rank:.2f}") for arm, rank in zip(found.arms, found.mean_ranks, strict=True))
    parts = (Picture(svg=picture, caption=caption), Table(headings=("arm", "mean rank"), rows=rows))
    return Section(title="Ranks", parts=parts)


def _fidelity(evidence: Evidence, name: str) -> Section:
    results = evidence.of(FIDELITY, data=name)
    parts: list[Part] = []
    for shots in _shots(results):
        here = [one for one in results if one.shots == shots]
        arms = list(dict.fromkeys(one.arm for one in here))
        rows, apart = [], []
        for arm in arms:
            of_arm = [one for one in here if one.arm == arm]
            cost = [mean_of([one.number(f"generator.{word}") for one in of_arm]).mean for word in COST]
            means = [mean_of([one.number(path) for one in of_arm]).words() for _, path in MEASURES]
            rows.append((arm, *means, f"{cost[0]:,.0f}", f"{cost[1]:,.0f}"))
            apart.append((arm, *(mean_of([_feature(one, feature) for one in of_arm]).words() for feature in FEATURES)))
        headings = ("generator", *(words for words, _ in MEASURES), "numbers", "learning s")
        parts.append(Table(headings=headings, rows=tuple(rows), caption=f"{shots_words(shots)}."))
        caption = f"{shots_words(shots)}: Jensen-Shannon distance of each feature from that of asked flows, in bits."
        parts.append(Table(headings=("generator", *FEATURES), rows=tuple(apart), caption=caption))
    words = (
        "TSTR teaches trees on made-up flows and asks real ones, TRTR real both times, TRTS the other way (macro F1). "
        "A discriminator at .5 cannot tell made-up from real; copied flows have the packet sizes of a shown one."
    )
    title = f"{title_of(evidence, name)}: how faithful they are"
    return Section(title=title, parts=(Words(text=words), *parts) if parts else ())


def _dose(evidence: Evidence, name: str) -> Section:
    results = evidence.of(DOSE, data=name)
    parts: list[Part] = []
    for shots in _shots(results):
        here = [one for one in results if one.shots == shots]
        base = mean_of([MACRO(one) for one in here if one.arm == REAL_ONLY])
        arms = sorted({one.arm for one in here if one.arm != REAL_ONLY})
        if not base.values or not arms:
            continue
        columns = [0.0, *SHARES]
        rows, drawn = [], []
        for arm in arms:
            means = [base] + [
                mean_of([MACRO(one) for one in here if one.arm == arm and one.values["dose"]["share"] == share])
                for share in SHARES
            ]
            rows.append((arm, *(mean.words() if mean.values else "" for mean in means)))
            drawn.append(Curve(name=arm, values=[mean.mean if mean.values else None for mean in means]))
        labels = [f"{share:.0%}" for share in columns]
        svg = curves(labels, drawn, f"macro F1 over the share of changed or made-up flows, {shots_words(shots)}")
        parts.append(Picture(svg=svg, caption=f"{shots_words(shots)}: macro F1 over the share of a step."))
        parts.append(Table(headings=("variety", *labels), rows=tuple(rows), caption=f"{shots_words(shots)}."))
    words = (
        "How much helps before it harms: across, the share of each step that is changed or made up (at 100 % no flow "
        "is as it was seen); down, how strongly flows are changed, or at which temperature the transformer tells them."
    )
    title = f"{title_of(evidence, name)}: dose and response"
    return Section(title=title, parts=(Words(text=words), *parts) if parts else ())


def _feature(one: Result, feature: str) -> float:
    return float(one.result["features"][feature]["jsd"])


def _gain(results: Sequence[Result], arm: str, other: str) -> str:
    """Mean difference by seed, in points of 100."""
    base = {one.seed: MACRO(one) for one in results if one.arm == other}
    gains = [100 * (MACRO(one) - base[one.seed]) for one in results if one.arm == arm and one.seed in base]
    return "" if arm == other or not gains else f"{mean_of(gains).mean:+.1f}"


def _shots(results: Sequence[Result]) -> list[int]:
    return sorted({one.shots for one in results if one.shots is not None})
