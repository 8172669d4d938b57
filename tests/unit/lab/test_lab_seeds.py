"""Two runs of one scenario with other seeds: shares of labels stay, times do not."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from tiny_laboratory import namespaces_are_missing

from flowlore.cli import run as flowlore
from flowlore.lab.scenario import shipped_scenarios

SECONDS = 24
FARTHEST = 0.25  # total variation: share of connections that would have to be of another label


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    reason = namespaces_are_missing()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("seeds")
    text = shipped_scenarios()["quick"].read_text()
    for seed in (11, 12):
        scenario = folder / f"seed-{seed}.toml"
        changed = text.replace("duration_s = 60", f"duration_s = {SECONDS}").replace("seed = 1", f"seed = {seed}")
        scenario.write_text(changed.replace("starts_s = 25", "starts_s = 12"))
        out = folder / f"out-{seed}"
        assert flowlore(["lab", "run", str(scenario), "-o", str(out), "--json", "--skip-missing"]) == 0
    return {seed: folder / f"out-{seed}" for seed in (11, 12)}


def shares(run: Path) -> dict[str, float]:
    labels = Counter(json.loads(line)["application"] for line in (run / "truth.jsonl").read_text().splitlines())
    total = labels.total() - labels["background"]
    return {label: count / total for label, count in labels.items() if label != "background"}


@pytest.mark.needs_root
def test_shares_of_labels_are_alike(runs: dict[int, Path]) -> None:
    first, second = (shares(run) for run in runs.values())
    apart = sum(abs(first.get(label, 0) - second.get(label, 0)) for label in {*first, *second}) / 2
    assert apart < FARTHEST, (first, second)
    assert len(first.keys() & second.keys()) >= 5


@pytest.mark.needs_root
def test_times_are_not(runs: dict[int, Path]) -> None:
    gaps = []
    for run in runs.values():
        times = [json.loads(line)["from_ns"] for line in (run / "actions.jsonl").read_text().splitlines()]
        gaps.append([round((after - before) / 1e8) for before, after in pairwise(times)])
    assert gaps[0][:10] != gaps[1][:10]


@pytest.mark.needs_root
def test_a_run_describes_itself(runs: dict[int, Path]) -> None:
    told = [json.loads((run / "run.json").read_text()) for run in runs.values()]
    assert [one["scenario"]["seed"] for one in told] == [11, 12]
    assert told[0]["scenario_hash"] != told[1]["scenario_hash"]
    for one in told:
        assert one["programs"] and one["machine"]["kernel"] and one["nodes"]["gate"]
        assert {node for node in one["nodes"]} == {*one["scenario"]["hosts"], *one["scenario"]["routers"]}
        assert one["result"]["actions"] > 20
        assert (runs[one["scenario"]["seed"]] / "logs").is_dir()
