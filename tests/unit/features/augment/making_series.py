"""Packet series for tests, by hand and by hypothesis."""

import numpy as np
from hypothesis import strategies as st

from flowlore.features.augment.packets import PacketSeries

WIDTH = 16


def made_up_series(flows: int, rng: np.random.Generator, *, width: int = WIDTH, shortest: int = 0) -> PacketSeries:
    """Flows of any length, with empty packets, headers of 28 to 60 bytes, bursts and waits."""
    lengths = rng.integers(shortest, width + 1, flows)
    is_packet = np.arange(width) < lengths[:, None]
    direction = np.where(is_packet, rng.choice([-1, 1], (flows, width)), 0)
    direction[:, :1] = np.where(is_packet[:, :1], 1, 0)
    header = rng.choice([28, 40, 52, 60], (flows, width))
    payload = rng.integers(1, 1441, (flows, width)) * rng.choice([0, 1, 1], (flows, width))
    payload = np.where(rng.random((flows, width)) < 0.02, 5 * payload, payload)  # what an offloading card hands over
    gaps = rng.choice([0, 50_000, 2_000_000, 300_000_000], (flows, width)) * rng.integers(1, 9, (flows, width))
    gaps[:, :1] = 0
    is_there = is_packet.astype(np.int64)
    return PacketSeries(
        direction=direction.astype(np.int32),
        size=((header + payload) * is_there).astype(np.int32),
        header=(header * is_there).astype(np.int32),
        gap_ns=gaps * is_there,
        flags=(rng.choice([2, 16, 24], (flows, width)) * is_there).astype(np.int32),
        window=(rng.integers(0, 65_536, (flows, width)) * is_there).astype(np.int32),
        hidden=np.zeros((flows, width), np.bool_),
    )


@st.composite
def any_series(draw: st.DrawFn) -> PacketSeries:
    flows, seed = draw(st.integers(1, 12)), draw(st.integers(0, 2**32 - 1))
    return made_up_series(flows, np.random.default_rng(seed), width=draw(st.sampled_from([1, 2, 5, 16, 33])))


def one_flow(sizes: list[int], gaps_ms: list[float], *, header: int = 40) -> PacketSeries:
    """Signed payload lengths and gaps; 0 is an empty packet of the first speaker."""
    payload = np.array([sizes])
    return PacketSeries(
        direction=np.where(payload < 0, -1, 1).astype(np.int32),
        size=(np.abs(payload) + header).astype(np.int32),
        header=np.full(payload.shape, header, np.int32),
        gap_ns=np.array([gaps_ms]).astype(np.int64) * 1_000_000,
        flags=np.full(payload.shape, 16, np.int32),
        window=np.full(payload.shape, 100, np.int32),
        hidden=np.zeros(payload.shape, np.bool_),
    )
