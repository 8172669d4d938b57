"""How long and how fast networks learn. Nothing heavy is imported here: the command line reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """How long and how fast a network learns."""

    epochs: int = setting(10, "times that every training row is seen", minimum=1)
    least_steps: int = setting(200, "steps at least: of few rows more epochs are made", minimum=1)
    batch_rows: int = setting(512, "rows in a step", minimum=1)
    learning_rate: float = setting(2e-3, "highest learning rate, reached after the warm-up", minimum=0)
    warm_up: float = setting(0.05, "share of the steps in which the rate rises from 0", minimum=0, maximum=1)
    weight_decay: float = setting(0.01, "decay of AdamW", minimum=0)
    largest_gradient: float = setting(1.0, "norm that gradients are clipped to", minimum=0)
    patience: int = setting(3, "rounds without a better validation before training stops", minimum=1)
    least_steps_a_round: int = setting(
        50, "steps at least between validations; a round is one epoch, or several of few rows", minimum=1
    )
    checkpoint_every_steps: int = setting(200, "steps between checkpoints, where a place for them is given", minimum=1)
    bf16: bool = setting(
        False,
        "multiply in bfloat16 while training, weights stay float32; pays on GPUs and processors with AVX-512 BF16, AMX",
    )
    device: str = setting("cpu", "where to train: cpu, cuda, cuda:1 …")


@dataclass(frozen=True, kw_only=True)
class AttentionSettings(Settings):
    """Attention that an autoencoder grows where many labels teach it, and how that alone then follows them."""

    layers: int = setting(3, "layers in which packets of a flow look at each other; 0: it never grows", minimum=0)
    least_flows: int = setting(10_000, "labelled flows from which on it grows", minimum=1)
    epochs: int = setting(10, "times that every labelled row is seen", minimum=1)
    learning_rate: float = setting(2e-3, "highest learning rate, reached after the warm-up", minimum=0)
    hidden_packets: float = setting(0.2, "share of packets hidden while tuning", minimum=0, maximum=0.9)


@dataclass(frozen=True, kw_only=True)
class FineTuningSettings(TrainingSettings):
    """How a whole network follows labels, from the linear probe on."""

    epochs: int = setting(12, "times that every labelled row is seen", minimum=1)
    batch_rows: int = setting(256, "rows in a step", minimum=1)
    learning_rate: float = setting(1e-3, "highest learning rate, reached after the warm-up", minimum=0)
    patience: int = setting(4, "rounds without a better validation before training stops", minimum=1)
    hidden_packets: float = setting(0.1, "share of packets hidden while tuning", minimum=0, maximum=0.9)
    smoothing: float = setting(0.05, "share of the answer that is spread over all classes", minimum=0, maximum=0.5)
    averaged: float = setting(
        0.998,
        "of an autoencoder: share of itself that a running mean of weights, which is kept, has after a step; 0: none",
        minimum=0,
        maximum=0.99999,
    )
    attention: AttentionSettings = field(default_factory=AttentionSettings)
