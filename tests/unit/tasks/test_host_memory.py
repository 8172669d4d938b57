"""What is remembered of hosts is what all their flows would say, however they come."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlore.tasks.hosts import tallies
from flowlore.tasks.hosts.memory import DECIDING_FLOWS, NAMED, HostMemory, Passing
from flowlore.tasks.hosts.tallies import Counts, Most, rank_in_run


def passing(first: int, sources: list[int], targets: list[int], scores: np.ndarray, windows: np.ndarray) -> Passing:
    numbers = np.arange(first, first + len(sources))
    ends = np.array([sources, targets], np.uint64).T + np.uint64(1000)
    return Passing(
        numbers=numbers,
        ends=ends.reshape(-1, 2),
        starts_ns=numbers * 7 % 50,
        windows=windows[first : first + len(sources)],
        scores=scores[first : first + len(sources)],
    )


FLOWS = st.lists(st.tuples(st.integers(0, 5), st.integers(3, 8)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(FLOWS, st.lists(st.integers(1, 8), max_size=6), st.integers(0, 2), st.integers(0, 1000))
def test_as_if_all_flows_were_held(flows: list[tuple[int, int]], cuts: list[int], classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.uniform(0, 1.5, (len(flows), classes + 1)), 1)  # rounded: some are equal
    windows = np.cumsum(rng.random(len(flows)) < 0.3)
    places = np.unique(np.searchsorted(windows, windows[np.minimum(np.cumsum(cuts, dtype=int), len(flows) - 1)]))
    memory = HostMemory(classes, width=1)
    named: list[int] = []
    for begin, end in zip([0, *places], [*places, len(flows)], strict=True):
        sources, targets = [one for one, _ in flows[begin:end]], [two for _, two in flows[begin:end]]
        part = passing(begin, sources, targets, scores, windows)
        rows, sides = memory.add(part)
        named += part.ends[rows, sides].tolist()
        assert set(memory.heard.tolist()) >= set(memory.referred().tolist()) & set(part.numbers.tolist())
    assert set(named) == {one + 1000 for flow in flows for one in flow} and len(named) == len(memory)
    for number, key in enumerate(named):
        host = key - 1000
        own = [row for row, (source, _) in enumerate(flows) if source == host]
        sent = [row for row, (_, target) in enumerate(flows) if target == host]
        deciding, partner = (own, 1) if own else (sent, 0)
        assert memory["flows"][number].tolist() == [len(own), len(sent)]
        assert memory["speaking"][number] == len(deciding)
        met = {one for row in own + sent for one in flows[row]} - {host}
        assert memory.partner_counts()[number] == len(met)
        starts = [row * 7 % 50 for row in own + sent]
        assert (memory["first_ns"][number], memory["last_ns"][number]) == (min(starts), max(starts))
        for score in range(classes + 1):
            loudest = sorted(deciding, key=lambda row: (-scores[row, score], row))[:DECIDING_FLOWS]
            assert [row for row in memory["places"][number, score].tolist() if row >= 0] == loudest
            assert memory["loudest"][number, score].sum() == pytest.approx(scores[loudest, score].sum())
            if score not in memory.spoken:
                continue
            telling = [row for row in deciding if scores[row, score] >= memory.enough]
            partners = Counter(named.index(flows[row][partner] + 1000) for row in telling)
            expected = sorted(partners.items(), key=lambda one: (-one[1], one[0]))[:NAMED]
            assert list(memory.telling_partners(number, score).items()) == expected
            by_window = Counter(windows[telling].tolist())
            expected = sorted(by_window.items(), key=lambda one: (-one[1], one[0]))[:NAMED]
            assert list(memory.telling_windows(number, score).items()) == expected
        if classes:
            assert memory["votes"][number] == pytest.approx(scores[deciding, :classes].sum(axis=0))
            assert memory["told"][number].sum() == len(deciding)


@pytest.fixture
def settled_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "LEAST_PENDING", 4)


@pytest.mark.usefixtures("settled_often")
def test_counts() -> None:
    rng, counts, expected = np.random.default_rng(0), Counts(), Counter[int]()
    for _ in range(30):
        words = rng.integers(0, 40, 10).astype(np.uint64) << np.uint64(40)
        counts.add(words)
        expected.update(words.tolist())
    words, found = counts.all()
    assert dict(zip(words.tolist(), found.tolist(), strict=True)) == expected
    assert (np.diff(words.astype(np.int64)) > 0).all()


@pytest.mark.usefixtures("settled_often")
def test_of_too_many_numbers_those_met_least_are_forgotten() -> None:
    counts = Counts(most=3)
    for _ in range(5):
        counts.add(np.array([7, 7, 8, 9], np.uint64))
    counts.add(np.arange(20, 30, dtype=np.uint64))
    words, found = counts.all()
    assert dict(zip(words.tolist(), found.tolist(), strict=True)) == {7: 10, 8: 5, 9: 5}


@pytest.mark.usefixtures("settled_often")
def test_most_holds_few_items_of_each_owner() -> None:
    rng, most, expected = np.random.default_rng(0), Most(2), defaultdict(Counter)
    for item in range(40):
        owners = rng.integers(0, 5, 20)
        most.add(owners, np.full(20, item))
        for owner in owners.tolist():
            expected[owner][item] += 1
    for owner, items in expected.items():
        assert list(most.of(owner).items()) == sorted(items.items(), key=lambda one: (-one[1], one[0]))[:2]
    assert most.of(99) == {}


def test_rank_in_run() -> None:
    assert rank_in_run(np.array([5, 5, 5, 2, 7, 7])).tolist() == [0, 1, 2, 0, 0, 1]
    assert rank_in_run(np.array([])).tolist() == []
