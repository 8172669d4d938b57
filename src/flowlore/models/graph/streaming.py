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

from ...features.batch import FeatureBatch
from ...features.graphs.graph import Graph
from ...features.graphs.stream import GraphStream
from ...features.scaling import Scaling
from ..encoder import Floats
from .inference import Inference, KeptRows
from .inputs import GraphTensors, graph_tensors, lone_tensors, network_numbers
from .losses import Pupil
from .network import Memory
from .settings import GraphEncoderSettings
from .surprise import PARTS, Parts

EMBEDDING_FLOWS = 8192  # flows of a stretch: states of that many stay in the processor's cache


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
    graph: Graph | None  # None for flows that stand alone


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
        self._lone_inference = Inference(pupil.network)
        self._held: list[tuple[int, Floats, npt.NDArray[np.int32]]] = []  # first row, numbers, protocol
        self._vectors = KeptRows(settings.embedding_width)

    @property
    def counts(self) -> Counter[str]:
        """What came in and where it went; see `GraphStream`."""
        return self.stream.counts

    def add(self, flows: FeatureBatch) -> Iterator[Embedded]:
        """Take flows; gives vectors of those whose windows have closed, and of those that stand alone."""
        first = self.stream.counts["flows"]
        numbers, protocol = network_numbers(flows, self.scaling)
        alone = np.flatnonzero(~flows.has("graph"))
        for begin in range(0, len(alone), EMBEDDING_FLOWS):
            rows = alone[begin : begin + EMBEDDING_FLOWS]
            yield self._alone(first + rows, numbers[rows], protocol[rows])
        self._held.append((first, numbers, protocol))
        for graph in self.stream.add(flows):
            yield self._embedded(graph)
        needed_from = self.stream.waiting_from()
        self._held = [piece for piece in self._held if piece[0] + len(piece[1]) > needed_from]

    def finish(self) -> Iterator[Embedded]:
        """Vectors of the windows that are still open."""
        for graph in self.stream.finish():
            yield self._embedded(graph)
        self._held = []

    def _alone(self, rows: npt.NDArray[np.int64], numbers: Floats, protocol: npt.NDArray[np.int32]) -> Embedded:
        return Embedded(
            rows=rows,
            vectors=self._lone_vectors(numbers, protocol),
            is_stand_in=np.zeros(len(rows), np.bool_),
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
        self._lone_inference.embedded(lone_tensors(numbers, protocol), vectors)
        self._lone_inference.forget()
        known = (~np.isnan(numbers)).any(axis=1, keepdims=True)
        found: Floats = vectors.numpy() * np.asarray(known, np.float32)
        return found

    def _embedded(self, graph: Graph) -> Embedded:
        numbers, protocol = self._of(graph.rows)
        tensors = graph_tensors(graph, numbers, protocol)
        self.last_read = (tensors, self._inference.memory(tensors))
        found = self._vectors.room(graph.context_flows, graph.flows)
        vectors = found[graph.context_flows :]
        host_vectors = self._inference.embedded(tensors, vectors)
        surprise = np.full((graph.flows + len(graph.left_out), len(PARTS)), np.nan, np.float32)
        if self.with_surprise:
            surprise[: graph.flows] = self.pupil.usual.surprise(tensors)
        has_one = graph.stand_in >= 0
        substitutes = np.zeros((len(graph.left_out), self.settings.embedding_width), np.float32)
        substitutes[has_one] = found.numpy()[graph.stand_in[has_one]]
        if not has_one.all():
            substitutes[~has_one] = self._lone_vectors(*self._of(graph.left_out[~has_one]))
        new_windows = graph.flow_windows[graph.context_flows :]
        all_windows = np.concatenate([new_windows, np.full(len(graph.left_out), -1, np.int64)])
        return Embedded(
            rows=np.concatenate([graph.rows, graph.left_out]),
            vectors=np.concatenate([vectors.numpy(), substitutes]),
            is_stand_in=np.arange(len(all_windows)) >= graph.flows,
            surprise=surprise,
            windows=all_windows,
            host_keys=graph.host_keys[graph.context_hosts :],
            host_windows=graph.host_windows[graph.context_hosts :],
            host_vectors=host_vectors.numpy(),
            graph=graph,
        )

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
