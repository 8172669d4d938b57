"""What each host shows in each step, in numbers that mean the same for a small host and for a large one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...features.rates.rates import Rates
from ...features.rates.series import MOST_NUMBERS
from ...features.rates.settings import NS_PER_S
from .settings import DetectionSettings
from .thresholds import FEATURES, followed

Values = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float32]

NOISE_PER_S = {  # so little of each says nothing about a host
    **dict.fromkeys(FEATURES, 1.0),
    **dict.fromkeys(("in_flows", "in_ports", "in_rst_packets"), 1.0),
    "in_packets": 10.0,
    "in_bytes": 10_000.0,
    "out_packets": 10.0,
    "out_bytes": 10_000.0,
}
SIZED = ("in_packets", "in_bytes", "in_peers", "in_half_open_flows")  # also told as they are
SHARES = ("in_udp_share", "in_icmp_share", "in_tcp_share", "in_dns_share", "in_reflected_share", "in_web_share")
LARGEST_PACKET = 1500.0
LARGEST_RISE = 9.0  # of the logarithm
MOST_HOSTS = 2_000
SIGNS = (
    *(f"{name} against its mean" for name in NOISE_PER_S),
    *(f"{name} itself" for name in SIZED),
    *SHARES,
    "in_mean_packet_bytes",
    "deviations",
)
COLUMNS = (*NOISE_PER_S, *SHARES, "in_mean_packet_bytes")


@dataclass(frozen=True, kw_only=True, eq=False)
class Signs:
    """`values` [hosts, SIGNS, steps], never below 0, NaN in gaps: how many times its own mean a host receives and
    sends, how much that is, what it consists of, and how many standard deviations it is away."""

    names: tuple[str, ...]
    start_ns: int
    step_ns: int
    values: Numbers
    packets: Values  # [hosts, steps], received
    bytes: Values
    scores: Values  # [hosts, steps] of the adaptive threshold
    entropy: Values | None = None  # [hosts, steps] of the sources' shares of the packets, in bits; NaN without any

    def __len__(self) -> int:
        return len(self.names)

    @property
    def steps(self) -> int:
        return int(self.values.shape[2])

    @property
    def step_s(self) -> float:
        return self.step_ns / NS_PER_S

    def times_ns(self) -> npt.NDArray[np.int64]:
        return self.start_ns + self.step_ns * np.arange(self.steps, dtype=np.int64)

    def until(self, steps: int) -> Signs:
        """The first steps only."""
        return replace(
            self,
            values=self.values[:, :, :steps],
            packets=self.packets[:, :steps],
            bytes=self.bytes[:, :steps],
            scores=self.scores[:, :steps],
            entropy=None if self.entropy is None else self.entropy[:, :steps],
        )

    def of(self, places: npt.NDArray[np.int64]) -> Signs:
        """Some of the hosts."""
        return replace(
            self,
            names=tuple(self.names[place] for place in places),
            values=self.values[places],
            packets=self.packets[places],
            bytes=self.bytes[places],
            scores=self.scores[places],
            entropy=None if self.entropy is None else self.entropy[places],
        )


def most_watched(rates: Rates) -> int:
    """Hosts whose signs memory can hold."""
    return max(min(MOST_HOSTS, MOST_NUMBERS // (2 * len(SIGNS) * max(rates.steps, 1))), 1)


def signs_of(rates: Rates, settings: DetectionSettings, *, names: tuple[str, ...] | None = None) -> Signs:
    """Signs of the hosts that receive most, or of those named. Each step knows only itself and earlier ones."""
    if not len(rates):
        raise InputError("detect: there is no traffic of any host", hint="`flowlore inspect` shows what is in it")
    names = rates.largest(most=most_watched(rates)) if names is None else names
    start_ns, held = rates.matrices(COLUMNS, names)
    step_s = rates.step_ns / NS_PER_S
    counts = np.stack([held[name] for name in NOISE_PER_S])
    rises, scores = followed(counts, noise(step_s), step_s, settings, judged_by=len(FEATURES))
    values = sign_values(held, counts, rises, scores, step_s)
    return Signs(
        names=names,
        start_ns=start_ns,
        step_ns=rates.step_ns,
        values=values,
        packets=held["in_packets"],
        bytes=held["in_bytes"],
        scores=scores,
    )


def noise(step_s: float) -> Values:
    """Of each counter: so little in a step says nothing."""
    return step_s * np.array(list(NOISE_PER_S.values()))


def sign_values(held: Mapping[str, Values], counts: Values, rises: Numbers, scores: Values, step_s: float) -> Numbers:
    """[hosts, SIGNS, …] of columns [hosts, …], of which `counts` [NOISE_PER_S, hosts, …] and their rises are some."""
    times = np.where(counts == 0, 0.0, np.exp(np.clip(rises, -LARGEST_RISE, LARGEST_RISE)))
    rows = list(times)
    rows += [held[name] / (step_s * NOISE_PER_S[name]) for name in SIZED]
    rows += [np.nan_to_num(held[name]) for name in SHARES]
    rows.append(np.nan_to_num(held["in_mean_packet_bytes"]) / LARGEST_PACKET)
    rows.append(np.nan_to_num(scores))
    values = np.stack(rows, axis=1).astype(np.float32)
    gap = np.isnan(held["in_packets"])
    values[np.broadcast_to(gap[:, None], values.shape)] = np.nan
    return values
