"""The network: adaptation of each modality → integration → embedding → one decoder a modality.

Shape letters: B flows, T packets, Q quantities, K entity tokens, W width of a word, D embedding width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...features.entities import TOKENS
from ...features.words import FLAG_WORDS, GAP_WORDS, SIZE_WORDS, WINDOW_WORDS
from .settings import AutoencoderSettings, Widths

SERIES_WORDS = {
    "series.size": SIZE_WORDS,
    "series.payload": SIZE_WORDS,
    "series.gap_us": GAP_WORDS,
    "series.flags": FLAG_WORDS,
    "series.window": WINDOW_WORDS,
}
NUMBERS_A_PACKET = 4  # signed log of both sizes, log of the gap, direction
OCTETS = 257  # 0 is "no byte"

Inputs = dict[str, Tensor]


class Network(nn.Module):
    """`encode` needs any subset of the modalities; what a flow lacks adds nothing."""

    def __init__(self, settings: AutoencoderSettings, widths: Widths, quantities: int, payload_bytes: int) -> None:
        super().__init__()
        self.settings, self.payload_bytes = settings, payload_bytes
        wide = widths.modality
        self.modalities = ["series"]
        self.series = SeriesAdaptation(settings.packets, widths)
        if quantities:
            self.modalities.append("quantities")
            self.quantities = nn.Sequential(nn.Linear(2 * quantities, wide), nn.ReLU(), nn.Linear(wide, wide))
        if payload_bytes:
            self.modalities.append("payload")
            self.octets = nn.Embedding(OCTETS, 8)
            self.payload = nn.Sequential(nn.Linear(2 * payload_bytes * 8, wide), nn.ReLU(), nn.Linear(wide, wide))
        self.modalities.append("entities")
        self.entities = nn.EmbeddingBag(TOKENS, widths.word, mode="sum", padding_idx=0)
        self.entity = nn.Linear(widths.word, wide)
        self.known = nn.Linear(len(self.modalities), wide, bias=False)  # which modalities a flow has
        self.integration = nn.Sequential(
            nn.Linear(wide * len(self.modalities) + wide, widths.integration),
            nn.ReLU(),
            nn.Linear(widths.integration, settings.width),
        )
        self.expansion = nn.Sequential(nn.Linear(settings.width, widths.integration), nn.ReLU())
        self.packets_out = nn.Linear(widths.integration, settings.packets * widths.word)
        self.words_out = nn.ModuleDict(
            {name.partition(".")[2]: nn.Linear(widths.word, words) for name, words in SERIES_WORDS.items()}
        )
        self.quantities_out = nn.Linear(widths.integration, max(quantities, 1))
        self.entities_out = nn.Linear(widths.integration, widths.word)
        self.payload_out = nn.Linear(widths.integration, 2 * payload_bytes * OCTETS) if payload_bytes else None

    def encode(self, inputs: Inputs) -> Tensor:
        """The embedding, `[B, D]`. `inputs` hold `present` as float [B, modalities] and each modality's arrays."""
        present = inputs["present"]
        adapted = []
        for place, name in enumerate(self.modalities):
            adapted.append(self._adapted(name, inputs) * present[:, place : place + 1])
        adapted.append(self.known(present))
        embedded: Tensor = self.integration(torch.cat(adapted, 1))
        return embedded * (present.sum(1, keepdim=True) > 0)

    def _adapted(self, name: str, inputs: Inputs) -> Tensor:
        adapted: Tensor
        if name == "series":
            adapted = self.series(inputs)
        elif name == "quantities":
            numbers = inputs["quantities"]
            missing = torch.isnan(numbers)
            adapted = self.quantities(torch.cat([torch.nan_to_num(numbers), missing.to(numbers.dtype)], 1))
        elif name == "payload":
            adapted = self.payload(self.octets(inputs["payload"]).flatten(1))
        else:
            tokens = inputs["entities"]
            count = (tokens > 0).sum(1, keepdim=True).clamp(min=1)
            adapted = self.entity(self.entities(tokens) / count.sqrt())
        return F.relu(adapted)

    def encoder_parameters(self) -> tuple[int, int]:
        """How many numbers make an embedding: layers, and tables of words and tokens beside them."""
        tables = [*self.series.tables.values(), self.entities, *([self.octets] if self.payload_bytes else [])]
        layers: list[nn.Module] = [self.series, self.entity, self.known, self.integration]
        if "quantities" in self.modalities:
            layers.append(self.quantities)
        if self.payload_bytes:
            layers.append(self.payload)
        in_tables = sum(weight.numel() for table in tables for weight in table.parameters())
        in_series = sum(weight.numel() for weight in self.series.tables.parameters())
        return sum(weight.numel() for layer in layers for weight in layer.parameters()) - in_series, in_tables


class SeriesAdaptation(nn.Module):
    """Words and numbers of each packet, two convolutions of stride 2, one layer over all places. Order matters."""

    def __init__(self, packets: int, widths: Widths) -> None:
        super().__init__()
        first, second = widths.convolution
        self.tables = nn.ModuleDict(
            {
                name.partition(".")[2]: nn.Embedding(words, widths.word, padding_idx=0)
                for name, words in SERIES_WORDS.items()
            }
        )
        self.numbers = nn.Linear(NUMBERS_A_PACKET, widths.word)
        self.first = nn.Conv1d(widths.word, first, 5, stride=2, padding=2)
        self.second = nn.Conv1d(first, second, 3, stride=2, padding=1)
        places = (packets + 1) // 2
        self.out = nn.Linear(second * ((places + 1) // 2), widths.modality)

    def forward(self, inputs: Inputs) -> Tensor:
        is_packet = inputs["series.is_packet"].unsqueeze(2)
        states = self.numbers(inputs["series.numbers"])
        for name, table in self.tables.items():
            words = inputs.get(f"series.{name}")
            if words is not None:
                states = states + table(words)
        states = (states * is_packet).transpose(1, 2)
        states = F.relu(self.second(F.relu(self.first(states))))
        out: Tensor = self.out(states.flatten(1))
        return out


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fresh weights from this generator alone: small tables, layers by the number of their inputs, biases of 0."""
    for module in network.modules():
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            nn.init.normal_(module.weight, 0.0, 0.3, generator=generator)
            with torch.no_grad():
                if module.padding_idx is not None:
                    module.weight[module.padding_idx] = 0
        elif isinstance(module, (nn.Linear, nn.Conv1d)):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
