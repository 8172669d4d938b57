"""The loop that teaches with changed flows: what it draws, in which order, and what a step is shown."""

import numpy as np
import pytest
import torch
from test_convnet import two_kinds
from torch import Tensor, nn

from flowlore.errors import UnknownName
from flowlore.features.augment.packets import PacketSeries
from flowlore.features.augment.policy import Augmenter
from flowlore.features.augment.settings import AugmentSettings
from flowlore.models.augmented import train_augmented
from flowlore.models.convnet import ConvnetClassifier
from flowlore.models.training import TrainingSettings

SERIES, CODES = two_kinds(40, 1)
ONE_STEP = TrainingSettings(epochs=1, least_steps=1, batch_rows=1000)


class Taught:
    """A layer on three sizes of each flow, taught for a step, with all that it was given."""

    def __init__(self, augmentation: AugmentSettings, seed: int = 3) -> None:
        self.rng = np.random.default_rng(seed)
        self.steps: list[PacketSeries] = []
        self.first_weights = torch.zeros(0)
        self.network = nn.Linear(3, 2)
        self.report = train_augmented(
            self.network,
            self.initialise,
            self.logits,
            SERIES,
            CODES,
            self.rng,
            augmentation=augmentation,
            training=ONE_STEP,
            label_smoothing=0.0,
        )

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.normal_(self.network.weight, generator=generator)
        self.first_weights = self.network.weight.detach().clone()

    def logits(self, step: PacketSeries) -> Tensor:
        self.steps.append(step)
        answers: Tensor = self.network(torch.from_numpy(step.size[:, 2:5]).float() / 1000.0)
        return answers


def test_the_generator_is_drawn_from_for_copies_then_weights_then_training() -> None:
    asked = AugmentSettings(transforms=("constant-wrap-up:1",), policy="pre-augment", copies=2)
    taught = Taught(asked)
    drawn = np.random.default_rng(3)
    copies, weights, _ = (int(drawn.integers(2**62)) for _ in range(3))
    assert drawn.integers(2**62) == taught.rng.integers(2**62)
    fresh = nn.init.normal_(torch.empty(2, 3), generator=torch.Generator().manual_seed(weights))
    assert torch.equal(taught.first_weights, fresh)
    wanted, _ = Augmenter(asked).enlarged(SERIES, np.random.default_rng(copies), codes=CODES)
    (step,) = taught.steps
    assert sorted(map(bytes, step.size)) == sorted(map(bytes, wanted.size)) and len(step) == 120


@pytest.mark.parametrize("policy", ["replace", "inject", "pre-augment"])
def test_the_weights_begin_alike_under_every_policy(policy: str) -> None:
    changed = Taught(AugmentSettings(transforms=("wrap",), policy=policy))
    assert torch.equal(changed.first_weights, Taught(AugmentSettings()).first_weights)
    assert changed.report.steps == 1 and len(changed.steps[0]) == (40 if policy == "replace" else 80)


def test_without_transforms_flows_are_shown_as_they_are() -> None:
    (step,) = Taught(AugmentSettings()).steps
    assert sorted(map(bytes, step.size)) == sorted(map(bytes, SERIES.size))


def test_a_network_that_was_refused_its_lesson_was_not_trained() -> None:
    model = ConvnetClassifier(2)
    with pytest.raises(UnknownName):
        model.fit(SERIES, CODES, np.random.default_rng(0), augmentation=AugmentSettings(transforms=("warp",)))
    assert model.network is None
