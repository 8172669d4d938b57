"""Raw numbers of each modality: fitted on training flows, the same for any other."""

import made_up_study
import numpy as np

from flowlore.features.extract import extract
from flowlore.features.settings import FeatureSettings
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


def test_shown_rows_drop_no_class() -> None:
    labels = np.array(["a"] * 10 + ["b"] * 2)
    rows = shown_rows(np.arange(12), labels, 5, np.random.default_rng(0))
    assert sorted(labels[rows].tolist()) == ["a"] * 5 + ["b"] * 2
    assert len(shown_rows(np.arange(12), labels, 0, np.random.default_rng(0))) == 12
