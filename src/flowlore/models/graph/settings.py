"""How large the graph network is, which edges it follows, and what is hidden from it while it learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ...features.graphs.settings import GraphSettings
from ...settings import Settings, setting

Kind = Literal["reference", "lean"]


@dataclass(frozen=True, kw_only=True)
class GraphEncoderSettings(Settings):
    """Layers of messages through time, then through space, and what teaches them without labels."""

    kind: Kind = setting(
        "reference",
        "reference: own weights and length 1 for each type of edge, as the paper has it; lean: one for all types",
    )
    width: int = setting(128, "numbers in a node's state and in an embedding", minimum=4, maximum=1024)
    layers: int = setting(2, "times that messages pass through time and space", minimum=1, maximum=8)
    through_time: bool = setting(True, "follow edges from earlier flows and windows")
    through_space: bool = setting(True, "follow edges between flows and hosts of a window")
    window_numbers: bool = setting(
        True, "show hosts their degrees in the window, and flows the times since flows of the same hosts"
    )
    number_steps: int = setting(
        8,
        "steps that each number is told in beside its value, so that a threshold is easily learnt; 0: its value only",
        minimum=0,
        maximum=32,
    )
    keeps_own: bool = setting(
        True, "an embedding also holds the state that a flow or host had before any neighbour had a part in it"
    )
    hidden_sources: float = setting(
        0.0,
        "share of stretches in training of which a part of the numbers is hidden in all flows, as a source that knows "
        "less would",
        minimum=0,
        maximum=1,
    )
    held_out: float = setting(
        0.15, "share of edges of each kind that are hidden and asked for in a step", minimum=0, maximum=0.9
    )
    masked: float = setting(0.3, "share of flows of which numbers are hidden in a step", minimum=0, maximum=1)
    masked_numbers: float = setting(0.5, "share of the numbers of such a flow", minimum=0, maximum=1)
    link_weight: float = setting(0.0, "weight of link prediction in the loss; 0 leaves it out", minimum=0)
    mask_weight: float = setting(
        0.0,
        "weight of masked numbers in the loss; 0 leaves them out, unless nothing says which flows are of one service",
        minimum=0,
    )
    contrast_weight: float = setting(
        1.0,
        "weight of telling flows of one service (or one client) from others by their own numbers in the loss; 0 leaves "
        "it out",
        minimum=0,
    )
    company_weight: float = setting(
        0.0, "the same by their states, from flows of other windows; 0 leaves it out", minimum=0
    )
    own_past: bool = setting(
        False,
        "the flows that teach are the past of the one network that will be judged: hidden edges and numbers teach too, "
        "with weight 1 where theirs is 0; it takes four times as long",
    )
    tuned_rate: float = setting(
        0.1,
        "learning rate of the network while it follows labels, as a share of that of the head",
        minimum=0,
        maximum=1,
    )
    training_flows: int = setting(
        2048,
        "flows of consecutive windows that make one row of training; at most 2048 at a time are told from each other",
        minimum=16,
        maximum=1_000_000,
    )
    windows: GraphSettings = field(default_factory=GraphSettings)

    @property
    def embedding_width(self) -> int:
        return 2 * self.width if self.keeps_own else self.width
