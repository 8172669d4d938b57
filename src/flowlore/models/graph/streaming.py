"""Vectors of flows and hosts while flows arrive. What is remembered of earlier windows are the states of their nodes,
so that no flow is computed twice and the vectors do not depend on how the flows were cut into batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ...errors import ModelError
from ...features.batch import FeatureBatch
from ...features.graphs.graph import Graph
from ...features.graphs.stream import GraphStream
from ...features.scaling import Scaling
from ..encoder import Floats
from .inference import Inference, KeptRows, Remembered
from .inputs import GraphTensors, graph_tensors, lone_tensors, network_numbers
from .losses import Pupil
from .network import Memory
from .settings import GraphEncoderSettings
from .surprise import PARTS, Parts

EMBEDDING_FLOWS = 8192  # flows of a stretch, where windows are small enough, and of those outside of graphs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Embedded:
    """Vectors of windows that have closed. `rows` count flows since the stream began.

    `is_stand_in` says which flows were left out of the graph: they have the vector of another flow like them, or, where
    there is none, that of their own numbers alone.
    """

    rows: npt.NDArray[np.int64]
    vectors: Floats
    is_stand_in: npt.NDArray[np.bool_]
    surprise: Parts  # [rows, PARTS of `surprise.py`], NaN where it was not asked for or the flow is in no graph
    windows: npt.NDArray[np.int64]  # of each flow; -1 where it is in none
    host_keys: npt.NDArray[np.uint64]
    host_windows: npt.NDArray[np.int64]
    host_vectors: Floats
    graph: Graph | None  # None for flows that are in none


class GraphEmbedder:
    """Holds the flows of open windows, and of each layer the states of the windows that are remembered."""

    def __init__(
        self,
        pupil: Pupil,
        settings: GraphEncoderSettings,
        scaling: Scaling | None,
        *,
        with_surprise: bool = False,
        patient: bool = False,
    ) -> None:
        self.pupil, self.settings, self.scaling = pupil, settings, scaling
        self.with_surprise = with_surprise
        self.stream = GraphStream(settings.windows, stretch_flows=EMBEDDING_FLOWS, patient=patient)
        self.last_read: tuple[GraphTensors, Memory] | None = None  # what the last graph's vectors come from
        self._inference = Inference(pupil.network)
        self._remembered = Remembered(settings)
        self._held: list[tuple[int, Floats, npt.NDArray[np.int32]]] = []  # first row, numbers, protocol
        self._vectors = KeptRows(settings.embedding_width)

    @property
    def counts(self) -> Counter[str]:
        """What came in and where it went; see `GraphStream`."""
        return self.stream.counts

    def add(self, flows: FeatureBatch) -> Iterator[Embedded]:
        """Take flows as `extract` gives them, while it is iterated over; gives vectors of those whose windows have
        closed, and of those that stand alone.
        """
        if not isinstance(flows, FeatureBatch):
            raise ModelError(
                f"models: the graph network reads features of flows, and this is a `{type(flows).__name__}`",
                hint="`flowlore.features.extract.extract(flows, bundle.features)` gives them",
            )
        first = self.stream.counts["flows"]
        numbers, protocol = network_numbers(flows, self.scaling)
        alone = np.flatnonzero(~flows.has("graph"))
        for rows in _pieces(alone):
            yield self._outside(first + rows, self._lone_vectors(numbers[rows], protocol[rows]), is_stand_in=False)
        self._held.append((first, numbers, protocol))
        for graph in self.stream.add(flows):
            yield from self._embedded(graph)
        needed_from = self.stream.waiting_from()
        self._held = [piece for piece in self._held if piece[0] + len(piece[1]) > needed_from]

    def finish(self) -> Iterator[Embedded]:
        """Vectors of the windows that are still open."""
        for graph in self.stream.finish():
            yield from self._embedded(graph)
        self._held = []

    def _outside(self, rows: npt.NDArray[np.int64], vectors: Floats, *, is_stand_in: bool) -> Embedded:
        """Of flows that are in no graph."""
        return Embedded(
            rows=rows,
            vectors=vectors,
            is_stand_in=np.full(len(rows), is_stand_in, np.bool_),
            surprise=np.full((len(rows), len(PARTS)), np.nan, np.float32),
            windows=np.full(len(rows), -1, np.int64),
            host_keys=np.zeros(0, np.uint64),
            host_windows=np.zeros(0, np.int64),
            host_vectors=np.zeros((0, self.settings.embedding_width), np.float32),
            graph=None,
        )

    def _lone_vectors(self, numbers: Floats, protocol: npt.NDArray[np.int32]) -> Floats:
        """Zeros for flows of which no number is known."""
        vectors = torch.empty((len(numbers), self.settings.embedding_width))
        self._inference.embedded(lone_tensors(numbers, protocol), Remembered(self.settings), vectors)
        known = (~np.isnan(numbers)).any(axis=1, keepdims=True)
        found: Floats = vectors.numpy() * np.asarray(known, np.float32)
        return found

    def _embedded(self, graph: Graph) -> Iterator[Embedded]:
        """The graph's flows, then those that were left out of it."""
        numbers, protocol = self._of(graph.rows)
        tensors = graph_tensors(graph, numbers, protocol)
        self.last_read = (tensors, self._remembered.memory(tensors))
        with torch.inference_mode():
            seen = self._vectors.room(graph.context_flows, graph.flows)
            vectors = seen[graph.context_flows :]
            host_vectors = self._inference.embedded(tensors, self._remembered, vectors)
        surprise = np.full((graph.flows, len(PARTS)), np.nan, np.float32)
        if self.with_surprise:
            surprise[:] = self.pupil.usual.surprise(tensors)
        yield Embedded(
            rows=graph.rows,
            vectors=vectors.numpy().copy(),
            is_stand_in=np.zeros(graph.flows, np.bool_),
            surprise=surprise,
            windows=graph.flow_windows[graph.context_flows :],
            host_keys=graph.host_keys[graph.context_hosts :],
            host_windows=graph.host_windows[graph.context_hosts :],
            host_vectors=host_vectors.numpy(),
            graph=graph,
        )
        for places in _pieces(np.arange(len(graph.left_out))):
            rows, stand_in = graph.left_out[places], graph.stand_in[places]
            substitutes = seen.numpy()[np.maximum(stand_in, 0)] if len(seen) else np.zeros((len(rows), seen.shape[1]))
            if (stand_in < 0).any():
                substitutes[stand_in < 0] = self._lone_vectors(*self._of(rows[stand_in < 0]))
            yield self._outside(rows, substitutes.astype(np.float32, copy=False), is_stand_in=True)

    def _of(self, rows: npt.NDArray[np.int64]) -> tuple[Floats, npt.NDArray[np.int32]]:
        """Numbers and protocol of flows that were held back."""
        if len(self._held) == 1:
            first, numbers, protocol = self._held[0]
            return numbers[rows - first], protocol[rows - first]
        width = self._held[0][1].shape[1]
        numbers, protocol = np.empty((len(rows), width), np.float32), np.empty(len(rows), np.int32)
        for first, held, classes in self._held:
            here = (rows >= first) & (rows < first + len(held))
            numbers[here], protocol[here] = held[rows[here] - first], classes[rows[here] - first]
        return numbers, protocol


def _pieces(rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for begin in range(0, len(rows), EMBEDDING_FLOWS):
        yield rows[begin : begin + EMBEDDING_FLOWS]
