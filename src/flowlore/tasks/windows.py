"""Batches of flows → the same batches with vectors, for an encoder that sees flows by windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import BundleError
from .held_batches import HeldBatches
from .predictor import Embedding, Predictor

if TYPE_CHECKING:
    from ..features.graphs.settings import GraphSettings


WAITS = ("wait_s", "most_waiting")  # settings of windows that no vector depends on


@dataclass(eq=False)
class _Waiting:
    """A batch, and as many of its vectors as are there."""

    flows: Any
    vectors: npt.NDArray[np.float32]
    masked: tuple[str, ...]
    is_blank: npt.NDArray[np.bool_]
    numbers: npt.NDArray[np.float32] | None


def embedded_in_windows(
    predictor: Predictor, batches: Iterable[Any], *, patient: bool = False
) -> Iterator[tuple[Any, Embedding]]:
    """Each batch as soon as the windows of all its flows have closed, in the order in which they came.

    Some batches may have no addresses or times at all; a stream in which none has is refused at its end.
    """
    from ..features.extract import extract
    from ..features.graphs.ends import require_ends
    from ..features.numbers import plain_numbers

    embedder = predictor.encoder.embedder(patient=patient)  # type: ignore[attr-defined]  # as `embed_batches` looked
    waiting = HeldBatches[_Waiting]()
    in_graph, last = 0, None
    for flows in batches:
        batch = extract(flows, predictor.features.without_context(), in_parts=True)
        in_graph, last = in_graph + int(batch.has("graph").sum()), flows
        masked, is_blank = predictor.looked_at(batch)
        vectors = np.zeros((len(batch), predictor.encoder.width), np.float32)
        numbers = plain_numbers(batch) if predictor.head is not None and predictor.head.sees_numbers else None
        waiting.add(_Waiting(flows, vectors, masked, is_blank, numbers), len(batch))
        for part in embedder.add(batch):
            _put(waiting, part.rows, part.vectors)
        yield from _complete(predictor, waiting)
    if last is not None and not in_graph:
        require_ends(last if hasattr(last, "schema") else last.to_arrow())
    for part in embedder.finish():
        _put(waiting, part.rows, part.vectors)
    yield from _complete(predictor, waiting)


def in_windows(predictor: Predictor, windows: GraphSettings) -> Predictor:
    """The predictor, waiting for late flows as was asked for. Windows that are not those of the bundle are refused.

    A setting that has its default value was not asked for: the bundle's own stays.
    """
    from ..features.graphs.settings import GraphSettings

    trained = getattr(getattr(predictor.encoder, "settings", None), "windows", None)
    if trained is None:
        return predictor
    usual = GraphSettings()
    asked = [one.name for one in fields(windows) if getattr(windows, one.name) != getattr(usual, one.name)]
    others = [name for name in asked if name not in WAITS and getattr(windows, name) != getattr(trained, name)]
    if others:
        differing = others[0]
        raise BundleError(
            f"graph: bundle `{predictor.name or predictor.model}` was trained with `{differing}` "
            f"{getattr(trained, differing)}, and {getattr(windows, differing)} was asked for",
            hint=f"leave the setting out, or train anew: `flowlore pretrain graph … --set graph.windows.{differing}=…`",
        )
    waits = {name: getattr(windows, name) for name in asked if name in WAITS}
    if not waits:
        return predictor
    encoder = predictor.encoder.waiting(replace(trained, **waits))  # type: ignore[attr-defined]  # it has windows
    return replace(predictor, encoder=encoder)


def _put(waiting: HeldBatches[_Waiting], rows: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32]) -> None:
    for one, here, places in waiting.of(rows):
        one.vectors[places] = vectors[here]
    waiting.answered(rows)


def _complete(predictor: Predictor, waiting: HeldBatches[_Waiting]) -> Iterator[tuple[Any, Embedding]]:
    for one in waiting.complete():
        yield one.flows, replace(predictor.checked(one.vectors, one.masked, one.is_blank), numbers=one.numbers)
