"""Series → what the decoder sees of each step: its level and how it moves, simple forecasts to weigh, the calendar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .representation import Bins, Values

WEIGHTS = (0.5, 0.2, 0.05, 0.01)  # of the exponentially weighted means beside the last value
SMOOTH = 1 + WEIGHTS.index(0.2)  # the one that stands for the level of a step a day ago
CANDIDATES = 1 + len(WEIGHTS) + 2
NUMBERS = 7  # of each feature and step
CALENDAR = 8
HOUR_NS, DAY_NS = 3_600_000_000_000, 86_400_000_000_000
LEAST_SPREAD = 0.01  # of a scale


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Tensors over [series, features, steps]; amounts in units of their scales, unknown ones as the last known."""

    levels: Tensor  # [..., 1 + WEIGHTS]: the last value and its weighted means
    spread: Tensor  # mean change from step to step
    tokens: Tensor
    is_known: Tensor
    log_scales: Tensor  # [series, features]
    starts_ns: Tensor  # [series]
    step_ns: int
    season: int  # steps of a day, or of a week of days; 0 is none

    @property
    def steps(self) -> int:
        return int(self.levels.shape[2])


def inputs_of(values: Values, scales: Values, bins: Bins, starts_ns: npt.NDArray[np.int64], step_ns: int) -> Inputs:
    """From values [series, features, steps]; NaN is unknown. Each step sees only itself and what came before."""
    scaled = values / scales[:, :, None]
    is_known = ~np.isnan(scaled)
    held = np.empty(scaled.shape, np.float32)
    levels = np.empty((*scaled.shape, 1 + len(WEIGHTS)), np.float32)
    spread = np.empty(scaled.shape, np.float32)
    now = np.zeros(scaled.shape[:2])
    means = [np.zeros(scaled.shape[:2]) for _ in WEIGHTS]
    change = np.full(scaled.shape[:2], 0.2)
    begun = np.zeros(scaled.shape[:2], np.bool_)
    for step in range(scaled.shape[2]):
        before, known = now, is_known[:, :, step]
        now = np.where(known, scaled[:, :, step], before)
        first = known & ~begun
        begun |= known
        change = np.where(first, change, change + 0.1 * (np.abs(now - before) - change) * known)
        held[:, :, step] = levels[:, :, step, 0] = now
        for place, weight in enumerate(WEIGHTS):
            means[place] = np.where(first, now, means[place] + weight * (now - means[place]))
            levels[:, :, step, 1 + place] = means[place]
        spread[:, :, step] = change + LEAST_SPREAD
    season = next((span // step_ns for span in (DAY_NS, 7 * DAY_NS) if step_ns < span and span % step_ns == 0), 0)
    return Inputs(
        levels=torch.from_numpy(levels),
        spread=torch.from_numpy(spread),
        tokens=torch.from_numpy(bins.tokens(scaled)),
        is_known=torch.from_numpy(is_known),
        log_scales=torch.from_numpy(np.log(scales).astype(np.float32)),
        starts_ns=torch.from_numpy(starts_ns.astype(np.int64)),
        step_ns=step_ns,
        season=season,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """Steps of some series, ready for the network: B series, T steps, F features."""

    numbers_BTN: Tensor
    tokens_BTF: Tensor
    calendar_BTC: Tensor
    candidates_BTFHK: Tensor
    spread_BTF: Tensor


def window(inputs: Inputs, series: Tensor, begins: Tensor, length: int, horizons: tuple[int, ...]) -> Window:
    """`length` steps of each series, from its own begin."""
    at = begins[:, None] + torch.arange(length)[None, :]
    levels = _steps(inputs.levels, series, at)
    spread = _steps(inputs.spread, series, at)
    tokens = _steps(inputs.tokens, series, at).long()
    known = _steps(inputs.is_known, series, at)
    logs = torch.log1p(10 * levels) / 2
    before = torch.log1p(10 * _steps(inputs.levels, series, (at - 1).clamp(min=0))[..., 0]) / 2
    size = inputs.log_scales[series][:, None, :].expand(-1, length, -1) / 8
    numbers = torch.stack(
        [
            logs[..., 0],
            logs[..., 0] - before,
            torch.log(spread) / 2,
            (levels[..., 0] == 0).float(),
            logs[..., 3],
            known.float(),
            size,
        ],
        dim=-1,
    )
    return Window(
        numbers_BTN=numbers.flatten(2),
        tokens_BTF=tokens,
        calendar_BTC=_calendar(inputs, series, at),
        candidates_BTFHK=_candidates(inputs, levels, series, at, horizons),
        spread_BTF=spread,
    )


def _steps(held: Tensor, series: Tensor, at: Tensor) -> Tensor:
    """[series, features, steps, …] → [B, T, features, …]."""
    return held[series[:, None], :, at]


def _candidates(inputs: Inputs, levels: Tensor, series: Tensor, at: Tensor, horizons: tuple[int, ...]) -> Tensor:
    """Simple forecasts of each horizon: the last value and its means, the level a day before the target, and the
    level now moved as it moved a day ago. Where there was no day before, the level now stands in."""
    now = levels[..., SMOOTH]
    out = []
    for horizon in horizons:
        then, then_target = at - inputs.season, at + horizon - inputs.season * (-(-horizon // max(inputs.season, 1)))
        has = (inputs.season > 0) & (then >= 0) & (then_target >= 0)
        target = _steps(inputs.levels, series, then_target.clamp(min=0))[..., SMOOTH]
        origin = _steps(inputs.levels, series, then.clamp(min=0))[..., SMOOTH]
        target = torch.where(has[..., None], target, now)
        moved = torch.where(has[..., None], (now + target - origin).clamp(min=0), now)
        out.append(torch.cat([levels, target[..., None], moved[..., None]], dim=-1))
    return torch.stack(out, dim=3)


def _calendar(inputs: Inputs, series: Tensor, at: Tensor) -> Tensor:
    times = inputs.starts_ns[series][:, None] + at * inputs.step_ns
    turn = (times % DAY_NS).double() * (2 * np.pi / DAY_NS)
    weekday = (times // DAY_NS + 3) % 7
    waves = [wave(times_a_day * turn) for times_a_day in (1, 2, 3) for wave in (torch.sin, torch.cos)]
    return torch.stack([*waves, (weekday == 5).double(), (weekday == 6).double()], dim=-1).float()
