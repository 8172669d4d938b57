"""How large a generator is."""

from __future__ import annotations

from dataclasses import dataclass

from ...settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class TransformerSettings(Settings):
    """An autoregressive transformer over packets: about 1.3 million numbers."""

    packets: int = setting(32, "most packets of a flow", minimum=2, maximum=1000)
    width: int = setting(128, "numbers of a state", minimum=8, maximum=4096)
    layers: int = setting(4, "blocks of attention", minimum=1, maximum=64)
    heads: int = setting(4, "of attention in each block; the width is divided among them", minimum=1, maximum=64)
    forgotten: float = setting(
        0.15, "share of earlier packets that are hidden while it learns to tell the next", minimum=0, maximum=0.9
    )
    temperature: float = setting(1.0, "under 1 is safer and less varied, above 1 wilder", minimum=0.05, maximum=5)
