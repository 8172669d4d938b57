"""What the report of the study of dynamics says of rates of hosts, from result files alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ..evidence import Evidence, Result
from ..material import Facts
from ..materials.stretches import FEATURES
from ..report import Section, Table, Words
from ..statistics import mean_of
from ..tables import title_of
from .arms import ELSEWHERE, HERE, TUNED
from .host_arms import (
    FOLLOWS_ELSEWHERE,
    FOLLOWS_HERE,
    GRU_ELSEWHERE,
    GRU_HERE,
    GRU_TUNED,
    HOSTS,
    OFTEN_ELSEWHERE,
    OFTEN_HERE,
    PLAIN,
    SHARES,
    SIZES,
    scaling_arm,
)

LATER, NEW = "later", "new"  # hosts that taught, and those that nobody was shown
SCORES = (
    ("bits", "bits.mean"),
    ("bits with traffic", "bits.with_traffic"),
    ("WAPE", "wape"),
    ("MASE", "mase"),
    ("WQL", "wql"),
    ("held by the 80 % band", "coverage_80"),
)
AT_HOME = (HERE, TUNED, GRU_HERE, GRU_TUNED, FOLLOWS_HERE, OFTEN_HERE, *PLAIN)
AWAY = (ELSEWHERE, GRU_ELSEWHERE, FOLLOWS_ELSEWHERE, OFTEN_ELSEWHERE, *PLAIN)
LEARNED = (HERE, ELSEWHERE, TUNED, GRU_HERE, GRU_ELSEWHERE, GRU_TUNED, OFTEN_HERE, OFTEN_ELSEWHERE)
SECTIONS = (
    (
        "Rates of hosts: later time",
        "Half of a network's hosts teach; these same hosts are asked at later time. `bits` are of the next step's bin, "
        "a mean over features and steps; `with traffic` only where the feature was not zero, for hosts are silent in "
        "most steps. All arms are told in the same bins, which are fitted on other networks. Errors of forecasts are "
        "means over features and horizons of 1, 3, 6 and 12 steps; MASE is large for hosts that hardly moved in what "
        "teaches.",
        LATER,
        AT_HOME,
    ),
    (
        "Rates of hosts: hosts that were never seen",
        "The other half of the hosts, of which nothing was shown: their own past is what is asked with. Hosts that "
        "taught may be their peers.",
        NEW,
        AT_HOME,
    ),
    (
        "Rates of hosts: a network that was never seen",
        "`elsewhere`: nothing of this network was seen in training, only the other sets, Abilene and ESnet. Asked are "
        "the hosts of the first table, so that numbers can be laid beside those.",
        LATER,
        (*AWAY, HERE, TUNED),
    ),
    (
        "Rates of hosts: size and data",
        "Networks of two sizes that learnt elsewhere from all pieces of series, and from a quarter of them, beside the "
        "one of the table above.",
        LATER,
        (ELSEWHERE, *(scaling_arm(size, share) for size in SIZES for share in SHARES)),
    ),
)


def host_sections(evidence: Evidence) -> list[Section]:
    """None where no run was about hosts."""
    sections = []
    for title, words, group, arms in SECTIONS:
        networks = [one for one in _networks(evidence) if not (arms == AT_HOME and one.features["transfer_only"])]
        tables = [_table(evidence, facts, group, arms) for facts in networks]
        fewest = 2 if arms[0] == ELSEWHERE and HERE not in arms else 1
        kept = tuple(one for one in tables if len(one.rows) >= fewest)
        sections.append(Section(title=title, parts=(Words(text=words), *kept) if kept else ()))
    by_feature = tuple(one for one in (_by_feature(evidence, facts) for facts in _networks(evidence)) if one.rows)
    lead = Words(text="The hosts of the first table; a feature that a source does not tell is left out.")
    sections.append(
        Section(title="Rates of hosts: bits a step of each feature", parts=(lead, *by_feature) if by_feature else ())
    )
    return sections


def host_points(evidence: Evidence) -> list[str]:
    """What was aimed at, and what came."""
    points = []
    for facts in _networks(evidence):
        for group, words in ((LATER, "later time"), (NEW, "hosts never seen")):
            bits = {arm: _mean(evidence, facts, arm, f"{group}.bits.mean") for arm in LEARNED}
            if isfinite(bits[HERE]) and isfinite(bits[GRU_HERE]):
                points.append(
                    f"{facts.title}, {words}, aimed at: fewer bits than the GRU and than how often each bin is; came: "
                    f"{bits[HERE]:.3f}, GRU {bits[GRU_HERE]:.3f}, how often {bits[OFTEN_HERE]:.3f}"
                )
        bits = {arm: _mean(evidence, facts, arm, f"{LATER}.bits.mean") for arm in LEARNED}
        if isfinite(bits[ELSEWHERE]) and isfinite(bits[HERE]):
            points.append(
                f"{facts.title}, aimed at: a network never seen costs at most 10 % more bits than trained here; came: "
                f"{bits[ELSEWHERE] / bits[HERE] - 1:+.0%}"
            )
    return points


def _networks(evidence: Evidence) -> list[Facts]:
    return [one for one in evidence.facts.values() if one.features.get("hosts")]


def _table(evidence: Evidence, facts: Facts, group: str, arms: Sequence[str]) -> Table:
    found = {arm: evidence.of(HOSTS, data=facts.name, arm=arm) for arm in arms}
    rows = []
    for arm, results in found.items():
        numbers = [[one.number(f"{group}.{path}") for one in results] for _, path in SCORES]
        means = [mean_of(one).mean for one in numbers]
        if any(isfinite(one) for one in means):
            cells = [mean_of(one).words() if isfinite(mean) else "-" for one, mean in zip(numbers, means, strict=True)]
            order = (not isfinite(means[0]), means[0] if isfinite(means[0]) else means[4])
            rows.append((order, (arm, *cells, f"{_cpu_s(results):,.0f}")))
    return Table(
        headings=("arm", *(name for name, _ in SCORES), "CPU s"),
        rows=tuple(row for _, row in sorted(rows)),
        caption=title_of(evidence, facts.name),
    )


def _by_feature(evidence: Evidence, facts: Facts) -> Table:
    features = [name for name in FEATURES if name not in facts.lacks]
    rows = []
    for arm in LEARNED:
        bits = [_mean(evidence, facts, arm, f"{LATER}.bits.by_feature.{name}") for name in features]
        if any(isfinite(one) for one in bits):
            rows.append((arm, *(f"{one:.2f}" if isfinite(one) else "-" for one in bits)))
    return Table(headings=("arm", *features), rows=tuple(rows), caption=title_of(evidence, facts.name))


def _mean(evidence: Evidence, facts: Facts, arm: str, path: str) -> float:
    return mean_of([one.number(path) for one in evidence.of(HOSTS, data=facts.name, arm=arm)]).mean


def _cpu_s(results: Sequence[Result]) -> float:
    return mean_of([float(one.cost["cpu_s"]) for one in results]).mean
