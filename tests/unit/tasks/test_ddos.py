"""Floods are found as they begin and named by kind; what is usual is not; thresholds keep their false alarms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flowlore.errors import TaskError
from flowlore.features.rates.rates import Rates, rates
from flowlore.tasks.ddos.alarms import detect, kind_of
from flowlore.tasks.ddos.settings import DetectionSettings
from flowlore.tasks.ddos.thresholds import FEATURES, threshold_for, usual_scores
from ratesmade import DAWN, Flow, S, batch_of, host

STEPS, ONSET = 240, 200  # of 10 s


FLOODS = {
    "syn-flood": Flow(dst=host(3), flags=(0x02, 0), packets=(200, 0), bytes=(8_000, 0)),
    "udp-flood": Flow(dst=host(3), protocol=17, dst_port=9999, packets=(200, 0), bytes=(200_000, 0), flags=(0, 0)),
    "reflection": Flow(
        dst=host(3), protocol=17, src_port=123, dst_port=47_000, packets=(200, 0), bytes=(90_000, 0), flags=(0, 0)
    ),
}


def background(rng: np.random.Generator) -> list[Flow]:
    """Five servers, each with some clients in every step."""
    return [
        Flow(
            start=step * 10 * S + int(rng.integers(0, 9 * S)),
            src=host(100 + int(rng.integers(40))),
            dst=host(server),
            packets=(int(rng.integers(50, 150)), 80),
            bytes=(9_000, 90_000),
        )
        for step in range(STEPS)
        for server in range(5)
        for _ in range(int(rng.integers(2, 5)))
    ]


def flood(kind: str) -> list[Flow]:
    """Against server 3, from step `ONSET` on, for a minute."""
    made = []
    for step in range(ONSET, ONSET + 6):
        for source in range(40):
            made.append(replace(FLOODS[kind], start=step * 10 * S + source, src=host(70_000 + source)))
    return made


def rates_with(*kinds: str) -> Rates:
    flows = background(np.random.default_rng(0))
    return rates(
        [batch_of(sorted(flows + [one for kind in kinds for one in flood(kind)], key=lambda flow: flow.start))],
        step="10s",
    )


@pytest.mark.parametrize("kind", ["syn-flood", "udp-flood", "reflection"])
def test_a_flood_is_found_in_its_first_step_and_named(kind: str) -> None:
    found = detect(rates_with(kind))
    (alarm,) = [alarm for alarm in found.alarms if alarm.host == host(3)]
    assert alarm.begin_ns == DAWN + ONSET * 10 * S and alarm.seen_ns == alarm.begin_ns + 10 * S
    assert alarm.end_ns == DAWN + (ONSET + 6) * 10 * S
    assert alarm.kind == kind and alarm.packets_per_s > 700 and alarm.peers >= 40
    assert len(found.alarms) == 1


def test_usual_traffic_raises_no_alarm() -> None:
    found = detect(rates_with())
    assert found.alarms == () and found.hosts == 45
    assert 0 < found.examined_days < 0.02


def test_fewer_false_alarms_need_a_higher_threshold() -> None:
    scores = np.abs(np.random.default_rng(0).normal(size=(20, 8640)))
    allowed = [100.0, 10.0, 1.0, 0.1]
    found = [threshold_for(scores, 10.0, DetectionSettings(false_alarms_a_day=one)) for one in allowed]
    assert found == sorted(found) and len(set(found)) == 4
    tomorrow = np.abs(np.random.default_rng(1).normal(size=(20, 8640)))
    assert 50 <= (tomorrow > found[0]).sum() <= 200
    assert (tomorrow > found[2]).sum() <= 10
    with pytest.raises(TaskError, match="too few to tell what is usual"):
        threshold_for(scores[:1, :50], 10.0, DetectionSettings())


def test_a_threshold_is_made_up_only_beyond_what_was_seen() -> None:
    scores = np.concatenate([np.zeros(99_000), np.linspace(1, 10, 1_000)])[None]
    day = DetectionSettings(false_alarms_a_day=100)
    step_s = 86_400 / scores.shape[1]
    assert (scores > threshold_for(scores, step_s, day)).sum() == 100
    once = threshold_for(scores, step_s, DetectionSettings(false_alarms_a_day=1))
    assert 9.8 < once < 10.5  # scores that end somewhere are not taken for endless ones


def test_an_attack_does_not_become_usual_and_a_gap_is_not_judged() -> None:
    values = np.full((len(FEATURES), 1, 200), 100.0)
    values[:, :, 100:160] = 100_000.0
    values[:, :, 50:60] = np.nan
    scores = usual_scores(values, 10.0, DetectionSettings())
    assert np.isnan(scores[0, 50:60]).all() and np.isnan(scores[0, :12]).all()
    assert scores[0, 100:130].min() > 4 * np.nanmax(scores[0, :100])
    assert np.isfinite(scores[0, 60:]).all()
    for_an_hour = np.full((len(FEATURES), 1, 600), 100.0)
    for_an_hour[:, :, 100:460] = 100_000.0
    lasting = usual_scores(for_an_hour, 10.0, DetectionSettings())
    assert lasting[0, 459] > 0.5 * lasting[0, 100]
    later = values.copy()
    later[:, :, 150:] = 1.0
    np.testing.assert_array_equal(usual_scores(later, 10.0, DetectionSettings())[0, :150], scores[0, :150])


def test_bursts_are_usual_of_a_host_that_has_them() -> None:
    values = np.full((len(FEATURES), 1, 2000), 100.0)
    values[:, :, ::30] = values[:, :, 1::30] = 100_000.0
    scores = usual_scores(values, 10.0, DetectionSettings())
    steady = np.full((len(FEATURES), 1, 2000), 100.0)
    steady[:, :, -1] = 100_000.0
    assert scores[0, 1950:].max() < 0.7 * usual_scores(steady, 10.0, DetectionSettings())[0, -1]


def test_kinds_by_what_most_of_it_is() -> None:
    assert kind_of({"in_icmp_share": 0.9}) == "icmp-flood"
    assert kind_of({"in_udp_share": 0.9, "in_dns_share": 0.8}) == "dns-reflection"
    assert kind_of({"in_tcp_share": 1.0, "in_web_share": 0.9, "in_active_flows": 10.0}) == "web-flood"
    assert kind_of({}) == "volume"
