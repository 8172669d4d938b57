"""Onsets and ends of misbehaviour, from what was done and what the kernel saw of it."""

from dataclasses import replace
from typing import Any

from test_lab_truth import SCAN, SECOND, WEB

from flowlore.lab.episodes import episodes_of
from flowlore.lab.labels import Connection, Doing
from flowlore.lab.truth import Ends


def connection(time_s: float, victim: str, doing: Doing = SCAN) -> Connection:
    ends = Ends("10.0.0.1", victim, 40_000, 443, 6)
    return Connection(time_ns=int(time_s * SECOND), node=doing.host, ends=ends, doing=doing)


def action(from_s: float, to_s: float, doing: Doing = SCAN) -> dict[str, Any]:
    names = ("host", "application", "kind", "phase", "instance")
    times = {"from_ns": int(from_s * SECOND), "to_ns": int(to_s * SECOND)}
    return {**times, **{name: getattr(doing, name) for name in names}}


def test_an_episode_begins_with_its_first_connection() -> None:
    looked_up = replace(SCAN, application="dns")
    seen = [connection(1.1, "10.0.0.53", looked_up), connection(1.5, "10.0.0.2"), connection(2.0, "10.0.0.2")]
    (episode,) = episodes_of([action(1, 4)], seen)
    assert (episode.from_ns, episode.to_ns) == (1.5 * SECOND, 4 * SECOND)
    assert episode.as_dict()["victims"] == {"10.0.0.2": 2}
    assert episode.as_dict()["hosts"] == ["desk"]


def test_errors_that_come_back_make_no_victim() -> None:
    back = replace(connection(1.6, "10.0.0.1"), node="victim")
    (episode,) = episodes_of([action(1, 4)], [connection(1.5, "10.0.0.2"), back])
    assert list(episode.victims) == ["10.0.0.2"]


def test_attackers_of_one_victim_are_one_episode() -> None:
    other = replace(SCAN, host="bot", instance="bot.1")
    seen = [connection(1.5, "10.0.0.2"), connection(2.0, "10.0.0.2", other), connection(2.1, "10.0.0.9", WEB)]
    (episode,) = episodes_of([action(1, 4), action(1.2, 6, other), action(2, 3, WEB)], seen)
    assert episode.hosts == {"desk", "bot"}
    assert (episode.to_ns, episode.actions) == (6 * SECOND, 2)


def test_another_victim_or_a_later_time_is_another_episode() -> None:
    seen = [connection(1, "10.0.0.2"), connection(9, "10.0.0.2"), connection(9.1, "10.0.0.3")]
    other = replace(SCAN, instance="desk.9")
    seen[2] = replace(seen[2], doing=other)
    found = episodes_of([action(1, 2), action(9, 10), action(9, 10, other)], seen)
    assert [(one.from_ns / SECOND, list(one.victims)) for one in found] == [
        (1.0, ["10.0.0.2"]),
        (9.0, ["10.0.0.2"]),
        (9.1, ["10.0.0.3"]),
    ]


def test_an_action_that_met_nobody_is_none() -> None:
    assert episodes_of([action(1, 4)], []) == []
