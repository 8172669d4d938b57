"""A bundle of any kind by its name or folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .bundle import load_bundle
from .bundle_shelf import find_bundle
from .extra import require_learning


def load(name_or_path: str | Path) -> Any:
    """What is in a bundle, ready to answer.

    A `Predictor` where it learnt from flows (`embed`, `predict`), `Dynamics` where it learnt from rates (`embed`,
    `forecast`, `oddness`, `sample`), a `FloodDetector` where it was taught attacks (`detect`), a `RoleClassifier` where
    it was taught what hosts are by their rates (`predict`), and an `Imitator` where it makes flows up (`generate`).
    """
    require_learning()
    bundle = load_bundle(find_bundle(name_or_path))
    if "detector" in bundle.states:
        from .ddos.bundles import FloodDetector

        return FloodDetector.from_bundle(bundle)
    if "roles" in bundle.states:
        from .roles.classifier import RoleClassifier

        return RoleClassifier.from_bundle(bundle)
    if "generator" in bundle.states:
        from .generation import Imitator

        return Imitator.from_bundle(bundle)
    if bundle.model == "flowgen":
        from .dynamics import Dynamics

        return Dynamics.from_bundle(bundle)
    from .predictor import Predictor

    return Predictor.from_bundle(bundle)
