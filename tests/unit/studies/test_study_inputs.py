"""Raw numbers of each modality: fitted on training flows, the same for any other."""

import made_up_study
import numpy as np

from flowlore.features.extract import extract
from flowlore.features.settings import FeatureSettings
from flowlore.studies.representations.fine_tuning import held_out_rows
from flowlore.studies.representations.inputs import Numbers
from flowlore.studies.representations.methods import shown_rows


def test_parts_and_rows() -> None:
    flows, _ = made_up_study.toy_flows(10)
    batch = extract(flows, FeatureSettings(packets=8))
    numbers = Numbers(batch.take(np.arange(25)), ["quantities", "series", "entities"])
    parts = numbers.parts(batch)
    assert parts["series"].shape == (50, 8, 4), "direction, both sizes, gap"
    assert parts["series"][0, 0, 1] * 1500 == flows["packet_bytes"][0].as_py()[0]
    joined = numbers.joined(batch)
    assert joined.shape[0] == 50 and np.isfinite(joined).all()
    np.testing.assert_array_equal(numbers.joined(batch.take([7, 3])), joined[[7, 3]])


def test_chosen_numbers_are_sizes_and_statistics_of_them() -> None:
    flows, _ = made_up_study.toy_flows(10)
    batch = extract(flows, FeatureSettings(packets=8))
    chosen = Numbers(batch.take(np.arange(25)), ["chosen"]).joined(batch)
    assert chosen.shape == (50, 8 + 4 + 2 * 5) and np.isfinite(chosen).all()
    sizes, gaps = batch.channels["series.size"], batch.channels["series.gap_us"]
    np.testing.assert_array_equal(chosen[:, :8], sizes)
    np.testing.assert_allclose(chosen[:, 8], gaps.sum(1))
    for place, row in ((12, sizes[0][sizes[0] > 0]), (17, -sizes[0][sizes[0] < 0])):
        known = row if len(row) else np.zeros(1)
        told = [row.sum(), len(row), known.mean(), known.std(), known.max()]
        np.testing.assert_allclose(chosen[0, place : place + 5], told, rtol=1e-5)


def test_shown_rows_drop_no_class() -> None:
    labels = np.array(["a"] * 10 + ["b"] * 2)
    rows = shown_rows(np.arange(12), labels, 5, np.random.default_rng(0))
    assert sorted(labels[rows].tolist()) == ["a"] * 5 + ["b"] * 2
    assert len(shown_rows(np.arange(12), labels, 0, np.random.default_rng(0))) == 12


def test_what_is_held_out_of_few_labels() -> None:
    labels = np.array(["a"] * 5 + ["b"] * 5 + ["c"] * 2)
    none = np.zeros(0, np.int64)
    learn, held = held_out_rows(np.arange(12), none, labels, 5)
    assert held.tolist() == [4, 9] and sorted([*learn, *held]) == list(range(12))
    learn, held = held_out_rows(np.array([0, 1, 5, 6, 10]), none, labels, 2)
    assert held.tolist() == [1, 6] and learn.tolist() == [0, 5, 10], "the last of each class that has two"
    learn, held = held_out_rows(np.arange(6), np.arange(6, 12), np.array(["a", "b"] * 6), 0)
    assert held.tolist() == list(range(6, 12)) and len(learn) == 6
