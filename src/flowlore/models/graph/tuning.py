"""The whole graph network follows the labels of some flows, from a linear head that knows them already.

Flows without a label are neighbours of those that have one; nothing is asked of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ModelError
from ..encoder import LinearHead
from ..linear import head_of, layer_of, macro_f1
from ..settings import FineTuningSettings
from ..training import Progress, TrainingReport, device_of, train
from .inputs import GraphTensors
from .network import Network

NOT_SHOWN = -1
UNSURE_WEIGHT = 0.01  # of the loss on held-out flows: of few, all are soon right, and only how sure still tells
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Stretch:
    """Some windows in a row, and which of their flows are asked for their class."""

    graph: GraphTensors
    places: Tensor  # of flows in the graph
    codes: Tensor  # their classes


def stretches_of(pieces: Sequence[tuple[Codes, GraphTensors]], rows: Codes, codes: Codes) -> list[Stretch]:
    """Those of the pieces (rows of flows, graph) that hold one of these rows. `codes` are of all flows."""
    is_asked = np.zeros(len(codes), np.bool_)
    is_asked[rows] = True
    found = []
    for numbers, graph in pieces:
        places = np.flatnonzero(is_asked[numbers])
        if len(places):
            found.append(
                Stretch(graph=graph, places=torch.from_numpy(places), codes=torch.from_numpy(codes[numbers[places]]))
            )
    return found


def fine_tune(
    network: Network,
    learn: Sequence[Stretch],
    held: Sequence[Stretch],
    head: LinearHead,
    rng: np.random.Generator,
    *,
    settings: FineTuningSettings,
    progress: Callable[[Progress], None] | None,
) -> tuple[TrainingReport, LinearHead]:
    """Train in place; with flows held out, the round with the best macro F1 on them is kept."""
    if not learn:
        raise ModelError(
            "models: none of the flows that teach is in a graph: they lack ends or times, or were left out of a crowd",
            hint="show other flows, or raise `graph.windows.most_flows`",
        )
    answering = Answering(network, head)
    device = device_of(settings)
    learn, held = [_on(one, device) for one in learn], [_on(one, device) for one in held]
    counts = torch.bincount(torch.cat([one.codes for one in learn]), minlength=len(head.offsets)).clamp(min=1)
    weights = (counts.float().mean() / counts) ** 0.5
    answering.to(device)

    def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
        chosen = [learn[row] for row in rows.tolist()]
        answers = torch.cat([answering(_thinned(one.graph, settings, generator), one.places) for one in chosen])
        truth = torch.cat([one.codes for one in chosen])
        return F.cross_entropy(answers.float(), truth, weights, label_smoothing=settings.smoothing)

    def validate() -> float:
        answers = torch.cat([answering(one.graph, one.places) for one in held])
        truth = torch.cat([one.codes for one in held])
        right = macro_f1(truth.cpu().numpy(), answers.argmax(1).cpu().numpy(), len(head.offsets))
        loss = float(F.cross_entropy(answers.float(), truth, weights))
        return 1.0 - right + UNSURE_WEIGHT * min(loss, 1 / UNSURE_WEIGHT)

    report = train(
        answering,
        loss,
        len(learn),
        replace(settings, batch_rows=1),
        rng,
        validate=validate if held else None,
        progress=progress,
        rates={"network": network.settings.tuned_rate},
    )
    answering.to("cpu").eval()
    return report, head_of(answering.head)


class Answering(nn.Module):
    """A network and a linear head on the states of flows. What answers while it learns without labels is left alone."""

    def __init__(self, network: Network, head: LinearHead) -> None:
        super().__init__()
        self.network = network
        self.head = layer_of(head)

    def forward(self, graph: GraphTensors, places: Tensor) -> Tensor:
        flows, _, _ = self.network.embedded(graph)
        answers: Tensor = self.head(flows[places])
        return answers


def _thinned(graph: GraphTensors, settings: FineTuningSettings, generator: torch.Generator) -> GraphTensors:
    """Some numbers of flows hidden, so that the network does not lean on one."""
    hidden = torch.rand(graph.numbers.shape, generator=generator, device=graph.numbers.device) < settings.hidden_packets
    return replace(graph, numbers=graph.numbers.masked_fill(hidden, torch.nan))


def _on(stretch: Stretch, device: str) -> Stretch:
    if device == "cpu":
        return stretch
    return Stretch(graph=stretch.graph.to(device), places=stretch.places.to(device), codes=stretch.codes.to(device))
