"""The whole network follows labels, from a linear head that knows them already."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...features.words import FIRST_WORDS
from ..encoder import LinearHead
from ..linear import head_of, layer_of, macro_f1
from ..settings import FineTuningSettings
from ..training import Progress, TrainingReport, train
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
    answering = Answering(network, head)
    truth = torch.from_numpy(codes)
    counts = np.bincount(codes, minlength=len(head.offsets)).clip(1)
    weights = torch.from_numpy((counts.mean() / counts) ** 0.5).float()
    device = settings.device
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
            found.append(answering(part).argmax(1).cpu().numpy())
        return 1.0 - macro_f1(validation_codes, np.concatenate(found), len(head.offsets))

    report = train(answering, loss, len(codes), settings, rng, validate=validate, progress=progress)
    answering.to("cpu").eval()
    return report, head_of(answering.head)


class Answering(nn.Module):
    """A network and a linear head on its embedding. The decoders are left alone."""

    def __init__(self, network: Network, head: LinearHead) -> None:
        super().__init__()
        self.network = network
        self.head = layer_of(head)

    def forward(self, inputs: Inputs) -> Tensor:
        answers: Tensor = self.head(self.network.embed(inputs))
        return answers


def _thinned(inputs: Inputs, network: Network, share: float, generator: torch.Generator) -> Inputs:
    """Hide some packets and words of beginnings, so that the network does not lean on one."""
    words, beginnings = inputs["words"], inputs["beginnings"]
    device = words.device
    hidden = torch.rand(words.shape[:2], generator=generator, device=device) < share
    blank = torch.tensor(list(FIRST_WORDS.values()), dtype=words.dtype, device=device)
    gone = torch.rand(beginnings.shape, generator=generator, device=device) < network.settings.hidden_beginnings
    return {
        **inputs,
        "words": torch.where(hidden[:, :, None], blank, words),
        "beginnings": beginnings.masked_fill(gone, 0),
    }
