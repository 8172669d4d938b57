"""A bundle of one network gets used to another: what it takes for usual there, without any label."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import BundleError, TaskError
from .predictor import Predictor
from .pretraining import FEWEST_FLOWS, data_card


def accustom(predictor: Predictor, flows: Any) -> Predictor:
    """The bundle with the scales of numbers, and what surprises nobody, taken from these unlabelled flows.

    What its network learnt stays. Numbers differ between networks in size more than in meaning, so this comes before
    `fit` and before surprise is asked for in another network.
    """
    from ..features.extract import extract

    encoder: Any = predictor.encoder
    name = predictor.name or predictor.model
    if not hasattr(encoder, "accustomed"):
        raise BundleError(
            f"accustom: `{name}` has no scales of one network, and needs no other ones",
            hint="use it as it is; only bundles of model `graph` get accustomed",
        )
    if predictor.head is not None:
        raise BundleError(
            f"accustom: `{name}` was taught classes by the vectors that it has, and would have others",
            hint="accustom the bundle that it was taught from, then `fit` again",
        )
    if len(flows) < FEWEST_FLOWS:
        raise TaskError(
            f"accustom: {len(flows):,} flows are too few to tell what is usual (at least {FEWEST_FLOWS})",
            hint="give an hour of the network or more; nothing has to be labelled",
        )
    made = encoder.accustomed(extract(flows, predictor.features.without_context()))
    data = {**predictor.data, "accustomed_to": data_card(flows, predictor.features)}
    return replace(predictor, encoder=made, data=data, name="")
