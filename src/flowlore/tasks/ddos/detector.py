"""`Detector`: what every way of finding floods promises; and the windows that learned ones are taught with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import TaskError
from .attacks import QUIET, UNTOLD, Codes
from .signs import Numbers, Signs, Values

CONTEXT = 32  # steps of a window
STRIDE = CONTEXT // 2  # each step is judged with at least half a window before it, or all that there is
BUSY_SHARE = 0.7  # of what is taught as quiet, how much ends where there is traffic
BUSY_PACKETS_PER_S = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesson:
    """Hosts of one network with what is known of each step: 0 is quiet, 1 … the kind of an attack, -1 untold."""

    signs: Signs
    codes: Codes


class Detector(ABC):
    """Gives each host and step a number: the larger, the more like an attack. Each step knows earlier ones only."""

    learns = False
    kinds: tuple[str, ...] = ()

    def fit(self, lessons: Sequence[Lesson], kinds: Sequence[str], rng: np.random.Generator) -> None:
        """Learn from labelled attacks; no more than their names, where there is nothing to learn."""
        self.kinds = tuple(kinds)

    @abstractmethod
    def scores(self, signs: Signs, quiet_steps: int) -> Values:
        """[hosts, steps], NaN where a step is not judged. The first `quiet_steps` are taken to be without attacks."""

    def kind_places(self, signs: Signs) -> npt.NDArray[np.int64] | None:
        """[hosts, steps]: the place of the kind that it would be; None where kinds are not told apart."""
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """Pieces of series: values [windows, SIGNS, CONTEXT] and codes [windows, CONTEXT]."""

    values: Numbers
    codes: Codes
    step_ns: int


def drawn_windows(lessons: Sequence[Lesson], count: int, rng: np.random.Generator) -> Windows:
    """Half of them hold a step of a labelled attack, begun anywhere; half hold none."""
    check_lessons(lessons)
    steps = {one.signs.step_ns for one in lessons}
    attacked = [(place, *np.nonzero(one.codes > QUIET)) for place, one in enumerate(lessons)]
    with_attack = _at(attacked, count // 2, rng)
    quiet, busy = [], []
    for place, lesson in enumerate(lessons):
        is_quiet = lesson.codes == QUIET
        is_busy = is_quiet & (np.nan_to_num(lesson.signs.packets) >= BUSY_PACKETS_PER_S * lesson.signs.step_s)
        quiet.append((place, *np.nonzero(is_quiet)))
        busy.append((place, *np.nonzero(is_busy if is_busy.sum() > CONTEXT else is_quiet)))
    most_busy = round(BUSY_SHARE * (count - count // 2))
    without = [*_at(busy, most_busy, rng), *_at(quiet, count - count // 2 - most_busy, rng)]
    at = [(*one, True) for one in with_attack] + [(*one, False) for one in without]
    values = np.full((len(at), lessons[0].signs.values.shape[1], CONTEXT), np.nan, np.float32)
    codes = np.full((len(at), CONTEXT), UNTOLD, np.int16)
    for row, (place, host, step, is_attack) in enumerate(at):
        signs = lessons[place].signs
        reach = CONTEXT - 1 if not is_attack else int(rng.integers(CONTEXT // 4, CONTEXT))
        first = max(min(step - reach, signs.steps - CONTEXT), 0)
        last = min(first + CONTEXT, signs.steps)
        values[row, :, CONTEXT - (last - first) :] = signs.values[host, :, first:last]
        codes[row, CONTEXT - (last - first) :] = lessons[place].codes[host, first:last]
    return Windows(values=values, codes=codes, step_ns=steps.pop())


def judged_windows(signs: Signs) -> tuple[Numbers, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Windows that cover every step of every host: values, the host of each, and its first step.

    They begin at multiples of `STRIDE`, and the last one is filled up with what is not known, so that no step depends
    on how many follow it. A window judges its last `STRIDE` steps, the first one of a host all of its steps.
    """
    begins = np.arange(0, max(signs.steps - STRIDE, 1), STRIDE, dtype=np.int64)
    missing = int(begins[-1]) + CONTEXT - signs.steps
    padded = np.pad(signs.values, ((0, 0), (0, 0), (0, max(missing, 0))), constant_values=np.nan)
    values = np.stack([padded[:, :, begin : begin + CONTEXT] for begin in begins], axis=1)
    hosts = np.repeat(np.arange(len(signs)), len(begins))
    return values.reshape(-1, *values.shape[2:]), hosts, np.tile(begins, len(signs))


def joined(parts: npt.NDArray[Any], signs: Signs, hosts: Any, begins: Any) -> npt.NDArray[Any]:
    """[hosts, steps] of what windows [windows, CONTEXT] said; each step from the window that saw most before it."""
    out = np.full((len(signs), int(begins.max()) + CONTEXT), np.nan, np.float64)
    for begin in np.unique(begins).tolist():
        rows, skipped = begins == begin, 0 if begin == 0 else CONTEXT - STRIDE
        out[hosts[rows], begin + skipped : begin + CONTEXT] = parts[rows, skipped:]
    return out[:, : signs.steps]


def check_lessons(lessons: Sequence[Lesson]) -> None:
    """At least one labelled step, one quiet one, and one length of a step."""
    steps = {one.signs.step_ns for one in lessons}
    if len(steps) != 1:
        raise TaskError(
            f"detect: rates of {len(steps)} lengths of a step cannot teach one detector",
            hint="the same `--step` for all",
        )
    if not any((one.codes > QUIET).any() for one in lessons):
        raise TaskError(
            "detect: no labelled attack meets a step of a host in these rates",
            hint="victims are written as in the rates, times in UTC; `flowlore rates` shows both",
        )
    if not any((one.codes == QUIET).any() for one in lessons):
        raise TaskError("detect: no step is without an attack", hint="give quiet traffic too")


def _at(found: Sequence[Any], count: int, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """So many (lesson, host, step), with repetition."""
    place = np.concatenate([np.full(len(hosts), place) for place, hosts, _ in found])
    hosts, steps = (np.concatenate([one[side] for one in found]) for side in (1, 2))
    chosen = rng.integers(0, len(place), count)
    return list(zip(place[chosen].tolist(), hosts[chosen].tolist(), steps[chosen].tolist(), strict=True))
