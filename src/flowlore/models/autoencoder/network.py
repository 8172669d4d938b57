"""The network: adaptation of each modality → integration → embedding → one decoder a modality.

Shape letters: B flows, T packets, C channels of a packet, Q quantities, K tokens, W width of a word, D embedding width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...features.entities import TOKENS
from ...features.words import ALL_WORDS, BEGINNING_WORDS, SMOOTH, WORDS, smooth_numbers
from .attention import PacketAttention
from .settings import WIDTHS, AutoencoderSettings, Widths

OCTETS = 257  # 0 is "no byte"

Inputs = dict[str, Tensor]


class Network(nn.Module):
    """`encode` needs any subset of the modalities; what a flow lacks adds nothing."""

    placing_middle: Tensor
    placing_turn: Tensor

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
        self.register_buffer("placing_middle", torch.zeros(settings.width))
        self.register_buffer("placing_turn", torch.eye(settings.width))
        self.contrast = nn.Sequential(
            nn.Linear(settings.width, widths.integration), nn.ReLU(), nn.Linear(widths.integration, settings.width)
        )
        self.expansion = nn.Sequential(nn.Linear(settings.width, widths.integration), nn.ReLU())
        self.packets_out = nn.Linear(widths.integration, settings.packets * widths.word)
        self.words_out = nn.ModuleDict({name: nn.Linear(widths.word, words) for name, words in WORDS.items()})
        self.quantities_out = nn.Linear(widths.integration, max(quantities, 1))
        self.entities_out = nn.Linear(widths.integration, widths.word)
        self.payload_out = nn.Linear(widths.integration, 2 * payload_bytes * OCTETS) if payload_bytes else None
        self.attention: PacketAttention | None = None

    def grow(self, layers: int) -> PacketAttention:
        """Attention beside the rest, without weights yet; what it gathers stands behind the embedding of before."""
        widths = WIDTHS[self.settings.size]
        beside = widths.modality * len(self.modalities)
        self.attention = PacketAttention(widths.attention, layers, beside, self.settings.packets)
        return self.attention

    def encode(self, inputs: Inputs) -> Tensor:
        """The state that all else is told from, `[B, D]`. `inputs` hold `present`, [B, modalities], and the arrays."""
        present = inputs["present"]
        adapted = []
        for place, name in enumerate(self.modalities):
            adapted.append(self._adapted(name, inputs) * present[:, place : place + 1])
        adapted.append(self.known(present))
        state: Tensor = self.integration(torch.cat(adapted, 1))
        return state

    def embed(self, inputs: Inputs) -> Tensor:
        """The embedding, `[B, D]`: the state on scales learnt from the training flows; of nothing it is zeros.

        Where attention has grown, what it gathered is behind it.
        """
        placed = (self.encode(inputs) - self.placing_middle) @ self.placing_turn
        if self.attention is not None:
            placed = torch.cat([placed, self.gathered(inputs)], 1)
        return placed * (inputs["present"].sum(1, keepdim=True) > 0)

    def gathered(self, inputs: Inputs) -> Tensor:
        """What attention makes of packets and of all other modalities; it sees no embedding."""
        assert self.attention is not None
        present = inputs["present"]
        others = [
            self._adapted(name, inputs) * present[:, place : place + 1]
            for place, name in enumerate(self.modalities)
            if name != "series"
        ]
        found: Tensor = self.attention(
            inputs["words"], inputs["is_packet"], torch.cat([*others, self.known(present)], 1)
        )
        return found

    def _adapted(self, name: str, inputs: Inputs) -> Tensor:
        adapted: Tensor
        if name == "series":
            adapted = self.series(inputs)
        elif name == "quantities":
            numbers = inputs["quantities"]
            missing = torch.isnan(numbers)
            adapted = self.quantities(torch.cat([torch.nan_to_num(numbers), missing.to(numbers.dtype)], 1))
        elif name == "payload":
            adapted = self.payload(self.octets(inputs["payload"].int()).flatten(1))
        else:
            tokens = inputs["entities"].int()
            count = (tokens > 0).sum(1, keepdim=True).clamp(min=1)
            adapted = self.entity(self.entities(tokens) / count.sqrt())
        return F.relu(adapted)

    def encoder_parameters(self) -> tuple[int, int]:
        """How many numbers make an embedding: layers, and tables of words and tokens beside them."""
        tables = [
            self.series.words,
            self.series.beginnings,
            self.entities,
            *([self.octets] if self.payload_bytes else []),
            *([self.attention.words] if self.attention is not None else []),
        ]
        layers: list[nn.Module] = [self.series, self.entity, self.known, self.integration]
        if "quantities" in self.modalities:
            layers.append(self.quantities)
        if self.payload_bytes:
            layers.append(self.payload)
        if self.attention is not None:
            layers.append(self.attention)
        in_both = [self.series.words, self.series.beginnings, *([self.attention.words] if self.attention else [])]
        counts = [
            sum(weight.numel() for part in parts for weight in part.parameters()) for parts in (layers, in_both, tables)
        ]
        return counts[0] - counts[1], counts[2]


class SeriesAdaptation(nn.Module):
    """The words of each packet, two layers that each look at four places and step by two, one over all places; and
    words of the beginning.
    """

    smooth: Tensor

    def __init__(self, packets: int, widths: Widths) -> None:
        super().__init__()
        first, second = widths.convolution
        self.words = nn.Embedding(ALL_WORDS, widths.word)
        self.register_buffer("smooth", torch.zeros(ALL_WORDS, SMOOTH), persistent=False)
        self.numbers = nn.Linear(SMOOTH, widths.word, bias=False)
        self.beginnings = nn.EmbeddingBag(BEGINNING_WORDS, widths.word, mode="sum", padding_idx=0)
        self.first = nn.Linear(4 * widths.word, first)
        self.second = nn.Linear(4 * first, second)
        self.out = nn.Linear(second * _halved(_halved(packets)) + widths.word, widths.modality)

    def forward(self, inputs: Inputs) -> Tensor:
        words = inputs["words"].int()
        table = self.words.weight + self.numbers(self.smooth)
        states = F.embedding_bag(words.flatten(0, 1), table, mode="sum").reshape(*words.shape[:2], -1)
        states = states * inputs["is_packet"].unsqueeze(2)
        states = F.relu(self.first(_fours(states)))
        states = F.relu(self.second(_fours(states)))
        beginnings = self.beginnings(inputs["beginnings"].int())
        out: Tensor = self.out(torch.cat([states.flatten(1), F.relu(beginnings)], 1))
        return out


def _fours(states: Tensor) -> Tensor:
    """`[B, T, W]` → `[B, T / 2, 4 W]`: from every second place on, four places side by side, zeros after the last.

    A layer on it is a convolution of width 4 and step 2, and faster than one on a processor.
    """
    places = states.shape[1]
    states = F.pad(states, (0, 0, 0, 2 + places % 2))
    pairs = states.reshape(len(states), -1, 2 * states.shape[2])
    return torch.cat([pairs[:, :-1], pairs[:, 1:]], 2)


def _halved(places: int) -> int:
    return (places + 1) // 2


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Fresh weights from this generator alone: small tables, layers by the number of their inputs, biases of 0."""
    for module in network.modules():
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            nn.init.normal_(module.weight, 0.0, 0.3, generator=generator)
            with torch.no_grad():
                if module.padding_idx is not None:
                    module.weight[module.padding_idx] = 0
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def fill_buffers(network: Network) -> None:
    """What is not learnt, and is therefore not among fresh weights."""
    network.series.smooth = torch.from_numpy(smooth_numbers())
    if network.attention is not None:
        network.attention.fill_buffers()
    nn.init.zeros_(network.placing_middle)
    nn.init.eye_(network.placing_turn)
