"""Feature batches that are augmented, as encoders see them."""

import numpy as np
import pytest

import flowlore
from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.features.augment.batches import augment_batch, batch_of_series, series_of_batch
from flowlore.features.augment.masking import BERNOULLI_MASK
from flowlore.features.augment.policy import Augmenter
from flowlore.features.augment.settings import AugmentSettings
from flowlore.features.batch import FeatureBatch
from flowlore.features.extract import extract
from flowlore.features.quantities import quantities


@pytest.fixture(scope="module")
def batch() -> FeatureBatch:
    return extract(flowlore.read(DEMO_CAPTURE))


def test_unchanged_packets_give_an_equal_batch(batch: FeatureBatch) -> None:
    after = batch_of_series(batch, series_of_batch(batch))
    for name, array in batch.channels.items():
        if name == "quantities":
            for place, quantity in enumerate(quantities()):
                known = ~np.isnan(after.channels[name][:, place])
                lost_us = 32 if quantity.unit == "us" else 0  # gaps are whole microseconds, rounded down
                left, right = after.channels[name][known, place], array[known, place]
                assert np.allclose(left, right, rtol=1e-4, atol=lost_us + 1e-3), quantity.name
            assert (~np.isnan(after.channels[name])).sum() > 0.8 * (~np.isnan(array)).sum()
        else:
            assert np.array_equal(after.channels[name], array), name


def test_hidden_packets_are_there_but_unknown(batch: FeatureBatch) -> None:
    series = BERNOULLI_MASK(series_of_batch(batch), np.random.default_rng(0), 0.5)
    after = batch_of_series(batch, series)
    assert np.array_equal(after.channels["series.is_packet"], batch.channels["series.is_packet"])
    for name in ("series.size", "series.payload", "series.direction", "series.gap_us", "series.flags"):
        assert (after.channels[name][series.hidden] == 0).all()
        shown = ~series.hidden
        assert np.array_equal(after.channels[name][shown], batch.channels[name][shown])


def test_copies_stand_behind_and_have_quantities_of_their_own(batch: FeatureBatch) -> None:
    made = Augmenter(AugmentSettings(transforms=("packet-loss:1",), copies=2, policy="pre-augment"))
    after, rows = augment_batch(batch, made, np.random.default_rng(0))
    able = (series_of_batch(batch).lengths >= 2).sum()
    assert len(after) == len(rows) == len(batch) + 2 * able
    assert np.array_equal(after.take(range(len(batch))).channels["series.size"], batch.channels["series.size"])
    packets = series_of_batch(after).lengths
    counted = np.nansum(after.channels["quantities"][:, [3, 30]], axis=1)
    fewer = packets[len(batch) :] < packets[rows[len(batch) :]]
    assert fewer.any()
    assert (counted[len(batch) :][fewer] < counted[rows[len(batch) :]][fewer]).all()


def test_a_batch_without_series_is_left_alone(batch: FeatureBatch) -> None:
    made = Augmenter(AugmentSettings(transforms=("wrap",)))
    bare = batch.without("series")
    after, rows = augment_batch(bare, made, np.random.default_rng(0))
    assert after is bare and len(rows) == len(batch)
