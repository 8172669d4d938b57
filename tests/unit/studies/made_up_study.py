"""A study whose runs do what their values say: answer, fail, or take their process with them. Processes import it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from flowlore.features.settings import FeatureSettings
from flowlore.flows.table import Flows
from flowlore.studies.bench import Bench
from flowlore.studies.evidence import Evidence
from flowlore.studies.material import Facts, Gathered, Places
from flowlore.studies.report import Report, Section
from flowlore.studies.study import Run, Scale
from flowlore.studies.tables import by_shots, data_section, failed_section, number_of, ranks_parts
from flowlore.tasks.splits import split_by_capture


class MadeUp:
    """Scores are drawn; the arm `fails` raises, `dies` is killed, `slow` takes its time."""

    name: ClassVar[str] = "made-up"
    question: ClassVar[str] = "Does the machinery hold?"
    materials: ClassVar[tuple[str, ...]] = ("toy",)
    arms: ClassVar[tuple[str, ...]] = ("good", "better", "best")

    def runs(self, facts: Facts, scale: Scale) -> list[Run]:
        return [
            Run(question="labels", data=facts.name, arm=arm, seed=seed, shots=shots, shares=f"{arm}", cpu_s=0.01)
            for arm in self.arms
            for seed in range(scale.seeds)
            for shots in scale.shots
        ]

    def execute(self, run: Run, bench: Bench) -> dict[str, Any]:
        note_of = os.environ.get("MADE_UP_NOTES")
        if note_of:
            with Path(note_of).open("a") as notes:
                notes.write(f"{run.arm} {run.seed} {run.shots}\n")
        if run.arm == "fails":
            raise ValueError("as it was told to")
        if run.arm == "dies" and run.seed == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if run.arm == "slow":
            time.sleep(0.2)
        material = bench.material(run.data)
        level = {"good": 0.5, "better": 0.6, "best": 0.7}.get(run.arm, 0.1)
        value = level + 0.01 * float(bench.rng(run).random()) + 0.0 * len(material.test)
        return {"natural": {"macro_f1": value}}

    def report(self, evidence: Evidence) -> Report:
        results = list(evidence.of("labels"))
        value = number_of("natural.macro_f1")
        return Report(
            title="Study: made-up",
            lead=self.question,
            numbers=((str(len(results)), "runs"),),
            sections=(
                data_section(evidence),
                Section(title="Scores", parts=(by_shots(results, value), *ranks_parts(results, value, self.arms))),
                *failed_section(evidence),
            ),
        )


class Failing(MadeUp):
    arms: ClassVar[tuple[str, ...]] = ("good", "fails", "dies")


class Slow(MadeUp):
    arms: ClassVar[tuple[str, ...]] = ("slow",)


class InRounds(MadeUp):
    """The best of the first round is run again with ten seeds more."""

    arms: ClassVar[tuple[str, ...]] = ("good", "best")

    def later(self, facts: Sequence[Facts], scale: Scale, evidence: Evidence) -> list[Run]:
        scores = {arm: [one.number("natural.macro_f1") for one in evidence.of("labels", arm=arm)] for arm in self.arms}
        best = max(self.arms, key=lambda arm: sum(scores[arm]) / max(len(scores[arm]), 1))
        return [
            Run(question="labels", data=one.name, arm=best, seed=10 + seed, shots=scale.shots[0], cpu_s=0.02)
            for one in facts
            for seed in range(10)
        ]

    def later_cpu_s(self, facts: Sequence[Facts], scale: Scale) -> float:
        return 0.2 * len(facts)


class InRoundsFailing(InRounds):
    arms: ClassVar[tuple[str, ...]] = ("good", "fails")


def toy(places: Places) -> Gathered:
    """Forty captures of two classes, which sizes tell apart."""
    flows, captures = toy_flows(40)
    split = split_by_capture(
        captures, np.arange(len(captures)), classes=np.array(flows["label"].to_pylist()), test_share=0.3
    )
    return Gathered(
        title="A toy | with a bar",
        flows=flows,
        split=split,
        groups=captures,
        split_by="capture",
        proof="none of 40 captures is on two sides",
        features=FeatureSettings(use_names=False),
        checksum="c" * 64,
    )


def validated_toy(places: Places) -> Gathered:
    """The same with captures that say which arm is best."""
    gathered = toy(places)
    order = np.unique(gathered.groups, return_inverse=True)[1]
    kinds = np.array(gathered.flows["label"].to_pylist())
    split = split_by_capture(gathered.groups, order, classes=kinds, test_share=0.3, validation_share=0.2)
    return replace(gathered, split=split, title="A toy with validation", checksum="e" * 64)


def toy_flows(captures: int, each: int = 5) -> tuple[Flows, Any]:
    """Flows whose packets are about 100 bytes in one class and 900 in the other."""
    rows = captures * each
    rng = np.random.default_rng(1)
    capture = np.repeat(np.arange(captures), each)
    kind = capture % 2
    lengths = rng.integers(2, 7, rows)
    lists = {"packet_direction": [], "packet_bytes": [], "packet_payload_bytes": [], "packet_gap_ns": []}  # type: ignore[var-annotated]
    for row in range(rows):
        count = int(lengths[row])
        payload = (100 + 800 * kind[row] + rng.integers(0, 50, count)).tolist()
        lists["packet_direction"].append([1 if place % 2 == 0 else -1 for place in range(count)])
        lists["packet_payload_bytes"].append(payload)
        lists["packet_bytes"].append([size + 40 for size in payload])
        lists["packet_gap_ns"].append([0, *rng.integers(10**6, 10**8, count - 1).tolist()])
    sent = [[size for size, way in zip(sizes, ways, strict=True) if way > 0] for sizes, ways in _pairs(lists)]
    back = [[size for size, way in zip(sizes, ways, strict=True) if way < 0] for sizes, ways in _pairs(lists)]
    table = pa.table(
        {
            "start": pa.array(np.arange(rows) * 10**9, pa.timestamp("ns", tz="UTC")),
            "duration_ns": pa.array([sum(gaps) for gaps in lists["packet_gap_ns"]], pa.int64()),
            "protocol": pa.array([6] * rows, pa.uint8()),
            "packets_fwd": pa.array([len(one) for one in sent], pa.uint64()),
            "packets_rev": pa.array([len(one) for one in back], pa.uint64()),
            "bytes_fwd": pa.array([sum(one) + 40 * len(one) for one in sent], pa.uint64()),
            "bytes_rev": pa.array([sum(one) + 40 * len(one) for one in back], pa.uint64()),
            "payload_bytes_fwd": pa.array([sum(one) for one in sent], pa.uint64()),
            "payload_bytes_rev": pa.array([sum(one) for one in back], pa.uint64()),
            "size_mean_bytes_fwd": pa.array([40 + sum(one) / len(one) for one in sent], pa.float32()),
            "size_max_bytes_fwd": pa.array([40 + max(one) for one in sent], pa.uint32()),
            "packet_direction": pa.array(lists["packet_direction"], pa.list_(pa.int8())),
            "packet_bytes": pa.array(lists["packet_bytes"], pa.list_(pa.uint32())),
            "packet_payload_bytes": pa.array(lists["packet_payload_bytes"], pa.list_(pa.uint32())),
            "packet_gap_ns": pa.array(lists["packet_gap_ns"], pa.list_(pa.uint64())),
            "label": pa.array(["small" if one == 0 else "large" for one in kind]),
            "capture": pa.array([f"capture-{one}" for one in capture]),
        }
    )
    return Flows(table), np.array([f"capture-{one}" for one in capture])


def _pairs(lists: dict[str, list[list[int]]]) -> Any:
    return zip(lists["packet_payload_bytes"], lists["packet_direction"], strict=True)
