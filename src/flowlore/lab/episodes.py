"""Misbehaviour from its onset to its end: what evaluations of early detection are measured against."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .labels import Connection

_APART_NS = 1_000_000_000  # actions this near to each other are one episode
_LATE_NS = 200_000_000  # the kernel's word may come so long after an action


@dataclass(kw_only=True)
class Episode:
    """One kind of misbehaviour of one or more hosts against the same victims."""

    application: str
    phase: str
    from_ns: int  # of the first connection
    to_ns: int  # when the last action ended
    hosts: set[str] = field(default_factory=set)
    victims: Counter[str] = field(default_factory=Counter)  # address → connections
    actions: int = 1

    def as_dict(self) -> dict[str, Any]:
        victims = dict(self.victims.most_common())
        return {**asdict(self), "hosts": sorted(self.hosts), "victims": victims, "connections": self.victims.total()}


def episodes_of(actions: Iterable[Mapping[str, Any]], connections: Iterable[Connection]) -> list[Episode]:
    """In order of time. Actions of one kind that overlap and have a victim in common are one episode."""
    opened: dict[str, list[Connection]] = defaultdict(list)
    for connection in connections:
        if connection.doing is not None and connection.translated_from is None:
            opened[connection.doing.instance].append(connection)
    for own in opened.values():
        own.sort(key=_time_of)
    found: list[Episode] = []
    for episode in sorted(_single(actions, opened), key=lambda one: one.from_ns):
        for earlier in reversed(found):
            if _belongs(episode, earlier):
                earlier.to_ns = max(earlier.to_ns, episode.to_ns)
                earlier.hosts |= episode.hosts
                earlier.victims += episode.victims
                earlier.actions += 1
                break
        else:
            found.append(episode)
    return found


def _single(actions: Iterable[Mapping[str, Any]], opened: Mapping[str, list[Connection]]) -> Iterable[Episode]:
    for action in actions:
        if action["kind"] != "misbehaviour":
            continue
        own = opened.get(action["instance"], [])
        first = bisect_left(own, action["from_ns"], key=_time_of)
        last = bisect_right(own, action["to_ns"] + _LATE_NS, key=_time_of)
        meant = [one for one in own[first:last] if one.label == action["application"] and one.node == action["host"]]
        if meant:  # names that were asked before are not what was meant, nor are errors that come back
            yield Episode(
                application=action["application"],
                phase=action["phase"],
                from_ns=meant[0].time_ns,
                to_ns=max(action["to_ns"], meant[-1].time_ns),
                hosts={action["host"]},
                victims=Counter(one.ends.dst_ip for one in meant),
            )


def _belongs(episode: Episode, earlier: Episode) -> bool:
    return (
        (episode.application, episode.phase) == (earlier.application, earlier.phase)
        and episode.from_ns <= earlier.to_ns + _APART_NS
        and not episode.victims.keys().isdisjoint(earlier.victims)
    )


def _time_of(connection: Connection) -> int:
    return connection.time_ns
