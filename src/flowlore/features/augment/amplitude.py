"""Transforms that change how large packets are and how long they wait, but neither their number nor their order."""

from __future__ import annotations

import numpy as np

from .packets import PacketSeries, with_gaps, with_payload
from .transform import Transform

NOISE_BYTES = 50.0
NOISE_OF_GAPS = 0.25
SPIKES = 3
SPREAD_OF_FACTORS = 0.3
WAVE_REACH = 0.5
MOST_PERIODS = 3.0  # of the wave over a flow
CONSTANT_REACH = 0.5


def gaussian_noise(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Adds noise to every payload length, and to every gap in proportion to it."""
    shape = series.size.shape
    changed = with_payload(series, series.payload + rng.normal(0.0, NOISE_BYTES * magnitude, shape))
    return with_gaps(changed, series.gap_ns * (1.0 + rng.normal(0.0, NOISE_OF_GAPS * magnitude, shape)))


def spike_noise(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Makes up to three packets of a flow much larger or smaller, or much later."""
    shape = series.size.shape
    keys = np.where(series.is_packet & (series.payload > 0), rng.random(shape), 2.0)  # behind all
    spikes = 1 + rng.integers(0, SPIKES, (len(series), 1))
    is_spike = keys.argsort(axis=1).argsort(axis=1) < spikes
    on_sizes = rng.random((len(series), 1)) < 0.5
    reach = magnitude * rng.uniform(-1.0, 1.0, shape)
    changed = with_payload(series, series.payload + np.where(is_spike & on_sizes, reach * series.largest, 0.0))
    longest = series.gap_ns.max(axis=1, keepdims=True)
    return with_gaps(changed, series.gap_ns + np.where(is_spike & ~on_sizes, np.abs(reach) * longest, 0.0))


def gaussian_wrap_up(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Multiplies every payload length and gap by a number near 1, another for each packet."""
    shape = series.size.shape
    changed = with_payload(series, series.payload * rng.normal(1.0, SPREAD_OF_FACTORS * magnitude, shape))
    return with_gaps(changed, series.gap_ns * rng.normal(1.0, SPREAD_OF_FACTORS * magnitude, shape))


def sine_wrap_up(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Multiplies payload lengths and gaps by a wave of one to three periods over the flow."""
    flows = len(series)
    periods, phases = rng.uniform(1.0, MOST_PERIODS, (flows, 1)), rng.uniform(0.0, 2.0 * np.pi, (flows, 1))
    along = np.arange(series.width) / np.maximum(series.lengths[:, None], 1)
    wave = 1.0 + WAVE_REACH * magnitude * np.sin(2.0 * np.pi * periods * along + phases)
    return with_gaps(with_payload(series, series.payload * wave), series.gap_ns * wave)


def constant_wrap_up(
    series: PacketSeries, rng: np.random.Generator, magnitude: float, partners: PacketSeries
) -> PacketSeries:
    """Multiplies all payload lengths of a flow by one number, and all its gaps by another."""
    factors = 1.0 + magnitude * rng.uniform(-CONSTANT_REACH, CONSTANT_REACH, (2, len(series), 1))
    return with_gaps(with_payload(series, series.payload * factors[0]), series.gap_ns * factors[1])


GAUSSIAN_NOISE = Transform(
    "gaussian-noise",
    gaussian_noise,
    family="amplitude",
    fewest_packets=1,
    meaning="noise of 50 bytes on payloads and a quarter of each gap",
)
SPIKE_NOISE = Transform(
    "spike-noise",
    spike_noise,
    family="amplitude",
    fewest_packets=1,
    meaning="spikes as large as the largest packet or gap",
)
GAUSSIAN_WRAP_UP = Transform(
    "gaussian-wrap-up",
    gaussian_wrap_up,
    family="amplitude",
    fewest_packets=1,
    meaning="each payload and gap times a number of mean 1 and deviation 0.3",
)
SINE_WRAP_UP = Transform(
    "sine-wrap-up", sine_wrap_up, family="amplitude", fewest_packets=1, meaning="a wave from half to one and a half"
)
CONSTANT_WRAP_UP = Transform(
    "constant-wrap-up",
    constant_wrap_up,
    family="amplitude",
    fewest_packets=1,
    meaning="all payloads, and all gaps, times a number from half to one and a half",
)
