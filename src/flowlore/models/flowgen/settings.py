"""How large the decoder is, how far it looks back and ahead, and how finely it tells values apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...settings import Settings, setting

Size = Literal["small", "default", "large", "largest"]
HORIZONS = (1, 2, 3, 6, 9, 12, 24, 48, 96, 144, 288)


@dataclass(frozen=True, kw_only=True)
class FlowgenSettings(Settings):
    """A decoder over steps that weighs simple forecasts, moves them, and says a likelihood of the next step."""

    size: Size = setting(
        "default", "layers and widths: small (0.1 M numbers), default (0.3 M), large (3 M), largest (10)"
    )
    context: int = setting(256, "steps that it sees at once", minimum=16, maximum=512)
    bins: int = setting(
        64, "values told apart by their logarithm, zero aside; 9 are the paper's, too few to forecast with", minimum=4,
        maximum=1024,
    )  # fmt: skip
    farthest: int = setting(288, "steps ahead that it learns to forecast", minimum=1, maximum=288)
    hidden_features: float = setting(
        0.1, "share of features hidden while training, so that it works without them", minimum=0, maximum=0.9
    )
    dropout: float = setting(0.1, "share of numbers dropped within layers while training", minimum=0, maximum=0.9)
    disturbed: float = setting(
        0.5, "copies of series with outages and shifts of level that it learns from beside them, a share", minimum=0,
        maximum=1,
    )  # fmt: skip
    least_windows: int = setting(2048, "windows that an epoch has at least, however little there is", minimum=1)
    counted: bool = setting(True, "the likelihood begins with how often which bin followed which in the training time")
    identities: int = setting(
        0, "entities that have a vector of their own, the largest of those that it learns from; 0 has none. They are "
        "kept as keyed hashes of names, which tell whoever guesses a name that it was there. What tells floods and "
        "roles has none", minimum=0,
        maximum=1_000_000,
    )  # fmt: skip
    identity_dropout: float = setting(
        0.5, "with `identities`: how often an entity is as if it had never been seen, so that others can be forecast",
        minimum=0, maximum=1,
    )  # fmt: skip
    likelihood: float = setting(0.05, "weight of the next step's likelihood beside the forecasts' error", minimum=0)

    @property
    def horizons(self) -> tuple[int, ...]:
        """Steps ahead that have a head of their own; what lies between is interpolated."""
        return (*(one for one in HORIZONS if one < self.farthest), self.farthest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Layers, width and attention heads of one size."""

    layers: int
    width: int
    heads: int


SHAPES: dict[str, Shape] = {
    "small": Shape(layers=2, width=48, heads=4),
    "default": Shape(layers=3, width=64, heads=4),
    "large": Shape(layers=6, width=192, heads=6),
    "largest": Shape(layers=8, width=320, heads=8),
}
