"""Alarms of steps as they are closed are those of all steps at once, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from floodsmade import STEP, attacked, flood, rates_of, usual
from flowlore.errors import InputError, TaskError
from flowlore.features.rates.entities import OTHERS
from flowlore.features.rates.rates import Rates
from flowlore.tasks.ddos.alarms import Alarm, detect
from flowlore.tasks.ddos.alerts import AlarmBook, Event
from flowlore.tasks.ddos.settings import DetectionSettings
from flowlore.tasks.ddos.watch import ThresholdWatch
from ratesmade import Flow, host

SETTINGS = DetectionSettings()


@pytest.fixture(scope="module")
def town() -> Rates:
    """Two floods against one host, so near that they are one alarm, and others further apart."""
    flows, _ = attacked(steps=320)
    near = [one for first in (150, 157) for one in flood("udp-flood", 5, first, 5, sources=40)[0]]
    late = Flow(start=200 * STEP, src=host(7), dst=host(55), packets=(9_000, 0), bytes=(900_000, 0))
    return rates_of(sorted([*flows, *near, late], key=lambda one: one.start))


def events_of(rates: Rates, threshold: float, most_hosts: int = 1_000) -> tuple[list[Event], AlarmBook]:
    book = AlarmBook(ThresholdWatch(SETTINGS, rates.step_ns, most_hosts=most_hosts), lambda hosts: threshold)
    found = [event for batch in rates.table.to_batches(max_chunksize=50_000) for event in book.add(batch)]
    return [*found, *book.finish()], book


def test_events_are_the_alarms_of_the_whole_record(town: Rates) -> None:
    whole = detect(town, replace(SETTINGS, false_alarms_a_day=500.0), learn=0.1)
    learnt_until = whole.examined_from_ns
    found, book = events_of(town, whole.threshold)
    ended = [one.alarm for one in found if one.what == "ends" and one.alarm.begin_ns >= learnt_until]
    assert sorted(ended, key=_begin) == list(whole.alarms)
    assert len(whole.alarms) >= 5 and any(alarm.end_ns - alarm.begin_ns == 12 * STEP for alarm in whole.alarms)
    assert book.alarms == sum(one.what == "begins" for one in found) == sum(one.what == "ends" for one in found)
    assert book.steps == town.steps


def test_an_alarm_begins_in_its_first_step_and_ends_after_quiet_ones(town: Rates) -> None:
    book = AlarmBook(ThresholdWatch(SETTINGS, town.step_ns), lambda hosts: 6.0)
    steps = town.table["step"].cast("int64").to_numpy()
    told: dict[tuple[str, str], list[int]] = {}
    for step in np.unique(steps):
        for event in book.add(town.table.filter(steps == step)):
            told.setdefault((event.alarm.host, event.what), []).append(int(step))
            at = (
                event.alarm.begin_ns
                if event.what == "begins"
                else event.alarm.end_ns + (SETTINGS.quiet_steps - 1) * STEP
            )
            assert step == at
    assert len(told[host(5), "begins"]) == len(told[host(5), "ends"]) == 1


def test_a_quiet_record_sets_the_threshold_and_what_is_usual() -> None:
    quiet = rates_of(usual(np.random.default_rng(4), 200))
    watch, threshold = ThresholdWatch.after(quiet, SETTINGS)
    _, stricter = ThresholdWatch.after(quiet, replace(SETTINGS, false_alarms_a_day=0.01))
    assert stricter > threshold
    book = AlarmBook(watch, lambda hosts: threshold)
    attack, _ = flood("udp-flood", 2, 3, 6, sources=60)  # of days before, and of hosts that need no warming up
    traffic = sorted([*usual(np.random.default_rng(5), 20), *attack], key=lambda one: one.start)
    found = list(book.add(rates_of(traffic).table))
    assert [(one.what, one.alarm.host, one.alarm.kind) for one in found] == [
        (what, host(2), "udp-flood") for what in ("begins", "ends")
    ]
    with pytest.raises(TaskError, match="quiet steps are too few"):
        ThresholdWatch.after(rates_of(usual(np.random.default_rng(4), 3)), SETTINGS)


def test_hosts_that_were_silent_longest_are_forgotten(town: Rates) -> None:
    everybody = len(town.largest())
    few, book = events_of(town, 8.0, most_hosts=40)
    assert everybody > 60 and book.watch.notes["hosts-forgotten"] > 0 and book.watch.hosts <= 40
    assert book.watch._hosts.used <= 41 and book.watch.memory_bytes > 0
    many, unbounded = events_of(town, 8.0)
    servers = {host(server) for server in range(6)}  # which have traffic in every step
    assert _of(few, servers) == _of(many, servers) and unbounded.watch.notes == {}


def test_of_a_step_with_too_many_hosts_the_busiest_are_followed(town: Rates) -> None:
    found, book = events_of(town, 8.0, most_hosts=8)
    assert book.watch.notes["rows-not-followed"] > 0
    assert {one.alarm.host for one in found} & {host(1), host(2), host(3), host(4)}


def test_hosts_that_were_put_together_are_no_host(town: Rates) -> None:
    entity = town.table["entity"]
    together = pc.if_else(pc.is_in(entity, pa.array([host(1), host(3)])), OTHERS, entity)
    full = replace(town, table=town.table.set_column(town.table.column_names.index("entity"), "entity", together))
    found, book = events_of(full, 8.0)
    rest, _ = events_of(full.named(), 8.0)
    assert found == rest and {one.alarm.host for one in found} >= {host(2), host(4)} and book.steps == full.steps
    often = replace(SETTINGS, false_alarms_a_day=500.0)
    assert OTHERS not in {one.host for one in detect(full, often, learn=0.1).alarms}
    assert detect(full, often, learn=0.1) == detect(full.named(), often, learn=0.1)
    assert ThresholdWatch.after(full, often)[1] == ThresholdWatch.after(full.named(), often)[1]


def test_what_is_most_likely_is_that_of_the_highest_score_before_it_is_rounded() -> None:
    book = AlarmBook(ThresholdWatch(SETTINGS, STEP), lambda hosts: 1.0)
    scores = iter([9.001, 9.004, 9.002])

    def said(rates: pa.Table) -> Iterator[pa.Table]:
        score = next(scores)
        told = {"entity": [host(1)], "score": [score], "probability": [score - 8.5], "kind": [f"kind {score}"]}
        yield pa.table(told)

    book.watch.add = said  # type: ignore[method-assign]  # a watch of which only the words matter
    rates = rates_of([Flow(start=step * STEP, dst=host(1), packets=(5_000, 0)) for step in range(3)]).table
    events = [*book.add(rates.filter(pc.equal(rates["entity"], host(1)))), *book.finish()]
    alarm = events[-1].alarm
    assert (alarm.score, alarm.probability, alarm.learnt_kind) == (9.0, 0.504, "kind 9.004")


def test_steps_come_in_order(town: Rates) -> None:
    watch = ThresholdWatch(SETTINGS, town.step_ns)
    parts = [town.table.filter(town.table["step"].cast("int64").to_numpy() == step) for step in _first_steps(town)]
    assert len(list(watch.add(parts[1]))) == 1
    with pytest.raises(InputError, match="a step comes 2 steps after it should"):
        list(watch.add(parts[0]))


def _first_steps(rates: Rates) -> list[int]:
    return np.unique(rates.table["step"].cast("int64").to_numpy())[:2].tolist()


def _of(events: list[Event], hosts: set[str]) -> list[Event]:
    return [one for one in events if one.alarm.host in hosts]


def _begin(alarm: Alarm) -> tuple[int, str]:
    return alarm.begin_ns, alarm.host
