"""How unusual is too unusual."""

from __future__ import annotations

from dataclasses import dataclass

from ...settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class DetectionSettings(Settings):
    """Alarms about hosts that receive far more than they did."""

    false_alarms_a_day: float = setting(
        1.0, "false alarms a day over all hosts together that the threshold allows", minimum=1e-3
    )
    half_life_s: float = setting(3600.0, "seconds after which the past counts half in what is usual", minimum=1)
    least_packets_per_s: float = setting(
        100.0, "packets a second below which no host is under attack, however unusual it is", minimum=0
    )
    warm_up_steps: int = setting(12, "steps of a host before it is judged", minimum=2)
    quiet_steps: int = setting(3, "steps without a high score that end an alarm", minimum=1)
