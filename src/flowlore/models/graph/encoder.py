"""`GraphEncoder`: the graph network behind the `Encoder` promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch

from ...errors import ModelError
from ...features.batch import FeatureBatch
from ...features.graphs.stream import GraphStream
from ...features.scaling import Scaling
from ...features.settings import FeatureSettings
from ...settings import settings_from, settings_values
from ..encoder import Floats, LinearHead, State, Unit
from ..settings import FineTuningSettings, TrainingSettings
from ..training import CheckpointPlace, Progress, TrainingReport, train
from .inputs import GraphTensors, graph_tensors, lone_tensors, network_numbers
from .link_evaluation import judge_links
from .losses import Pupil
from .network import initialise
from .settings import GraphEncoderSettings
from .streaming import GraphEmbedder
from .surprise import levels_of, surprise_parts
from .tuning import NOT_SHOWN, fine_tune, stretches_of

FORMAT = 1
FLOWS_FOR_SURPRISE = 20_000
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
        """Learn scales and make fresh weights, without training: the randomly initialised encoder of honest studies."""
        numbers = [batch.channels["quantities"] for batch in batches if "quantities" in batch.channels]
        self.scaling = Scaling.fit(np.concatenate(numbers)) if numbers else None
        self.pupil = self._empty_pupil()
        initialise(self.pupil, torch.Generator().manual_seed(int(rng.integers(2**62))))
        self.pupil.eval()

    def fit(
        self,
        batches: Sequence[FeatureBatch],
        rng: np.random.Generator,
        *,
        validation: Sequence[FeatureBatch] = (),
        training: TrainingSettings = TRAINING,
        place: CheckpointPlace | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> TrainingReport:
        """Learn from unlabelled flows. A row of training is a stretch of windows of `training_flows` flows; a step
        takes as many as hold `batch_rows` flows, one at least.
        """
        flows = FeatureBatch.concat(batches) if batches else FeatureBatch(length=0, channels={}, present={})
        if not (flows.has("quantities") | flows.has("graph")).any():
            raise ModelError(
                "models: no flow has anything that the graph network can learn from",
                hint="give flows with counters, and with addresses or pseudonyms",
            )
        _refuse_one_host(flows)
        self.prepare([flows], rng)
        pupil = self.made()
        rows = [graph for _, graph in self._stretches(flows)]
        held_out = [graph for batch in validation for _, graph in self._stretches(batch)]
        device = training.device
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
        self._learn_surprise(held_out or rows)
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
        tuned._learn_surprise([one.graph for one in teaching])
        return tuned, tuned_head, report

    def embed(self, batch: FeatureBatch) -> Floats:
        """One vector a flow, as the window in which it ended knew it; a flow of which nothing is known is zeros."""
        out = np.zeros((len(batch), self.width), np.float32)
        embedder = self.embedder()
        for part in (*embedder.add(batch), *embedder.finish()):
            out[part.rows] = part.vectors
        return out

    def embedder(self, *, with_surprise: bool = False) -> GraphEmbedder:
        """Embeds a stream of batches window by window, in bounded memory, and gives hosts their vectors too.

        `with_surprise` asks about every flow, which takes five times as long.
        """
        return GraphEmbedder(self.made(), self.settings, self.scaling, with_surprise=with_surprise)

    def surprise(self, batch: FeatureBatch) -> npt.NDArray[np.float64]:
        """How little each flow was expected, without any label: 1 is as one in ten flows of training, 2 as one in a
        hundred. NaN for a flow that is in no graph.
        """
        found = np.full(len(batch), np.nan)
        embedder = self.embedder(with_surprise=True)
        for part in (*embedder.add(batch), *embedder.finish()):
            found[part.rows] = part.surprise.mean(axis=1)
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
        arrays = {name: weight.detach().numpy().copy() for name, weight in self.made().state_dict().items()}
        return arrays, {
            "format": FORMAT,
            "settings": settings_values(self.settings),
            "scaling": None if self.scaling is None else self.scaling.state(),
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> Self:
        if values.get("format") != FORMAT:
            raise ModelError(
                f"models: this graph network was written in format {values.get('format')}, this build reads {FORMAT}",
                hint="train it again, or use the version of flowlore that wrote it",
            )
        try:
            encoder = cls(settings_from(GraphEncoderSettings, values["settings"]))
            encoder.scaling = None if values["scaling"] is None else Scaling.from_state(values["scaling"])
            encoder.pupil = encoder._empty_pupil()
            encoder.pupil.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            raise ModelError(
                f"models: the state of this graph network is damaged: {str(error).partition(chr(10))[0]}",
                hint="take the bundle from where it came from again, or train anew",
            ) from error
        encoder.pupil.eval()
        return encoder

    def made(self) -> Pupil:
        if self.pupil is None:
            raise ModelError("models: this graph network was not trained yet", hint="`fit` it first")
        return self.pupil

    def _learn_surprise(self, rows: Sequence[GraphTensors]) -> None:
        """How much the flows of training, or those held out of it, surprise: the scale for all others."""
        pupil, parts, seen = self.made(), [], 0
        for row in rows:
            if seen < FLOWS_FOR_SURPRISE and len(row.hosts):
                parts.append(surprise_parts(pupil, row))
                seen += row.flows
        if parts:
            pupil.levels.copy_(levels_of(np.concatenate(parts)))

    def _stretches(self, flows: FeatureBatch) -> Iterator[tuple[npt.NDArray[np.int64], GraphTensors]]:
        """Rows of flows and their graph, of some windows in a row that know nothing of those before."""
        numbers, protocol = network_numbers(flows, self.scaling)
        stream = GraphStream(self.settings.windows, stretch_flows=self.settings.training_flows, remembers=False)
        for graph in (*stream.add(flows), *stream.finish()):
            yield graph.rows, graph_tensors(graph, numbers[graph.rows], protocol[graph.rows])
        alone = np.flatnonzero(flows.has("quantities") & ~flows.has("graph"))
        for first in range(0, len(alone), self.settings.training_flows):
            rows = alone[first : first + self.settings.training_flows]
            yield rows, lone_tensors(numbers[rows], protocol[rows])

    def _empty_pupil(self) -> Pupil:
        numbers = 0 if self.scaling is None else len(self.scaling.medians)
        with torch.device("meta"):
            pupil = Pupil(self.settings, numbers)
        return pupil.to_empty(device="cpu")


def _refuse_one_host(flows: FeatureBatch) -> None:
    """A column that is the same in every row is no address."""
    placed = flows.has("graph")
    if int(placed.sum()) > 1 and len(np.unique(flows.channels["graph.ends"][placed])) == 1:
        raise ModelError(
            f"models: all {int(placed.sum()):,} flows have the same host at both ends, so there is no graph",
            hint="addresses or pseudonyms must tell hosts apart; a constant does not",
        )
