"""Teaching roles of hosts, and examining what was taught on other hosts beside simple methods on the same windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import BundleError, SettingError, TaskError
from ...features.rates.rates import Rates
from ...features.rates.settings import step_words
from .. import BASELINES, HEADS
from ..metrics import scores
from ..predictor import seen_by
from ..splits import Split, split_by_host, split_by_time
from .classifier import RoleClassifier
from .windows import FEATURES, WINDOW_STEPS, Windows, check_windows, window_numbers, window_vectors, windows_of

if TYPE_CHECKING:
    from ...models.flowgen.encoder import FlowgenEncoder
    from ...models.flowgen.settings import FlowgenSettings
    from ...models.settings import TrainingSettings
    from ...models.training import Progress

SPLITS = ("host", "time")
BESIDE = ("lightgbm", "extra-trees")
COMMONEST = "commonest"
EPOCHS = 3  # few windows are soon known by heart
Labels = npt.NDArray[Any]


def taught_and_examined(
    rates: Rates,
    labels: Mapping[str, str],
    *,
    rng: np.random.Generator,
    encoder: FlowgenEncoder | None = None,
    head: str = "forest",
    by: str = "host",
    test_share: float = 0.5,
    width: int = WINDOW_STEPS,
    settings: FlowgenSettings | None = None,
    training: TrainingSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[RoleClassifier, dict[str, Any]]:
    """From rates and what some hosts are. By `host` no host is on both sides; by `time` the last windows examine."""
    if by not in SPLITS:
        raise SettingError(f"roles: hosts cannot be split by `{by}`", hint=f"choose from {', '.join(SPLITS)}")
    names = [name for name in rates.largest() if name in labels]
    if not names:
        raise TaskError(
            "roles: no host that is labelled has traffic in these rates",
            hint="hosts are written as in the rates; `flowlore rates` shows them",
        )
    if encoder is not None:
        check_encoder(encoder, rates)
    windows = windows_of(rates, names, width=width, features=FEATURES if encoder is None else encoder.features)
    check_windows(windows)
    truth = np.array([labels[name] for name in windows.hosts])
    split = (
        split_by_host(windows.hosts, classes=truth, rng=rng, test_share=test_share)
        if by == "host"
        else split_by_time(windows.begins_ns, test_share=test_share)
    )
    return taught_windows(
        windows,
        truth,
        split,
        rng=rng,
        encoder=encoder,
        head=head,
        settings=settings,
        training=training,
        progress=progress,
    )


def taught_windows(
    windows: Windows,
    truth: Labels,
    split: Split,
    *,
    rng: np.random.Generator,
    encoder: FlowgenEncoder | None = None,
    head: str = "forest",
    settings: FlowgenSettings | None = None,
    training: TrainingSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[RoleClassifier, dict[str, Any]]:
    """The same from windows that are split already. Without an encoder one is pre-trained on the teaching side."""
    shown, asked = windows.of(split.train), windows.of(split.test)
    taught_classes = np.unique(truth[split.train])
    if len(taught_classes) < 2:
        raise TaskError(
            f"roles: `{taught_classes[0]}` is the only class that is taught, so that every answer would be right",
            hint="label hosts of another class too",
        )
    pretrained = encoder is not None
    if encoder is None:
        encoder = pretrained_on_windows(shown, rng, settings=settings, training=training, progress=progress)
    made = HEADS.load(head)()
    numbers = {"shown": window_numbers(shown), "asked": window_numbers(asked)}
    vectors = window_vectors(encoder, shown)
    made.fit(seen_by(made, vectors, numbers["shown"]), truth[split.train])
    classifier = RoleClassifier(
        encoder=encoder,
        head=made,
        head_name=head,
        width=windows.values.shape[2],
        data={
            "hosts": len(np.unique(shown.hosts.astype(str))),
            "windows": len(shown),
            "step_s": windows.step_ns / 1e9,
            "classes": taught_classes.tolist(),
            "entities": "none by name: rates only",
        },
    )
    answers = {"flowgen": classifier.chances(asked)}
    for name in BESIDE:
        beside = BASELINES.load(name)(rng).fit(numbers["shown"], truth[split.train])
        answers[name] = beside.predict_proba(numbers["asked"])
    counts = np.array([(truth[split.train] == one).sum() for one in taught_classes], np.float64)
    answers[COMMONEST] = np.tile(counts / counts.sum(), (len(asked), 1))
    report: dict[str, Any] = {
        "task": "roles",
        "head": head,
        "pretrained": pretrained,
        "split": split.as_json(),
        "classes": taught_classes.tolist(),
        "not_taught": sorted(set(truth[split.test].tolist()) - set(taught_classes.tolist())),
        "hosts_taught": classifier.data["hosts"],
        "hosts_asked": len(np.unique(asked.hosts.astype(str))),
        "scores": {name: _scored(one, taught_classes, asked, truth[split.test]) for name, one in answers.items()},
    }
    of_hosts = {name: one["host_macro_f1"] for name, one in report["scores"].items()}
    return classifier, report | {"best": max(of_hosts, key=lambda name: of_hosts[name])}


def pretrained_on_windows(
    windows: Windows,
    rng: np.random.Generator,
    *,
    settings: FlowgenSettings | None = None,
    training: TrainingSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> FlowgenEncoder:
    """A decoder that has seen these windows without labels: what follows within them, however far it was to look."""
    from ...models.flowgen.encoder import TRAINING, FlowgenEncoder
    from ...models.flowgen.settings import FlowgenSettings

    steps = windows.values.shape[2]
    fitting = replace(
        settings or FlowgenSettings(),
        context=min(max(steps, 16), 512),
        farthest=max(steps // 6, 1),
        disturbed=0.0,
        likelihood=0.3,
        identities=0,  # hosts are asked for that it never saw
    )
    encoder = FlowgenEncoder(fitting)
    encoder.learn(
        windows.values, windows.begins_ns, windows.step_ns, windows.features, rng,
        training=training or replace(TRAINING, epochs=EPOCHS), progress=progress,
    )  # fmt: skip
    return encoder


def check_encoder(encoder: FlowgenEncoder, rates: Rates) -> None:
    """It knows columns of rates, and steps of this length."""
    unknown = [name for name in encoder.features if name not in rates.table.column_names]
    if unknown:
        raise BundleError(
            f"bundle: this decoder learnt from `{unknown[0]}`, which rates do not have",
            hint="`flowlore pretrain flowgen TRAFFIC --by host -o BUNDLE` makes one that learnt from rates",
        )
    if encoder.step_ns != rates.step_ns:
        raise BundleError(
            f"bundle: this decoder learnt from steps of {step_words(encoder.step_ns)}, and these rates have "
            f"{step_words(rates.step_ns)}",
            hint=f"`--step {step_words(encoder.step_ns)}`",
        )


def _scored(chances: npt.NDArray[np.float64], classes: Labels, asked: Windows, truth: Labels) -> dict[str, float]:
    """Of windows, and of hosts by the mean of their windows."""
    of_windows = scores(truth, classes[chances.argmax(axis=1)])
    hosts, first, places = np.unique(asked.hosts.astype(str), return_index=True, return_inverse=True)
    sums = np.zeros((len(hosts), len(classes)))
    np.add.at(sums, places, chances)
    of_hosts = scores(truth[first], classes[sums.argmax(axis=1)])
    return {
        "window_accuracy": of_windows.accuracy,
        "window_macro_f1": of_windows.macro_f1,
        "host_accuracy": of_hosts.accuracy,
        "host_macro_f1": of_hosts.macro_f1,
    }
