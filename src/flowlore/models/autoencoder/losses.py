"""What is hidden from the network, and how far its answers are from what was there.

Words of packets and payload bytes by cross entropy, quantities by a robust loss, entities by the direction of their
vectors; and flows of one context by how near they are, beside all others of the step. Every random choice comes from
the step's generator.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...features.words import FIRST_WORDS, WORDS
from .network import Inputs, Network
from .settings import AutoencoderSettings

SCORED_PACKETS = 512  # packets of a step whose words are scored: the exact sizes make a long answer
ENTITY_WEIGHT = 0.5


def hide(inputs: Inputs, settings: AutoencoderSettings, generator: torch.Generator) -> Inputs:
    """What the network may see. Each flow keeps one of the modalities that it has."""
    present = inputs["present"]
    device = present.device

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    seen = dict(inputs)
    keep = (random(*present.shape) >= settings.hidden_modalities).to(present.dtype)
    favourite = (random(*present.shape) * present).argmax(1)
    keep.scatter_(1, favourite[:, None], 1.0)
    seen["present"] = present * keep
    words = inputs["words"]
    hidden = random(*words.shape[:2]) < settings.hidden_packets
    blank = torch.tensor(list(FIRST_WORDS.values()), dtype=words.dtype, device=device)
    seen["words"] = torch.where(hidden[:, :, None], blank, words)
    beginnings = inputs["beginnings"]
    seen["beginnings"] = beginnings.masked_fill(random(*beginnings.shape) < settings.hidden_beginnings, 0)
    tokens = inputs["entities"]
    seen["entities"] = tokens.masked_fill(random(*tokens.shape) < settings.hidden_tokens, 0)
    if "quantities" in inputs and settings.noise:
        numbers = inputs["quantities"]
        seen["quantities"] = numbers + settings.noise * torch.randn(numbers.shape, generator=generator, device=device)
    return seen


def contrast_loss(network: Network, states: Tensor, contexts: Tensor, temperature: float) -> Tensor:
    """How hard it is to tell a flow's partner from all other flows; rows i and i + n of `states` are partners.

    Others of the same context are no counter-examples. `contexts` are of the first n rows; 0 is a context of its own.
    """
    unit = F.normalize(network.contrast(states).float(), dim=1)
    rows = len(contexts)
    alike = unit @ unit.T / temperature
    same = (contexts[:, None] == contexts[None]) & (contexts[:, None] != 0)
    same = same | torch.eye(rows, dtype=torch.bool, device=same.device)
    partner = torch.arange(2 * rows, device=alike.device).roll(rows)
    wanted = alike.gather(1, partner[:, None])
    alike = alike.masked_fill(same.repeat(2, 2), float("-inf"))
    return (torch.logsumexp(torch.cat([wanted, alike], 1), 1) - wanted[:, 0]).mean()


def reconstruction_loss(network: Network, states: Tensor, inputs: Inputs, generator: torch.Generator) -> Tensor:
    """The sum of the modalities' losses over what was really there."""
    wide = network.expansion(states)
    present = dict(zip(network.modalities, inputs["present"].unbind(1), strict=True))
    total = _series_loss(network, wide, inputs, present["series"], generator)
    if "quantities" in inputs:
        total = total + _quantities_loss(network, wide, inputs["quantities"], present["quantities"])
    if network.payload_out is not None:
        answers = network.payload_out(wide).unflatten(1, (inputs["payload"].shape[1], -1))
        target = inputs["payload"].long().masked_fill(present["payload"][:, None] == 0, -100)
        known = (target > 0).any()
        if known:
            total = total + F.cross_entropy(answers.transpose(1, 2).float(), target)
    tokens = inputs["entities"].int()
    has = present["entities"] > 0
    if has.any():
        count = (tokens > 0).sum(1, keepdim=True).clamp(min=1)
        wanted = (network.entities(tokens) / count).detach()
        near = F.cosine_similarity(network.entities_out(wide).float(), wanted.float())
        total = total + ENTITY_WEIGHT * (1 - near)[has].mean()
    return total


def _series_loss(
    network: Network, wide: Tensor, inputs: Inputs, has_series: Tensor, generator: torch.Generator
) -> Tensor:
    is_packet = (inputs["is_packet"] > 0) & (has_series[:, None] > 0)
    places = is_packet.flatten().nonzero()[:, 0]
    if len(places) > SCORED_PACKETS:
        chosen = torch.randint(len(places), (SCORED_PACKETS,), generator=generator, device=places.device)
        places = places[chosen]
    total = wide.sum() * 0.0
    if not len(places):
        return total
    packets = inputs["is_packet"].shape[1]
    of_packet = network.packets_out(wide).unflatten(1, (packets, -1)).flatten(0, 1)[places]
    words = inputs["words"].flatten(0, 1)[places].long()
    for place, name in enumerate(WORDS):
        target = words[:, place] - FIRST_WORDS[name]
        if (target > 0).any():
            answers = network.words_out[name](of_packet)
            total = total + F.cross_entropy(answers.float(), target, ignore_index=0)
    return total


def _quantities_loss(network: Network, wide: Tensor, numbers: Tensor, has: Tensor) -> Tensor:
    known = ~torch.isnan(numbers) & (has[:, None] > 0)
    distance = F.smooth_l1_loss(
        network.quantities_out(wide).float(), torch.nan_to_num(numbers), reduction="none", beta=0.5
    )
    return (distance * known).sum() / known.sum().clamp(min=1)
