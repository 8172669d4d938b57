"""Alarms as they begin and end, of what a `Watch` says step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .alarms import SHARES, Alarm, kind_of
from .thresholds import FEATURES
from .watch import Watch

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Event:
    """An alarm as it is known when it begins, and once more when it is over."""

    what: Literal["begins", "ends"]
    alarm: Alarm

    def as_json(self) -> dict[str, Any]:
        return {"event": self.what, **self.alarm.as_json()}


class AlarmBook:
    """Opens an alarm when a host is over the threshold, and closes it after `quiet_steps` steps that are not.

    `threshold` says for so many hosts together which score is too high. In the end the alarms are those that `detect`
    finds in the same steps by the same threshold.
    """

    def __init__(self, watch: Watch, threshold: Callable[[int], float]) -> None:
        self.watch, self.threshold = watch, threshold
        self.least_packets = watch.settings.least_packets_per_s * watch.step_s
        self.alarms = 0
        self.steps = 0
        self._open: dict[str, _Open] = {}

    def add(self, rates: pa.Table | pa.RecordBatch) -> Iterator[Event]:
        """Take in steps that are closed."""
        table = pa.Table.from_batches([rates]) if isinstance(rates, pa.RecordBatch) else rates
        numbers = table["step"].cast(pa.int64()).to_numpy() // self.watch.step_ns
        for number in np.unique(numbers).tolist():
            of_step = table.filter(pa.array(numbers == number))
            for said in self.watch.add(of_step):
                yield from self._take(number, said, of_step)

    def finish(self) -> Iterator[Event]:
        """The end of what is open."""
        yield from self._over(None)

    def _take(self, number: int, said: pa.Table, rates: pa.Table) -> Iterator[Event]:
        self.steps += 1
        yield from self._over(number - 1)
        threshold = self.threshold(self.watch.hosts)
        high = said.filter(pc.greater(said["score"], threshold))["entity"].to_pylist()
        asked = pa.array(sorted({*high, *self._open}), pa.string())
        seen = {row["entity"]: row for row in rates.filter(pc.is_in(rates["entity"], asked)).to_pylist()}
        told = {row["entity"]: row for row in said.filter(pc.is_in(said["entity"], asked)).to_pylist()}
        for host in asked.to_pylist():
            if host not in seen:
                continue
            is_high = host in told and told[host]["score"] > threshold
            is_high = is_high and seen[host]["in_packets"] >= self.least_packets
            one = self._open.get(host)
            if one is not None:
                one.take(number, seen[host], told.get(host), is_high)
            elif is_high:
                one = self._open[host] = _Open.begun(self.watch, number, seen[host], told[host])
                self.alarms += 1
                yield Event(what="begins", alarm=one.alarm)
        yield from self._over(number)

    def _over(self, number: int | None) -> Iterator[Event]:
        """The end of alarms that have long not gone on at this step; of all where there is no further step."""
        for host in sorted(self._open):
            one = self._open[host]
            if number is None or number - one.last >= self.watch.settings.quiet_steps:
                yield Event(what="ends", alarm=self._open.pop(host).alarm)


@dataclass
class _Open:
    watch: Watch
    alarm: Alarm
    last: int  # number of the last step that was over the threshold
    peak: float = float("-inf")  # the highest score, as it was before it was rounded
    since: list[tuple[Row, Row | None]] = field(default_factory=list)  # steps after it, which count if it goes on

    @classmethod
    def begun(cls, watch: Watch, number: int, seen: Row, told: Row) -> _Open:
        step_ns = watch.step_ns
        alarm = Alarm(
            host=seen["entity"],
            begin_ns=number * step_ns,
            seen_ns=(number + 1) * step_ns,
            end_ns=(number + 1) * step_ns,
            kind="",
            score=float("-inf"),
            packets_per_s=-1.0,
            bits_per_s=0.0,
            peers=0,
        )
        made = cls(watch, alarm, number)
        made.take(number, seen, told, True)
        return made

    def take(self, number: int, seen: Row, told: Row | None, is_high: bool) -> None:
        self.since.append((seen, told))
        if not is_high:
            return
        for one_seen, one_told in self.since:
            self._rise(one_seen, one_told)
        self.since.clear()
        self.last = number
        self.alarm = replace(self.alarm, end_ns=(number + 1) * self.watch.step_ns)

    def _rise(self, seen: Row, told: Row | None) -> None:
        step_s = self.watch.step_s
        if seen["in_packets"] / step_s > self.alarm.packets_per_s:
            numbers = {name: float("nan") if seen[name] is None else float(seen[name]) for name in (*FEATURES, *SHARES)}
            self.alarm = replace(
                self.alarm,
                kind=kind_of(numbers),
                packets_per_s=seen["in_packets"] / step_s,
                bits_per_s=8 * float(seen["in_bytes"]) / step_s,
                peers=int(seen["in_peers"] or 0),
            )
        if told is not None and told["score"] > self.peak:
            self.peak = told["score"]
            learnt = (
                {"probability": round(told["probability"], 4), "learnt_kind": told["kind"]} if "kind" in told else {}
            )
            self.alarm = replace(self.alarm, score=round(self.peak, 2), **learnt)
