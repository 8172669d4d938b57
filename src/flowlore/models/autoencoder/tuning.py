"""A network follows labels: the whole of it from a linear head on, or, where it has grown attention, that alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...features.words import FIRST_WORDS
from ..encoder import LinearHead
from ..linear import head_of, layer_of, macro_f1
from ..settings import FineTuningSettings
from ..training import Progress, TrainingReport, device_of, train
from .network import Inputs, Network

ROWS_AT_ONCE = 2048


def fine_tune(
    network: Network,
    inputs: Inputs,
    codes: npt.NDArray[np.int64],
    head: LinearHead,
    rng: np.random.Generator,
    *,
    validation: Inputs,
    validation_codes: npt.NDArray[np.int64],
    settings: FineTuningSettings,
    progress: Callable[[Progress], None] | None,
) -> tuple[TrainingReport, LinearHead]:
    """Train in place; the round with the best macro F1 on the validation is kept."""
    grown = network.attention
    for weight in network.parameters():
        weight.requires_grad_(grown is None)
    if grown is not None:
        grown.requires_grad_(True)
        own = settings.attention
        settings = replace(
            settings, epochs=own.epochs, learning_rate=own.learning_rate, hidden_packets=own.hidden_packets
        )
        head = LinearHead(weights=np.zeros((len(head.offsets), grown.width)), offsets=np.zeros(len(head.offsets)))
    answering = Answering(network, head)
    truth = torch.from_numpy(codes)
    counts = np.bincount(codes, minlength=len(head.offsets)).clip(1)
    weights = torch.from_numpy((counts.mean() / counts) ** 0.5).float()
    device = device_of(settings)
    answering.to(device)

    def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
        seen = {name: tensor[rows].to(device) for name, tensor in inputs.items()}
        answers = answering(_thinned(seen, network, settings.hidden_packets, generator))
        return F.cross_entropy(
            answers.float(), truth[rows].to(device), weights.to(device), label_smoothing=settings.smoothing
        )

    def validate() -> float:
        found = []
        for first in range(0, len(validation_codes), ROWS_AT_ONCE):
            part = {name: tensor[first : first + ROWS_AT_ONCE].to(device) for name, tensor in validation.items()}
            with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=settings.bf16):
                found.append(answering(part).argmax(1).cpu().numpy())
        return 1.0 - macro_f1(validation_codes, np.concatenate(found), len(head.offsets))

    report = train(
        answering, loss, len(codes), settings, rng, validate=validate, progress=progress, averaged=settings.averaged
    )
    answering.to("cpu").eval()
    network.requires_grad_(True)
    found = head_of(answering.head)
    if grown is not None:
        nothing = np.zeros((len(found.offsets), network.settings.width))
        found = LinearHead(weights=np.concatenate([nothing, found.weights], axis=1), offsets=found.offsets)
    return report, found


class Answering(nn.Module):
    """A network and a linear head on its embedding, or on what attention gathers. The decoders are left alone."""

    def __init__(self, network: Network, head: LinearHead) -> None:
        super().__init__()
        self.network = network
        self.head = layer_of(head)

    def forward(self, inputs: Inputs) -> Tensor:
        seen = self.network.embed(inputs) if self.network.attention is None else self.network.gathered(inputs)
        answers: Tensor = self.head(seen)
        return answers


def _thinned(inputs: Inputs, network: Network, share: float, generator: torch.Generator) -> Inputs:
    """Hide some packets and words of beginnings, so that the network does not lean on one."""
    words, beginnings = inputs["words"], inputs["beginnings"]
    device = words.device
    hidden = torch.rand(words.shape[:2], generator=generator, device=device) < share
    blank = torch.tensor(list(FIRST_WORDS.values()), dtype=words.dtype, device=device)
    gone = torch.rand(beginnings.shape, generator=generator, device=device) < network.settings.hidden_beginnings
    seen = {
        **inputs,
        "words": torch.where(hidden[:, :, None], blank, words),
        "beginnings": beginnings.masked_fill(gone, 0),
    }
    if network.attention is not None and "quantities" in inputs:
        numbers = inputs["quantities"]
        noise = torch.randn(numbers.shape, generator=generator, device=device)
        seen["quantities"] = numbers + network.settings.noise * noise
    return seen
