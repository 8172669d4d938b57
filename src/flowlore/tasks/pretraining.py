"""Unlabelled flows → an encoder: the first half of a bundle."""

from __future__ import annotations

import inspect
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import SettingError, TaskError
from ..settings import settings_values
from .extra import require_learning
from .predictor import Predictor
from .raw import starts_ns, taken, texts
from .splits import split_by_group, split_by_time

if TYPE_CHECKING:
    from ..features.augment.settings import AugmentSettings
    from ..features.batch import FeatureBatch
    from ..features.settings import FeatureSettings
    from ..models.settings import TrainingSettings
    from ..models.training import CheckpointPlace, Progress

FEWEST_FLOWS = 20


def pretrain(
    model: str,
    flows: Any,
    *,
    rng: np.random.Generator,
    others: Sequence[Any] = (),
    features: FeatureSettings | None = None,
    settings: Any = None,
    training: TrainingSettings | None = None,
    hold_out: float = 0.0,
    validation_share: float = 0.1,
    augmentation: AugmentSettings | None = None,
    place: CheckpointPlace | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Predictor:
    """An encoder that has seen these flows, and no label of them. The latest share of them says when to stop.

    Args:
        model: A name in the registry of models.
        flows: Unlabelled; labels that are there are not looked at.
        rng: Of every random choice.
        others: Flows of more networks, each brought to its own scale and heard as much as the first; of `graph`.
        features: What of a flow the encoder may see.
        settings: Of the model.
        training: How long and how fast; models that have a training of their own do not take it.
        hold_out: The latest share that is not looked at, to be asked later, as `fit --split time` does.
        validation_share: Of what is left.
        augmentation: Adds changed copies of the flows before training; those that say when to stop stay as they are.
        place: Where checkpoints go; a training that was cut off goes on from there.
        progress: Called after each step.
    """
    from ..features.extract import extract
    from ..features.settings import FeatureSettings
    from ..models import MODELS

    require_learning()
    if not 0 <= validation_share < 1:
        raise TaskError(f"tasks: {validation_share} of the flows cannot say when to stop", hint="for example 0.1")
    make = MODELS.load(model)
    encoder = make() if settings is None else make(settings)
    if encoder.unit != "flow":
        raise SettingError(
            f"tasks: `{model}` learns from rates over time, not from single flows",
            hint="`flowlore pretrain flowgen`, or `flowlore.tasks.forecast.bundles.pretrain_flowgen` with series",
        )
    features = features or getattr(encoder, "features", None) or FeatureSettings()
    if any(need.startswith("graph.") for need in encoder.needs):
        features = replace(features, graph=True)
    known = inspect.signature(encoder.fit).parameters
    if others and "apart" not in known:
        raise SettingError(
            f"tasks: `{model}` does not tell networks apart", hint="`--apart` is of `graph`: leave it out"
        )
    networks = [flows, *others]
    if hold_out:
        networks = [taken(one, split_by_time(starts_ns(one), test_share=hold_out).train) for one in networks]
    for number, one in enumerate(networks, 1):
        if len(one) < FEWEST_FLOWS:
            which = f" in network {number} of {len(networks)}" if others else ""
            raise TaskError(
                f"tasks: {len(one):,} flows{which} are too few to train on (at least {FEWEST_FLOWS})",
                hint="give more captures; unlabelled ones will do",
            )
    shown, validation = [], []
    for one in networks:
        train, stop = _sides(one, validation_share)
        batch = extract(one, features)
        shown.append(batch.take(train))
        validation += [batch.take(stop)] if len(stop) else []
    if augmentation is not None and augmentation.transforms:
        shown = [_with_copies(one, augmentation, rng) for one in shown]
    wanted = {"training": training, "place": place, "progress": progress}
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None and name in known}
    if others:
        given["apart"] = True
    began = time.perf_counter()
    encoder.fit(shown, rng, validation=validation, **given)
    seconds = time.perf_counter() - began
    return Predictor(
        model=model,
        encoder=encoder,
        features=features,
        data=_joint_card([data_card(one, features) for one in networks])
        | {"held_out_share": hold_out, "training_s": round(seconds, 1)}
        | ({} if augmentation is None else {"augmentation": settings_values(augmentation)}),
    )


def data_card(flows: Any, features: FeatureSettings) -> dict[str, Any]:
    """What the flows were: how many, from when to when, from which sources and captures. No address."""
    start = starts_ns(flows)
    captures = sorted({str(name) for name in texts(flows, "capture") if name is not None})
    return {
        "flows": len(flows),
        "first": f"{np.datetime64(int(start.min()) // 10**9, 's')}Z",
        "last": f"{np.datetime64(int(start.max()) // 10**9, 's')}Z",
        "sources": dict(Counter(str(name) for name in texts(flows, "source") if name is not None)),
        "captures": len(captures),
        "shortcuts": features.shortcuts(),
    }


def _joint_card(cards: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all networks were."""
    if len(cards) == 1:
        return cards[0]
    sources: Counter[str] = Counter()
    for card in cards:
        sources.update(card["sources"])
    return {
        "networks": len(cards),
        "flows": sum(card["flows"] for card in cards),
        "first": min(card["first"] for card in cards),
        "last": max(card["last"] for card in cards),
        "sources": dict(sources),
        "captures": sum(card["captures"] for card in cards),
        "shortcuts": cards[0]["shortcuts"],
    }


def _sides(flows: Any, validation_share: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows that teach and rows that say when to stop: whole captures where there are several, else by time."""
    start, captures = starts_ns(flows), texts(flows, "capture")
    try:
        split = split_by_group(captures, by="capture", start_ns=start, test_share=validation_share)
        if len(split.train) + len(split.test) == len(flows) and len(split.train) > len(flows) // 2:
            return split.train, split.test
        split = split_by_time(start, test_share=validation_share)
    except TaskError:
        try:
            split = split_by_time(start, test_share=validation_share)
        except TaskError:  # all in one instant: nothing to stop by
            return np.arange(len(flows)), np.zeros(0, np.int64)
    return split.train, split.test


def _with_copies(batch: FeatureBatch, augmentation: AugmentSettings, rng: np.random.Generator) -> FeatureBatch:
    from ..features.augment.batches import augment_batch
    from ..features.augment.policy import Augmenter

    if augmentation.policy != "pre-augment":
        raise SettingError(
            f"augment: the policy is `{augmentation.policy}`, but pre-training adds copies before it begins",
            hint='`policy = "pre-augment"`',
        )
    return augment_batch(batch, Augmenter(augmentation), rng)[0]
