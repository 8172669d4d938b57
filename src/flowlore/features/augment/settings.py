"""Which transforms, how strong, how they are put together, and when they are applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...settings import Settings, setting

Combination = Literal["ensemble", "random-stack", "masked-stack"]
Policy = Literal["replace", "inject", "pre-augment"]


@dataclass(frozen=True, kw_only=True)
class AugmentSettings(Settings):
    """How training flows are augmented. Without transforms nothing is; validation and test flows never are."""

    transforms: tuple[str, ...] = setting(
        (), "names from the registry, each with a magnitude of its own if wanted: `mtu:0.3`"
    )
    magnitude: float = setting(
        0.5, "strength of transforms that name none; the range is from 0 to 1 for all that come with us", minimum=0
    )
    combine: Combination = setting(
        "ensemble",
        "one of the transforms for each flow, all of them in any order, or each with a probability in the order given",
    )
    stack_probability: float = setting(
        0.5, "of each transform in a masked stack, for each flow on its own", minimum=0, maximum=1
    )
    policy: Policy = setting(
        "replace",
        "change some flows of a step, add changed copies to each step, or enlarge the training set once beforehand",
    )
    replaced: float = setting(0.5, "share of the flows of a step that `replace` changes", minimum=0, maximum=1)
    copies: int = setting(1, "changed copies of each flow that `inject` and `pre-augment` add", minimum=1, maximum=1000)
    class_weight: float = setting(
        0.0,
        "exponent of the sampler: a class is drawn by the number of its flows to the power of 1 minus this; "
        "0 is as they are, 1 each class alike",
        minimum=0,
        maximum=2,
    )
