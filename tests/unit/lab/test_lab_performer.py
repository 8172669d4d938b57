"""When a role acts: within its time, by its chances; those who act together choose alike."""

import json
import os
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from flowlore.lab import performer
from flowlore.lab.activity import Bounds, Scene
from flowlore.lab.performer import gap_s


class Drawing:
    """Draws a number in every action, and as many more as its host is old."""

    def __init__(self, more: int = 0, lasts_s: float = 0.0) -> None:
        self.drawn: list[float] = []
        self.bounds: list[Bounds] = []
        self._more = more
        self._lasts_s = lasts_s

    def act(self, scene: Scene, rng: Random, bounds: Bounds) -> None:
        self.bounds.append(bounds)
        self.drawn.append(rng.random())
        for _ in range(self._more):
            rng.random()
        time.sleep(min(self._lasts_s, bounds.seconds))


def perform(role: Drawing, folder: Path, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> list[dict[str, Any]]:
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(os, "nice", lambda by: by)
    now = time.monotonic()
    plan = {"starts_at": now, "ends_at": now + 0.5, "every_s": 0.05, "habit": "random", "actions": 4}
    plan |= {"action_s": 30.0, "packets": 9, "packets_per_s": 9.0, **changed}
    scene = Scene(host="desk", addresses=("10.0.0.1",), folder=folder, shared=folder, seed=7)
    performer._act_by_plan(role, scene, plan)
    return [json.loads(line) for line in (folder / "actions.jsonl").read_text().splitlines()]


def test_hosts_of_one_seed_choose_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    young, old = Drawing(), Drawing(more=5)
    perform(young, tmp_path / "young", monkeypatch)
    perform(old, tmp_path / "old", monkeypatch)
    shared = min(len(young.drawn), len(old.drawn))
    assert shared >= 3
    assert young.drawn[:shared] == old.drawn[:shared]
    assert len(set(young.drawn)) == len(young.drawn)


def test_an_action_ends_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Drawing(lasts_s=9.0)
    began = time.monotonic()
    actions = perform(slow, tmp_path / "slow", monkeypatch)
    assert time.monotonic() - began < 3
    assert len(actions) == 1
    assert slow.bounds[0].seconds <= 0.5


@pytest.mark.parametrize("habit", ["steady", "random", "bursts"])
def test_habits_have_the_same_mean(habit: str) -> None:
    rng = Random(1)
    gaps = [gap_s(habit, 3.0, rng) for _ in range(20_000)]
    assert sum(gaps) / len(gaps) == pytest.approx(3.0, rel=0.08)
