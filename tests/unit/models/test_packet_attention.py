"""Attention that an autoencoder grows when many labels teach it: the old vectors stay, and every promise is kept."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flowlore.errors import ModelError
from flowlore.features.batch import FeatureBatch
from flowlore.models.autoencoder.encoder import AutoencoderEncoder
from flowlore.models.autoencoder.settings import WIDTHS, AutoencoderSettings
from flowlore.models.checks import made_up_flows, model_checks
from flowlore.models.encoder import LinearHead
from flowlore.models.settings import AttentionSettings, FineTuningSettings, TrainingSettings

SMALL = AutoencoderSettings(size="small", packets=12, width=16)
QUICK = TrainingSettings(epochs=1, least_steps=2, batch_rows=32)
GROWN = AttentionSettings(layers=2, least_flows=40, epochs=1, learning_rate=5e-3)
GROWING = FineTuningSettings(least_steps=4, batch_rows=32, attention=GROWN)


def pretrained(flows: FeatureBatch) -> AutoencoderEncoder:
    encoder = AutoencoderEncoder(SMALL)
    encoder.fit([flows], np.random.default_rng(1), training=QUICK)
    return encoder


def tuned(
    encoder: AutoencoderEncoder, flows: FeatureBatch, codes: Any, settings: FineTuningSettings = GROWING
) -> tuple[AutoencoderEncoder, LinearHead]:
    head = LinearHead(weights=np.zeros((2, encoder.width)), offsets=np.zeros(2))
    made, found, _ = encoder.fine_tuned(
        flows,
        codes,
        head,
        np.random.default_rng(2),
        validation=flows.take(range(20)),
        validation_codes=codes[:20],
        training=settings,
    )
    return made, found


def kinds(rows: int) -> tuple[FeatureBatch, Any]:
    """Flows with packets whose third size repeats the first in one of the two classes."""
    rng = np.random.default_rng(0)
    flows = made_up_flows(3 * rows, rng).without("quantities", "entities")
    flows = flows.take(np.flatnonzero(flows.channels["series.is_packet"].sum(1) >= 4)[:rows])
    codes = rng.integers(0, 2, len(flows))
    sizes = rng.choice([100, 200, 300, 400], (len(flows), 12))
    sizes[:, 2] = np.where(codes == 1, sizes[:, 0], sizes[:, 2] + 1)
    sizes = (sizes * flows.channels["series.direction"]).astype(np.int32)
    channels = {**flows.channels, "series.payload": sizes, "series.size": sizes}
    return FeatureBatch(length=len(flows), channels=channels, present=flows.present), codes


class Grown(AutoencoderEncoder):
    """An autoencoder that has grown attention by the end of its training."""

    def __init__(self, settings: AutoencoderSettings = SMALL) -> None:
        super().__init__(settings)

    def fit(self, batches: Any, rng: np.random.Generator, **more: Any) -> Any:
        report = super().fit(batches, rng, training=QUICK)
        made, _ = tuned(self, batches[0], np.arange(len(batches[0])) % 2)
        self.network = made.network
        return report


@pytest.mark.parametrize("check", list(model_checks()), ids=lambda check: check.__name__)
def test_a_grown_encoder_keeps_every_promise(check: Any) -> None:
    check(Grown)


def test_the_vectors_of_before_stay_and_the_head_looks_behind_them() -> None:
    flows, codes = kinds(80)
    encoder = pretrained(flows)
    before = encoder.embed(flows)
    made, head = tuned(encoder, flows, codes)
    after = made.embed(flows)
    assert made.width == after.shape[1] == SMALL.width + WIDTHS["small"].attention
    np.testing.assert_array_equal(after[:, : SMALL.width], before)
    np.testing.assert_array_equal(encoder.embed(flows), before)
    assert not head.weights[:, : SMALL.width].any() and head.weights[:, SMALL.width :].any()
    assert made.parameters()["layers"] > encoder.parameters()["layers"]
    assert made.parameters()["tables"] > encoder.parameters()["tables"]


def test_packets_are_compared_with_each_other() -> None:
    flows, codes = kinds(600)
    learn, asked = flows.take(range(400)), flows.take(range(400, len(flows)))
    settings = replace(GROWING, least_steps=250, batch_rows=64, patience=40)
    made, head = tuned(pretrained(learn), learn, codes[:400], settings)
    answers = (made.embed(asked) @ head.weights.T + head.offsets).argmax(axis=1)
    assert (answers == codes[400:]).mean() > 0.75, "chance is 0.5"


@pytest.mark.parametrize("why", ["few labels", "no layers", "no packets"])
def test_it_does_not_grow_for_nothing(why: str) -> None:
    flows = made_up_flows(60, np.random.default_rng(0))
    settings = {
        "few labels": replace(GROWING, attention=replace(GROWN, least_flows=61)),
        "no layers": replace(GROWING, attention=replace(GROWN, layers=0)),
        "no packets": GROWING,
    }[why]
    if why == "no packets":
        flows = flows.without("series")
    made, head = tuned(pretrained(flows), flows, np.arange(60) % 2, settings)
    assert made.width == head.weights.shape[1] == SMALL.width
    assert made.state()[1]["format"] == 2, "what has not grown is read by earlier builds"


def test_it_grows_once() -> None:
    flows, codes = kinds(80)
    once, _ = tuned(pretrained(flows), flows, codes)
    twice, head = tuned(once, flows, codes, replace(GROWING, attention=replace(GROWN, layers=5)))
    assert twice.width == once.width == head.weights.shape[1]
    assert twice.state()[1]["attention_layers"] == 2
    np.testing.assert_array_equal(twice.embed(flows)[:, : SMALL.width], once.embed(flows)[:, : SMALL.width])


def test_a_damaged_state_is_named() -> None:
    flows, codes = kinds(80)
    arrays, values = tuned(pretrained(flows), flows, codes)[0].state()
    assert values["format"] == 3
    arrays.pop("attention.places.weight")
    with pytest.raises(ModelError, match="damaged"):
        AutoencoderEncoder.from_state(arrays, json.loads(json.dumps(values)))
