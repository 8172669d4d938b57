"""What is hidden from the network, and how far its answers are from what was there.

Words of packets and payload bytes by cross entropy, quantities by a robust loss, entities by the direction of their
vectors. Every random choice comes from the step's generator.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import SERIES_WORDS, Inputs, Network
from .settings import AutoencoderSettings

SCORED_PACKETS = 2048  # packets of a step whose words are scored: the exact sizes make a long answer
ENTITY_WEIGHT = 0.5


def hide(inputs: Inputs, settings: AutoencoderSettings, generator: torch.Generator) -> tuple[Inputs, Tensor]:
    """What the network may see, and which packets were hidden. Each flow keeps one of the modalities that it has."""
    device = inputs["present"].device

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    seen = dict(inputs)
    present = inputs["present"]
    keep = (random(*present.shape) >= settings.hidden_modalities).to(present.dtype)
    favourite = (random(*present.shape) * present).argmax(1)
    keep.scatter_(1, favourite[:, None], 1.0)
    seen["present"] = present * keep
    is_packet = inputs["series.is_packet"]
    hidden = (random(*is_packet.shape) < settings.hidden_packets) & (is_packet > 0)
    for name in SERIES_WORDS:
        if name in inputs:
            seen[name] = inputs[name].masked_fill(hidden, 0)
    seen["series.numbers"] = inputs["series.numbers"].masked_fill(hidden[:, :, None], 0.0)
    if "quantities" in inputs and settings.noise:
        numbers = inputs["quantities"]
        seen["quantities"] = numbers + settings.noise * torch.randn(numbers.shape, generator=generator, device=device)
    return seen, hidden


def reconstruction_loss(
    network: Network, embedded: Tensor, inputs: Inputs, hidden: Tensor, generator: torch.Generator
) -> Tensor:
    """The sum of the modalities' losses over what was really there."""
    states = network.expansion(embedded)
    present = dict(zip(network.modalities, inputs["present"].unbind(1), strict=True))
    total = _series_loss(network, states, inputs, present["series"], generator)
    if "quantities" in inputs:
        total = total + _quantities_loss(network, states, inputs["quantities"], present["quantities"])
    if network.payload_out is not None:
        answers = network.payload_out(states).unflatten(1, (inputs["payload"].shape[1], -1))
        target = inputs["payload"].long().masked_fill(present["payload"][:, None] == 0, -100)
        known = (target > 0).any()
        if known:
            total = total + F.cross_entropy(answers.transpose(1, 2).float(), target)
    tokens = inputs["entities"]
    has = present["entities"] > 0
    if has.any():
        count = (tokens > 0).sum(1, keepdim=True).clamp(min=1)
        wanted = (network.entities(tokens) / count).detach()
        near = F.cosine_similarity(network.entities_out(states).float(), wanted.float())
        total = total + ENTITY_WEIGHT * (1 - near)[has].mean()
    return total


def _series_loss(
    network: Network, states: Tensor, inputs: Inputs, has_series: Tensor, generator: torch.Generator
) -> Tensor:
    is_packet = (inputs["series.is_packet"] > 0) & (has_series[:, None] > 0)
    places = is_packet.flatten().nonzero()[:, 0]
    if len(places) > SCORED_PACKETS:
        chosen = torch.randperm(len(places), generator=generator, device=places.device)[:SCORED_PACKETS]
        places = places[chosen]
    total = states.sum() * 0.0
    if not len(places):
        return total
    packets = inputs["series.is_packet"].shape[1]
    of_packet = network.packets_out(states).unflatten(1, (packets, -1)).flatten(0, 1)[places]
    for name, layer in network.words_out.items():
        words = inputs.get(f"series.{name}")
        if words is None:
            continue
        target = words.flatten()[places].long()
        if (target > 0).any():
            total = total + F.cross_entropy(layer(of_packet).float(), target, ignore_index=0)
    return total


def _quantities_loss(network: Network, states: Tensor, numbers: Tensor, has: Tensor) -> Tensor:
    known = ~torch.isnan(numbers) & (has[:, None] > 0)
    distance = F.smooth_l1_loss(
        network.quantities_out(states).float(), torch.nan_to_num(numbers), reduction="none", beta=0.5
    )
    return (distance * known).sum() / known.sum().clamp(min=1)
