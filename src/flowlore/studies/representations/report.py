"""The report on representations, from its result files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...pages.curves import Curve, curves
from ..evidence import Evidence, Result
from ..report import Part, Picture, Report, Section, Table, Words
from ..statistics import mean_of
from ..study import ALL_LABELS
from ..tables import (
    by_shots,
    data_section,
    failed_section,
    framed_report,
    number_of,
    paired_table,
    ranks_parts,
    shots_words,
    title_of,
)
from .arms import ABLATION, DAYS, GEOMETRY, LABELS, SOURCES
from .targets import targets_section

NATURAL, NOVEL = number_of("natural.macro_f1"), number_of("novel.macro_f1")
OURS = "autoencoder, probe"
RANKED = (
    OURS,
    "fresh encoder, probe",
    "concatenation, probe",
    "1-nn",
    "random-forest",
    "extra-trees",
    "lightgbm",
    "mlp",
    "multi-modal network",
)
DRAWN = (OURS, "autoencoder, fine-tuned", "concatenation, probe", "extra-trees", "lightgbm", "multi-modal network")
PURITIES = ("1", "5", "10", "19")


def written(evidence: Evidence, question: str) -> Report:
    labelled = evidence.of(LABELS)
    names = list(evidence.facts)
    sections = [
        _protocol(evidence),
        data_section(evidence),
        targets_section(evidence),
        *[
            section
            for name in names
            for section in _set_section(evidence, name, [one for one in labelled if one.data == name])
        ],
        Section(title="Ranks over all sets", parts=tuple(ranks_parts(labelled, NATURAL, RANKED))),
        Section(
            title="Pair by pair",
            parts=(
                paired_table(labelled, NATURAL, OURS, list(dict.fromkeys(one.arm for one in labelled))),
                paired_table(labelled, NATURAL, "autoencoder, fine-tuned", RANKED),
            ),
        ),
        _geometry(evidence),
        _many_arms(evidence, ABLATION, "Ablations", _ABLATION_WORDS),
        _many_arms(evidence, SOURCES, "From one source to another", _SOURCES_WORDS),
        _days(evidence),
        _costs(evidence, labelled),
        *failed_section(evidence),
    ]
    return framed_report("Study: representations", question, evidence, sections)


def _protocol(evidence: Evidence) -> Section:
    scale = evidence.study["scale"]
    thinned = (
        f"Thinned to at most {scale['train_rows']:,} teaching and {scale['test_rows']:,} asked flows a set, and "
        f"{scale.get('unlabelled_rows', 0):,} more that only pre-training sees, without labels (scale "
        f"{scale['name']}): compare arms with each other, not with figures of the whole sets."
        if scale["train_rows"]
        else "Every flow of every set is used."
    )
    return Section(
        title="How it was done",
        parts=(
            Words(
                points=(
                    "Flows are split by capture or time, never one by one, and each split is proved. All arms see the "
                    "same split, and for one seed the same labelled flows. Nothing was tuned on the test side.",
                    f"{scale['seeds']} seeds draw labelled flows and weights ({scale['seeds_with_all_labels']} where "
                    "all labels are shown). A cell is the mean over seeds, ± half its 95 % interval; * is the best.",
                    "`natural` is the whole test side, `novel` its flows without a twin (the same first ten signed "
                    "sizes, or the same counters) anywhere on the teaching side.",
                    "Encoders are pre-trained on the teaching side without labels. `frozen` arms teach a head on "
                    "vectors; `fine-tuned` starts at the probe; `fresh encoder` has weights as they were drawn.",
                    "Every simple method gets all modalities side by side (scaled numbers, sizes, gaps, bytes, "
                    "tokens). `multi-modal network` is supervised, after what is published of MIMETIC and DISTILLER.",
                    thinned,
                )
            ),
        ),
    )


def _set_section(evidence: Evidence, name: str, results: list[Result]) -> list[Section]:
    if not results:
        return []
    facts = evidence.facts[name]
    shots = sorted({one.shots for one in results if one.shots is not None}, key=lambda one: (one == ALL_LABELS, one))
    drawn = []
    for arm in DRAWN:
        means = [mean_of([NATURAL(one) for one in results if one.arm == arm and one.shots == count]) for count in shots]
        drawn.append(
            Curve(
                name=arm,
                values=[mean.mean if mean.values else None for mean in means],
                lows=[mean.low for mean in means],
                highs=[mean.high for mean in means],
            )
        )
    parts: list[Part] = [
        Picture(
            svg=curves([shots_words(one) for one in shots], drawn, f"macro F1 on {facts.title}"),
            caption="Macro F1 over labels a class, with 95 % intervals over seeds.",
        ),
        by_shots(results, NATURAL, caption="Macro F1, natural."),
        by_shots(results, NOVEL, caption=f"Macro F1, novel ({facts.novel:,} of {facts.test:,} asked flows)."),
    ]
    return [Section(title=facts.title, parts=tuple(parts))]


def _geometry(evidence: Evidence) -> Section:
    results = evidence.of(GEOMETRY)
    if not results:
        return Section(title="How flows lie together", parts=())
    rows, clusters = [], []
    pictures: list[Part] = []
    for name in evidence.facts:
        of_set = [one for one in results if one.data == name]
        arms = list(dict.fromkeys(one.arm for one in of_set))
        places = [str(count) for count in range(1, 20)]
        drawn = [Curve(name=arm, values=[_mean(of_set, arm, f"purity.{place}") for place in places]) for arm in arms]
        if drawn:
            title = title_of(evidence, name)
            pictures.append(Picture(svg=curves(places, drawn, "purity"), caption=f"{title}: purity of the nearest k."))
        for arm in arms:
            purities = tuple(_words(_mean(of_set, arm, f"purity.{place}")) for place in PURITIES)
            rows.append((f"{title_of(evidence, name)}: {arm}", *purities, _words(_mean(of_set, arm, "silhouette"))))
            counts = sorted({int(count) for one in of_set for count in one.result["clusters"]})
            shown = [
                f"{count}: {_words(_mean(of_set, arm, f'clusters.{count}.ari'))}"
                f" / {_words(_mean(of_set, arm, f'clusters.{count}.silhouette'))}"
                for count in counts
            ]
            clusters.append((f"{title_of(evidence, name)}: {arm}", "; ".join(shown)))
    return Section(
        title="How flows lie together",
        parts=(
            *pictures,
            Table(headings=("set and arm", *(f"purity {k}" for k in PURITIES), "silhouette"), rows=tuple(rows)),
            Table(
                headings=("set and arm", "clusters: ARI / silhouette"),
                rows=tuple(clusters),
                caption="k-means from half the classes to twice as many.",
            ),
        ),
    )


_ABLATION_WORDS = (
    "The autoencoder pre-trained and used without one of its modules, without exact sizes (rounded to half octaves), "
    "without knowing which flows are of one client, and with what shows identity switched on. Probe, macro F1, natural."
)
_SOURCES_WORDS = (
    "Left of the arrow what pre-training saw, right what teaching and asking saw. NetFlow has counters, flags and "
    "times, no packets, no payload and no names from it. Probe, macro F1, natural."
)


def _many_arms(evidence: Evidence, question: str, title: str, words: str) -> Section:
    parts: list[Part] = []
    for name in evidence.facts:
        results = evidence.of(question, data=name)
        if results:
            parts.append(by_shots(results, NATURAL, caption=title_of(evidence, name)))
    return Section(title=title, parts=(Words(text=words), *parts) if parts else ())


def _days(evidence: Evidence) -> Section:
    """Macro F1 on each later day, and how fast it falls."""
    parts: list[Part] = []
    for name in evidence.facts:
        results = evidence.of(DAYS, data=name)
        if not results:
            continue
        days = [one["day"] for one in results[0].result["by_day"]]
        rows = []
        for arm in dict.fromkeys(one.arm for one in results):
            of_arm = [[day["macro_f1"] for day in one.result["by_day"]] for one in results if one.arm == arm]
            means = np.mean(of_arm, axis=0)
            slope = float(np.polyfit(np.arange(len(means)), means, 1)[0])
            rows.append((arm, *(_words(float(mean)) for mean in means), f"{slope:+.4f}"))
        parts.append(
            Table(headings=("arm", *days, "a day"), rows=tuple(rows), caption=f"Macro F1, {title_of(evidence, name)}.")
        )
    words = "All labels of the first day teach; each later day is asked. `a day` is the slope of a straight line."
    return Section(title="As days pass", parts=(Words(text=words), *parts) if parts else ())


def _costs(evidence: Evidence, labelled: Sequence[Result]) -> Section:
    parts: list[Part] = [
        Words(
            text="Parameters are weights, tables, thresholds, leaves, or rows looked up. Times are processor seconds "
            "with all labels (single runs on a busy machine). Flows a second are for one core: embedding and answering."
        )
    ]
    for name in evidence.facts:
        rows = []
        of_set = [one for one in labelled if one.data == name and one.shots == ALL_LABELS]
        for arm in dict.fromkeys(one.arm for one in of_set):
            encoder = _mean(of_set, arm, "encoder_parameters.layers"), _mean(of_set, arm, "encoder_parameters.tables")
            rows.append(
                (
                    arm,
                    _count(_mean(of_set, arm, "parameters")),
                    f"{_count(encoder[0])} + {_count(encoder[1])}" if encoder[0] is not None else "",
                    _seconds(_mean(of_set, arm, "pretrain_s")),
                    _seconds(_mean(of_set, arm, "train_s")),
                    _count(_mean(of_set, arm, "flows_per_cpu_s")),
                )
            )
        if rows:
            headings = ("arm", "parameters", "encoder: layers + tables", "pre-training s", "teaching s", "flows/s")
            parts.append(Table(headings=headings, rows=tuple(rows), caption=title_of(evidence, name)))
    return Section(title="What it costs", parts=tuple(parts) if len(parts) > 1 else ())


def _mean(results: Sequence[Result], arm: str, path: str) -> float | None:
    mean = mean_of([one.number(path) for one in results if one.arm == arm])
    return mean.mean if mean.values else None


def _words(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".replace("0.", ".", 1)


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"
