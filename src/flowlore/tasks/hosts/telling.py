"""What a bundle says of flows, and what follows for their hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import BundleError, TaskError
from ..predictor import Predictor, seen_by
from .memory import DECIDING_FLOWS, SURE_ENOUGH, HostMemory
from .verdicts import ORDINARY

Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
NO_CLASS = -1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Judged:
    """Of each host its class, how sure, the score that its reasons are taken from, its surprise, and its rank."""

    label: Integers
    confidence: Numbers
    reason: Integers
    surprise: Numbers
    order: Integers  # hosts, the most telling first


class Telling:
    """A bundle that knows hosts, taught or not, and which of its classes are no news."""

    def __init__(self, predictor: Predictor, ordinary: Sequence[str] | None) -> None:
        named = predictor.name or predictor.model
        if not hasattr(predictor.encoder, "embedder"):
            raise BundleError(
                f"hosts: `{named}` embeds flows only; it knows no hosts",
                hint="`flowlore pretrain graph FLOWS -o NEW` makes a bundle that does",
            )
        if ordinary and predictor.head is None:
            raise TaskError(
                f"hosts: `{named}` was taught no classes, so none of them is ordinary",
                hint="`flowlore fit` teaches it classes; without them hosts are told by surprise",
            )
        self.predictor = predictor
        self.sees_numbers = predictor.head is not None and predictor.head.sees_numbers
        self.classes: list[str] = [] if predictor.head is None else predictor.head.classes_.astype(str).tolist()
        unknown = [name for name in ordinary or () if name not in self.classes]
        if unknown:
            raise TaskError(
                f"hosts: the bundle knows no class `{unknown[0]}`", hint=f"it knows {', '.join(self.classes)}"
            )
        wanted = {name.lower() for name in (ORDINARY if ordinary is None else ordinary)}
        named_ordinary = [{name.lower(), name.lower().partition("/")[0]} & wanted for name in self.classes]
        self.is_ordinary = np.array([bool(one) for one in named_ordinary], np.bool_)

    def scores(self, vectors: Floats, numbers: Floats | None, surprise: Floats) -> Numbers:
        """How sure of each class, and the surprise of each flow. `numbers` are plain ones, for heads that see them."""
        return np.column_stack([self.confidences(vectors, numbers), np.nan_to_num(surprise[:, 0])])

    def confidences(self, vectors: Floats, numbers: Floats | None) -> Numbers:
        head, calibration = self.predictor.head, self.predictor.calibration
        if head is None or calibration is None or not len(vectors):
            return np.zeros((len(vectors), len(self.classes)))
        sure: Numbers = calibration.confidences(head.predict_proba(seen_by(head, vectors, numbers)))
        return sure

    def judge(self, memory: HostMemory) -> Judged:
        hosts, classes = len(memory), len(self.classes)
        loudest = memory["loudest"].sum(axis=2) / DECIDING_FLOWS
        surprise = loudest[:, classes]
        if not classes:
            nothing = np.full(hosts, NO_CLASS)
            order = np.argsort(-np.round(surprise, 4), kind="stable")
            return Judged(
                label=nothing,
                confidence=np.full(hosts, np.nan),
                reason=np.zeros(hosts, np.int64),
                surprise=surprise,
                order=order,
            )
        votes = memory["votes"] / np.maximum(memory["speaking"], 1)[:, None]
        if not self.is_ordinary.any():
            label, confidence = votes.argmax(axis=1), votes.max(axis=1)
            is_news, reason, sure = np.ones(hosts, np.bool_), label, np.zeros(hosts)
        else:
            news = np.where(self.is_ordinary, -1.0, loudest[:, :classes])
            surest, most = np.maximum(news.max(axis=1), 0.0), news.argmax(axis=1)
            is_news = surest >= SURE_ENOUGH
            ordinary = np.where(self.is_ordinary, votes, -1.0).argmax(axis=1)
            label = np.where(is_news, most, ordinary)
            confidence = np.where(is_news, surest, 1.0 - surest)
            reason = label if self.is_ordinary.all() else most
            sure = np.where(is_news, confidence, 0.0)
        is_source = memory["flows"][:, 0] > 0
        order = np.lexsort([-np.round(surprise, 4), -sure, ~(is_news & is_source), ~is_news])
        return Judged(label=label, confidence=confidence, reason=reason, surprise=surprise, order=order)
