"""Scores → alarms: which host, since when, how strong, and what kind of flood it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from ...errors import InputError
from ...features.rates.rates import Rates
from ...features.rates.series import MOST_NUMBERS
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
    probability: float | None = None  # the highest, of a detector that learnt from attacks
    learnt_kind: str | None = None  # the kind among those that it learnt that it is most like

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a detector that learnt says of hosts: logits [hosts, steps], and the kinds that they are most like."""

    names: tuple[str, ...]
    scores: Values
    shift: float  # less this a logit is that of a probability
    kinds: tuple[str, ...] = ()
    kind_places: npt.NDArray[np.int64] | None = None
    threshold: float | None = None  # where it is known without a quiet time

    def about(self, host: int, begin: int, end: int) -> dict[str, Any]:
        part = self.scores[host, begin : end + 1]
        peak = int(np.nanargmax(part))
        said: dict[str, Any] = {"probability": round(probability_of(float(part[peak]) - self.shift), 4)}
        if self.kind_places is not None and self.kinds:
            said["learnt_kind"] = self.kinds[int(self.kind_places[host, begin + peak])]
        return said


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
    answers: Answers | None = None,
) -> Detection:
    """Alarms after the first `learn` of the time, which is taken to be quiet. `answers` may be those of a model."""
    rates = rates.named()
    needed = (*FEATURES, *SHARES)
    busiest, hosts = watched(rates, len(needed)), len(pc.unique(rates.table["entity"]))
    names = busiest if answers is None else answers.names
    start_ns, columns = rates.matrices(needed, names)
    received = columns["in_packets"]
    steps, step_ns = received.shape[1], rates.step_ns
    step_s = step_ns / NS_PER_S
    values = np.stack([columns[name] for name in FEATURES])
    found = usual_scores(values, step_s, settings) if answers is None else answers.scores
    quiet_steps = max(int(learn * steps), 1) if learn else 0
    packets = np.nan_to_num(received)
    least = settings.least_packets_per_s * step_s
    busy = packets[:, :quiet_steps] >= least / BUSY
    if answers is not None and answers.threshold is not None:
        threshold = answers.threshold
    else:
        threshold = threshold_for(found[:, :quiet_steps], step_s, settings, counts=busy)
    high = (np.nan_to_num(found, nan=-np.inf) > threshold) & (packets >= least)
    high[:, :quiet_steps] = False
    alarms = []
    for host in np.flatnonzero(high.any(axis=1)).tolist():
        for begin, end in runs_of(np.flatnonzero(high[host]).tolist(), settings.quiet_steps):
            peak = begin + int(np.nanargmax(received[host, begin : end + 1]))
            alarms.append(
                Alarm(
                    host=names[host],
                    begin_ns=start_ns + begin * step_ns,
                    seen_ns=start_ns + (begin + 1) * step_ns,
                    end_ns=start_ns + (end + 1) * step_ns,
                    kind=kind_of({name: float(columns[name][host, peak]) for name in columns}),
                    score=round(float(np.nanmax(found[host, begin : end + 1])), 2),
                    packets_per_s=float(received[host, peak]) / step_s,
                    bits_per_s=8 * float(columns["in_bytes"][host, peak]) / step_s,
                    peers=int(columns["in_peers"][host, peak]),
                    **({} if answers is None else answers.about(host, begin, end)),
                )
            )
    return Detection(
        alarms=tuple(sorted(alarms, key=lambda alarm: (alarm.begin_ns, alarm.host))),
        threshold=threshold,
        hosts=hosts,
        examined_from_ns=start_ns + quiet_steps * step_ns,
        examined_days=(steps - quiet_steps) * step_s / 86_400,
        notes=dict(rates.notes) | ({"hosts-not-watched": left} if (left := hosts - len(names)) else {}),
    )


def quiet_threshold(rates: Rates, settings: DetectionSettings) -> float:
    """The score that a quiet record exceeds as often as the settings allow."""
    rates = rates.named()
    names = watched(rates, len(FEATURES))
    _, columns = rates.matrices(FEATURES, names)
    step_s = rates.step_ns / NS_PER_S
    scores = usual_scores(np.stack([columns[name] for name in FEATURES]), step_s, settings)
    busy = np.nan_to_num(columns["in_packets"]) >= settings.least_packets_per_s * step_s / BUSY
    return threshold_for(scores, step_s, settings, counts=busy)


def watched(rates: Rates, columns: int) -> tuple[str, ...]:
    """The hosts that receive most, as many as memory holds so many columns of."""
    if not len(rates):
        raise InputError("detect: there is no traffic of any host", hint="`flowlore inspect` shows what is in it")
    return rates.largest(most=max(min(MOST_HOSTS, MOST_NUMBERS // (columns * rates.steps)), 1))


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


def probability_of(logit: float) -> float:
    """
    >>> probability_of(0.0)
    0.5
    """
    return float(1 / (1 + np.exp(-np.clip(logit, -60, 60))))


def runs_of(steps: Sequence[int], quiet: int) -> list[tuple[int, int]]:
    """First and last of each run of steps; shorter silences than `quiet` do not part them.

    >>> runs_of([3, 4, 6, 12], 3)
    [(3, 6), (12, 12)]
    """
    runs: list[tuple[int, int]] = []
    for step in steps:
        if runs and step - runs[-1][1] <= quiet:
            runs[-1] = (runs[-1][0], step)
        else:
            runs.append((step, step))
    return runs
