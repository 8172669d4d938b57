"""What is remembered of hosts while their flows pass: as much as there are hosts and pairs of hosts, not flows.

Shape letter: S scores that a flow has, one for each class, and its surprise last.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .tallies import Counts, Most, Words, rank_in_run

DECIDING_FLOWS = 3
NAMED = 3  # partners and windows that are named beside a verdict
SURE_ENOUGH = 0.5
SURPRISING_ENOUGH = 1.0  # as one in ten flows of training

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]
MOST_HOSTS = 1_000_000
NEVER = np.iinfo(np.int64)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Passing:
    """Flows of windows that have closed. `numbers` count flows since the beginning."""

    numbers: Integers
    ends: Keys  # [flows, 2]
    starts_ns: Integers
    windows: Integers
    scores: Numbers  # [flows, S]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, wanted: Integers) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[wanted] for field in fields(self)})


class HostMemory:
    """Sums, counts and the few flows that speak loudest, of each host. A host has a number by order of appearance.

    What speaks of a host are the flows that it was sent, and from the first that it begins only those that it begins.
    """

    def __init__(self, classes: int, width: int, *, most_hosts: int = MOST_HOSTS) -> None:
        self.most_hosts = most_hosts
        self.unjudged = 0  # flows of hosts that came when there were too many
        self.classes, scores = classes, classes + 1
        self.spoken = range(classes) if classes else range(scores)  # scores whose partners and windows are counted
        self.enough = SURE_ENOUGH if classes else SURPRISING_ENOUGH
        self.partners = Counts()  # host and partner
        self.heard: Integers = np.zeros(0, np.int64)  # numbers of the flows of the last call that speak loudest by now
        self._place: dict[int, int] = {}
        self._telling = Counts()  # host, score and role, and partner
        self._telling_windows = Most(NAMED)
        self._columns: dict[str, npt.NDArray[Any]] = {}
        for name, shape, fill in (
            ("flows", (2,), 0),  # out, in
            ("first_ns", (), NEVER.max),
            ("last_ns", (), NEVER.min),
            ("speaking", (), 0),
            ("told", (classes,), 0),
            ("places", (scores, DECIDING_FLOWS), -1),  # numbers of flows
            ("windows", (), 0),
        ):
            self._columns[name] = np.full((0, *shape), fill, np.int64)
        self._columns["votes"] = np.zeros((0, classes), np.float64)
        self._columns["loudest"] = np.zeros((0, scores, DECIDING_FLOWS), np.float64)
        self._columns["vectors"] = np.zeros((0, width), np.float64)
        self._fills = {"first_ns": NEVER.max, "last_ns": NEVER.min, "places": -1}

    def __len__(self) -> int:
        return len(self._place)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        """What was gathered, a row for each host."""
        return self._columns[column][: len(self)]

    def add(self, flows: Passing) -> tuple[Integers, Integers]:
        """Remember flows: which of them (places here) showed a host first, with the side on which it was."""
        known = len(self)
        hosts, first_seen = self._numbered(flows.ends)
        judged = np.flatnonzero((hosts >= 0).all(axis=1))
        if len(judged) < len(flows):
            self.unjudged += len(flows) - len(judged)
            flows, hosts = flows.take(judged), hosts[judged]
        self._count(flows, hosts)
        newly_begun = np.unique(hosts[:, 0])
        newly_begun = newly_begun[self._columns["flows"][newly_begun, 0] == 0]
        for name in ("speaking", "told", "votes", "loudest"):
            self._columns[name][newly_begun] = 0
        self._columns["places"][newly_begun] = -1
        for side in (0, 1):
            np.add.at(self._columns["flows"][:, side], hosts[:, side], 1)
        is_victim = np.flatnonzero(self._columns["flows"][hosts[:, 1], 0] == 0)
        rows = np.concatenate([np.arange(len(flows)), is_victim])
        role = np.repeat([0, 1], [len(flows), len(is_victim)])
        owner, partner = hosts[rows, role], hosts[rows, 1 - role]
        self.heard = self._hear(flows, rows, owner)
        self._count_telling(flows, rows, owner, partner, role)
        new = first_seen[known:]
        return new >> 1, new & 1

    def add_vectors(self, ends: Keys, vectors: npt.NDArray[np.float32]) -> None:
        """Vectors that hosts had in a window each."""
        hosts = self._numbered(ends[:, None])[0][:, 0]
        judged = np.flatnonzero(hosts >= 0)
        in_order = judged[np.argsort(hosts[judged], kind="stable")]
        begins = np.flatnonzero(np.diff(hosts[in_order], prepend=-1))
        if len(begins):
            found = hosts[in_order[begins]]
            self._columns["vectors"][found] += np.add.reduceat(vectors[in_order], begins, axis=0)
            self._columns["windows"][found] += np.diff(begins, append=len(in_order))

    def referred(self) -> Integers:
        """Numbers of the flows that speak loudest of any host."""
        places = np.unique(self["places"])
        found: Integers = places[places >= 0].astype(np.int64)
        return found

    def telling_partners(self, host: int, score: int) -> dict[int, int]:
        """Partner → how many flows with it speak loudly enough, the most first."""
        words, counts = self._telling.all()
        owner = self._owner(host, score)
        first, last = np.searchsorted(words, np.array([owner << 32, (owner + 1) << 32], np.uint64))
        partners = (words[first:last] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        order = np.lexsort([partners, -counts[first:last]])[:NAMED]
        return dict(zip(partners[order].tolist(), counts[first:last][order].tolist(), strict=True))

    def telling_windows(self, host: int, score: int) -> dict[int, int]:
        """Window → how many of its flows speak loudly enough, the most first."""
        return self._telling_windows.of(self._owner(host, score))

    def partner_counts(self) -> Integers:
        """Hosts that each host met, itself left out."""
        words, _ = self.partners.all()
        return np.bincount((words >> np.uint64(32)).astype(np.int64), minlength=len(self))

    def _owner(self, host: int, score: int) -> int:
        """One number for a host, a score, and the role in which the host is judged."""
        began = int(self._columns["flows"][host, 0]) > 0
        return (host * (self.classes + 1) + score) * 2 + (not began)

    def _numbered(self, ends: Keys) -> tuple[Integers, Integers]:
        """Numbers of hosts, in the shape of `ends`, -1 of those that are too many; and of every host 0, or where it is
        new here its first place in it.
        """
        names, first, places = np.unique(ends, return_index=True, return_inverse=True)
        numbers = np.empty(len(names), np.int64)
        first_seen = np.zeros(len(self), np.int64)
        appeared = []
        for place in np.argsort(first, kind="stable").tolist():
            key = int(names[place])
            number = self._place.get(key)
            if number is None and len(self._place) >= self.most_hosts:
                number = -1
            elif number is None:
                number = self._place[key] = len(self._place)
                appeared.append(int(first[place]))
            numbers[place] = number
        self._make_room(len(self._place))
        return numbers[places].reshape(ends.shape), np.concatenate([first_seen, np.array(appeared, np.int64)])

    def _make_room(self, hosts: int) -> None:
        held = len(self._columns["speaking"])
        if hosts <= held:
            return
        room = max(hosts, 2 * held) - held
        for name, column in self._columns.items():
            more = np.full((room, *column.shape[1:]), self._fills.get(name, 0), column.dtype)
            self._columns[name] = np.concatenate([column, more])

    def _count(self, flows: Passing, hosts: Integers) -> None:
        for side in (0, 1):
            np.minimum.at(self._columns["first_ns"], hosts[:, side], flows.starts_ns)
            np.maximum.at(self._columns["last_ns"], hosts[:, side], flows.starts_ns)
        apart = hosts[hosts[:, 0] != hosts[:, 1]].astype(np.uint64)
        for one, other in ((0, 1), (1, 0)):
            self.partners.add(apart[:, one] << np.uint64(32) | apart[:, other])

    def _hear(self, flows: Passing, rows: Integers, owner: Integers) -> Integers:
        scores = flows.scores[rows]
        np.add.at(self._columns["speaking"], owner, 1)
        if self.classes:
            np.add.at(self._columns["votes"], owner, scores[:, : self.classes])
            np.add.at(self._columns["told"], (owner, scores[:, : self.classes].argmax(axis=1)), 1)
        loudest, places = self._columns["loudest"], self._columns["places"]
        heard = []
        for score in range(self.classes + 1):
            least = np.where(places[owner, score, -1] < 0, -np.inf, loudest[owner, score, -1])
            louder = np.flatnonzero(scores[:, score] > least)
            if not len(louder):
                continue
            affected = np.unique(owner[louder])
            whose = np.concatenate([np.repeat(affected, DECIDING_FLOWS), owner[louder]])
            flow = np.concatenate([places[affected, score].ravel(), flows.numbers[rows[louder]]])
            loud = np.concatenate([loudest[affected, score].ravel(), scores[louder, score]])
            is_one = flow >= 0
            whose, flow, loud = whose[is_one], flow[is_one], loud[is_one]
            order = np.lexsort([flow, -loud, whose])
            rank = rank_in_run(whose[order])
            order, rank = order[rank < DECIDING_FLOWS], rank[rank < DECIDING_FLOWS]
            places[whose[order], score, rank] = flow[order]
            loudest[whose[order], score, rank] = loud[order]
            heard.append(flow[order])
        return np.unique(np.concatenate(heard)) if heard else np.zeros(0, np.int64)

    def _count_telling(
        self, flows: Passing, rows: Integers, owner: Integers, partner: Integers, role: npt.NDArray[np.int64]
    ) -> None:
        for score in self.spoken:
            telling = np.flatnonzero(flows.scores[rows, score] >= self.enough)
            if not len(telling):
                continue
            who = (owner[telling] * (self.classes + 1) + score) * 2 + role[telling]
            words: Words = who.astype(np.uint64) << np.uint64(32) | partner[telling].astype(np.uint64)
            self._telling.add(words)
            self._telling_windows.add(who, flows.windows[rows[telling]])
