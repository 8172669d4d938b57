"""Roles of hosts from their rates: told on hosts that were not taught, kept in a bundle; what cannot be taught."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import flowlore
from flowlore.errors import BundleError, InputError, SettingError, TaskError
from flowlore.features.rates.rates import Rates, rates
from flowlore.models.flowgen.settings import FlowgenSettings
from flowlore.models.settings import TrainingSettings
from flowlore.tasks.roles.classifier import RoleClassifier
from flowlore.tasks.roles.labels import read_labels
from flowlore.tasks.roles.teaching import taught_and_examined
from flowlore.tasks.roles.windows import window_numbers, windows_of
from ratesmade import Flow, S, batch_of, host

STEP = 10 * S
SMALL = FlowgenSettings(size="small", bins=16, least_windows=64)
SHORT = TrainingSettings(epochs=1, least_steps=20, batch_rows=16, learning_rate=3e-3)
ROLES = {host(one): ("sensor", "desk", "camera")[one % 3] for one in range(12)}


def campus(steps: int = 240) -> Rates:
    """Sensors speak once a minute, desks in bursts, cameras all the time."""
    rng, flows = np.random.default_rng(0), []
    for one in range(12):
        role, busy = ROLES[host(one)], False
        for step in range(steps):
            if rng.random() < 0.1:
                busy = not busy
            speaks = {"sensor": step % 6 == one % 6, "desk": busy, "camera": True}[role]
            packets = {"sensor": 4, "desk": int(rng.integers(5, 200)), "camera": int(rng.integers(80, 120))}[role]
            if speaks:
                flows.append(
                    Flow(start=step * STEP, src=host(one), dst=host(900 + one % 4), packets=(packets, packets // 2),
                         bytes=(packets * 120, packets * 60))
                )  # fmt: skip
    return rates([batch_of(sorted(flows, key=lambda flow: flow.start))], step="10s")


@pytest.fixture(scope="module")
def town() -> Rates:
    return campus()


def test_roles_are_told_on_hosts_that_were_not_taught(town: Rates, tmp_path: Path) -> None:
    made, report = taught_and_examined(
        town, ROLES, rng=np.random.default_rng(0), settings=SMALL, training=SHORT, test_share=0.5
    )
    assert report["hosts_taught"] == 6 and report["hosts_asked"] == 6 and report["classes"] == sorted({*ROLES.values()})
    assert report["scores"]["flowgen"]["host_accuracy"] == 1.0 > report["scores"]["commonest"]["host_accuracy"]
    assert report["scores"]["lightgbm"]["window_macro_f1"] > 0.9
    made.save(tmp_path / "roles")
    again = flowlore.load(tmp_path / "roles")
    assert isinstance(again, RoleClassifier) and again.labels == ("camera", "desk", "sensor")
    told = again.predict(town)
    assert told.equals(made.predict(town))
    of = dict(zip(told["entity"].to_pylist(), told["label"].to_pylist(), strict=True))
    assert all(of[name] == role for name, role in ROLES.items())
    assert "tells hosts of 3 classes" in (tmp_path / "roles" / "card.md").read_text()
    with pytest.raises(BundleError, match="taught steps of 10s"):
        again.predict(rates([batch_of([Flow()])], step="1m"))


@pytest.mark.parametrize("head", ["forest", "knn"])
def test_other_heads_and_a_split_by_time(town: Rates, head: str) -> None:
    _, report = taught_and_examined(
        town, ROLES, rng=np.random.default_rng(0), settings=SMALL, training=SHORT, head=head, by="time"
    )
    assert report["hosts_asked"] == 12 and report["scores"]["flowgen"]["host_accuracy"] > 0.9


def test_windows_hold_what_they_say(town: Rates) -> None:
    windows = windows_of(town, [host(2), host(0)], width=100)
    assert windows.values.shape[1:] == (12, 100) and (windows.hosts == host(2)).sum() == 3
    assert np.isnan(windows.values[-1, 0, 40:]).all()  # 240 steps fill two windows and a half
    numbers = window_numbers(windows)
    sent = windows.features.index("out_packets")
    silent = numbers[:, 3 * 12 + sent]
    assert silent[windows.hosts == host(2)].max() == 0 and silent[windows.hosts == host(0)].min() > 0.8


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ({"10.9.9.9": "a"}, TaskError, "no host that is labelled has traffic"),
        (dict.fromkeys(ROLES, "a"), TaskError, "is the only class"),
    ],
)
def test_what_cannot_be_taught(town: Rates, labels: dict[str, str], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        taught_and_examined(town, labels, rng=np.random.default_rng(0), settings=SMALL, training=SHORT)
    with pytest.raises(SettingError, match="cannot be split by `planet`"):
        taught_and_examined(town, ROLES, rng=np.random.default_rng(0), by="planet")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "host,role\n10.0.0.1,a", "no column `label`"),
        ("a.csv", "host,label\n10.0.0.1,", "line 2 .* names no host or no label"),
        ("a.csv", "host,label\n10.0.0.1,a\n10.0.0.1,b", "calls `10.0.0.1` `b`, and an earlier one `a`"),
        ("a.csv", "host,label\n", "names no host"),
        ("a.jsonl", "{", "is no JSON"),
        ("a.jsonl", "[1]", "no JSON object"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_labels(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "absent.csv")
    (tmp_path / "good.jsonl").write_text('{"host": "10.0.0.1", "label": "a"}\n\n')
    assert read_labels(tmp_path / "good.jsonl") == {"10.0.0.1": "a"}
