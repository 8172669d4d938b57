"""`FlowMatchingGenerator`: noise is carried to packets along straight lines, all packets of a flow at once.

The network tells, from a point on the way, what bits are at its end (variational flow matching): a chance for each
bit, a number for the gap. What is expected at the end gives the direction to go on.

Shape letters: B flows, T packets, C channels, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ModelError
from ...features.augment.packets import PacketSeries, concat_series, empty_series
from ...settings import settings_from, settings_values
from ..settings import TrainingSettings
from ..training import CheckpointPlace, Progress, TrainingReport, train
from .attention import Block
from .generator import Codes, State
from .packet_bits import BITS, CHANNELS, bits_of, series_of_bits
from .packet_words import large_sizes
from .settings import FlowMatchingSettings

FORMAT = 1
ROWS_AT_ONCE = 2048
DEFAULTS = FlowMatchingSettings()
TRAINING = TrainingSettings(epochs=60, batch_rows=128, learning_rate=2e-3, weight_decay=0.01)
WAVES = 32
LATEST = 0.999


class Network(nn.Module):
    """From a point on the way, its time and a class: logits of bits and the gap at the end, `[B, T, C]`."""

    def __init__(self, settings: FlowMatchingSettings, classes: int) -> None:
        super().__init__()
        wide = settings.width
        self.into = nn.Linear(CHANNELS, wide)
        self.classes = nn.Embedding(classes, wide)
        self.places = nn.Embedding(settings.packets, wide)
        self.time = nn.Sequential(nn.Linear(2 * WAVES, wide), nn.GELU(), nn.Linear(wide, wide))
        self.blocks = nn.ModuleList(Block(wide, settings.heads, causal=False) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(wide)
        self.out = nn.Linear(wide, CHANNELS)

    def forward(self, points_BTC: Tensor, time_B: Tensor, codes_B: Tensor) -> Tensor:
        waves = time_B[:, None] * torch.logspace(0, 3, WAVES, base=2, device=time_B.device) * torch.pi
        told = self.classes(codes_B) + self.time(torch.cat([waves.sin(), waves.cos()], 1))
        states = self.into(points_BTC) + self.places.weight + told[:, None]
        for block in self.blocks:
            states = block(states)[0]
        answers: Tensor = self.out(self.norm(states))
        return answers


class FlowMatchingGenerator:
    """Learns where straight lines from noise to packets lead; makes flows up by following them."""

    usual_training: ClassVar[TrainingSettings] = TRAINING

    def __init__(self, settings: FlowMatchingSettings = DEFAULTS) -> None:
        if settings.width % settings.heads:
            raise ModelError(
                f"models: a width of {settings.width} cannot be divided among {settings.heads} heads",
                hint="choose a width that is a multiple of the heads",
            )
        self.settings = settings
        self.classes = 0
        self.network: Network | None = None
        self.large = large_sizes(empty_series(0, 1))

    def fit(
        self,
        series: PacketSeries,
        codes: Codes,
        classes: int,
        rng: np.random.Generator,
        *,
        training: TrainingSettings | None = None,
        validation: tuple[PacketSeries, Codes] | None = None,
        place: CheckpointPlace | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> TrainingReport:
        training = training or self.usual_training
        has = series.lengths > 0
        series, codes = series.take(has), codes[has]
        self.classes, self.large = classes, large_sizes(series)
        self.network = self._empty_network()
        initialise(self.network, torch.Generator().manual_seed(int(rng.integers(2**62))))
        network, device = self.network.to(training.device), training.device
        ends, numbers = self._ends(series), torch.from_numpy(codes)

        def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
            return matching_loss(network, ends[rows].to(device), numbers[rows].to(device), generator)

        validate = None
        if validation is not None and (validation[0].lengths > 0).any():
            asked = validation[0].lengths > 0
            kept, theirs = self._ends(validation[0].take(asked)), torch.from_numpy(validation[1][asked])

            def validate() -> float:
                found = 0.0
                for first in range(0, len(theirs), ROWS_AT_ONCE):
                    part, some = kept[first : first + ROWS_AT_ONCE], theirs[first : first + ROWS_AT_ONCE]
                    generator = torch.Generator(device).manual_seed(first)
                    found += float(matching_loss(network, part.to(device), some.to(device), generator)) * len(some)
                return found / len(theirs)

        report = train(network, loss, len(series), training, rng, validate=validate, place=place, progress=progress)
        network.to("cpu").eval()
        return report

    def sample(self, codes: Codes, rng: np.random.Generator) -> PacketSeries:
        """One flow for each class number."""
        network = self._made()
        if len(codes) and not 0 <= codes.min() <= codes.max() < self.classes:
            raise ModelError(f"models: this generator knows classes 0 to {self.classes - 1}")
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        parts = [empty_series(0, self.settings.packets)]
        for first in range(0, len(codes), ROWS_AT_ONCE):
            some = torch.from_numpy(np.ascontiguousarray(codes[first : first + ROWS_AT_ONCE]))
            with torch.inference_mode():
                parts.append(series_of_bits(self._carried(network, some, generator).numpy(), rng, self.large))
        return concat_series(parts)

    def parameters(self) -> int:
        return sum(weight.numel() for weight in self._made().parameters())

    def state(self) -> State:
        arrays = {name: weight.detach().numpy().copy() for name, weight in self._made().state_dict().items()}
        values = {"format": FORMAT, "classes": self.classes, "settings": settings_values(self.settings)}
        return arrays | {"large_sizes": self.large}, values

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> Self:
        if values.get("format") != FORMAT:
            raise ModelError(
                f"models: this generator was written in format {values.get('format')}, this build reads {FORMAT}",
                hint="train it again, or use the version of flowlore that wrote it",
            )
        try:
            made = cls(settings_from(FlowMatchingSettings, values["settings"]))
            made.classes = int(values["classes"])
            weights = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
            made.large = weights.pop("large_sizes").numpy()
            made.network = made._empty_network()
            made.network.load_state_dict(weights)
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            raise ModelError(
                f"models: the state of this generator is damaged: {str(error).partition(chr(10))[0]}",
                hint="take the bundle from where it came from again, or train anew",
            ) from error
        made.network.eval()
        return made

    def _carried(self, network: Network, codes: Tensor, generator: torch.Generator) -> Tensor:
        """Noise, carried to the end in equal steps; the last goes the whole way that is left."""
        points = torch.randn(len(codes), self.settings.packets, CHANNELS, generator=generator)
        for step in range(self.settings.steps):
            time = step / self.settings.steps
            ends = expected(network(points, torch.full((len(codes),), time), codes))
            points = points + (ends - points) / (self.settings.steps - step)
        return points

    def _ends(self, series: PacketSeries) -> Tensor:
        return torch.from_numpy(bits_of(series, self.settings.packets))

    def _made(self) -> Network:
        if self.network is None:
            raise ModelError("models: this generator was not trained yet", hint="`fit` it first")
        return self.network

    def _empty_network(self) -> Network:
        with torch.device("meta"):  # so that no global randomness is used
            network = Network(self.settings, self.classes)
        return network.to_empty(device="cpu")


def expected(answers_BTC: Tensor) -> Tensor:
    """What is expected at the end: for a bit, its chance as a number from -1 to 1."""
    return torch.cat([torch.tanh(answers_BTC[..., :BITS] / 2), answers_BTC[..., BITS:]], 2)


def matching_loss(network: Network, ends_BTC: Tensor, codes_B: Tensor, generator: torch.Generator) -> Tensor:
    """How far what is told is from the ends, at times drawn evenly. Of packets that are not there only that counts."""
    time_B = torch.rand(len(ends_BTC), generator=generator, device=ends_BTC.device) * LATEST
    noise = torch.randn(ends_BTC.shape, generator=generator, device=ends_BTC.device)
    points = time_B[:, None, None] * ends_BTC + (1 - time_B[:, None, None]) * noise
    answers = network(points, time_B, codes_B).float()
    is_packet = ends_BTC[..., :1] > 0
    bits = F.binary_cross_entropy_with_logits(answers[..., :BITS], (ends_BTC[..., :BITS] > 0).float(), reduction="none")
    gaps = (answers[..., BITS:] - ends_BTC[..., BITS:]) ** 2 * (ends_BTC[..., 2:3] > 0)
    there = (bits[..., :1]).mean()
    told = (torch.cat([bits[..., 1:], gaps], 2) * is_packet).sum() / (is_packet.sum().clamp(min=1) * BITS)
    return there + told


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fresh weights from this generator alone."""
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, 0.3, generator=generator)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
