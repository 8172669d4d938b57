"""Attacks over the traffic of others: as many packets as stated, of the real ones, when stated, and nothing else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from flowlore.errors import TaskError
from flowlore.features.rates.rates import rates
from flowlore.flows.table import Flows
from flowlore.tasks.ddos.overlay import (
    STRATA,
    AttackSource,
    Wanted,
    attack_source,
    drawn_episodes,
    laid,
    packed_address,
    stratum_of,
)
from ratesmade import DAWN, Flow, S, batch_of, host


@pytest.fixture
def source() -> AttackSource:
    flows = [
        Flow(
            start=one * S // 50,
            duration=S // 100,
            src=host(9_000 + one),
            dst=host(77),
            packets=(1 + one % 3, 0),
            bytes=(40, 0),
            flags=(2, 0),
        )
        for one in range(50)
    ]
    stray = Flow(start=S, src=host(77), dst=host(9_000), packets=(5, 0))
    return attack_source(Flows(batch_of([*flows, stray])), "syn.pcap", "syn-flood")


def test_a_source_holds_what_went_to_its_victim(source: AttackSource) -> None:
    assert source.packets == sum(1 + one % 3 for one in range(50)) and len(source.src_ip) == 50
    assert source.seconds == pytest.approx(1.0, abs=0.1)
    with pytest.raises(TaskError, match="has no packets"):
        attack_source(Flows(batch_of([Flow(packets=(0, 0))])), "x", "y")


def test_large_flows_are_cut_so_that_a_loop_is_no_burst_and_silence() -> None:
    flows = [
        Flow(start=one * S, duration=S, src=host(9_000 + one), dst=host(77), packets=(997 + one, 0), bytes=(50_021, 0))
        for one in range(3)
    ]
    source = attack_source(Flows(batch_of(flows)), "bot", "udp-flood")
    assert source.packets == 997 + 998 + 999 and int(source.columns["bytes_fwd"].sum()) == 3 * 50_021
    assert source.columns["packets_fwd"].min() >= 1 and source.columns["packets_fwd"].max() <= 10
    assert source.src_ip.to_pylist()[:4] == [host_bytes(0), host_bytes(1), host_bytes(2), host_bytes(0)]
    wanted = Wanted(
        victim=host(3), begin_ns=DAWN, duration_s=100.0, ramp_s=0.0, times_usual=2.0, usual_per_s=10.0, source=source
    )
    found = rates([laid(wanted)[0]], step="10s").series("in_packets").of([host(3)])
    np.testing.assert_allclose(found.values[0, :10], 200, rtol=0.06)


def host_bytes(one: int) -> bytes:
    packed = packed_address(host(9_000 + one))
    assert packed is not None
    return packed


def test_an_episode_rises_to_its_plateau_and_ends_when_it_says(source: AttackSource) -> None:
    wanted = Wanted(
        victim=host(3), begin_ns=DAWN + 100 * S, duration_s=120.0, ramp_s=60.0, times_usual=4.0, usual_per_s=25.0,
        source=source,
    )  # fmt: skip
    batch, attack = laid(wanted)
    found = rates([batch], step="10s").series("in_packets").of([host(3)])
    per_s = found.values[0] / 10
    assert found.start_ns == DAWN + 100 * S and found.steps == 12
    np.testing.assert_allclose(per_s[6:], 100, rtol=0.03)
    np.testing.assert_allclose(per_s[:6], [9.2, 25.8, 42.5, 59.2, 75.8, 92.5], rtol=0.12)
    assert (attack.begin_ns, attack.end_ns) == (DAWN + 100 * S, DAWN + 220 * S)
    assert (attack.kind, attack.source, attack.times_usual, attack.ramp_s) == ("syn-flood", "syn.pcap", 4.0, 60.0)
    sources = set(batch.column("src_ip").to_pylist())
    assert sources == set(source.src_ip.to_pylist())
    half_open = rates([batch], step="10s").series("in_half_open_flows").of([host(3)])
    assert (half_open.values > 0).all()


def test_a_victim_without_an_address_keeps_its_name(source: AttackSource) -> None:
    wanted = Wanted(
        victim="AS 786", begin_ns=DAWN, duration_s=30.0, ramp_s=0.0, times_usual=1.0, usual_per_s=10.0, source=source
    )
    batch, _ = laid(wanted)
    assert rates([batch], step="10s").series("in_packets", entities=1).names == ("AS 786",)


def test_episodes_are_of_every_stratum_and_never_two_of_one_victim(source: AttackSource) -> None:
    victims = [(host(1), 10.0), (host(2), 0.01)]
    span = (DAWN, DAWN + 86_400 * S)
    found = drawn_episodes(victims, [source], span, 40, np.random.default_rng(0))
    assert {stratum_of(one.times_usual) for one in found} == set(STRATA)
    for name, _ in victims:
        own = sorted((one.begin_ns, one.begin_ns + int(one.duration_s * S)) for one in found if one.victim == name)
        assert all(later[0] - earlier[1] >= 600 * S for earlier, later in pairwise(own))
    assert all(30 <= one.duration_s <= 1800 and one.ramp_s <= one.duration_s / 2 for one in found)
    assert all(one.usual_per_s >= 1 for one in found)
    crowded = drawn_episodes(victims[:1], [source], (DAWN, DAWN + 3_600 * S), 40, np.random.default_rng(0))
    assert 1 <= len(crowded) < 8
