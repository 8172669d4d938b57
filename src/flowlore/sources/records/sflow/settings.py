"""Settings of sFlow."""

from dataclasses import dataclass

from ....settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class SflowSettings(Settings):
    """How sampled packets become flows."""

    window_s: float = setting(
        60.0, "samples of one flow within this are one row, in s", minimum=0.001, maximum=86_400.0
    )
    apply_sampling: bool = setting(True, "multiply packets and bytes by the sampling rate")
    sampling_rate: int = setting(0, "1 in N, where a sample says 0; 0 is unknown", minimum=0, maximum=4_294_967_295)
    batch_datagrams: int = setting(4_096, "datagrams decoded together", minimum=1, maximum=1_048_576)
