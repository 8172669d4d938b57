"""Scores → alarms: which host, since when, how strong, and what kind of flood it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ...features.rates.rates import Rates
from ...features.rates.settings import NS_PER_S
from .settings import DetectionSettings
from .thresholds import FEATURES, Values, threshold_for, usual_scores

DEFAULTS = DetectionSettings()
MOST_HOSTS = 20_000
BUSY = 10  # hosts with a tenth of the least rate of an attack are those that false alarms would come from
SHARES = ("in_udp_share", "in_icmp_share", "in_tcp_share", "in_dns_share", "in_reflected_share", "in_web_share")


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """`seen_ns` is the end of the first step that was over the threshold: when it could be known."""

    host: str
    begin_ns: int
    seen_ns: int
    end_ns: int
    kind: str
    score: float
    packets_per_s: float
    bits_per_s: float
    peers: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What was found after the part that was learnt from."""

    alarms: tuple[Alarm, ...]
    threshold: float
    hosts: int
    examined_from_ns: int
    examined_days: float
    notes: Mapping[str, int] = field(default_factory=dict)


def detect(
    rates: Rates,
    settings: DetectionSettings = DEFAULTS,
    *,
    learn: float = 0.5,
    scores: Values | None = None,
) -> Detection:
    """Alarms after the first `learn` of the time, which is taken to be quiet. `scores` may be those of a model."""
    names = rates.series("in_packets", entities=MOST_HOSTS).names
    columns = {name: rates.series(name).of(names) for name in (*FEATURES, *SHARES)}
    first = columns["in_packets"]
    step_s = first.step_ns / NS_PER_S
    values = np.stack([columns[name].values for name in FEATURES])
    found = usual_scores(values, step_s, settings) if scores is None else scores
    quiet_steps = max(int(learn * first.steps), 1)
    packets = np.nan_to_num(first.values)
    least = settings.least_packets_per_s * step_s
    busy = packets[:, :quiet_steps] >= least / BUSY
    threshold = threshold_for(found[:, :quiet_steps], step_s, settings, counts=busy)
    high = (np.nan_to_num(found) > threshold) & (packets >= least)
    high[:, :quiet_steps] = False
    alarms = []
    for host in np.flatnonzero(high.any(axis=1)).tolist():
        for begin, end in _runs(np.flatnonzero(high[host]).tolist(), settings.quiet_steps):
            peak = begin + int(np.nanargmax(first.values[host, begin : end + 1]))
            alarms.append(
                Alarm(
                    host=names[host],
                    begin_ns=first.start_ns + begin * first.step_ns,
                    seen_ns=first.start_ns + (begin + 1) * first.step_ns,
                    end_ns=first.start_ns + (end + 1) * first.step_ns,
                    kind=kind_of({name: float(columns[name].values[host, peak]) for name in columns}),
                    score=round(float(np.nanmax(found[host, begin : end + 1])), 2),
                    packets_per_s=float(first.values[host, peak]) / step_s,
                    bits_per_s=8 * float(columns["in_bytes"].values[host, peak]) / step_s,
                    peers=int(columns["in_peers"].values[host, peak]),
                )
            )
    return Detection(
        alarms=tuple(sorted(alarms, key=lambda alarm: (alarm.begin_ns, alarm.host))),
        threshold=threshold,
        hosts=len(names),
        examined_from_ns=first.start_ns + quiet_steps * first.step_ns,
        examined_days=(first.steps - quiet_steps) * step_s / 86_400,
        notes=rates.notes,
    )


def kind_of(peak: Mapping[str, float]) -> str:
    """What a flood looks like by what most of its packets, bytes and flows are."""
    share = {name: np.nan_to_num(peak.get(name, 0.0)) for name in SHARES}
    flows = max(peak.get("in_active_flows", 0.0), 1.0)
    if share["in_reflected_share"] > 0.5:
        return "reflection"
    if share["in_dns_share"] > 0.5 and share["in_udp_share"] > 0.5:
        return "dns-reflection"
    if share["in_tcp_share"] > 0.5 and peak.get("in_half_open_flows", 0.0) / flows > 0.5:
        return "syn-flood"
    if share["in_icmp_share"] > 0.5:
        return "icmp-flood"
    if share["in_udp_share"] > 0.5:
        return "udp-flood"
    return "web-flood" if share["in_web_share"] > 0.5 else "volume"


def _runs(steps: Sequence[int], quiet: int) -> list[tuple[int, int]]:
    """First and last of each run of steps; shorter silences than `quiet` do not part them.

    >>> _runs([3, 4, 6, 12], 3)
    [(3, 6), (12, 12)]
    """
    runs: list[tuple[int, int]] = []
    for step in steps:
        if runs and step - runs[-1][1] <= quiet:
            runs[-1] = (runs[-1][0], step)
        else:
            runs.append((step, step))
    return runs
