"""Series → what the decoder sees of each step: its level and how it moves, simple forecasts to weigh, the calendar."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .representation import Bins, Values

WEIGHTS = (0.5, 0.2, 0.05, 0.01)  # of the exponentially weighted means beside the last value
SMOOTH = 1 + WEIGHTS.index(0.2)  # the one that stands for the level of a step a day ago
CANDIDATES = 1 + len(WEIGHTS) + 2
NUMBERS = 8  # of each feature and step
MOST_GROWTH = 2.0  # by which a day ago says that a level will rise or fall
CALENDAR = 8
DAY_NS = 86_400_000_000_000
FIRST_CHANGE, LEAST_SPREAD = 0.2, 0.01  # of a scale


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Tensors over [series, features, steps]; amounts in units of their scales, unknown ones as the last known."""

    levels: Tensor  # [..., 1 + WEIGHTS]: the last value and its weighted means
    spread: Tensor  # mean change from step to step
    tokens: Tensor
    is_known: Tensor
    starts_ns: Tensor  # [series]
    steps_ns: Tensor  # [series]
    seasons: Tensor  # [series]: steps of a day, or of a week of days; 0 is none
    has_weekdays: bool  # whether the weekend is told
    identity: Tensor  # [series]: the row of each, 0 where it is not known

    @property
    def steps(self) -> int:
        return int(self.levels.shape[2])

    def __len__(self) -> int:
        return int(self.levels.shape[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """Where series are and how they have moved: [series, features, …]; each step gives the next."""

    levels: Values  # the last value and its weighted means
    change: Values
    begun: npt.NDArray[np.bool_]

    @classmethod
    def at_rest(cls, series: int, features: int) -> Motion:
        return cls(
            levels=np.zeros((series, features, 1 + len(WEIGHTS))),
            change=np.full((series, features), FIRST_CHANGE),
            begun=np.zeros((series, features), np.bool_),
        )

    def moved(self, scaled: Values) -> Motion:
        """After a step with these values; NaN leaves all as it was."""
        known = ~np.isnan(scaled)
        first = known & ~self.begun
        before = self.levels[..., 0]
        now = np.where(known, scaled, before)
        step = np.where(known & ~first, np.abs(now - before) - self.change, 0.0)
        means = self.levels[..., 1:]
        moved = means + np.asarray(WEIGHTS) * (now[..., None] - means)
        means = np.where(first[..., None], now[..., None], np.where(known[..., None], moved, means))
        return Motion(
            levels=np.concatenate([now[..., None], means], axis=-1),
            change=self.change + 0.1 * step,
            begun=self.begun | known,
        )


def inputs_of(
    values: Values,
    scales: Values,
    bins: Bins,
    starts_ns: npt.NDArray[np.int64],
    step_ns: int | npt.NDArray[np.int64],
    *,
    has_weekdays: bool = True,
    identity: npt.NDArray[np.int64] | None = None,
) -> Inputs:
    """From values [series, features, steps]; NaN is unknown. Each step sees only itself and what came before.

    The length of a step is one for all series, or that of each.
    """
    scaled = values / scales[:, :, None]
    is_known = ~np.isnan(scaled)
    levels = np.empty((*scaled.shape, 1 + len(WEIGHTS)), np.float32)
    spread = np.empty(scaled.shape, np.float32)
    motion = Motion.at_rest(scaled.shape[0], scaled.shape[1])
    for step in range(scaled.shape[2]):
        motion = motion.moved(scaled[:, :, step])
        levels[:, :, step] = motion.levels
        spread[:, :, step] = motion.change + LEAST_SPREAD
    steps_ns = np.broadcast_to(np.asarray(step_ns, np.int64), len(scaled))
    seasons = {step: _season(step) for step in np.unique(steps_ns).tolist()}
    return Inputs(
        levels=torch.from_numpy(levels),
        spread=torch.from_numpy(spread),
        tokens=torch.from_numpy(bins.tokens(scaled)),
        is_known=torch.from_numpy(is_known),
        starts_ns=torch.from_numpy(starts_ns.astype(np.int64)),
        steps_ns=torch.from_numpy(steps_ns.copy()),
        seasons=torch.tensor([seasons[step] for step in steps_ns.tolist()], dtype=torch.int64),
        has_weekdays=has_weekdays,
        identity=torch.from_numpy(np.zeros(len(values), np.int64) if identity is None else identity),
    )


def _season(step_ns: int) -> int:
    return next((span // step_ns for span in (DAY_NS, 7 * DAY_NS) if step_ns < span and span % step_ns == 0), 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """Steps of some series, ready for the network: B series, T steps, F features."""

    numbers_BTN: Tensor
    tokens_BTF: Tensor
    calendar_BTC: Tensor
    candidates_BTFHK: Tensor
    spread_BTF: Tensor
    identity_B: Tensor

    def to(self, device: torch.device) -> Window:
        return Window(**{one.name: getattr(self, one.name).to(device) for one in fields(self)})


def window(inputs: Inputs, series: Tensor, begins: Tensor, length: int, horizons: tuple[int, ...]) -> Window:
    """`length` steps of each series, from its own begin."""
    at = begins[:, None] + torch.arange(length)[None, :]
    levels = _steps(inputs.levels, series, at)
    spread = _steps(inputs.spread, series, at)
    tokens = _steps(inputs.tokens, series, at).long()
    known = _steps(inputs.is_known, series, at)
    logs = torch.log1p(10 * levels) / 2
    before = torch.log1p(10 * _steps(inputs.levels, series, (at - 1).clamp(min=0))[..., 0]) / 2
    ago, onward = _a_day_ago(inputs, levels, series, at, horizons)
    numbers = torch.stack(
        [
            logs[..., 0],
            logs[..., 0] - before,
            torch.log(spread) / 2,
            (levels[..., 0] == 0).float(),
            logs[..., 3],
            known.float(),
            ago,
            onward,
        ],
        dim=-1,
    )
    return Window(
        numbers_BTN=numbers.flatten(2),
        tokens_BTF=tokens,
        calendar_BTC=_calendar(inputs, series, at),
        candidates_BTFHK=_candidates(inputs, levels, series, at, horizons),
        spread_BTF=spread,
        identity_B=inputs.identity[series],
    )


def _steps(held: Tensor, series: Tensor, at: Tensor) -> Tensor:
    """[series, features, steps, …] → [B, T, features, …]."""
    return held[series[:, None], :, at]


def _candidates(inputs: Inputs, levels: Tensor, series: Tensor, at: Tensor, horizons: tuple[int, ...]) -> Tensor:
    """Simple forecasts of each horizon: the last value and its means, the level a day before the target, and the
    level now times what it grew by a day ago. Where there was no day before, the level now stands in."""
    now = levels[..., SMOOTH]
    out = []
    for horizon in horizons:
        target, origin = _day_levels(inputs, now, series, at, horizon)
        growth = ((target + LEAST_SPREAD) / (origin + LEAST_SPREAD)).clamp(1 / MOST_GROWTH, MOST_GROWTH)
        out.append(torch.cat([levels, target[..., None], (now * growth)[..., None]], dim=-1))
    return torch.stack(out, dim=3)


def _a_day_ago(
    inputs: Inputs, levels: Tensor, series: Tensor, at: Tensor, horizons: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """How the level a day ago was beside that of now, and how it went on: whether the day before can be trusted."""
    now = levels[..., SMOOTH]
    target, origin = _day_levels(inputs, now, series, at, horizons[len(horizons) // 2])
    after, before, level = (torch.log1p(10 * one) / 2 for one in (target, origin, now))
    return before - level, after - before


def _day_levels(inputs: Inputs, now: Tensor, series: Tensor, at: Tensor, horizon: int) -> tuple[Tensor, Tensor]:
    """Levels a day before the target (two, where a day reaches not so far) and a day before now; else that of now."""
    season = inputs.seasons[series][:, None]
    days = (horizon + season - 1) // season.clamp(min=1)
    then, then_target = at - season, at + horizon - season * days
    has = ((then >= 0) & (then_target >= 0) & (season > 0))[..., None]
    target = _steps(inputs.levels, series, then_target.clamp(0, inputs.steps - 1))[..., SMOOTH]
    origin = _steps(inputs.levels, series, then.clamp(min=0))[..., SMOOTH]
    return torch.where(has, target, now), torch.where(has, origin, now)


def _calendar(inputs: Inputs, series: Tensor, at: Tensor) -> Tensor:
    times = inputs.starts_ns[series][:, None] + at * inputs.steps_ns[series][:, None]
    turn = (times % DAY_NS).double() * (2 * np.pi / DAY_NS)
    weekday = (times // DAY_NS + 3) % 7 if inputs.has_weekdays else torch.zeros_like(times)
    waves = [wave(times_a_day * turn) for times_a_day in (1, 2, 3) for wave in (torch.sin, torch.cos)]
    return torch.stack([*waves, (weekday == 5).double(), (weekday == 6).double()], dim=-1).float()
