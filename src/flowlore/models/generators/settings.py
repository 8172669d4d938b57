"""How large a generator is, and how it goes to work."""

from __future__ import annotations

from dataclasses import dataclass

from ...settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings(Settings):
    """What every generator of ours has."""

    packets: int = setting(32, "most packets of a flow", minimum=2, maximum=1000)
    latent: int = setting(
        0, "numbers of a latent vector that says which flow of its class is meant; 0 takes none", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class TransformerSettings(GeneratorSettings):
    """An autoregressive transformer over packets: about 1.3 million numbers."""

    width: int = setting(128, "numbers of a state", minimum=8, maximum=4096)
    layers: int = setting(4, "blocks of attention", minimum=1, maximum=64)
    heads: int = setting(4, "of attention in each block; the width is divided among them", minimum=1, maximum=64)
    forgotten: float = setting(
        0.15, "share of earlier packets that are hidden while it learns to tell the next", minimum=0, maximum=0.9
    )
    temperature: float = setting(1.0, "under 1 is safer and less varied, above 1 wilder", minimum=0.05, maximum=5)


@dataclass(frozen=True, kw_only=True)
class DiffusionSettings(GeneratorSettings):
    """A masked diffusion over packets: about 1.3 million numbers."""

    width: int = setting(128, "numbers of a state", minimum=8, maximum=4096)
    layers: int = setting(4, "blocks of attention", minimum=1, maximum=64)
    heads: int = setting(4, "of attention in each block; the width is divided among them", minimum=1, maximum=64)
    steps: int = setting(
        16, "in which packets are uncovered; as many as packets is best and slowest", minimum=1, maximum=1000
    )
    temperature: float = setting(1.0, "under 1 is safer and less varied, above 1 wilder", minimum=0.05, maximum=5)


@dataclass(frozen=True, kw_only=True)
class WganSettings(GeneratorSettings):
    """A Wasserstein GAN with gradient penalty over packets as bits: about 1.7 million numbers in both networks."""

    width: int = setting(128, "channels of both networks", minimum=8, maximum=4096)
    blocks: int = setting(3, "residual blocks of each network", minimum=1, maximum=64)
    noise: int = setting(64, "numbers that a flow is made of", minimum=1, maximum=4096)
    penalty: float = setting(10.0, "weight of the gradient penalty", minimum=0)
    turns: int = setting(2, "the maker learns in one of so many steps, on average; the critic in all", minimum=1)
    joint: float = setting(
        0.0, "weight of a classifier that learns with both, and whose gradients reach the maker; 0 has none", minimum=0
    )
    joint_made: float = setting(
        0.5, "weight of made-up flows, against real ones, in what the classifier learns", minimum=0
    )
