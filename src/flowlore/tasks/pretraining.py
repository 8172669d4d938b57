"""Unlabelled flows → an encoder: the first half of a bundle."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SettingError, TaskError
from ..settings import settings_values
from .extra import require_learning
from .predictor import Predictor
from .raw import starts_ns, texts
from .splits import split_by_time

if TYPE_CHECKING:
    from ..features.augment.settings import AugmentSettings
    from ..features.batch import FeatureBatch
    from ..features.settings import FeatureSettings

FEWEST_FLOWS = 20


def pretrain(
    model: str,
    flows: Any,
    *,
    rng: np.random.Generator,
    features: FeatureSettings | None = None,
    settings: Any = None,
    validation_share: float = 0.1,
    augmentation: AugmentSettings | None = None,
) -> Predictor:
    """An encoder that has seen these flows, and no label of them. The latest share of them says when to stop.

    With `augmentation` changed copies of the flows are added before training; those that say when to stop stay as they
    are.
    """
    from ..features.extract import extract
    from ..features.settings import FeatureSettings
    from ..models import MODELS

    require_learning()
    if len(flows) < FEWEST_FLOWS:
        raise TaskError(
            f"tasks: {len(flows):,} flows are too few to train on (at least {FEWEST_FLOWS})",
            hint="give more captures; unlabelled ones will do",
        )
    features = features or FeatureSettings()
    make = MODELS.load(model)
    encoder = make() if settings is None else make(settings)
    start = starts_ns(flows)
    try:
        split = split_by_time(start, test_share=validation_share)
        train, validation = split.train, split.test
    except TaskError:  # all in one instant: nothing to stop by
        train, validation = np.arange(len(flows)), np.zeros(0, np.int64)
    batch = extract(flows, features)
    shown = batch.take(train)
    if augmentation is not None:
        shown = _with_copies(shown, augmentation, rng)
    began = time.perf_counter()
    encoder.fit([shown], rng, validation=[batch.take(validation)] if len(validation) else ())
    return Predictor(
        model=model,
        encoder=encoder,
        features=features,
        data=data_card(flows, features)
        | {"training_s": round(time.perf_counter() - began, 1)}
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


def _with_copies(batch: FeatureBatch, augmentation: AugmentSettings, rng: np.random.Generator) -> FeatureBatch:
    from ..features.augment.batches import augment_batch
    from ..features.augment.policy import Augmenter

    if augmentation.policy != "pre-augment":
        raise SettingError(
            f"augment: the policy is `{augmentation.policy}`, but pre-training adds copies before it begins",
            hint='`policy = "pre-augment"`',
        )
    return augment_batch(batch, Augmenter(augmentation), rng)[0]
