"""`TransformerGenerator`: the next packet from those before it, word by word.

Shape letters: B flows, T packets, D width.
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
from .attention import Cache, Causal
from .generator import Codes, State
from .packet_words import END, FLAGS, GAPS, HEADERS, SIZES, PacketWords, large_sizes, series_of, words_of
from .settings import TransformerSettings

FORMAT = 1
ROWS_AT_ONCE = 2048
DEFAULTS = TransformerSettings()
TRAINING = TrainingSettings(epochs=30, batch_rows=128, learning_rate=2e-3, weight_decay=0.05)
PARTS = ("size", "gap", "flags", "header")
WORDS = {"size": SIZES, "gap": GAPS, "flags": FLAGS, "header": HEADERS}


class Network(nn.Module):
    """A packet is told in parts: its size, then its flags, header and gap given what was told already."""

    def __init__(self, settings: TransformerSettings, classes: int) -> None:
        super().__init__()
        wide = settings.width
        self.classes = nn.Embedding(classes, wide)
        self.places = nn.Embedding(settings.packets + 1, wide)
        self.words = nn.ModuleDict({name: nn.Embedding(count, wide) for name, count in WORDS.items()})
        self.body = Causal(wide, settings.layers, settings.heads)
        self.within = nn.ModuleDict({name: nn.Linear(wide, wide) for name in ("flags", "header", "gap")})
        self.biases = nn.ParameterDict({name: nn.Parameter(torch.zeros(count)) for name, count in WORDS.items()})

    def states(self, words: dict[str, Tensor], codes_B: Tensor, forgotten_BT: Tensor | None = None) -> Tensor:
        """What is known before each packet, and behind the last: `[B, T + 1, D]`."""
        begin_B1D = self.classes(codes_B)[:, None]
        packets_BTD = self._sum(words, PARTS)
        if forgotten_BT is not None:
            packets_BTD = packets_BTD.masked_fill(forgotten_BT[:, :, None], 0.0)
        told = torch.cat([begin_B1D, packets_BTD], 1)
        states, _ = self.body(told + self.places.weight[: told.shape[1]] + begin_B1D)
        return torch.as_tensor(states)

    def step(self, packet: dict[str, Tensor] | None, codes_B: Tensor, place: int, cache: Cache) -> tuple[Tensor, Cache]:
        """What is known before the packet at `place`, given the one before it: `[B, D]`."""
        begin_B1D = self.classes(codes_B)[:, None]
        told = begin_B1D if packet is None else self._sum({name: one[:, None] for name, one in packet.items()}, PARTS)
        states, cache = self.body(told + self.places.weight[place] + begin_B1D, cache)
        return states[:, 0], cache

    def logits(self, name: str, states: Tensor, told: dict[str, Tensor]) -> Tensor:
        """Of one part of a packet, given the parts that were told before it."""
        if name != "size":
            states = F.gelu(self.within[name](states + self._sum(told, tuple(told))))
        table = self.words[name]
        assert isinstance(table, nn.Embedding)
        answer: Tensor = states @ table.weight.T + self.biases[name]
        return answer

    def _sum(self, words: dict[str, Tensor], names: tuple[str, ...]) -> Tensor:
        found: Tensor = sum(
            (self.words[name](words[name]) for name in names[1:]), self.words[names[0]](words[names[0]])
        )
        return found


ORDER = ("size", "flags", "header", "gap")


class TransformerGenerator:
    """Learns to tell the next packet; makes flows up by telling one after the other."""

    usual_training: ClassVar[TrainingSettings] = TRAINING

    def __init__(self, settings: TransformerSettings = DEFAULTS) -> None:
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
        held, numbers = self._tensors(series), torch.from_numpy(codes)

        def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
            told = {name: words[rows].to(device) for name, words in held.items()}
            chance = torch.rand(told["size"].shape, generator=generator, device=device)
            forgotten = chance < self.settings.forgotten
            return negative_log_likelihood(network, told, numbers[rows].to(device), forgotten)

        validate = None
        if validation is not None and (validation[0].lengths > 0).any():
            asked = validation[0].lengths > 0
            kept, theirs = self._tensors(validation[0].take(asked)), torch.from_numpy(validation[1][asked])

            def validate() -> float:
                found = []
                for first in range(0, len(theirs), ROWS_AT_ONCE):
                    rows = torch.arange(first, min(first + ROWS_AT_ONCE, len(theirs)))
                    part = {name: words[rows].to(device) for name, words in kept.items()}
                    found.append(float(negative_log_likelihood(network, part, theirs[rows].to(device))) * len(rows))
                return sum(found) / len(theirs)

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
                parts.append(series_of(self._told(network, some, generator), rng, self.large))
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
            made = cls(settings_from(TransformerSettings, values["settings"]))
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

    def _told(self, network: Network, codes: Tensor, generator: torch.Generator) -> PacketWords:
        """Words of one flow after the other packet, until all have ended."""
        packets = self.settings.packets
        out = {name: torch.zeros(len(codes), packets, dtype=torch.long) for name in PARTS}
        going_on = torch.ones(len(codes), dtype=torch.bool)
        packet: dict[str, Tensor] | None = None
        cache: Cache = []
        for place in range(packets):
            states, cache = network.step(packet, codes, place, cache)
            packet = {}
            for name in ORDER:
                logits = network.logits(name, states, packet).float() / self.settings.temperature
                logits[:, 0] = -torch.inf
                if name == "size" and place == 0:
                    logits[:, END] = -torch.inf  # a flow has at least one packet
                packet[name] = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
            going_on = going_on & (packet["size"] != END)
            if not going_on.any():
                break
            for name in PARTS:
                out[name][:, place] = torch.where(going_on, packet[name], 0)
        return PacketWords(**{name: words.numpy() for name, words in out.items()})

    def _tensors(self, series: PacketSeries) -> dict[str, Tensor]:
        words = words_of(series, self.settings.packets)
        return {name: torch.from_numpy(getattr(words, name)) for name in PARTS}

    def _made(self) -> Network:
        if self.network is None:
            raise ModelError("models: this generator was not trained yet", hint="`fit` it first")
        return self.network

    def _empty_network(self) -> Network:
        with torch.device("meta"):  # so that no global randomness is used
            network = Network(self.settings, self.classes)
        return network.to_empty(device="cpu")


def negative_log_likelihood(
    network: Network, words: dict[str, Tensor], codes_B: Tensor, forgotten_BT: Tensor | None = None
) -> Tensor:
    """Of a packet on average: of its size (or of the end), flags, header and gap together."""
    states = network.states(words, codes_B, forgotten_BT)
    is_packet = words["size"] > 0
    behind = F.pad(words["size"], (0, 1))
    lengths = is_packet.sum(1)
    fits = lengths < words["size"].shape[1]  # a flow that fills all places may have gone on
    behind[fits.nonzero()[:, 0], lengths[fits]] = END
    wanted = behind > 0
    total = F.cross_entropy(network.logits("size", states[wanted], {}).float(), behind[wanted], reduction="sum")
    there = states[:, :-1][is_packet]
    told = {"size": words["size"][is_packet]}
    for name in ORDER[1:]:
        target = words[name][is_packet]
        total = total + F.cross_entropy(network.logits(name, there, told).float(), target, reduction="sum")
        told[name] = target
    return total / is_packet.sum().clamp(min=1)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fresh weights from this generator alone."""
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, 0.05, generator=generator)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, Network):
            for bias in module.biases.values():
                nn.init.zeros_(bias)
