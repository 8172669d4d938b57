"""How large the autoencoder is, and what is hidden from it while it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...settings import Settings, setting

Size = Literal["small", "default", "large"]


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings(Settings):
    """One adaptation module a modality, one integration module, one decoder a modality."""

    size: Size = setting("default", "widths of the layers: small, default (the paper's weight), large")
    width: int = setting(64, "numbers in an embedding", minimum=2, maximum=4096)
    packets: int = setting(
        32, "packets of the series that it sees; more are cut, fewer padded", minimum=4, maximum=1000
    )
    hidden_modalities: float = setting(
        0.2, "share of the modalities of flows hidden while training; each flow keeps one", minimum=0, maximum=0.9
    )
    hidden_packets: float = setting(
        0.15, "share of packets whose sizes and gaps are hidden while training", minimum=0, maximum=0.9
    )
    hidden_beginnings: float = setting(
        0.5, "share of the words of a flow's beginning hidden while training", minimum=0, maximum=0.95
    )
    hidden_tokens: float = setting(0.3, "share of entity tokens hidden while training", minimum=0, maximum=0.95)
    reconstruction: float = setting(0.3, "weight of telling each modality from the embedding", minimum=0)
    contrast: float = setting(1.0, "weight of bringing flows of one context together", minimum=0)
    temperature: float = setting(0.1, "likeness at which a flow counts 1/e in the contrast", minimum=0.001)
    noise: float = setting(
        0.1, "spread of the noise on scaled quantities while training, of their own spread", minimum=0, maximum=1
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Widths:
    """Channels and layers of one size."""

    word: int
    convolution: tuple[int, int]
    modality: int
    integration: int
    attention: int


WIDTHS: dict[str, Widths] = {
    "small": Widths(word=12, convolution=(24, 32), modality=48, integration=96, attention=64),
    "default": Widths(word=24, convolution=(48, 64), modality=96, integration=192, attention=96),
    "large": Widths(word=48, convolution=(96, 128), modality=192, integration=512, attention=128),
}
