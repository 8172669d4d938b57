"""`AutoencoderEncoder`: the multi-modal autoencoder behind the `Encoder` promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch

from ...errors import ModelError
from ...features.batch import FeatureBatch
from ...features.scaling import Scaling
from ...features.words import WORDS
from ...settings import settings_from, settings_values
from ..encoder import Floats, LinearHead, State, Unit
from ..kept_state import arrays_of, reading_state, weights_of
from ..settings import FineTuningSettings, TrainingSettings
from ..training import CheckpointPlace, Progress, TrainingReport, device_of, train
from ..unfilled import unfilled
from .contexts import Contexts
from .inputs import network_inputs
from .losses import contrast_loss, hide, reconstruction_loss
from .network import Inputs, Network, fill_buffers, initialise
from .settings import WIDTHS, AutoencoderSettings
from .tuning import fine_tune

FORMAT = 2
GROWN_FORMAT = 3  # with attention, which earlier builds cannot read
ROWS_AT_ONCE = 2048
MOST_ROWS_TO_PLACE = 20_000
FEWEST_SERIES = 0.5  # of the flows that teach: of fewer there is nothing for attention to look at
FAINTEST = 0.1  # of the mean variance: what is added to each, so that noise is not made loud
DEFAULTS = AutoencoderSettings()
TRAINING = TrainingSettings()
FINE_TUNING = FineTuningSettings()


class AutoencoderEncoder:
    """Squeezes whatever modalities a flow has into one vector, from which each modality is told again."""

    unit: ClassVar[Unit] = "flow"

    def __init__(self, settings: AutoencoderSettings = DEFAULTS) -> None:
        self.settings = settings
        self.scaling: Scaling | None = None
        self.payload_bytes = 0
        self.network: Network | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        return ("quantities", *(f"series.{name}" for name in WORDS), "payload", "entities")

    @property
    def width(self) -> int:
        grown = None if self.network is None else self.network.attention
        return self.settings.width + (0 if grown is None else grown.width)

    def prepare(self, batches: Sequence[FeatureBatch], rng: np.random.Generator) -> None:
        """Learn scales and make fresh weights, without training: the randomly initialised encoder of honest studies."""
        numbers = [batch.channels["quantities"] for batch in batches if "quantities" in batch.channels]
        self.scaling = Scaling.fit(np.concatenate(numbers)) if numbers else None
        self.payload_bytes = max(
            (batch.channels["payload.fwd"].shape[1] for batch in batches if "payload.fwd" in batch.channels), default=0
        )
        self.network = self._empty_network()
        initialise(self.network, torch.Generator().manual_seed(int(rng.integers(2**62))))
        self.network.eval()

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
        """Learn from unlabelled flows. Flows that have no modality are passed over."""
        flows = _with_something(batches)
        if not len(flows):
            raise ModelError(
                "models: no flow has anything that the autoencoder can learn from",
                hint="switch on modalities in the features' settings, or give other flows",
            )
        self.prepare([flows], rng)
        network = self._made()
        everything = self._inputs(flows)
        contexts = Contexts(flows.channels.get("context"), len(flows))
        device = device_of(training)
        network.to(device)

        def loss_of(inputs: Inputs, partners: Inputs, keys: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            return self._loss(network, inputs, partners, keys.to(device), generator)

        def loss(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            partners = contexts.partners(rows, generator)
            return loss_of(
                _rows(everything, rows, device), _rows(everything, partners, device), contexts.keys[rows], generator
            )

        validate = None
        held_out = _with_something(validation) if validation else flows.take([])
        if len(held_out):
            kept, kept_contexts = self._inputs(held_out), Contexts(held_out.channels.get("context"), len(held_out))

            def validate() -> float:
                losses = []
                for first in range(0, len(held_out), training.batch_rows):
                    rows = torch.arange(first, min(first + training.batch_rows, len(held_out)))
                    generator = torch.Generator(device).manual_seed(first)
                    partners = kept_contexts.partners(rows, generator)
                    value = loss_of(
                        _rows(kept, rows, device), _rows(kept, partners, device), kept_contexts.keys[rows], generator
                    )
                    losses.append((float(value), len(rows)))
                return sum(value * rows for value, rows in losses) / sum(rows for _, rows in losses)

        report = train(network, loss, len(flows), training, rng, validate=validate, place=place, progress=progress)
        network.to("cpu").eval()
        self._place(
            flows.rows(0, MOST_ROWS_TO_PLACE)
            if len(flows) <= MOST_ROWS_TO_PLACE
            else flows.take(rng.permutation(len(flows))[:MOST_ROWS_TO_PLACE])
        )
        return report

    def _loss(
        self, network: Network, inputs: Inputs, partners: Inputs, keys: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        settings = self.settings
        first = network.encode(hide(inputs, settings, generator))
        total = first.sum() * 0.0
        if settings.reconstruction:
            total = total + settings.reconstruction * reconstruction_loss(network, first, inputs, generator)
        if settings.contrast:
            second = network.encode(hide(partners, settings, generator))
            states = torch.cat([first, second])
            total = total + settings.contrast * contrast_loss(network, states, keys, settings.temperature)
        return total

    def _place(self, flows: FeatureBatch) -> None:
        """Bring the directions of the training flows' states to one scale, the weakest of them not to the full."""
        network = self._made()
        with torch.inference_mode():
            states = (
                torch.cat(
                    [
                        network.encode(self._inputs(flows.rows(first, first + ROWS_AT_ONCE)))
                        for first in range(0, len(flows), ROWS_AT_ONCE)
                    ]
                )
                .double()
                .numpy()
            )
        centred = states - states.mean(axis=0)
        values, turns = np.linalg.eigh(centred.T @ centred / max(len(states) - 1, 1))
        floor = FAINTEST * max(float(values.mean()), 1e-12)
        scale = (np.maximum(values, 0) + floor) ** -0.5
        with torch.no_grad():
            network.placing_middle.copy_(torch.from_numpy(states.mean(axis=0)))
            network.placing_turn.copy_(torch.from_numpy(turns * scale @ turns.T))

    def fine_tuned(
        self,
        batch: FeatureBatch,
        codes: npt.NDArray[np.int64],
        head: LinearHead,
        rng: np.random.Generator,
        *,
        validation: FeatureBatch,
        validation_codes: npt.NDArray[np.int64],
        training: FineTuningSettings = FINE_TUNING,
        progress: Callable[[Progress], None] | None = None,
    ) -> tuple[Self, LinearHead, TrainingReport]:
        """A copy of the encoder that followed labels from `head` on, and its head; the best round's weights.

        Where labels of flows with packets are many it grows attention. The numbers that it gave before stay as they
        are then, what attention gathers stands behind them, and the head looks at that alone.
        """
        tuned = type(self).from_state(*self.state())
        network = tuned._made()
        wanted = training.attention
        may_grow = network.attention is None and wanted.layers > 0 and len(codes) >= wanted.least_flows
        if may_grow and batch.has("series").mean() >= FEWEST_SERIES:
            network.grow(wanted.layers).fill(torch.Generator().manual_seed(int(rng.integers(2**62))))
        report, tuned_head = fine_tune(
            network,
            self._inputs(batch),
            codes,
            head,
            rng,
            validation=self._inputs(validation),
            validation_codes=validation_codes,
            settings=training,
            progress=progress,
        )
        return tuned, tuned_head, report

    def embed(self, batch: FeatureBatch) -> Floats:
        """One vector a flow; a flow that has no modality that the model knows is all zeros."""
        network = self._made()
        out = np.zeros((len(batch), self.width), np.float32)
        with torch.inference_mode():
            for first in range(0, len(batch), ROWS_AT_ONCE):
                part = batch.rows(first, first + ROWS_AT_ONCE)
                out[first : first + len(part)] = network.embed(self._inputs(part)).numpy()
        return out

    def parameters(self) -> dict[str, int]:
        """Numbers in the encoder's layers, in its tables of words and tokens, and in encoder and decoders together."""
        network = self._made()
        layers, tables = network.encoder_parameters()
        return {"layers": layers, "tables": tables, "all": sum(weight.numel() for weight in network.parameters())}

    def state(self) -> State:
        network = self._made()
        arrays = arrays_of(network)
        values: dict[str, Any] = {
            "format": FORMAT,
            "settings": settings_values(self.settings),
            "payload_bytes": self.payload_bytes,
            "scaling": None if self.scaling is None else self.scaling.state(),
        }
        if network.attention is not None:
            values |= {"format": GROWN_FORMAT, "attention_layers": len(network.attention.blocks)}
        return arrays, values

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> Self:
        with reading_state("autoencoder", values, FORMAT, GROWN_FORMAT):
            encoder = cls(settings_from(AutoencoderSettings, values["settings"]))
            encoder.scaling = None if values["scaling"] is None else Scaling.from_state(values["scaling"])
            encoder.payload_bytes = int(values["payload_bytes"])
            encoder.network = encoder._empty_network(int(values.get("attention_layers", 0)))
            encoder.network.load_state_dict(weights_of(arrays))
        encoder.network.eval()
        return encoder

    def _inputs(self, batch: FeatureBatch) -> Inputs:
        return network_inputs(batch, self._made().modalities, self.scaling, self.settings.packets, self.payload_bytes)

    def _made(self) -> Network:
        if self.network is None:
            raise ModelError("models: this autoencoder was not trained yet", hint="`fit` it first")
        return self.network

    def _empty_network(self, attention_layers: int = 0) -> Network:
        quantities = 0 if self.scaling is None else len(self.scaling.medians)
        with unfilled():
            network = Network(self.settings, WIDTHS[self.settings.size], quantities, self.payload_bytes)
            if attention_layers:
                network.grow(attention_layers)
        network = network.to_empty(device="cpu")
        fill_buffers(network)
        return network


def _rows(inputs: Inputs, rows: torch.Tensor, device: str) -> Inputs:
    return {name: tensor[rows].to(device) for name, tensor in inputs.items()}


def _with_something(batches: Sequence[FeatureBatch]) -> FeatureBatch:
    flows = FeatureBatch.concat(batches) if batches else FeatureBatch(length=0, channels={}, present={})
    has = np.zeros(len(flows), np.bool_)
    for known in flows.present.values():
        has |= known
    return flows if has.all() else flows.take(has)
