"""One run: flows are shown with their labels and changed on the way, later flows are asked, the answers are scored."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...features.augment.packets import PacketSeries
from ...features.augment.policy import Augmenter
from ...features.augment.search import drawn_candidates, search
from ...features.augment.settings import AugmentSettings
from ...models.convnet import ConvnetClassifier, ConvnetSettings
from ...models.settings import TrainingSettings
from ...models.training import fastest_device, gains_by_bf16
from ...settings import settings_from, settings_values
from ...tasks.metrics import f1_by_class, rounded, scores
from ..bench import Bench
from ..representations.methods import made_method
from ..study import Run
from .arms import ENCODER, SCREENED, TREE_COPIES, NetworkName, steps_of
from .encoder_network import EncoderClassifier, Learner
from .geometry import label_free_measures
from .places import drawn_places
from .shown import SEEN_PACKETS, Flows, flows_for, numbers_of

BATCH_ROWS = 128
LEARNING_RATE, WEIGHT_DECAY = 4e-3, 0.05
SEARCH_STEPS = 0.25  # of a whole training, in the first round of a search
ASKED_AT_ONCE = 20_000
Codes = npt.NDArray[np.int64]


def examine(run: Run, bench: Bench) -> dict[str, Any]:
    """Scores over all test flows, over those without a twin among the shown, and of the classes that were shown least.

    Scores of validation flows stand beside, for choosing finalists.
    """
    flows = flows_for(run, bench)
    settings = settings_from(AugmentSettings, run.values["augmentation"])
    rng = bench.rng_for("taught", run.data, str(run.shots), str(run.values.get("share")), seed=run.seed)
    began = time.process_time()
    if "method" in run.values:
        answers, more = _trees(run, bench, flows, settings, rng)
    else:
        answers, more = _network(run, bench, flows, settings, rng)
    more["taught_and_asked_s"] = round(time.process_time() - began, 2)
    return scored(flows, answers) | more


def scored(flows: Flows, answers: dict[str, Codes]) -> dict[str, Any]:
    """`answers` to the test side, and to validation flows where there are any."""
    truth, given = flows.codes[flows.test], answers["test"]
    novel = flows.is_novel
    found: dict[str, Any] = {
        "taught": len(flows.shown),
        "natural": rounded(scores(truth, given).as_json()),
        "novel": rounded(scores(truth[novel], given[novel]).as_json()),
        "lowest_quarter": round(lowest_quarter(flows.codes[flows.shown], truth, given), 4),
    }
    if "validation" in answers and len(flows.validation):
        held = scores(flows.codes[flows.validation], answers["validation"])
        found["validation"] = rounded(held.as_json())
    return found


def lowest_quarter(shown: Codes, truth: Codes, answers: Codes) -> float:
    """Macro F1 of the quarter of the classes with the fewest shown flows (the lower number first where equal)."""
    counts = np.bincount(shown)
    classes = np.flatnonzero(counts)
    lowest = classes[np.argsort(counts[classes], kind="stable")][: max(1, len(classes) // 4)]
    each, support = f1_by_class(truth, answers)
    known = [each[one] for one in lowest.tolist() if support.get(one)]
    return float(np.mean(known)) if known else float("nan")


def train_network(
    series: PacketSeries,
    codes: Codes,
    classes: int,
    kind: NetworkName,
    settings: AugmentSettings,
    steps: int,
    rng: np.random.Generator,
    *,
    bf16: bool | None = None,
) -> Learner:
    """The network of the study, the same with a vector for each size, or the autoencoder's, after so many steps.

    `bf16` left out: where the machine is faster with it.
    """
    device = fastest_device()
    rows = min(BATCH_ROWS, len(series))
    taught = len(series) * (1 + settings.copies) if settings.policy == "pre-augment" else len(series)
    training = TrainingSettings(
        epochs=max(1, round(steps / -(-taught // rows))),
        least_steps=1,
        batch_rows=rows,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        bf16=gains_by_bf16(device) if bf16 is None else bf16,
        device=device,
    )
    network: Learner
    if kind == ENCODER:
        network = EncoderClassifier(classes, SEEN_PACKETS)
    else:
        network = ConvnetClassifier(classes, ConvnetSettings(packets=SEEN_PACKETS, sizes=kind))
    network.fit(series, codes, rng, augmentation=settings, training=training)
    return network


def _network(
    run: Run, bench: Bench, flows: Flows, settings: AugmentSettings, rng: np.random.Generator
) -> tuple[dict[str, Codes], dict[str, Any]]:
    kind: NetworkName = run.values["network"]
    steps = steps_of(len(flows.shown), bench.scale)
    shown, codes = flows.series.take(flows.shown), flows.codes[flows.shown]
    more: dict[str, Any] = {}
    seed = int(rng.integers(2**62))
    if run.values.get("searched"):
        settings = _searched(run, flows, kind, steps, seed)
        more["found"] = settings_values(settings)
    network = train_network(shown, codes, flows.classes, kind, settings, steps, np.random.default_rng(seed))
    device = fastest_device()
    more |= {"parameters": network.parameters(), "steps": steps, "device": device, "bf16": gains_by_bf16(device)}
    answers = {side: network.predict(flows.series.take(rows)) for side, rows in _asked(flows).items()}
    if kind == SCREENED and run.values.get("share") is None:
        plain = bench.at_hand(
            {"plain network": run.shots, "data": run.data, "seed": run.seed},
            lambda: (
                network
                if not settings.transforms
                else train_network(
                    shown, codes, flows.classes, kind, AugmentSettings(), steps, np.random.default_rng(seed)
                )
            ),
        )
        more["measures"] = label_free_measures(network, plain, flows, settings, bench.scale.probed_rows)
        if run.values.get("drawn"):
            more["places"] = drawn_places(network, plain, flows, settings)
    return answers, more


def _searched(run: Run, flows: Flows, kind: NetworkName, steps: int, seed: int) -> AugmentSettings:
    """The best of some candidates by successive halving. Only validation flows are asked."""
    shown, codes = flows.series.take(flows.shown), flows.codes[flows.shown]
    asked, truth = flows.series.take(flows.validation), flows.codes[flows.validation]

    def evaluate(settings: AugmentSettings, number: int) -> float:
        rng = np.random.default_rng([seed, number])
        less = max(1, round(steps * SEARCH_STEPS * number))
        network = train_network(shown, codes, flows.classes, kind, settings, less, rng)
        return scores(truth, network.predict(asked)).macro_f1

    candidates = drawn_candidates(int(run.values["searched"]), np.random.default_rng(seed))
    return search(evaluate, candidates, rounds=2)[0].settings


def _trees(
    run: Run, bench: Bench, flows: Flows, settings: AugmentSettings, rng: np.random.Generator
) -> tuple[dict[str, Codes], dict[str, Any]]:
    series, codes = flows.series.take(flows.shown), flows.codes[flows.shown]
    if settings.transforms:
        # Not `pre-augment`: here a flow that is alone in its class is mixed with itself.
        copying = replace(settings, policy="inject", copies=TREE_COPIES)
        series, rows = Augmenter(copying).step(series, rng, codes=codes)
        codes = codes[rows]
    model = made_method(run.values["method"], rng, bench.scale)
    model.fit(numbers_of(series), codes)
    answers = {}
    for side, rows in _asked(flows).items():
        parts = [rows[first : first + ASKED_AT_ONCE] for first in range(0, len(rows), ASKED_AT_ONCE)]
        answers[side] = np.concatenate(
            [model.classes_[model.predict_proba(numbers_of(flows.series.take(part))).argmax(axis=1)] for part in parts]
        )
    return answers, {"copies": TREE_COPIES if settings.transforms else 0}


def _asked(flows: Flows) -> dict[str, npt.NDArray[np.int64]]:
    return {"test": flows.test} | ({"validation": flows.validation} if len(flows.validation) else {})
