"""How classifiers of packet series learn from flows that are changed on the way: one loop, whatever the network is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..features.augment.packets import PacketSeries
from ..features.augment.policy import Augmenter
from ..features.augment.samplers import draw_rows
from ..features.augment.settings import AugmentSettings
from .settings import TrainingSettings
from .training import CheckpointPlace, Progress, TrainingReport, device_of, train

Codes = npt.NDArray[np.int64]


def train_augmented(
    network: nn.Module,
    initialise: Callable[[torch.Generator], None],
    logits: Callable[[PacketSeries], Tensor],
    series: PacketSeries,
    codes: Codes,
    rng: np.random.Generator,
    *,
    augmentation: AugmentSettings,
    training: TrainingSettings,
    label_smoothing: float,
    validate: Callable[[], float] | None = None,
    place: CheckpointPlace | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TrainingReport:
    """Train a fresh network in place, and bring it back to the CPU; `logits` asks it where it stands meanwhile.

    A step has `batch_rows` flows before augmentation; an epoch sees as many flows as there are, copies that were made
    beforehand among them. `rng` is drawn from three times, in this order: for copies that are made beforehand, for the
    weights, for the training.
    """
    augmenter = Augmenter(augmentation)
    seed = int(rng.integers(2**62))
    if augmentation.policy == "pre-augment":
        series, rows = augmenter.enlarged(series, np.random.default_rng(seed), codes=codes)
        codes = codes[rows]
    initialise(torch.Generator().manual_seed(int(rng.integers(2**62))))
    device, pool = device_of(training), (series, codes)
    network = network.to(device)

    def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
        draws = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator, device=device)))
        chosen = rows.numpy()
        if augmentation.class_weight:
            chosen = draw_rows(codes, len(chosen), augmentation.class_weight, draws)
        step, origin = augmenter.step(series.take(chosen), draws, codes=codes[chosen], pool=pool)
        truth = torch.from_numpy(codes[chosen][origin]).to(device)
        return F.cross_entropy(logits(step).float(), truth, label_smoothing=label_smoothing)

    report = train(network, loss, len(series), training, rng, validate=validate, place=place, progress=progress)
    network.to("cpu").eval()
    return report
