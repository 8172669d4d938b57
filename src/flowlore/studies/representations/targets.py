"""What the study was to reach, and whether it did: every target is told, reached or not."""

from __future__ import annotations

from collections.abc import Sequence

from ..evidence import Evidence, Result
from ..report import Section, Table, Words
from ..statistics import mean_of
from ..study import ALL_LABELS
from ..tables import number_of, shots_words, title_of
from .arms import CHOSEN, LABELS, SOURCES

NATURAL = number_of("natural.macro_f1")
OURS, CONCATENATION, REFERENCE = "autoencoder, probe", "concatenation, probe", "multi-modal network"
TUNED = "autoencoder, fine-tuned"
FROZEN = (OURS, "autoencoder, knn", "autoencoder, prototypes")
SHALLOW = ("1-nn", "random-forest", "extra-trees", CHOSEN, "lightgbm")
FEW_POINTS, NETFLOW_POINTS = 0.05, 0.03
EMBEDDED_A_SECOND = 100_000  # on two cores
FGNET = ((TUNED, ALL_LABELS, 0.94), (OURS, 10, 0.45), (OURS, 100, 0.80))
Row = tuple[str, str, str, str]


def targets_section(evidence: Evidence) -> Section:
    rows = [*_concatenation(evidence), *_few(evidence), *_fgnet(evidence), *_reference(evidence), *_netflow(evidence)]
    rows += _speed(evidence)
    if not rows:
        return Section(title="Targets", parts=())
    return Section(
        title="Targets",
        parts=(
            Words(text="Set before anything was run. Numbers are macro F1 over all asked flows unless said."),
            Table(headings=("target", "wanted", "found", "reached"), rows=tuple(rows)),
        ),
    )


def _concatenation(evidence: Evidence) -> list[Row]:
    """The frozen embedding with a probe against the same head on raw numbers, with every number of labels."""
    rows = []
    for name in evidence.facts:
        results = evidence.of(LABELS, data=name)
        cells = sorted(
            {one.shots for one in results if one.shots is not None}, key=lambda one: (one == ALL_LABELS, one)
        )
        found = {shots: (_mean(results, OURS, shots), _mean(results, CONCATENATION, shots)) for shots in cells}
        known = {shots: (ours, raw) for shots, (ours, raw) in found.items() if ours is not None and raw is not None}
        if known:
            words = ", ".join(f"{shots_words(shots)} {ours - raw:+.3f}" for shots, (ours, raw) in known.items())
            is_reached = all(ours >= raw for ours, raw in known.values())
            rows.append(
                _row(f"{title_of(evidence, name)}: frozen at or above raw concatenation", "+.000", words, is_reached)
            )
    return rows


def _few(evidence: Evidence) -> list[Row]:
    """With 5 and 10 labels, the frozen embedding with its probe over the best shallow method of each cell."""
    rows, gains = [], []
    for name in evidence.facts:
        results = evidence.of(LABELS, data=name)
        for shots in (5, 10):
            ours = _mean(results, OURS, shots)
            others = {arm: mean for arm in SHALLOW if (mean := _mean(results, arm, shots)) is not None}
            if ours is not None and others:
                best = max(others, key=lambda arm: others[arm])
                gains.append((ours - others[best], f"{name} {shots}: {ours - others[best]:+.3f} ({best})"))
    if gains:
        mean = sum(gain for gain, _ in gains) / len(gains)
        words = f"{mean:+.3f} on average; {', '.join(words for _, words in gains)}"
        target = "frozen over the best shallow method, 5 and 10 labels"
        rows.append(_row(target, f"{FEW_POINTS:+.3f} on average", words, mean >= FEW_POINTS))
    return rows


def _fgnet(evidence: Evidence) -> list[Row]:
    results = evidence.of(LABELS, data="fgnet")
    facts = evidence.facts.get("fgnet")
    thin = (
        ""
        if facts is None or facts.train == facts.whole_train
        else f" (taught with {facts.train:,} of {facts.whole_train:,})"
    )
    rows = []
    for arm, shots, wanted in FGNET:
        found = _mean(results, arm, shots)
        if found is not None:
            target = f"FG-Net, {arm}, {shots_words(shots)}"
            rows.append(_row(target, f"{wanted:.2f}", f"{found:.3f}{thin}", found >= wanted))
    return rows


def _reference(evidence: Evidence) -> list[Row]:
    """The supervised network equalled, by parameters that are trained with labels."""
    rows = []
    for name in evidence.facts:
        results = evidence.of(LABELS, data=name)
        ours, other = _mean(results, TUNED, ALL_LABELS), _mean(results, REFERENCE, ALL_LABELS)
        layers = _mean(results, TUNED, ALL_LABELS, "encoder_parameters.layers")
        weights = _mean(results, REFERENCE, ALL_LABELS, "parameters")
        if ours is None or other is None or layers is None or weights is None:
            continue
        words = f"{ours:.3f} against {other:.3f}, with {layers:,.0f} against {weights:,.0f} (tables of words beside)"
        target = f"{title_of(evidence, name)}: fine-tuned equals the supervised network with half its parameters"
        rows.append(_row(target, "≥, ≤ half", words, ours >= other and 2 * layers <= weights))
    return rows


def _netflow(evidence: Evidence) -> list[Row]:
    rows = []
    for name in evidence.facts:
        results = evidence.of(SOURCES, data=name)
        for shots in sorted({one.shots for one in results if one.shots is not None}):
            used = _mean(results, "everything → netflow", shots)
            made = _mean(results, "netflow → netflow", shots)
            if used is not None and made is not None:
                target = (
                    f"{title_of(evidence, name)}: NetFlow only, {shots_words(shots)}, within 3 points of trained for it"
                )
                words = f"{used:.3f} against {made:.3f}"
                rows.append(_row(target, f"{-NETFLOW_POINTS:+.3f}", words, used >= made - NETFLOW_POINTS))
    return rows


def _speed(evidence: Evidence) -> list[Row]:
    rates = [one.number("embedded_per_cpu_s") for one in evidence.of(LABELS, arm=OURS)]
    best = mean_of(rates)
    if not best.values:
        return []
    target = "embedding, flows a second on two cores"
    words = f"{2 * best.mean:,.0f} (twice the mean of one core, on a busy machine)"
    return [_row(target, f"{EMBEDDED_A_SECOND:,}", words, 2 * best.mean >= EMBEDDED_A_SECOND)]


def _row(target: str, wanted: str, found: str, is_reached: bool) -> Row:
    return target, wanted, found, "yes" if is_reached else "no"


def _mean(results: Sequence[Result], arm: str, shots: int, path: str = "natural.macro_f1") -> float | None:
    mean = mean_of([one.number(path) for one in results if one.arm == arm and one.shots == shots])
    return mean.mean if mean.values else None
