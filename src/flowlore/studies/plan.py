"""What will be run, what is there already, and how long the rest may take: told before anything starts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .evidence import Shelf
from .material import Facts
from .study import Run, Scale, Study, StudyInRounds, configuration_hash


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRun:
    run: Run
    hash: str
    configuration: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All runs in order, and those still to be made. `pace` is what runs took so far over what was estimated.

    `later_s` is the estimate of runs that the results of these will decide, and that are not among them yet.
    """

    runs: tuple[PlannedRun, ...]
    waiting: tuple[PlannedRun, ...]
    pace: float
    processes: int
    later_s: float = 0.0

    @property
    def cpu_s(self) -> float:
        """Estimated CPU time of what is still to be made."""
        return self.pace * sum(one.run.cpu_s for one in self.waiting)

    @property
    def later_cpu_s(self) -> float:
        """Estimated CPU time of what these results will decide."""
        return self.pace * self.later_s

    @property
    def wall_s(self) -> float:
        """The same on this many processes, each with a core of its own; the longest group of runs bounds it."""
        groups = [self.pace * sum(one.run.cpu_s for one in group) for group in grouped(self.waiting)]
        return max(self.cpu_s / self.processes, max(groups, default=0.0))

    def by_data(self) -> list[tuple[str, str, int, int, float]]:
        """Data set, question, runs, runs to be made, estimated CPU seconds."""
        waiting = {one.hash for one in self.waiting}
        counts: Counter[tuple[str, str]] = Counter()
        left: Counter[tuple[str, str]] = Counter()
        cost: defaultdict[tuple[str, str], float] = defaultdict(float)
        for one in self.runs:
            key = one.run.data, one.run.question
            counts[key] += 1
            if one.hash in waiting:
                left[key] += 1
                cost[key] += self.pace * one.run.cpu_s
        return [(*key, counts[key], left[key], cost[key]) for key in counts]


def make_plan(
    study: Study,
    facts: Sequence[Facts],
    scale: Scale,
    shelf: Shelf,
    *,
    processes: int = 1,
    arms: Sequence[str] = (),
    questions: Sequence[str] = (),
    all_tried: bool = False,
) -> Plan:
    """Every declared run, of some arms and questions only where they are named.

    Where all of them have results, or `all_tried` says that no more will come, the runs which these decide follow.
    """
    checksums = {one.name: one.checksum for one in facts}
    planned: dict[str, PlannedRun] = {}

    def add(runs: Sequence[Run]) -> None:
        for run in runs:
            if (arms and run.arm not in arms) or (questions and run.question not in questions):
                continue
            if not set(run.also) <= set(checksums) or (run.beside and not set(run.beside) & set(checksums)):
                continue
            here = tuple(name for name in run.beside if name in checksums)
            run = replace(run, also=(*run.also, *here), beside=())
            configuration = run.configuration(study.name, scale, checksums)
            hash_ = configuration_hash(configuration)
            planned.setdefault(hash_, PlannedRun(run=run, hash=hash_, configuration=configuration))

    for one in facts:
        add(study.runs(one, scale))
    costs = shelf.costs(planned.__contains__)
    later_s = 0.0
    if isinstance(study, StudyInRounds) and planned:
        if all_tried or len(costs) == len(planned):
            add(study.later(facts, scale, shelf.evidence(list(planned))))
            costs = shelf.costs(planned.__contains__)
        else:
            later_s = study.later_cpu_s(facts, scale)
    known = sum(planned[hash_].run.cpu_s for hash_ in costs)
    return Plan(
        runs=tuple(planned.values()),
        waiting=tuple(one for one in planned.values() if one.hash not in costs),
        pace=sum(costs.values()) / known if known > 0 else 1.0,
        processes=processes,
        later_s=later_s,
    )


def grouped(runs: Sequence[PlannedRun]) -> list[list[PlannedRun]]:
    """Runs that share something expensive together; first seeds first, so that what is stopped early has something of
    everything, and of a seed the costliest group.
    """
    groups: dict[tuple[str, str], list[PlannedRun]] = {}
    for one in runs:
        key = (one.run.data, one.run.shares or one.hash)
        groups.setdefault(key, []).append(one)
    return sorted(groups.values(), key=lambda group: (group[0].run.seed, -sum(one.run.cpu_s for one in group)))
