"""`GraphEncoder`: the graph network behind the `Encoder` promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from itertools import chain, islice
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch

from ...errors import ModelError
from ...features.batch import FeatureBatch
from ...features.graphs.ends import refuse_constant
from ...features.graphs.settings import GraphSettings
from ...features.graphs.stream import GraphStream
from ...features.scaling import Scaling
from ...features.settings import FeatureSettings
from ...settings import settings_from, settings_values
from ..encoder import Floats, LinearHead, State, Unit
from ..kept_state import arrays_of, reading_state, weights_of
from ..settings import FineTuningSettings, TrainingSettings
from ..training import CheckpointPlace, Progress, TrainingReport, device_of, train
from ..unfilled import unfilled
from .inputs import GraphTensors, graph_tensors, lone_tensors, network_numbers
from .link_evaluation import judge_links
from .losses import Pupil
from .network import initialise
from .settings import GraphEncoderSettings
from .streaming import EMBEDDING_FLOWS, GraphEmbedder
from .tuning import NOT_SHOWN, fine_tune, stretches_of

FORMAT = 2
FLOWS_FOR_USUAL = 65_536
DEFAULTS = GraphEncoderSettings()
TRAINING = TrainingSettings(epochs=20, learning_rate=1e-3)
FINE_TUNING = FineTuningSettings()


class GraphEncoder:
    """Gives each flow and each host of a window a vector that its neighbours in time and space have a part in.

    A flow whose ends or times are not known stands alone and is embedded by its own numbers.
    """

    unit: ClassVar[Unit] = "flow"
    features: ClassVar[FeatureSettings] = FeatureSettings(graph=True, series=False, entities=False)

    def __init__(self, settings: GraphEncoderSettings = DEFAULTS) -> None:
        self.settings = settings
        self.scaling: Scaling | None = None
        self.pupil: Pupil | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        return ("quantities", "graph.ends")

    @property
    def width(self) -> int:
        return self.settings.embedding_width

    def prepare(self, batches: Sequence[FeatureBatch], rng: np.random.Generator) -> None:
        """Learn scales and what is usual, and make fresh weights, without training: the randomly initialised encoder of
        honest studies.
        """
        self.scaling = _scaling_of(batches)
        self.pupil = self._empty_pupil()
        initialise(self.pupil, torch.Generator().manual_seed(int(rng.integers(2**62))))
        self.pupil.eval()
        self._learn_usual([_joined(batches)])

    def accustomed(self, flows: FeatureBatch) -> Self:
        """A copy in another network: scales and what is usual are taken from these flows, and the weights stay."""
        made = type(self).from_state(*self.state())
        found = _scaling_of([flows])
        width = 0 if self.scaling is None else len(self.scaling.medians)
        if found is not None and width and not found.spreads.any():
            raise ModelError(
                "models: none of these flows has a counter, so nothing says what its numbers are like here",
                hint="give flows with packets, bytes or times between packets; `flowlore inspect` shows what they have",
            )
        if flows.has("graph").any():
            refuse_constant(flows.channels["graph.ends"][flows.has("graph")])
        if found is None or len(found.medians) != width:
            raise ModelError(
                f"models: the graph network knows {width} numbers of a flow, and these flows have other ones",
                hint="give flows with counters, read with the features of the bundle",
            )
        made.scaling = found
        made._learn_usual([flows])
        return made

    def fit(
        self,
        batches: Sequence[FeatureBatch],
        rng: np.random.Generator,
        *,
        validation: Sequence[FeatureBatch] = (),
        training: TrainingSettings = TRAINING,
        place: CheckpointPlace | None = None,
        progress: Callable[[Progress], None] | None = None,
        apart: bool = False,
    ) -> TrainingReport:
        """Learn from unlabelled flows. A row of training is a stretch of windows of `training_flows` flows; a step
        takes as many as hold `batch_rows` flows, one at least.

        Where the batches are networks `apart`, each is brought to its own scale and teaches as much as any other.
        """
        if apart and self.settings.own_past:
            raise ModelError(
                "models: networks apart have no common past, which `own_past` learns from",
                hint="leave `graph.own_past` out, or train on the flows of one network",
            )
        flows = _joined(batches)
        if not (flows.has("quantities") | flows.has("graph")).any():
            raise ModelError(
                "models: no flow has anything that the graph network can learn from",
                hint="give flows with counters, and with addresses or pseudonyms",
            )
        if flows.has("graph").any():
            refuse_constant(flows.channels["graph.ends"][flows.has("graph")], of_one_pair=True)
        self.prepare(batches, rng)
        pupil = self.made()
        networks = batches if apart else [flows]
        if apart:
            self._learn_usual(networks)
        rows = _in_equal_parts([self._rows_of(network, own_scale=apart) for network in networks], rng)
        held_out = [graph for batch in validation for graph in self._rows_of(batch, own_scale=apart)]
        pupil.settings = _teachable(self.settings, rows)
        device = device_of(training)
        training = replace(training, batch_rows=max(1, training.batch_rows // self.settings.training_flows))
        pupil.to(device)

        def loss(chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            return torch.stack([pupil.loss(rows[row].to(device), generator) for row in chosen.tolist()]).mean()

        def validate() -> float:
            losses = [
                (float(pupil.loss(row.to(device), torch.Generator(device).manual_seed(number))), row.flows)
                for number, row in enumerate(held_out)
            ]
            return sum(value * size for value, size in losses) / sum(size for _, size in losses)

        report = train(
            pupil,
            loss,
            len(rows),
            training,
            rng,
            validate=validate if held_out else None,
            place=place,
            progress=progress,
        )
        pupil.to("cpu").eval()
        return report

    def fine_tuned_among(
        self,
        flows: FeatureBatch,
        codes: npt.NDArray[np.int64],
        learn: npt.NDArray[np.int64],
        held: npt.NDArray[np.int64],
        head: LinearHead,
        rng: np.random.Generator,
        *,
        training: FineTuningSettings = FINE_TUNING,
        progress: Callable[[Progress], None] | None = None,
    ) -> tuple[Self, LinearHead, TrainingReport]:
        """A copy of the encoder that followed the `codes` of the flows at `learn` from `head` on, and its head.

        All flows are neighbours; those at `held` say when to stop, and the codes of others are not looked at.
        """
        tuned = type(self).from_state(*self.state())
        shown = np.full(len(flows), NOT_SHOWN, np.int64)
        shown[learn], shown[held] = codes[learn], codes[held]
        pieces = list(tuned._stretches(flows))
        teaching = stretches_of(pieces, learn, shown)
        report, tuned_head = fine_tune(
            tuned.made().network,
            teaching,
            stretches_of(pieces, held, shown),
            head,
            rng,
            settings=training,
            progress=progress,
        )
        return tuned, tuned_head, report

    def embed(self, batch: FeatureBatch) -> Floats:
        """One vector a flow, as the window in which it ended knew it; a flow of which nothing is known is zeros."""
        out = np.zeros((len(batch), self.width), np.float32)
        embedder = self.embedder()
        for part in (*embedder.add(batch), *embedder.finish()):
            out[part.rows] = part.vectors
        return out

    def embedder(self, *, with_surprise: bool = False, patient: bool = False) -> GraphEmbedder:
        """Embeds a stream of batches window by window, in bounded memory, and gives hosts their vectors too.

        `with_surprise` also says how unusual each flow is. When `patient`, windows stay open while few flows wait:
        for files, where nobody waits for the first answers.
        """
        return GraphEmbedder(self.made(), self.settings, self.scaling, with_surprise=with_surprise, patient=patient)

    def waiting(self, windows: GraphSettings) -> Self:
        """The same, which waits for late flows as these windows say."""
        made = copy(self)
        made.settings = replace(
            self.settings,
            windows=replace(self.settings.windows, wait_s=windows.wait_s, most_waiting=windows.most_waiting),
        )
        return made

    def surprise(self, batch: FeatureBatch) -> npt.NDArray[np.float64]:
        """How little each flow was expected, without any label: 1 is as one in ten flows of training, 2 as one in a
        hundred. NaN for a flow that is in no graph.
        """
        found = np.full(len(batch), np.nan)
        embedder = self.embedder(with_surprise=True)
        for part in (*embedder.add(batch), *embedder.finish()):
            found[part.rows] = part.surprise[:, 0]
        return found

    def judge_links(
        self, flows: FeatureBatch, rng: np.random.Generator, *, history: FeatureBatch | None = None
    ) -> dict[str, dict[str, dict[str, float]]]:
        """How well it tells where flows arrive, by kind of wrong answer, beside EdgeBank, recency and popularity."""
        return judge_links(self.made(), self.embedder(), flows, rng, history=history)

    def parameters(self) -> dict[str, int]:
        """Numbers in the encoder, and in encoder and decoders together."""
        pupil = self.made()
        parts = (pupil.network.flow_in, pupil.network.host_in, pupil.network.layers)
        return {
            "encoder": sum(weight.numel() for part in parts for weight in part.parameters()),
            "all": sum(weight.numel() for weight in pupil.parameters()),
        }

    def state(self) -> State:
        arrays = arrays_of(self.made())
        return arrays, {
            "format": FORMAT,
            "settings": settings_values(self.settings),
            "scaling": None if self.scaling is None else self.scaling.state(),
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> Self:
        with reading_state("graph network", values, FORMAT):
            encoder = cls(settings_from(GraphEncoderSettings, values["settings"]))
            encoder.scaling = None if values["scaling"] is None else Scaling.from_state(values["scaling"])
            encoder.pupil = encoder._empty_pupil()
            encoder.pupil.load_state_dict(weights_of(arrays))
        encoder.pupil.eval()
        return encoder

    def made(self) -> Pupil:
        if self.pupil is None:
            raise ModelError("models: this graph network was not trained yet", hint="`fit` it first")
        return self.pupil

    def _rows_of(self, network: FeatureBatch, *, own_scale: bool) -> list[GraphTensors]:
        if not own_scale:
            return [graph for _, graph in self._stretches(network)]
        scale = self.scaling
        try:
            self.scaling = _scaling_of([network]) or scale
            return [graph for _, graph in self._stretches(network)]
        finally:
            self.scaling = scale

    def _learn_usual(self, networks: Sequence[FeatureBatch]) -> None:
        """From at most about `FLOWS_FOR_USUAL` flows, in whole windows that know those before."""
        every = max(1, -(-sum(map(len, networks)) // FLOWS_FOR_USUAL))
        looked_at: list[GraphTensors] = []
        for flows in networks:
            numbers, protocol = network_numbers(flows, self.scaling)
            stream = GraphStream(self.settings.windows, stretch_flows=EMBEDDING_FLOWS)
            graphs = (graph for graph in chain(stream.add(flows), stream.finish()) if graph.flows)
            looked_at += [
                graph_tensors(one, numbers[one.rows], protocol[one.rows]) for one in islice(graphs, 0, None, every)
            ]
        self.made().learn_usual(looked_at)

    def _stretches(self, flows: FeatureBatch) -> Iterator[tuple[npt.NDArray[np.int64], GraphTensors]]:
        """Rows of flows and their graph, of some windows in a row that know nothing of those before."""
        numbers, protocol = network_numbers(flows, self.scaling)
        belongs = flows.channels.get("context", np.zeros(len(flows), np.int64))
        stream = GraphStream(self.settings.windows, stretch_flows=self.settings.training_flows, remembers=False)
        for graph in (*stream.add(flows), *stream.finish()):
            rows = graph.rows
            yield rows, graph_tensors(graph, numbers[rows], protocol[rows], belongs[rows])
        alone = np.flatnonzero(flows.has("quantities") & ~flows.has("graph"))
        for first in range(0, len(alone), self.settings.training_flows):
            rows = alone[first : first + self.settings.training_flows]
            yield rows, lone_tensors(numbers[rows], protocol[rows])

    def _empty_pupil(self) -> Pupil:
        numbers = 0 if self.scaling is None else len(self.scaling.medians)
        with unfilled():
            pupil = Pupil(self.settings, numbers)
        return pupil.to_empty(device="cpu")


def _teachable(settings: GraphEncoderSettings, rows: Sequence[GraphTensors]) -> GraphEncoderSettings:
    """Of a network's own past hidden edges and numbers teach too. Masked numbers also teach where nothing else does:
    nothing says which flows are of one service.
    """
    if settings.own_past:
        links, numbers = settings.link_weight or 1.0, settings.mask_weight or 1.0
        return replace(settings, link_weight=links, mask_weight=numbers)
    weights = ("link_weight", "mask_weight", "contrast_weight", "company_weight")
    if not any(getattr(settings, name) for name in weights):
        raise ModelError(
            "graph: nothing teaches, as every weight in the loss is 0",
            hint=f"set one of {', '.join(f'`graph.{name}`' for name in weights)} above 0",
        )
    others = settings.link_weight or settings.mask_weight
    knows_services = any(bool(row.belongs.any()) for row in rows)
    return settings if others or knows_services else replace(settings, mask_weight=1.0)


def _joined(batches: Sequence[FeatureBatch]) -> FeatureBatch:
    return FeatureBatch.concat(batches) if batches else FeatureBatch(length=0, channels={}, present={})


def _scaling_of(batches: Sequence[FeatureBatch]) -> Scaling | None:
    numbers = [batch.channels["quantities"] for batch in batches if "quantities" in batch.channels]
    return Scaling.fit(np.concatenate(numbers)) if numbers else None


def _in_equal_parts(networks: Sequence[list[GraphTensors]], rng: np.random.Generator) -> list[GraphTensors]:
    """As many rows of each network: those of small ones are taken again, and of large ones some are left out."""
    known = [rows for rows in networks if rows]
    if len(known) < 2:
        return [row for rows in known for row in rows]
    share = -(-sum(map(len, known)) // len(known))
    return [rows[place % len(rows)] for rows in known for place in rng.permutation(max(share, len(rows)))[:share]]
