"""A small search for transforms, magnitude and policy. It is told scores on validation flows, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from ...errors import SettingError
from . import AUGMENTATIONS
from .policy import Augmenter
from .settings import AugmentSettings, Combination, Policy

Evaluate = Callable[[AugmentSettings, int], float]
KEPT = 3  # of so many candidates, one goes on to the next round
MOST_STACKED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One candidate and its score on validation flows in each round that it took part in, the last round last."""

    settings: AugmentSettings
    scores: tuple[float, ...]


def search(evaluate: Evaluate, candidates: Sequence[AugmentSettings], *, rounds: int = 3) -> list[Trial]:
    """Candidates by successive halving, the best first.

    `evaluate` trains with a candidate and gives its score on validation flows, higher is better; its second argument is
    the round, from 1, and it may train longer or with more seeds in later ones. A third of the candidates goes on.
    """
    if not candidates:
        raise SettingError("augment: there is no candidate to search among", hint="`drawn_candidates` makes some")
    for one in candidates:
        Augmenter(one)  # a wrong name or magnitude is told before anything is trained
    trials = [Trial(settings=one, scores=()) for one in candidates]
    left_behind: list[Trial] = []
    for number in range(1, rounds + 1):
        trials = [replace(one, scores=(*one.scores, float(evaluate(one.settings, number)))) for one in trials]
        trials.sort(key=lambda one: -one.scores[-1])
        going_on = max(1, len(trials) // KEPT)
        if number < rounds:
            left_behind = [*trials[going_on:], *left_behind]
            trials = trials[:going_on]
    return [*trials, *left_behind]


def drawn_candidates(
    count: int, rng: np.random.Generator, *, transforms: Sequence[str] = (), with_partners: bool = True
) -> list[AugmentSettings]:
    """Candidates of one to three transforms; the first is no augmentation, which every other has to beat."""
    names = list(transforms) or [
        name for name in AUGMENTATIONS.names() if with_partners or not AUGMENTATIONS.load(name).needs_partners
    ]
    found = [AugmentSettings()]
    while len(found) < count:
        chosen = rng.choice(len(names), min(int(rng.integers(1, MOST_STACKED + 1)), len(names)), replace=False)
        found.append(
            AugmentSettings(
                transforms=tuple(f"{names[place]}:{rng.uniform(0.1, 1.0):.2f}" for place in chosen),
                combine=get_args(Combination)[rng.integers(len(get_args(Combination)))],
                stack_probability=round(float(rng.uniform(0.3, 0.8)), 2),
                policy=get_args(Policy)[rng.integers(len(get_args(Policy)))],
                replaced=round(float(rng.uniform(0.3, 1.0)), 2),
                copies=int(rng.integers(1, 4)),
            )
        )
    return found
