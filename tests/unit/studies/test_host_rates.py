"""The study of dynamics over rates of hosts: what teaches and what is asked are apart, and all arms are told alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from made_up_hosts import source, talk

import flowlore.studies
from flowlore.errors import InputError, TaskError
from flowlore.flows.table import Flows
from flowlore.registry import Registry
from flowlore.studies.conduct import Order, conduct
from flowlore.studies.dynamics import host_execution
from flowlore.studies.dynamics.arms import ELSEWHERE, HERE, TUNED
from flowlore.studies.dynamics.host_arms import (
    FOLLOWS_ELSEWHERE,
    GRU_TUNED,
    HOSTS,
    OFTEN_ELSEWHERE,
    OFTEN_HERE,
)
from flowlore.studies.dynamics.host_execution import PIECE, pool_of, split_hosts
from flowlore.studies.material import Places
from flowlore.studies.materials.floods import slim
from flowlore.studies.materials.hostrates import SOURCES, prove_apart
from flowlore.studies.materials.stretches import COUNTS, FEATURES, side_by_side, stretch_of
from ratesmade import DAWN, MINUTE, Flow, batch_of, host

DAY = 1_440 * MINUTE


@pytest.fixture(autouse=True)
def materials(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"tiny-rates": "made_up_hosts:tiny_rates", "tiny-sessions": "made_up_hosts:tiny_sessions"}
    monkeypatch.setattr(flowlore.studies, "MATERIALS", Registry("material", named, with_plugins=False))
    studies = {"dynamics": "flowlore.studies.dynamics:DynamicsStudy"}
    monkeypatch.setattr(flowlore.studies, "STUDIES", Registry("study", studies, with_plugins=False, plural="studies"))


def test_hosts_are_asked_at_later_time_and_elsewhere(
    order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_execution, "PIECE", 320)
    monkeypatch.setattr(host_execution, "MOST_ORIGINS", 40)
    arms = (HERE, TUNED, ELSEWHERE, GRU_TUNED, OFTEN_HERE, OFTEN_ELSEWHERE, FOLLOWS_ELSEWHERE, "ewma")
    asked = order("dynamics", sets=("tiny-rates", "tiny-sessions"), seeds=1, arms=arms)
    done = conduct(asked)
    assert not done.failed
    held = {}
    for path in (asked.output / "runs").glob("*.json"):
        one = json.loads(path.read_text())
        assert one["configuration"]["question"] == HOSTS
        held[one["configuration"]["data"], one["configuration"]["arm"]] = one["result"]
    for arm in arms:
        assert set(held["tiny-rates", arm]) >= {"later", "new"}
    bits = {
        arm: one["later"]["bits"]
        for (data, arm), one in held.items()
        if data == "tiny-rates" and "bits" in one["later"]
    }
    assert bits[HERE]["mean"] < bits[OFTEN_HERE]["mean"]  # rhythms are known after a few steps
    assert all(0 < one["mean"] < one["with_traffic"] for one in bits.values())
    assert set(bits[HERE]["by_feature"]) == set(FEATURES)
    here = held["tiny-rates", HERE]["later"]
    assert 0 <= here["coverage_80"] <= 1 and here["wape"] > 0 and here["mase"] > 0 and here["wql"] > 0
    sessions = held["tiny-sessions", ELSEWHERE]
    assert set(sessions["later"]["bits"]["by_feature"]) == set(COUNTS) and "new" not in sessions
    assert ("tiny-sessions", HERE) not in held and ("tiny-sessions", OFTEN_ELSEWHERE) in held
    text = (asked.output / "report.md").read_text()
    for words in ("hosts that were never seen", "a network that was never seen", FOLLOWS_ELSEWHERE, "in_peers"):
        assert words in text


def test_nothing_of_later_time_is_in_what_teaches() -> None:
    flows = talk(0)
    boundary = DAWN + 240 * MINUTE
    over = replace(flows[0], start=239 * MINUTE, duration=3 * MINUTE, src=host(3), bytes=(9_999_999, 1))
    whole = stretch_of("all", _table([*flows, over]), "1m", boundary)
    early = stretch_of("early", _table([one for one in flows if one.start < 241 * MINUTE]), "1m", boundary)
    assert whole.crossing == 1 and whole.until == 240
    one, other = side_by_side("all", [whole], 16), side_by_side("early", [early], 16)
    taught = np.flatnonzero([name in other.hosts for name in one.hosts])
    assert len(taught) == len(other) > 8  # the same hosts are chosen: only what teaches decides
    assert one.hosts == other.hosts
    assert np.array_equal(one.values[:, :, :240], other.values[:, :, :240])


def test_empty_days_are_left_out_and_clocks_stay() -> None:
    flows = talk(0)
    later = [replace(one, start=one.start + 158 * DAY) for one in flows]
    stray = Flow(start=80 * DAY, src=host(1), dst=host(2))
    held = stretch_of("days", _table([*flows, stray, *later]), "1m", DAWN + 100 * DAY)
    made = side_by_side("days", [held], 16)
    assert made.until == 1_440 and made.values.shape[2] == 1_440 + max(one.start for one in flows) // MINUTE + 1
    assert np.array_equal(made.values[:, :2, :300], made.values[:, :2, 1_440 : 1_440 + 300])
    assert made.starts_ns[0] == DAWN
    with pytest.raises(InputError, match="on one side of the moment"):
        stretch_of("days", _table(flows), "1m", DAWN + 100 * DAY)


def test_stretches_stand_side_by_side_at_their_own_boundary() -> None:
    first, second = source(0).stretches[0], stretch_of("short", _table(talk(1)[:200]), "1m")
    made = side_by_side("both", [first, second], 4)
    assert made.until == first.until > second.until
    lead = first.until - second.until
    assert np.isnan(made.values[-1, :, :lead]).all() and np.isfinite(made.values[-1, :2, lead : lead + 9]).all()
    assert made.starts_ns[-1] + lead * MINUTE == DAWN
    assert {name[:2] for name in made.hosts} == {"0/", "1/"}


def test_what_teaches_elsewhere_holds_nothing_of_the_network() -> None:
    network = side_by_side("here", source(0).stretches, 16)
    other = side_by_side("there", source(1).stretches, 16)
    prove_apart(network, [other], ("a",), ("b",))
    with pytest.raises(TaskError, match="a file of `here`"):
        prove_apart(network, [other], ("a",), ("a", "b"))
    moved = [replace(one, start=one.start + 7 * DAY) for one in talk(0)]
    copied = side_by_side("copy", [stretch_of("copy", _table(moved), "1m")], 16)
    with pytest.raises(TaskError, match="exactly the rates of one of `here`"):
        prove_apart(network, [other, copied], ("a",), ("b",))


def test_hosts_of_two_stretches_are_on_one_side() -> None:
    network = side_by_side("both", [source(0).stretches[0]] * 2, 16)
    taught, new = split_hosts(network, np.random.default_rng(0))
    names = [{network.hosts[row].partition("/")[2] for row in rows} for rows in (taught, new)]
    assert not names[0] & names[1] and names[0] and names[1]
    assert len(taught) + len(new) == len(network)


def test_pieces_elsewhere_keep_their_clocks() -> None:
    other = side_by_side("there", source(1).stretches, 16)
    pool = pool_of([other], 4, np.random.default_rng(0))
    assert pool is not None and pool.values.shape == (4, len(FEATURES), PIECE)
    lead = PIECE - other.values.shape[2]
    assert np.isnan(pool.values[:, :, :lead]).all() and np.isfinite(pool.values[:, 0, lead:]).all()
    assert (pool.starts_ns + lead * MINUTE == other.starts_ns[0]).all()
    assert pool_of([], 4, np.random.default_rng(0)) is None


@pytest.mark.shared_data
def test_a_honeypot_tells_counts_and_peers_only(shared_data, tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = SOURCES["honeypot-rates"](Places(data=shared_data))
    made = side_by_side("honeypot", found.stretches, 16)
    known = np.isfinite(made.values).any(axis=(0, 2))
    assert [name for name, is_known in zip(FEATURES, known, strict=True) if is_known] == list(COUNTS)
    assert np.nansum(made.values[:, 1]) > 1_000 and any(name.startswith("honeypot:") for name in made.hosts)
    with pytest.raises(InputError, match="is not below"):
        SOURCES["honeypot-rates"](Places(data=tmp_path))


def _table(flows: list[Flow]):  # type: ignore[no-untyped-def]
    return slim(Flows(batch_of(sorted(flows, key=lambda one: one.start))).to_arrow())
